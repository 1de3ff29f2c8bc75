"""In which line of a TOML file each key stands: for messages alone.

In:     the text of a file that tomllib has judged already.
Out:    (path of the key, line number) pairs.
Fails:  never.
Never:  decides what a file says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_KEY = r"(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+)"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*\]\]?\s*(?:#.*)?")
_ASSIGNMENT = re.compile(rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=(.*)")
_STRINGS = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'")


def key_lines(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    section: list[str | int] = []
    counts: dict[tuple[str | int, ...], int] = {}
    depth, fence = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if fence:
            fence = "" if fence in line else fence
        elif depth > 0:
            depth += _brackets(line)
        elif header := _HEADER.fullmatch(line):
            section = []
            for part in _parts(header[2]):
                if tuple(section) in counts:  # a table inside the latest item of an array
                    section.append(counts[tuple(section)])
                section.append(part)
            if header[1] == "[[":
                array = tuple(section)
                counts[array] = counts.get(array, -1) + 1
                section.append(counts[array])
            yield tuple(section), number
        elif assignment := _ASSIGNMENT.fullmatch(line):
            yield (*section, *_parts(assignment[1])), number
            value = assignment[2]
            fence = next((f for f in ('"""', "'''") if value.count(f) == 1), "")
            depth = 0 if fence else _brackets(value)


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_KEY, dotted)]


def _brackets(line: str) -> int:
    bare = _STRINGS.sub("", line).partition("#")[0]
    return sum(bare.count(c) for c in "[{") - sum(bare.count(c) for c in "]}")
