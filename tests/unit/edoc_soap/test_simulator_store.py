"""The simulated SOAP axis dies without a word and comes back: nothing that it said is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.edoc_soap.older import Named
from adapters.edoc_soap.simulator_depot import _PRESENT as PRESENT
from adapters.edoc_soap.simulator_depot import Depot, Refusal
from adapters.edoc_soap.simulator_store import SimulatorStore
from adapters.edoc_soap.trees import Node, node, read_tree
from tests.support.axes import SYSTEMS, FixedClock

SENDER, RECEIVER = "exp.sys.01", "exp.sys.02"
FROM, TO = SYSTEMS[SENDER][1][0], SYSTEMS[RECEIVER][1][0]


def depot(folder: Path) -> Depot:
    """As a new process finds it. The one before is not closed: a kill closes nothing."""
    return Depot(SYSTEMS, folder / "files", FixedClock(), SimulatorStore(folder))


def blocks(number: str) -> list[Node]:
    header = Node("", "MessageHeader")
    said = {
        "From/OrganId": FROM,
        "To/OrganId": TO,
        "Code/CodeNumber": number,
        "DocumentType/Type": "2",
        "OtherInfo/Priority": "0",
    }
    for path in PRESENT:
        here = header
        for name in path.split("/"):
            found = here.find(name)
            if found is None:
                found = Node("", name)
                here.children.append(found)
            here = found
        here.text = said.get(path, "")
    header.children.append(Node("", "DocumentId", f"doc-{number}"))
    return [header, node("", "TraceHeaderList", node("", "TraceHeader")), Node("", "ErrorList")]


def status(code: str) -> Node:
    text = f"""<Status><From><OrganId>{TO}</OrganId></From><ResponseFor><OrganId>{FROM}</OrganId>
    <DocumentId>doc-1</DocumentId></ResponseFor><StatusCode>{code}</StatusCode>
    <Timestamp>2026/11/29 10:00:00</Timestamp></Status>"""
    return read_tree(text.encode())


def test_documents_what_waits_and_what_is_known_survive(tmp_path: Path) -> None:
    before = depot(tmp_path)
    place = before.file()
    place.write_bytes(b"content")
    first = before.accept(SENDER, blocks("1"), [(Named("c1", "vb.pdf", "application/pdf"), place)])
    second = before.accept(SENDER, blocks("2"), ())
    before.confirm(RECEIVER, first)

    after = depot(tmp_path)
    assert after.store.waiting(RECEIVER) == [second]
    assert after.store.confirmed() == [first]
    assert [r.document_id for r in after.store.received()] == ["doc-1", "doc-2"]
    found = after.document(RECEIVER, first)
    assert found.blocks == before.document(RECEIVER, first).blocks
    ((named, path),) = found.files
    assert (named.name, path.read_bytes()) == ("vb.pdf", b"content")
    with pytest.raises(Refusal) as repeated:
        after.accept(SENDER, blocks("1"), ())
    assert (repeated.value.errors[0][0], repeated.value.known) == ("M.Exist", first)
    assert after.file() != place
    assert after.accept(SENDER, blocks("3"), ()) not in {first, second}


def test_statuses_and_what_was_fetched_of_them_survive(tmp_path: Path) -> None:
    before = depot(tmp_path)
    before.confirm(RECEIVER, before.accept(SENDER, blocks("1"), ()))
    before.update(RECEIVER, status("03"))
    assert [s.value("StatusCode") for s in before.statuses(SENDER, "")] == ["01", "03"]
    before.update(RECEIVER, status("06"))

    after = depot(tmp_path)
    assert [s.value("StatusCode") for s in after.statuses(SENDER, "")] == ["06"]
    whole = after.statuses(SENDER, "2000/01/01 00:00:00")
    assert [s.value("StatusCode") for s in whole] == ["01", "03", "06"]
    with pytest.raises(Refusal):
        after.update(RECEIVER, status("03"))


def test_a_confirmation_is_said_once_however_often_it_dies(tmp_path: Path) -> None:
    before = depot(tmp_path)
    doc_id = before.accept(SENDER, blocks("1"), ())
    for _ in range(3):
        depot(tmp_path).confirm(RECEIVER, doc_id)
    assert len(depot(tmp_path).store.traces(SENDER)) == 1


def test_what_broke_in_the_middle_left_nothing(tmp_path: Path) -> None:
    before = depot(tmp_path)
    doc_id = before.accept(SENDER, blocks("1"), ())

    def die_after_half_of_it() -> None:
        with before.store.all_or_nothing():
            before.store.confirm(RECEIVER, doc_id)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die_after_half_of_it()
    assert depot(tmp_path).store.waiting(RECEIVER) == [doc_id]
