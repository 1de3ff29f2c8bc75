"""What pack, unpack and inspect say to a person, end to end."""

import json

import pytest

from gateway.packing.write import write_status
from tests.support.commands import call
from tests.support.packages import a_header, a_status, packed
from tests.unit.cli.test_packages import AT, METADATA, PDF, SAMPLES, desk, package

__all__ = ["desk"]


def test_what_was_packed_is_told_with_its_digest(desk, capsys) -> None:
    ran = call(capsys, "pack", "meta.json", "cong-van.pdf", "-o", "a.edxml", *AT, "--lang", "vi")
    first, *rows = ran.out.splitlines()
    assert (ran.code, first) == (0, "Đã đóng gói: a.edxml")
    told = dict(zip([r[2:15].strip() for r in rows], [r[15:] for r in rows], strict=True))
    assert told["Mã định danh"] == "000.00.19.H14,2026/11/20,12/SM19-VP"
    assert (told["Tệp đính kèm"], told["Chữ ký số"]) == ("1", "không ký")
    assert len(told["SHA-256"]) == 64
    ran = call(capsys, "pack", "meta.json", "cong-van.pdf", "-o", "b.edxml", *AT, "--lang", "en")
    assert "  Signature    not signed" in ran.out.splitlines()


@pytest.mark.parametrize(("lang", "error", "warning"), [("vi", "lỗi", "cảnh báo"),
                                                        ("en", "error", "warning")])  # fmt: skip
def test_a_refusal_names_everything_path_first_and_errors_first(
    lang, error, warning, desk, capsys
) -> None:
    wrong = {**METADATA, "other": {"priority": 4}, "to": [{"organ_id": "không hợp lệ"}]}
    del wrong["subject"]
    (desk / "meta.json").write_text(json.dumps(wrong), "utf-8")
    ran = call(capsys, "pack", "meta.json", "-o", "a.edxml", *AT, "--lang", lang)
    assert (ran.code, ran.out) == (65, "")
    head, *rows = ran.err.splitlines()
    assert head.endswith("[submission.invalid]")
    told = [row.strip().split(": ")[:2] for row in rows]
    assert [where for where, severity in told if severity == error] == [
        "subject",
        "files",
        "to[0].organ_id",
    ]
    severities = [severity for _, severity in told]
    assert severities == sorted(severities, key=[error, warning].index)
    assert ["other.priority", warning] in told
    assert not (desk / "a.edxml").exists()


def test_unpack_says_where_each_file_went_and_what_it_was_called(tmp_path, capsys) -> None:
    (tmp_path / "x.edxml").write_bytes(
        package(("good.pdf", PDF), ("a/b:c.pdf", PDF), ("GOOD.pdf", PDF), ("bad.pdf", "%%%"))
    )
    out = tmp_path / "out"
    ran = call(capsys, "unpack", tmp_path / "x.edxml", "-d", out, "--lang", "en")
    assert ran.code == 65
    lines = ran.out.splitlines()
    assert lines == [
        "Written: 4 files",
        f"  {out}/metadata.json  (the document's data, which pack takes again)",
        f"  {out}/good.pdf",
        f"  {out}/b_c.pdf  (in the package: a/b:c.pdf)",
        f"  {out}/GOOD (2).pdf  (in the package: GOOD.pdf)",
        "CANNOT be read: 1 file",
        lines[-1],
    ]
    assert lines[-1].startswith("  4. bad.pdf: ")
    again = call(capsys, "unpack", tmp_path / "x.edxml", "-d", tmp_path / "o", "--json").json()
    assert again["renamed"] == [
        {"file": "b_c.pdf", "declared_name": "a/b:c.pdf"},
        {"file": "GOOD (2).pdf", "declared_name": "GOOD.pdf"},
    ]


def test_unpack_of_a_status_says_so(tmp_path, capsys) -> None:
    (tmp_path / "x.edxml").write_bytes(write_status(a_status(code="13")))
    ran = call(capsys, "unpack", tmp_path / "x.edxml", "-d", tmp_path / "out", "--lang", "vi")
    assert ran.out.splitlines() == [
        "Đã ghi: 1 tệp",
        f"  {tmp_path / 'out' / 'status.json'}  (nội dung gói tin trạng thái)",
    ]


@pytest.mark.parametrize(
    ("sample", "first", "told"),
    [
        ("edoc_new", "Văn bản mới: ", "gói edXML trong tệp .doc, 379,2 KB (388.347 byte)"),
        ("edoc_revocation", "Thu hồi văn bản: ", "Lý do Thu hồi văn bản điện tử"),
        ("edoc_update", "Cập nhật văn bản: ", "Bớt nơi nhận UBND Tỉnh Nghệ An (000.00.00.H41)"),
        ("minimal", "Văn bản mới: ", "tệp văn bản thuần, 10 byte"),
        ("relayed_pdf_in_zip", "Văn bản mới: ", "đã lấy ra từ tệp ZIP 10,4 KB trong gói tin"),
        ("two_files", "Văn bản mới: ", "Tệp đính kèm: 2 tệp, 12 byte"),
        ("status", "Trạng thái 01 (đã đến): ", "Báo cho 000.00.00.G22"),
        ("status_rejection_02", "Trạng thái 02 (từ chối tiếp nhận): ", "Văn bản bị trả lại."),
    ],
)
def test_a_public_sample_is_told_as_at_a_counter(sample, first, told, capsys) -> None:
    ran = call(capsys, "inspect", SAMPLES / f"{sample}.edxml", "--lang", "vi")
    assert ran.code == 0
    assert ran.out.startswith(first)
    assert told in " ".join(ran.out.split())
    assert max(len(line) for line in ran.out.splitlines()) <= 80


def test_a_failed_attachment_is_told_where_it_stands_and_at_the_end(tmp_path, capsys) -> None:
    (tmp_path / "x.edxml").write_bytes(package(("good.pdf", PDF), ("bad.pdf", "%%%")))
    ran = call(capsys, "inspect", tmp_path / "x.edxml", "--lang", "vi")
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert lines[0].startswith("Văn bản mới: ")
    assert "điều cần chú ý" in lines[0]
    place = lines.index("  2. bad.pdf")
    assert lines[place + 1].startswith("     KHÔNG đọc được: ")
    assert any(line.startswith("  Lỗi (1)") for line in lines[place:])


@pytest.mark.parametrize("code", ["01", "02", "03", "04", "05", "06", "13", "15", "16"])
def test_a_status_that_we_write_is_told_in_words(code, tmp_path, capsys) -> None:
    (tmp_path / "s.edxml").write_bytes(write_status(a_status(code=code)))
    ran = call(capsys, "inspect", tmp_path / "s.edxml", "--lang", "en")
    assert ran.out.startswith(f"Status {code} (")
    assert "  About document      12/STTTT-VX" in ran.out


def test_a_document_that_we_write_is_told_without_anything_to_look_at(tmp_path, capsys) -> None:
    (tmp_path / "d.edxml").write_bytes(packed(a_header(), [("a.pdf", PDF)]))
    ran = call(capsys, "inspect", tmp_path / "d.edxml", "--lang", "en")
    assert ran.out.startswith("New document: no errors, no warnings\n")
    assert "  Due                 01/12/2026" in ran.out
