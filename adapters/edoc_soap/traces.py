"""Statuses of an axis that gives them no id: what they say is what they are.

In:     the `Status` values that zeep read. Out: lines of a list, and the status packages for them.
Never:  keeps more than `MOST` packages; what was pushed out is asked for again.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adapters.edoc_soap.older import status_from_older
from adapters.edoc_soap.trees import Node
from gateway.model.package import PackageKind
from gateway.ports import WaitingItem

MOST = 10_000
_PREFIX = "trace-"
_GROUPS = ("From", "ResponseFor", "StaffInfo")
_FIELDS = ("StatusCode", "Description", "Timestamp")


@dataclass(frozen=True, slots=True)
class Trace:
    item: WaitingItem
    package: bytes


class Traces:
    """The last statuses that were listed, by id."""

    def __init__(self) -> None:
        self._packages: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, found: Iterable[Trace]) -> None:
        for one in found:
            self._packages[one.item.axis_doc_id] = one.package
            self._packages.move_to_end(one.item.axis_doc_id)
        while len(self._packages) > MOST:
            self._packages.popitem(last=False)

    def package(self, axis_doc_id: str) -> bytes | None:
        return self._packages.get(axis_doc_id)

    @staticmethod
    def is_id(axis_doc_id: str) -> bool:
        """Whether this is a status' id: those of documents are numbers."""
        return axis_doc_id.startswith(_PREFIX)


def trace_item(value: Any) -> Trace:
    """A `Status` as zeep read it."""
    status = Node("", "Status")
    for name in _GROUPS:
        group = getattr(value, name, None)
        if group is not None:
            inside = [
                Node("", one, str(text).strip())
                for one in dir(group)
                if (text := getattr(group, one, None)) is not None
            ]
            status.children.append(Node("", name, "", inside))
    for name in _FIELDS:
        if (text := getattr(value, name, None)) is not None:
            status.children.append(Node("", name, str(text).strip()))
    said = [[n.name, n.text] for n in status.walk()]
    digest = hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()
    item = WaitingItem(
        f"{_PREFIX}{digest[:40]}",
        PackageKind.STATUS,
        status.value("From", "OrganId"),
        status.value("ResponseFor", "OrganId"),
        status.value("StatusCode"),
    )
    return Trace(item, status_from_older(status))
