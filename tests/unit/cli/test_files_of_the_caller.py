"""What the machine says about a file that somebody named: one line, and the code of its family."""

import errno
import json

import pytest

from gateway.cli.answers import file_problem
from gateway.errors import Rejected, Unavailable
from tests.support.commands import ROOT, call

SAMPLE = next((ROOT / "tests/interop/samples").glob("edoc_new*.edxml"))
METADATA = {
    "from": {"organ_id": "000.00.19.H14"},
    "to": [{"organ_id": "000.00.00.G22"}],
    "code": {"number": "12", "notation": "SM-VP"},
    "promulgation": {"place": "Cao Bằng", "date": "2026-11-20"},
    "document_type": {"type": 2, "name": "Công văn"},
    "subject": "Văn bản mẫu",
    "signer": {"position": "Chức vụ mẫu", "full_name": "Người ký mẫu"},
}


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "metadata.json").write_text(json.dumps(METADATA), "utf-8")
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\n")
    return tmp_path


def pack_to(desk, target):
    at = ("--at", "2026-11-21T08:00:00+07:00")
    return ("pack", desk / "metadata.json", desk / "a.pdf", "-o", target, *at)


@pytest.mark.parametrize("place", ["no/such/folder/p.edxml", "a.pdf/p.edxml", "x" * 300])
def test_a_package_that_cannot_be_written_is_named_without_a_trace(place, desk, capsys) -> None:
    ran = call(capsys, *pack_to(desk, desk / place), "--lang", "en")
    assert (ran.code, ran.out) == (65, "")
    (line,) = ran.err.splitlines()
    assert str(desk / place) in line
    assert "[file.unusable]" in line
    assert ".part" not in line
    assert {p.name for p in desk.iterdir()} == {"metadata.json", "a.pdf"}


@pytest.mark.parametrize(
    "words",
    [
        ("unpack", SAMPLE, "-d", "{}/a.pdf/x"),
        ("init", "{}/a.pdf/x"),
        ("demo", "--dir", "{}/a.pdf/x", "--json"),
    ],
    ids=["unpack", "init", "demo"],
)
def test_a_folder_that_cannot_be_made_is_named_without_a_trace(words, desk, capsys) -> None:
    ran = call(capsys, *(str(w).format(desk) for w in words), "--lang", "en")
    assert ran.code == 65
    assert "file.unusable" in ran.out + ran.err
    assert "a.pdf" in ran.out + ran.err


def test_a_receipt_that_could_not_be_kept_stops_the_request_before_it_is_made(
    desk, capsys, monkeypatch
) -> None:
    # nobody listens there: an attempt would end with 75
    monkeypatch.setenv("EDOC_GATEWAY_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("EDOC_GATEWAY_KEY", "edoc_nobody_nothing")
    kept = ("--receipt", desk / "no/such/r.json", "--json")
    for words in (("send", desk / "metadata.json", desk / "a.pdf"), ("confirm", "an-item")):
        ran = call(capsys, *words, *kept)
        assert (ran.code, ran.json()["code"]) == (65, "file.unusable")
        assert "no/such/r.json" in ran.json()["message"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_mended_by_time_and_not_by_the_caller(number) -> None:
    problem = file_problem(OSError(number, "no room", "/a/file"))
    assert isinstance(problem, Unavailable)
    assert problem.code == "file.no_space"
    assert "/a/file" in problem.text.en


def test_both_names_of_a_link_are_told() -> None:
    problem = file_problem(OSError(errno.EXDEV, "another disk", "/one", None, "/two"))
    assert isinstance(problem, Rejected)
    assert "/one → /two: another disk" in problem.text.vi


@pytest.mark.parametrize("error", [OSError("words alone"), BrokenPipeError(errno.EPIPE, "pipe")])
def test_what_is_about_no_file_stays_what_it_is(error) -> None:
    assert file_problem(error) is None
