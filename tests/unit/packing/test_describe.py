"""The shape of `inspect --json` (contract 5)."""

import json

from gateway.model.package import SignatureVerdict, Trust
from gateway.packing.describe import inspect_json
from gateway.packing.write import write_status
from tests.support.packages import a_header, a_pdf, a_status, packed, read

NONE = SignatureVerdict("none", Trust.NONE, Trust.NONE, Trust.NONE)
NAMED = {
    "kind",
    "version",
    "header",
    "business",
    "status",
    "attachments",
    "signature",
    "findings",
}


def test_a_document_has_every_name_of_the_contract() -> None:
    said = json.loads(
        json.dumps(inspect_json(read(packed(a_header(), [("a.pdf", a_pdf(100))])), NONE))
    )
    assert set(said) >= NAMED
    assert (said["kind"], said["version"], said["status"]) == ("document", "qcvn102", None)
    assert said["header"]["from"]["organ_id"] == "000.00.19.H14"
    assert said["business"] == {"type": 0, "about": []}
    assert set(said["attachments"][0]) >= {
        "name",
        "declared_type",
        "actual_type",
        "unwrapped",
        "size",
        "sha256",
    }
    assert said["signature"]["profile"] == "none"
    assert said["signature"]["verdict"] == "none"
    assert said["findings"] == []


def test_a_status_says_its_code_and_whom_it_answers() -> None:
    said = inspect_json(read(write_status(a_status())), NONE)
    assert said["kind"] == "status"
    assert isinstance(said["status"], dict)
    assert said["status"]["code"] == "01"
    assert said["business"] is None


def test_messages_come_in_the_language_asked_for() -> None:
    package = read(b"1212" + packed(a_header(), []))
    texts = [inspect_json(package, NONE, lang)["findings"] for lang in ("vi", "en")]
    assert texts[0] != texts[1]
    assert isinstance(texts[0], list)
    assert texts[0][0]["code"] == "package.junk_before"


def test_what_was_unwrapped_or_renamed_is_said() -> None:
    data = packed(a_header(), [("a.txt", b"x")]).replace(
        b"<AttachmentName>a.txt", b"<AttachmentName>../a.txt"
    )
    said = inspect_json(read(data), NONE)["attachments"]
    assert isinstance(said, list)
    assert (said[0]["name"], said[0]["declared_name"]) == ("a.txt", "../a.txt")
    assert said[0]["carried_size"] > said[0]["size"]
