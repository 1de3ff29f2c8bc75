"""What the axes took of the sender's documents, held against what the sender's gateway knows.

Order. A family is a document and the acts about it (recall, update, replacement), each promised by
a 202 before the next was handed in. For every pair of agencies, and so on one axis: the first
package of a member of the family that the axis took for that pair stands in the axis' own record
before the first package of every later member. That is all that can be promised:

- only first takings are compared. What an axis takes again (the same bytes after doubt, after an
  answer that was dropped, after a forced retry, with its recognising of repeats off) may stand
  behind an act, and the copies of `duplicate` are no takings of their own;
- where an axis says that it took a document and did not (`lie`), its acts go out although the
  document is not there. No scenario of the kill test lies so; if one did, the document would be
  missing here before its act, and be lost at the receiver as well;
- nothing about the receiver's side. Lists come in another order, downloads fail, an opener dies: an
  act may be fetched and entered before its document, and is found from there either way.

Cause. A transfer without doubt had just one attempt that can have reached the axis: exactly one
package was taken. One in doubt was taken at least once, and never more often than it was attempted.
Copies beyond the packages are those of `duplicate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.support.fleet.units import Sent

State = Mapping[str, Any]
Faults = Mapping[str, int]
SENDS = ("sendEdoc", "SendDocument")


class Sending(NamedTuple):
    """A document's transfer on an axis, as the sender's gateway knows it in the end."""

    doubt: bool
    attempts: int


def problems(
    axis: str,
    state: State,
    sent: Mapping[str, Sent],
    sending: Mapping[tuple[str, str], Sending],
    faults: Faults,
) -> list[str]:
    """`state`: what the axis says that it took and laid out; `faults`: what was met there."""
    took = [(p["document_id"], tuple(p["to"])) for p in state["received"] if _document(p)]
    doubled = len(state["entries"]) - _entries_due(state)
    allowed = sum(faults.get(f"{operation} duplicate", 0) for operation in SENDS)
    found = [*overtaken(took, sent), *times(axis, took, sending)]
    if doubled > allowed:
        found.append(f"{doubled} copies more than packages, by {allowed} faults")
    return [f"axis {axis}: {one}" for one in found]


def overtaken(took: Sequence[tuple[str, Sequence[str]]], sent: Mapping[str, Sent]) -> list[str]:
    """Every member of a family that was taken before an earlier one, or without it.

    `took`: (DocumentId, receivers) of each package, in the order in which an axis took them.
    """
    first: dict[tuple[str, str], int] = {}
    for place, (document_id, receivers) in enumerate(took):
        for code in receivers:
            first.setdefault((code, document_id), place)
    return [
        f"{document_id} for {code} was taken before {earlier}"
        for (code, document_id), place in first.items()
        for earlier in (sent[document_id].earlier if document_id in sent else ())
        if first.get((code, earlier), len(took)) > place
    ]


def times(
    axis: str,
    took: Sequence[tuple[str, Sequence[str]]],
    sending: Mapping[tuple[str, str], Sending],
) -> list[str]:
    """Packages that were taken more often than their transfer explains, or never."""
    often = Counter(document_id for document_id, _ in took)
    found = []
    for (on, document_id), one in sending.items():
        if on == axis:
            most = one.attempts if one.doubt else 1
            if not 1 <= often[document_id] <= most:
                found.append(f"{document_id} was taken {often[document_id]} times: {one}")
    return found


def copies(state: State, system: str) -> int:
    """Of documents, laid out for one receiving system."""
    return sum(e["system"] == system and _document(e) for e in state["entries"])


def _document(shown: Mapping[str, Any]) -> bool:
    """An axis over SOAP lays out documents only, and does not say so."""
    return shown.get("kind", "document") == "document"


def _entries_due(state: State) -> int:
    """One for each package; statuses that an axis does not lay out have none."""
    laid_out = {e.get("kind", "document") for e in state["entries"]}
    return sum(p["kind"] in laid_out for p in state["received"])
