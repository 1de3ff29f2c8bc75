"""schemas/api/submission.json and the reader of metadata say yes and no to the same things."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from gateway.errors import Rejected, errors_in
from gateway.packing.metadata import parse_metadata
from gateway.rules import check_submission
from tests.support.openapi import FOLDER
from tests.support.rule_cases import shipped_rules

SCHEMA: dict[str, Any] = json.loads((FOLDER / "submission.json").read_text("utf-8"))
AT = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
JUDGE = jsonschema.Draft202012Validator(
    SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
FULL: dict[str, Any] = {
    **SCHEMA["examples"][0],
    "document_id": "000.00.19.H14,2026/11/20,12/SM-VP",
    "document_type": {"type": 2, "type_detail": 18, "name": "Công văn"},
    "content": "Nội dung",
    "due_date": "2026-12-01",
    "to_places": ["Như trên", "Lưu: VT"],
    "other": {
        "priority": 0,
        "sphere": "x",
        "typer_notation": "y",
        "copies": 1,
        "pages": 2,
        "reply_fors": "z",
        "direction": True,
        "reference_codes": "r",
        "appendixes": ["Phụ lục 1"],
    },
    "response_for": [
        {
            "organ_id": "000.00.00.G22",
            "code": "1/A",
            "document_id": "d",
            "promulgation_date": "2026-01-02",
        }
    ],
    "steering_type": 0,
    "task_codes": ["t"],
    "application_type": "a",
    "paper": False,
    "staff": {"department": "Văn thư", "name": "Mẫu", "mobile": "09", "email": "a@example.vn"},
    "secrecy": "",
    "business": {"type": 0, "reason": "", "about": "", "receivers": [], "replaces": []},
}


def read(meta: dict[str, Any]) -> bool:
    """Whether the gateway takes these metadata, by shape and by the law's required content."""
    try:
        submission = parse_metadata(json.dumps(meta).encode())
    except Rejected:
        return False
    found = check_submission(submission, AT, shipped_rules(), with_files=False)
    return not errors_in(found)


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    meta = copy.deepcopy(FULL)
    change(meta)
    return meta


def test_the_schema_itself_is_sound() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


GOOD = {
    "the example": SCHEMA["examples"][0],
    "every member": FULL,
    "null is not stated": changed(lambda m: m.update(content=None, other=None, staff=None)),
    "several people": changed(lambda m: m.update(staff=[{"name": "a"}, {"name": "b"}])),
    "no offset": changed(lambda m: m.update(released_at="2026-11-20T10:00:00")),
    "no document_id": changed(lambda m: m.pop("document_id")),
    "the legacy priority": changed(lambda m: m["other"].update(priority=4)),
}
BAD = {
    "unknown member": changed(lambda m: m.update(copies=1)),
    "unknown member inside": changed(lambda m: m["from"].update(code="x")),
    "receivers are no list": changed(lambda m: m.update(to="G22")),
    "a receiver is no object": changed(lambda m: m.update(to=["G22"])),
    "no receiver": changed(lambda m: m.update(to=[])),
    "no sender": changed(lambda m: m.pop("from")),
    "no receiver code": changed(lambda m: m["to"][0].pop("organ_id")),
    "no number": changed(lambda m: m["code"].pop("number")),
    "no notation": changed(lambda m: m["code"].pop("notation")),
    "no date": changed(lambda m: m["promulgation"].pop("date")),
    "no name of type": changed(lambda m: m["document_type"].pop("name")),
    "no subject": changed(lambda m: m.update(subject="")),
    "no signer": changed(lambda m: m.pop("signer")),
    "no position": changed(lambda m: m["signer"].pop("position")),
    "text as number": changed(lambda m: m.update(subject=5)),
    "number as text": changed(lambda m: m["other"].update(pages="2")),
    "number as boolean": changed(lambda m: m["other"].update(pages=True)),
    "number below zero": changed(lambda m: m["other"].update(pages=-1)),
    "number with a part": changed(lambda m: m["other"].update(pages=1.5)),
    "a priority that nobody has": changed(lambda m: m["other"].update(priority=5)),
    "huge number": changed(lambda m: m.update(steering_type=10**12)),
    "boolean as number": changed(lambda m: m.update(paper=1)),
    "a date of another form": changed(lambda m: m["promulgation"].update(date="20/11/2026")),
    "a day that is none": changed(lambda m: m.update(due_date="2026-02-30")),
    "an instant of another form": changed(lambda m: m.update(released_at="20/11/2026 10:00")),
    "a list with a number": changed(lambda m: m.update(to_places=[1])),
    "a change without a receiver": changed(
        lambda m: m["business"].update(receivers=[{"change": 1}])
    ),
    "a replacement of nothing": changed(lambda m: m["business"].update(replaces=[{}])),
}


@pytest.mark.parametrize("meta", GOOD.values(), ids=GOOD.keys())
def test_good_metadata_pass_both(meta: dict[str, Any]) -> None:
    JUDGE.validate(meta)
    assert read(meta)


@pytest.mark.parametrize("meta", BAD.values(), ids=BAD.keys())
def test_bad_metadata_pass_neither(meta: dict[str, Any]) -> None:
    assert not JUDGE.is_valid(meta)
    assert not read(meta)


def test_every_member_of_the_schema_is_among_the_samples() -> None:
    assert set(SCHEMA["properties"]) == set(FULL)
