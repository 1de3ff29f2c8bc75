"""Lines on a terminal: made safe, made short, folded to its width.

In:     labels in two languages, values that strangers wrote, the width in cells.
Out:    lines; what steers a terminal is shown by its code (`answers.plain`).
Fails:  never.
Never:  lets a value begin a line of its own at the margin, or run past the width.
"""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

from gateway.cli.answers import plain, told
from gateway.cli.page.amounts import grouped
from gateway.errors import Text

PLAIN_WIDTH = 80
_NARROWEST, _WIDEST = 40, 120
_LABEL = 19
# a subject has at most 500 characters (edxml-format 8); more is for `--json`
LONGEST = 500
MOST = 10


def terminal_width() -> int:
    """Cells in a line: the terminal's, within reason; 80 when nobody looks at one."""
    if not sys.stdout.isatty():
        return PLAIN_WIDTH
    columns = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
    return max(_NARROWEST, min(columns, _WIDEST))


def one_line(text: str) -> str:
    """A stranger's text as it may stand in a line: NFC, single blanks, nothing that steers."""
    return plain(" ".join(unicodedata.normalize("NFC", text).split()))


def fold(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken at blanks, inside a word only where one is longer.

    `width` is at least 2, so that a wide character finds room.
    """
    lines: list[str] = []
    line = ""
    room = 0  # cells left in `line`
    for word in text.split(" "):
        cells = cell_len(word)
        if line and cells < room:
            line += f" {word}"
            room -= cells + 1
            continue
        if line:
            lines.append(line)
        pieces = chop_cells(word, width) if cells > width else [word]
        lines.extend(pieces[:-1])
        line = pieces[-1]
        room = width - cell_len(line)
    return [*lines, line] if line or not lines else lines


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where a page is written: its language (vi, en) and its width in cells."""

    lang: str
    width: int

    def word(self, text: Text) -> str:
        return told(text, self.lang)

    def short(self, text: str, longest: int = LONGEST) -> str:
        """`one_line`, cut off with the number of characters that are left out."""
        left = len(text) - longest
        if left <= 0:
            return one_line(text)
        words = "ký tự" if self.lang == "vi" else "characters"
        return f"{one_line(text[:longest])}… (+{grouped(left, self.lang)} {words})"

    def line(self, text: str, *, indent: int = 2, hang: int = 0) -> Iterator[str]:
        """Any text, made safe here; further lines stand `hang` cells deeper than the first."""
        first, *others = fold(one_line(text), self.width - indent - hang)
        yield f"{'':{indent}}{first}".rstrip()
        for other in others:
            yield f"{'':{indent + hang}}{other}".rstrip()

    def heading(self, text: str) -> Iterator[str]:
        """At the margin, where nothing that a stranger wrote begins a line."""
        return self.line(text, indent=0, hang=2)

    def row(self, label: Text, value: str, *, mark: bool = False) -> Iterator[str]:
        """A label and its value, which is made safe here; nothing for an empty value.

        `mark`: an exclamation mark at the margin, for what needs attention.
        """
        yield from self._row(self.word(label), self.short(value), "!" if mark else " ")

    def rows(
        self, label: Text, values: Sequence[str], more: Text, most: int = MOST
    ) -> Iterator[str]:
        """One label and many values: the first of them, then how many there are besides.

        `more`: what they are, to stand behind the number.
        """
        name = self.word(label)
        if len(values) > 1:
            name += f" ({grouped(len(values), self.lang)})"
        for value in self.first(values, more, most):
            yield from self._row(name, value, " ")
            name = ""

    def first(self, values: Sequence[str], more: Text, most: int) -> Iterator[str]:
        """The first values made safe, and `… và 7 nơi nhận khác` in place of the rest."""
        yield from (self.short(value) for value in values[:most])
        if len(values) > most:
            yield self.besides(len(values) - most, more)

    def besides(self, number: int, more: Text) -> str:
        amount = grouped(number, self.lang)
        if self.lang == "vi":
            return f"… và {amount} {more.vi} khác"
        return f"… and {amount} more {more.en}"

    def _row(self, label: str, value: str, margin: str) -> Iterator[str]:
        if not value:
            return
        column = _LABEL + 3
        head = f"{margin} {label:{_LABEL}} "
        if cell_len(head) > column:  # a label that is too long has a line of its own
            yield head.rstrip()
            head = f"{'':{column}}"
        for line in fold(value, self.width - column):
            yield f"{head}{line}".rstrip()
            head = f"{'':{column}}"
