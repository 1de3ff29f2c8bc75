"""The desk's window for who is who: agencies, and where a document for one of them would go.

In:     codes in either form, words to search for.
Out:    agencies and reasons as JSON shows them.
Fails:  Unknown (`agency.unknown`).
Never:  asks a database: the directory and the routes are those of conf.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date
from functools import cached_property
from typing import Any

from gateway.errors import Text, Unknown
from gateway.model.agency import Agency
from gateway.routing import agency_json
from gateway.routing.directory import Directory
from gateway.routing.plan import RoutingTable
from gateway.shapes import place_cursor, read_place_cursor


class Guide:
    """`today`: the Vietnamese day, by which the directory and the routes are read."""

    def __init__(
        self, directory: Directory, routing: RoutingTable, today: Callable[[], date]
    ) -> None:
        self.directory = directory
        self.routing = routing
        self.today = today

    def agencies(self, *, q: str, cursor: str, limit: int) -> tuple[list[dict[str, object]], str]:
        """Agencies whose code (either form) or name holds `q`, in the order of their codes."""
        asked = plain_text(q)
        start = read_place_cursor(cursor)
        found: list[dict[str, object]] = []
        for place, (text, agency) in enumerate(self._searchable[start:], start):
            if asked in text:
                if len(found) == limit:
                    return found, place_cursor(place)
                found.append(agency_json(agency))
        return found, ""

    @cached_property
    def _searchable(self) -> list[tuple[str, Agency]]:
        return [(plain_text(f"{a.code}\n{a.code102}\n{a.name}"), a) for a in self.directory]

    def agency(self, code: str) -> dict[str, object]:
        found = self.directory.find(code, self.today())
        if found is None:
            raise _no_agency()
        return agency_json(found)

    def route(self, code: str, language: str) -> dict[str, Any]:
        """Where a document for this agency would go today, and why."""
        told = self.routing.explain(code, self.today())
        if told.agency is None:
            raise _no_agency()
        vietnamese = language == "vi"
        return {
            "agency": agency_json(told.agency),
            "axis": told.axis,
            "why": [t.vi if vietnamese else t.en for t in told.why],
            "findings": [f.as_json(language) for f in told.findings],
        }


def plain_text(text: str) -> str:
    """For searching: no marks, no case, đ as d, so that `cao bang` finds Cao Bằng."""
    bare = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return "".join(c for c in bare if not unicodedata.combining(c)).strip()


def _no_agency() -> Unknown:
    return Unknown(
        Text("Danh mục không có cơ quan này", "no such agency in the directory"),
        code="agency.unknown",
    )
