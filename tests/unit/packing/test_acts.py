"""Where the writer puts what an act says, and that the reader finds it there (edxml-format 6)."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from gateway.model.package import NS_QCVN102 as Q
from gateway.packing import metadata, write
from gateway.packing.read import read_package

BASE: dict[str, Any] = {
    "from": {"organ_id": "000.00.19.H14"},
    "to": [{"organ_id": "000.00.00.G22"}],
    "document_id": "b4c8",
    "code": {"number": "12", "notation": "UBND-VX"},
    "promulgation": {"date": "2026-11-20"},
    "document_type": {"type": 2, "type_detail": 18, "name": "Công văn"},
    "subject": "Một việc",
}
OLD, OLDER = "000.00.19.H14,2026/11/02,9/UBND-VX", "000.00.19.H14,2026/10/01,3/UBND-VX"
RECALL = {
    "business": {"type": 1, "reason": "Ban hành nhầm"},
    "response_for": [
        {"organ_id": "000.00.19.H14", "code": "9/UBND-VX", "document_id": OLD},
        {"organ_id": "000.00.19.H14", "document_id": OLDER, "promulgation_date": "2026-10-01"},
    ],
}
UPDATE = {
    "business": {
        "type": 2,
        "about": OLD,
        "document_changed": 1,
        "receivers_changed": 1,
        "receivers": [
            {"organ_id": "000.00.00.G22", "change": 0},
            {"organ_id": "H29", "change": 1},
        ],
    }
}
REPLACE = {
    "business": {
        "type": 3,
        "replaces": [
            {"document_id": OLD, "organ_ids": ["000.00.00.G22", "H29"]},
            {"document_id": OLDER, "organ_ids": ["H29"]},
        ],
    }
}


def written(act: dict[str, Any]) -> bytes:
    header = metadata.parse_metadata(json.dumps({**BASE, **act}).encode()).header
    out = io.BytesIO()
    write.write_document(out, header, (), signature=b"")
    return out.getvalue()


def found(data: bytes, path: str) -> list[str]:
    steps = "/".join(f"q:{step}" for step in path.split("/"))
    return [str(e.text) for e in etree.fromstring(data).iterfind(f".//{steps}", {"q": Q})]


def test_a_recall_names_documents_in_response_for_alone() -> None:
    data = written(RECALL)
    assert found(data, "MessageHeader/ResponseFor/DocumentId") == [OLD, OLDER]
    assert found(data, "MessageHeader/ResponseFor/PromulgationDate") == ["2026/10/01"]
    assert found(data, "Bussiness/BussinessDocReason") == ["Ban hành nhầm"]
    assert found(data, "Bussiness/DocumentId") == []


def test_an_update_names_its_document_in_the_group_and_each_receiver() -> None:
    data = written(UPDATE)
    assert found(data, "Bussiness/DocumentId") == [OLD]
    assert found(data, "BussinessDocumentInfo/DocumentInfo") == ["1"]
    assert found(data, "BussinessDocumentInfo/DocumentReceiver") == ["1"]
    assert found(data, "ReceiverList/Receiver/OrganId") == ["000.00.00.G22", "H29"]
    assert found(data, "ReceiverList/Receiver/ReceiverType") == ["0", "1"]


def test_a_replacement_lists_documents_with_their_receivers() -> None:
    data = written(REPLACE)
    assert found(data, "ReplacementInfoList/ReplacementInfo/DocumentId") == [OLD, OLDER]
    assert found(data, "ReplacementInfo/OrganIdList/OrganId") == ["000.00.00.G22", "H29", "H29"]
    assert found(data, "Bussiness/DocumentId") == []


@pytest.mark.parametrize("act", [RECALL, UPDATE, REPLACE])
def test_what_is_read_is_what_was_said(act: dict[str, Any]) -> None:
    header = metadata.parse_metadata(json.dumps({**BASE, **act}).encode()).header
    read = read_package(io.BytesIO(written(act))).header
    assert read is not None
    assert read.business == header.business
    assert read.about() == header.about()
    again = metadata.header_to_json(replace(read, traces=()))
    assert {k: again[k] for k in act} == act
