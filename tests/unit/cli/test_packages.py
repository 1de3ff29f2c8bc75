"""pack, unpack, inspect: on this machine alone."""

import base64
import json
import shutil
from pathlib import Path
from uuid import UUID

import pytest

from gateway.cli import demo_files
from gateway.cli.files import free_names
from tests.support.commands import ROOT, call

SAMPLES = Path(__file__).parents[2] / "interop" / "samples"
METADATA = {
    "from": {"organ_id": "000.00.19.H14", "name": "Sở mẫu số 19"},
    "to": [{"organ_id": "000.00.00.G22"}],
    "code": {"number": "12", "notation": "SM19-VP"},
    "promulgation": {"place": "Cao Bằng", "date": "2026-11-20"},
    "document_type": {"type": 2, "type_detail": 18, "name": "Công văn"},
    "subject": "V/v kiểm tra gói tin",
    "signer": {"position": "Chức vụ mẫu", "full_name": "Người ký mẫu"},
}
AT = ("--at", "2026-11-20T10:00:00+07:00")
PDF = demo_files.pdf("Công văn", ["a sample"])
XLSX = demo_files.xlsx("Số liệu", [("Số", 1)])


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "meta.json").write_text(json.dumps(METADATA), "utf-8")
    (tmp_path / "cong-van.pdf").write_bytes(PDF)
    (tmp_path / "phụ lục.xlsx").write_bytes(XLSX)
    return tmp_path


def package(*attachments: tuple[str, bytes | str]) -> bytes:
    """A plain package whose attachments are what a stranger might send."""
    encoded = ""
    for index, (name, content) in enumerate(attachments):
        text = content if isinstance(content, str) else base64.b64encode(content).decode()
        encoded += (
            f"<Attachment><ContentId>cid:{index}</ContentId><AttachmentName>{name}"
            f"</AttachmentName><ContentTransferEncoded>{text}</ContentTransferEncoded></Attachment>"
        )
    return (
        '<edXML:edXML xmlns:edXML="http://www.mic.gov.vn/TBT/QCVN_102_2016"><edXML:edXMLEnvelope>'
        "<edXML:edXMLHeader><edXML:MessageHeader><edXML:From><edXML:OrganId>000.00.19.H14"
        "</edXML:OrganId></edXML:From><edXML:To><edXML:OrganId>000.00.00.G22</edXML:OrganId>"
        "</edXML:To><edXML:DocumentId>d-1</edXML:DocumentId></edXML:MessageHeader>"
        "</edXML:edXMLHeader></edXML:edXMLEnvelope>"
        f"<AttachmentEncoded>{encoded}</AttachmentEncoded></edXML:edXML>"
    ).encode()


# -- inspect


@pytest.mark.parametrize("name", sorted(p.name for p in SAMPLES.glob("*.edxml")))
def test_inspect_of_a_sample_is_what_is_expected_of_it_and_ends_with_0(name, capsys) -> None:
    ran = call(capsys, "inspect", SAMPLES / name, "--json", "--lang", "en")
    expected = (SAMPLES / name).with_suffix(".expected.json").read_text("utf-8")
    assert ran.code == 0
    assert ran.json() == json.loads(expected)
    assert call(capsys, "inspect", SAMPLES / name, "--lang", "vi").code == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%PDF-1.7 not a package",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        package(("a.pdf", PDF))[:-40],
    ],
)
def test_what_cannot_be_read_ends_with_65_and_says_why(content, tmp_path, capsys) -> None:
    (tmp_path / "x.edxml").write_bytes(content)
    ran = call(capsys, "inspect", tmp_path / "x.edxml", "--lang", "en")
    assert (ran.code, ran.out) == (65, "")
    assert ran.err.startswith("edoc-gateway: ")
    told = call(capsys, "inspect", tmp_path / "x.edxml", "--json").json()
    assert told["ok"] is False
    assert told["findings"]


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_strict_is_another_question_with_another_answer(lang, desk, capsys) -> None:
    call(capsys, "pack", "meta.json", "cong-van.pdf", "phụ lục.xlsx", *AT, "-o", "a.edxml")
    ran = call(capsys, "inspect", "a.edxml", "--strict", "--lang", lang)
    assert ran.code == 0
    assert {"vi": "Xét chặt: đúng quy chuẩn", "en": "Strictly: conforms"}[lang] in ran.out
    wrong = Path("a.edxml").read_bytes().replace(b"edXML:Subject>", b"edXML:Content>")
    Path("b.edxml").write_bytes(wrong)
    assert call(capsys, "inspect", "b.edxml", "--lang", lang).code == 0
    ran = call(capsys, "inspect", "b.edxml", "--strict", "--lang", lang)
    assert ran.code == 65
    assert {"vi": "KHÔNG đúng quy chuẩn", "en": "does NOT conform"}[lang] in ran.out
    assert "[strict.schema]" in ran.out


def test_strict_as_json_says_what_counts_and_what_is_only_told(desk, capsys) -> None:
    ran = call(capsys, "inspect", SAMPLES / "two_files.edxml", "--strict", "--json")
    said = ran.json()["strict"]
    assert (ran.code, said["conforms"]) == (65, False)
    assert {(f["code"], f["severity"]) for f in said["findings"]} == {
        ("strict.form", "note"),
        ("content.too_long", "error"),
    }
    ran = call(capsys, "inspect", SAMPLES / "status.edxml", "--strict", "--json")
    assert (ran.code, ran.json()["strict"]) == (0, {"conforms": True, "findings": []})
    assert "strict" not in call(capsys, "inspect", SAMPLES / "status.edxml", "--json").json()


def test_strict_judges_by_the_profile_of_the_gateway_that_is_named(tmp_path, capsys) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(ROOT / "conf", conf)
    profile = conf / "profile" / "qcvn102.toml"
    text = profile.read_text("utf-8")
    profile.write_text(text.replace('code = "01", vi', 'code = "21", vi'), "utf-8")
    sample = SAMPLES / "status.edxml"
    assert call(capsys, "inspect", sample, "--strict").code == 0
    ran = call(capsys, "inspect", sample, "--strict", "--conf", conf, "--json")
    assert ran.code == 65
    assert [f["code"] for f in ran.json()["strict"]["findings"]] == ["strict.code"]


def test_inspect_says_what_an_attachment_really_is(tmp_path, capsys) -> None:
    (tmp_path / "x.edxml").write_bytes(package(("anh.jpg", PDF)))
    page = call(capsys, "inspect", tmp_path / "x.edxml", "--lang", "en").out
    assert "PDF document in a .jpg file" in page
    assert "Signature: NONE" in page


def test_a_hostile_subject_stays_on_its_line_and_steers_nothing(tmp_path, capsys) -> None:
    subject = "thật&#x9b;2J&#x202e;\nChữ ký: ĐÚNG"
    text = package(("a.pdf", PDF)).decode()
    named = "<edXML:DocumentId>d-1</edXML:DocumentId>"
    hostile = text.replace(named, f"{named}<edXML:Subject>{subject}</edXML:Subject>")
    (tmp_path / "x.edxml").write_text(hostile, "utf-8")
    page = call(capsys, "inspect", tmp_path / "x.edxml", "--lang", "vi").out
    assert not set("\x9b\u202e") & set(page)
    assert [x for x in page.splitlines() if x.startswith("Chữ ký")] == ["Chữ ký số: KHÔNG có"]
    told = call(capsys, "inspect", tmp_path / "x.edxml", "--json")
    assert not set("\x9b\u202e") & set(told.out)
    assert "\x9b2J" in told.json()["header"]["subject"]


# -- pack and back


def test_what_was_packed_comes_out_again_byte_by_byte(desk, capsys) -> None:
    packed = call(
        capsys, "pack", "meta.json", "cong-van.pdf", "phụ lục.xlsx", "-o", "a.edxml", *AT, "--json"
    )
    assert packed.code == 0
    assert packed.json()["document_id"] == "000.00.19.H14,2026/11/20,12/SM19-VP"
    assert call(capsys, "unpack", "a.edxml", "-d", "out").code == 0
    assert (desk / "out" / "cong-van.pdf").read_bytes() == PDF
    assert (desk / "out" / "phụ lục.xlsx").read_bytes() == XLSX
    again = json.loads((desk / "out" / "metadata.json").read_text("utf-8"))
    assert again.pop("steering_type") == 0  # a package always says it
    assert again == {**METADATA, "document_id": "000.00.19.H14,2026/11/20,12/SM19-VP"}
    assert sorted(p.name for p in (desk / "out").iterdir()) == [
        "cong-van.pdf",
        "metadata.json",
        "phụ lục.xlsx",
    ]


def test_a_signed_package_holds_over_header_and_files(desk, capsys) -> None:
    from datetime import UTC, datetime

    from adapters.keys.make import make_agency_key

    made = make_agency_key(desk, "H14.19", datetime(2026, 1, 1, tzinfo=UTC), rsa_key=False)
    ran = call(
        capsys, "pack", "meta.json", "cong-van.pdf", "-o", "a.edxml", *AT,
        "--sign", made.key, "--cert", made.certificate, "--json",
    )  # fmt: skip
    assert (ran.code, ran.json()["signed"]) == (0, True)
    told = call(capsys, "inspect", "a.edxml", "--json").json()
    assert told["signature"]["verdict"] == "valid"
    page = call(capsys, "inspect", "a.edxml", "--lang", "vi").out
    assert "ĐÚNG: bao gồm phần đầu văn bản và mọi tệp đính kèm" in page.replace("\n  ", " ")
    damaged = (desk / "a.edxml").read_bytes().replace(b"G22<", b"G23<")
    (desk / "b.edxml").write_bytes(damaged)
    page = call(capsys, "inspect", "b.edxml", "--lang", "vi").out
    assert "Chữ ký số SAI" in page


def test_a_package_signed_as_a_whole_holds_and_a_rebuilt_one_is_not_called_false(
    desk, capsys
) -> None:
    from datetime import UTC, datetime

    from adapters.keys.make import make_agency_key
    from tests.support.signed_packages import rebuild

    made = make_agency_key(desk, "H14.19", datetime(2026, 1, 1, tzinfo=UTC), rsa_key=True)
    ran = call(
        capsys, "pack", "meta.json", "cong-van.pdf", "phụ lục.xlsx", "-o", "a.edxml", *AT,
        "--sign", made.key, "--cert", made.certificate, "--profile", "enveloped", "--json",
    )  # fmt: skip
    assert ran.code == 0
    told = call(capsys, "inspect", "a.edxml", "--json").json()
    assert told["sha256"] == ran.json()["sha256"]
    assert (told["signature"]["profile"], told["signature"]["verdict"]) == ("enveloped", "valid")
    (desk / "b.edxml").write_bytes(rebuild((desk / "a.edxml").read_bytes()))
    told = call(capsys, "inspect", "b.edxml", "--json", "--lang", "vi").json()
    assert told["signature"]["verdict"] == "not_verifiable"
    assert "signature.not_verifiable" in {f["code"] for f in told["findings"]}
    page = call(capsys, "inspect", "b.edxml", "--lang", "vi").out
    assert "KHÔNG KIỂM CHỨNG ĐƯỢC sau khi qua trục" in page


def test_a_profile_without_a_key_is_a_mistake_of_the_caller(desk, capsys) -> None:
    ran = call(
        capsys, "pack", "meta.json", "cong-van.pdf", "-o", "a.edxml", "--profile", "enveloped"
    )
    assert ran.code == 64
    assert "--sign" in ran.err


def test_files_only_is_said_aloud(capsys, tmp_path) -> None:
    from gateway.cli.page import package_page
    from gateway.model.package import SignatureVerdict, Trust
    from gateway.packing.read import read_package

    (tmp_path / "x.edxml").write_bytes(package(("a.pdf", PDF)))
    with (tmp_path / "x.edxml").open("rb") as source:
        read = read_package(source)
    verdict = SignatureVerdict("relay", Trust.VALID, Trust.NONE, Trust.VALID)
    assert any("FILES ONLY" in line for line in package_page(read, verdict, "en"))
    assert any("CHỈ CÁC TỆP" in line for line in package_page(read, verdict, "vi"))


def test_pack_is_deterministic_without_wrapped_files(desk, capsys) -> None:
    for name in ("a.edxml", "b.edxml"):
        assert call(capsys, "pack", "meta.json", "cong-van.pdf", "-o", name, *AT).code == 0
    assert (desk / "a.edxml").read_bytes() == (desk / "b.edxml").read_bytes()


def test_an_act_without_an_id_is_packed_under_a_uuid_that_the_same_content_has_again(
    desk, capsys
) -> None:
    old = {"document_id": "000.00.19.H14,2026/11/02,9/SM19-VP", "organ_id": "000.00.19.H14"}
    meta = METADATA | {"business": {"type": 1, "reason": "Ban hành nhầm"}, "response_for": [old]}
    (desk / "meta.json").write_text(json.dumps(meta), "utf-8")
    for name in ("a", "b"):
        ran = call(capsys, "pack", "meta.json", "cong-van.pdf", "-o", f"{name}.edxml", *AT)
        assert ran.code == 0, ran.err
    assert (desk / "a.edxml").read_bytes() == (desk / "b.edxml").read_bytes()
    said = call(capsys, "inspect", "a.edxml", "--json").json()
    assert UUID(said["header"]["document_id"]).version == 5
    assert said["business"] == {"type": 1, "about": [old["document_id"]], "reason": "Ban hành nhầm"}
    (desk / "meta.json").write_text(json.dumps(meta | {"response_for": []}), "utf-8")
    ran = call(capsys, "pack", "meta.json", "cong-van.pdf", "-o", "c.edxml", *AT)
    assert (ran.code, "business.about_missing" in ran.err) == (65, True)


def test_a_secret_document_is_refused_before_a_package_is_made(desk, capsys) -> None:
    (desk / "meta.json").write_text(json.dumps({**METADATA, "secrecy": "Mật"}), "utf-8")
    ran = call(capsys, "pack", "meta.json", "cong-van.pdf", "-o", "a.edxml", *AT, "--json")
    assert ran.code == 65
    assert ran.json()["code"] == "secrecy.marked"
    assert sorted(p.name for p in desk.iterdir()) == ["cong-van.pdf", "meta.json", "phụ lục.xlsx"]


def test_all_that_is_wrong_is_said_at_once(desk, capsys) -> None:
    wrong = {k: v for k, v in METADATA.items() if k not in ("subject", "signer")}
    (desk / "meta.json").write_text(json.dumps(wrong), "utf-8")
    ran = call(capsys, "pack", "meta.json", "-o", "a.edxml", *AT, "--json")
    assert ran.code == 65
    paths = {f["path"] for f in ran.json()["findings"] if f["severity"] == "error"}
    assert {"subject", "files"} <= paths


@pytest.mark.parametrize("raw", [b"not JSON", b"[]", b'{"nope": 1}', b"\xff\xfe"])
def test_metadata_that_are_none_are_refused(raw, desk, capsys) -> None:
    (desk / "meta.json").write_bytes(raw)
    assert call(capsys, "pack", "meta.json", "cong-van.pdf", "-o", "a.edxml").code == 65
    assert not (desk / "a.edxml").exists()


def test_pack_never_writes_over_a_file(desk, capsys) -> None:
    (desk / "a.edxml").write_bytes(b"mine")
    ran = call(capsys, "pack", "meta.json", "cong-van.pdf", "-o", "a.edxml", *AT)
    assert ran.code == 65
    assert "file.exists" in ran.err
    assert (desk / "a.edxml").read_bytes() == b"mine"


def test_a_key_that_others_can_read_does_not_sign(desk, capsys) -> None:
    (desk / "k.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----")
    (desk / "k.pem").chmod(0o644)
    ran = call(capsys, "pack", "meta.json", "cong-van.pdf", "-o", "a.edxml", "--sign", "k.pem")
    assert ran.code == 78
    assert "key.readable_by_others" in ran.err
    assert not (desk / "a.edxml").exists()


# -- unpack and hostile names

HOSTILE = (
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\boot.ini",
    "a/../../b.pdf",
    "CON",
    "..",
    "metadata.json",
    "METADATA.JSON",
    "a.pdf",
    "A.PDF",
    "a.pdf",
    "ẩn\u202efdp.exe",
    ".unpacking",
)


def test_no_name_leads_out_of_the_folder_and_none_is_lost(tmp_path, capsys) -> None:
    contents = [f"file {n}".encode() for n in range(len(HOSTILE))]
    (tmp_path / "x.edxml").write_bytes(package(*zip(HOSTILE, contents, strict=True)))
    ran = call(capsys, "unpack", tmp_path / "x.edxml", "-d", tmp_path / "deep" / "out", "--json")
    assert ran.code == 0
    out = tmp_path / "deep" / "out"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "x.edxml"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]
    written = {p.name: p.read_bytes() for p in out.iterdir()}
    about = json.loads(written.pop("metadata.json"))
    assert about["document_id"] == "d-1"
    assert sorted(written.values()) == sorted(contents)


def test_a_name_that_is_taken_stops_everything_before_anything_is_written(tmp_path, capsys) -> None:
    (tmp_path / "x.edxml").write_bytes(package(("a.pdf", PDF), ("b.pdf", PDF)))
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.pdf").write_bytes(b"mine")
    ran = call(capsys, "unpack", tmp_path / "x.edxml", "-d", out, "--json")
    assert ran.code == 65
    assert ran.json()["code"] == "file.exists"
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {"b.pdf": b"mine"}


def test_a_link_in_the_folder_is_not_followed(tmp_path, capsys) -> None:
    (tmp_path / "x.edxml").write_bytes(package(("a.pdf", PDF)))
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.pdf").symlink_to(tmp_path / "elsewhere")
    assert call(capsys, "unpack", tmp_path / "x.edxml", "-d", out).code == 65
    assert not (tmp_path / "elsewhere").exists()


def test_what_can_be_read_is_written_and_what_cannot_is_named(tmp_path, capsys) -> None:
    (tmp_path / "x.edxml").write_bytes(package(("good.pdf", PDF), ("bad.pdf", "%%%")))
    ran = call(capsys, "unpack", tmp_path / "x.edxml", "-d", tmp_path / "out", "--json")
    assert ran.code == 65
    assert ran.json()["files"] == ["metadata.json", "good.pdf"]
    assert any(f["severity"] == "error" for f in ran.json()["findings"])
    assert (tmp_path / "out" / "good.pdf").read_bytes() == PDF
    assert not (tmp_path / "out" / "bad.pdf").exists()


def test_a_package_that_cannot_be_read_leaves_nothing(tmp_path, capsys) -> None:
    (tmp_path / "x.edxml").write_bytes(package(("a.pdf", PDF))[:-40])
    assert call(capsys, "unpack", tmp_path / "x.edxml", "-d", tmp_path / "out").code == 65
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.edxml"]


def test_a_status_is_unpacked_as_what_it_says(tmp_path, capsys) -> None:
    sample = SAMPLES / "status_acceptance_03.edxml"
    assert call(capsys, "unpack", sample, "-d", tmp_path / "out").code == 0
    said = json.loads((tmp_path / "out" / "status.json").read_text("utf-8"))
    assert said["status"]["code"] == "03"


def test_free_names_are_free_without_regard_to_case() -> None:
    made = free_names(["a.pdf", "A.pdf", "a (2).pdf", "tep"], taken=("TEP",))
    assert len({n.casefold() for n in made}) == 4
    assert made[0] == "a.pdf"
    assert made[3] == "tep (2)"


# -- the demo's files are real


def test_the_demos_pdf_has_a_cross_reference_that_points_at_its_objects() -> None:
    start = int(PDF.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    assert PDF[start:].startswith(b"xref\n0 7\n")
    lines = PDF[start:].split(b"\n")[2:9]
    assert all(len(line) == 19 for line in lines)
    for number, line in enumerate(lines[1:], start=1):
        assert PDF[int(line[:10]) :].startswith(b"%d 0 obj\n" % number)


def test_the_demos_spreadsheet_opens() -> None:
    import io

    import openpyxl

    sheet = openpyxl.load_workbook(io.BytesIO(XLSX)).active
    assert sheet is not None
    assert [[c.value for c in row] for row in sheet.iter_rows()] == [["Số", 1]]
