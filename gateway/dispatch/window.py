"""How many attempts at once: grows while they succeed, shrinks when they fail (as Postfix does).

In:     a Window, and how an attempt ended.
Out:    the next Window: +1 after as many successes in a row as it is wide, -1 for each failure.
Fails:  never.
Never:  falls below one, so that the other side is always tried; grows above `most`.
"""

from __future__ import annotations

from typing import NamedTuple

FIRST = 5  # Postfix: initial_destination_concurrency


class Window(NamedTuple):
    """`limit`: attempts at once, 1 to `most`. `run`: successes in a row since it last changed."""

    limit: int
    most: int
    run: int = 0


def opened(most: int) -> Window:
    """The window of a side of which nothing is known yet. `most` >= 1."""
    return Window(min(FIRST, most), most)


def after(window: Window, *, success: bool) -> Window:
    limit, most, run = window
    if not success:
        return Window(max(limit - 1, 1), most)
    if run + 1 < limit:
        return Window(limit, most, run + 1)
    return Window(min(limit + 1, most), most)
