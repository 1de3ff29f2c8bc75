"""What somebody must or may do now, and the article that says so.

In:     the words of an act or a status.
Out:    two rows.
Fails:  never.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.cli.page.lines import Sheet
from gateway.errors import Text


class Next(NamedTuple):
    """`rule`: decree and article, "" where only practice says so."""

    words: Text
    rule: str = ""


def next_lines(step: Next, sheet: Sheet) -> Iterator[str]:
    yield from sheet.row(Text("Việc tiếp theo", "What next"), sheet.word(step.words))
    yield from sheet.row(Text("Căn cứ", "Rule"), step.rule)
