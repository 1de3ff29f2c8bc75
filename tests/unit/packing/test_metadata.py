"""The submission's JSON: shapes judged all at once, and the way back from a header."""

import json
from datetime import UTC, datetime

import pytest

from gateway.errors import Rejected
from gateway.model.package import Business, DocumentHeader, Organ
from gateway.packing.metadata import header_to_json, parse_metadata
from tests.support.packages import a_header

# contract 5, word by word
CONTRACT = {
    "from": {
        "organ_id": "000.00.19.H14",
        "name": "Sở Thông tin và Truyền thông",
        "in_charge": "UBND tỉnh Cao Bằng",
        "address": "Cao Bằng",
        "email": "a@example.vn",
        "telephone": "1",
        "fax": "2",
        "website": "example.vn",
    },
    "to": [{"organ_id": "000.00.00.G22", "name": "Văn phòng Chính phủ"}],
    "document_id": "d-1",
    "code": {"number": "12", "notation": "UBND-VX"},
    "promulgation": {"place": "Cao Bằng", "date": "2026-11-20"},
    "document_type": {"type": 2, "type_detail": 18, "name": "Công văn"},
    "subject": "V/v",
    "content": "Nội dung",
    "signer": {"competence": "TM.", "position": "Chủ tịch", "full_name": "Người ký mẫu"},
    "due_date": "2026-12-01",
    "to_places": ["Như trên"],
    "other": {
        "priority": 0,
        "sphere": "x",
        "typer_notation": "CV",
        "copies": 1,
        "pages": 2,
        "appendixes": ["PL1"],
    },
    "response_for": [
        {
            "organ_id": "G22",
            "code": "7/AB",
            "document_id": "e-1",
            "promulgation_date": "2026-01-02",
        }
    ],
    "steering_type": 0,
    "paper": False,
    "staff": {"department": "Văn thư", "name": "Mẫu", "mobile": "0", "email": "b@example.vn"},
    "secrecy": "",
    "business": {"type": 0, "reason": "r", "about": "e-1", "receivers": [], "replaces": []},
    "released_at": "2026-11-20T10:00:00+07:00",
}


def parsed(**changes: object):
    return parse_metadata(json.dumps({**CONTRACT, **changes}, ensure_ascii=False).encode())


def refused(raw: bytes | dict[str, object]) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as caught:
        parse_metadata(raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    assert all(f.text.vi and f.text.en for f in caught.value.findings)
    return [(f.path, f.code) for f in caught.value.findings]


def test_every_name_of_the_contract_finds_its_place() -> None:
    got = parsed()
    header = got.header
    assert header.sender.in_charge == "UBND tỉnh Cao Bằng"
    assert header.to == (Organ("000.00.00.G22", "Văn phòng Chính phủ"),)
    assert header.promulgation.date == "2026-11-20"
    assert (header.document_type.type, header.document_type.type_detail) == (2, 18)
    assert header.other.appendixes == ("PL1",)
    assert header.response_for[0].promulgation_date == "2026-01-02"
    assert header.business.paper == 0
    assert header.business.staff[0].name == "Mẫu"
    assert (header.business.reason, header.business.document_id) == ("r", "e-1")
    assert header.traces == ()
    assert got.secrecy == ""
    assert got.files == ()
    assert got.released_at is not None
    assert got.released_at.astimezone(UTC) == datetime(2026, 11, 20, 3, tzinfo=UTC)


def test_the_header_goes_back_to_the_same_json() -> None:
    header = parsed().header
    back = header_to_json(header)
    assert back == {
        k: v for k, v in CONTRACT.items() if k not in {"secrecy", "released_at", "business"}
    } | {"business": {"type": 0, "reason": "r", "about": "e-1"}}
    assert parse_metadata(json.dumps(back).encode()).header == header


def test_absent_fields_are_left_out() -> None:
    header = DocumentHeader(sender=Organ("H14"), to=(Organ("G22"),), document_id="")
    assert header_to_json(header) == {"from": {"organ_id": "H14"}, "to": [{"organ_id": "G22"}]}


def test_acts_are_parsed_whatever_the_rules_will_say() -> None:
    got = parsed(
        business={
            "type": 3,
            "replaces": [{"document_id": "e-1", "organ_ids": ["G22"]}],
            "receivers": [{"organ_id": "G22", "change": 1}],
        }
    )
    business = got.header.business
    assert business.type == 3
    assert business.replaces[0].organ_ids == ("G22",)
    assert business.receivers[0].change == 1


def test_an_instant_without_zone_is_vietnam_time() -> None:
    for text in ("2026-11-20T10:00:00", "2026-11-20 10:00", "2026-11-20T03:00:00Z"):
        got = parsed(released_at=text).released_at
        assert got is not None
        assert got.astimezone(UTC).hour == 3


def test_null_and_absent_are_the_same() -> None:
    nothing = dict.fromkeys(["content", "other", "due_date", "staff", "to_places"])
    got = parsed(**nothing).header
    assert (got.content, got.due_date, got.to_places) == ("", "", ())
    assert got.business == Business(document_id="e-1", reason="r", paper=0)


def test_what_is_required_is_the_business_of_the_rules() -> None:
    assert parse_metadata(b"{}").header == DocumentHeader(sender=Organ(), to=(), document_id="")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "metadata.not_json"),
        (b"{", "metadata.not_json"),
        (b"\xff\xfe{}", "metadata.not_json"),
        (b"[" * 100_000, "metadata.not_json"),
        (b'{"to": NaN}', "metadata.not_json"),
        (b'{"steering_type": ' + b"9" * 5000 + b"}", "metadata.not_json"),
        (b"[]", "metadata.type"),
        (b'"x"', "metadata.type"),
        (b"null", "metadata.type"),
    ],
)
def test_what_is_no_json_object_is_refused(raw: bytes, code: str) -> None:
    assert refused(raw) == [("", code)]


def test_a_byte_order_mark_is_no_matter() -> None:
    assert parse_metadata(b"\xef\xbb\xbf{}").files == ()


def test_every_wrong_shape_is_told_at_once() -> None:
    assert refused(
        {
            "from": "H14",
            "to": [{"organ_id": 5}, "G22", {"organ_id": "G22", "nam": "x"}],
            "code": {"number": 12},
            "promulgation": {"date": "20/11/2026"},
            "document_type": {"type": "2", "type_detail": -1, "name": None},
            "due_date": "2026-02-30",
            "to_places": "Như trên",
            "other": {"priority": True, "pages": 1.5, "direction": "no", "appendixes": [1]},
            "response_for": [{"promulgation_date": "x"}],
            "paper": 1,
            "staff": [{"name": 1}],
            "business": {"type": 0, "receivers": [{}], "replaces": [{"organ_ids": ["x"]}]},
            "released_at": "hôm nay",
            "subjct": "x",
        }
    ) == [
        ("subjct", "metadata.unknown_key"),
        ("from", "metadata.type"),
        ("to[0].organ_id", "metadata.type"),
        ("to[1]", "metadata.type"),
        ("to[2].nam", "metadata.unknown_key"),
        ("code.number", "metadata.type"),
        ("promulgation.date", "metadata.date"),
        ("document_type.type", "metadata.type"),
        ("document_type.type_detail", "metadata.type"),
        ("due_date", "metadata.date"),
        ("other.priority", "metadata.type"),
        ("other.pages", "metadata.type"),
        ("other.direction", "metadata.type"),
        ("other.appendixes[0]", "metadata.type"),
        ("response_for[0].promulgation_date", "metadata.date"),
        ("to_places", "metadata.type"),
        ("business.receivers[0].organ_id", "metadata.missing"),
        ("business.receivers[0].change", "metadata.missing"),
        ("business.replaces[0].document_id", "metadata.missing"),
        ("paper", "metadata.type"),
        ("staff[0].name", "metadata.type"),
        ("released_at", "metadata.datetime"),
    ]


def test_a_key_that_stands_twice_is_refused() -> None:
    assert refused(b'{"to": [], "subject": "a", "subject": "b"}') == [
        ("subject", "metadata.repeated_key")
    ]


def test_half_a_surrogate_pair_is_refused() -> None:
    assert refused(b'{"subject": "a\\ud800"}') == [("subject", "metadata.text")]
    assert refused(b'{"\\ud800": 1}')[0][1] == "metadata.unknown_key"


@pytest.mark.parametrize("text", ["2026-11-20", "20/11/2026", "2026-13-01T00:00:00Z", "1"])
def test_an_instant_must_follow_rfc_3339(text: str) -> None:
    assert refused({**CONTRACT, "released_at": text}) == [("released_at", "metadata.datetime")]


def test_the_default_header_survives_the_way_there_and_back() -> None:
    header = a_header(traces=())
    assert parse_metadata(json.dumps(header_to_json(header)).encode()).header == header


def test_texts_copied_in_another_normal_form_are_normalised_on_the_way_in() -> None:
    """edxml-format 10, last line: NFC, and U+00A0 is a blank."""
    stated = {**CONTRACT, "subject": "Tho\u0302ng ba\u0301o\u00a0so\u0302\u0301 1"}
    assert parse_metadata(json.dumps(stated).encode()).header.subject == "Thông báo số 1"
