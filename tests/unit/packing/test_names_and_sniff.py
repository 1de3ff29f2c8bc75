"""Names that are safe to show and save; bytes that say what they are."""

import io
import zipfile

import pytest

from gateway.packing.names import extension, is_safe, safe_name
from gateway.packing.sniff import Sniffer, contradicts, sniff
from tests.support.packages import Q

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
OFFICE = "application/vnd.openxmlformats-officedocument."
WORD = OFFICE + "wordprocessingml.document"
SHEET = OFFICE + "spreadsheetml.sheet"
SLIDES = OFFICE + "presentationml.presentation"


def office(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, b"<x/>" * 50)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "ext"),
    [
        ("a.pdf", "pdf"),
        ("a.PDF", "pdf"),
        ("a.tar.gz", "gz"),
        ("a", ""),
        (".profile", ""),
        ("a.", ""),
        ("a.b/c", ""),
    ],
)
def test_an_extension_is_what_stands_behind_the_last_dot(name: str, ext: str) -> None:
    assert extension(name) == ext


@pytest.mark.parametrize(
    "name", ["12-STTTT.pdf", "Công văn số 12.docx", "không phần mở rộng", "a" * 251 + ".pdf"]
)
def test_an_ordinary_name_is_left_alone(name: str) -> None:
    assert is_safe(name)


@pytest.mark.parametrize(
    ("declared", "safe"),
    [
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("a:b*c?.pdf", "a_b_c_.pdf"),
        ("...", "tep-dinh-kem"),
        ("", "tep-dinh-kem"),
        ("nul.txt", "tep-dinh-kem_nul.txt"),
        ("a\u202egpj.exe", "a_gpj.exe"),
        ("e\u0302\u0323.pdf", "ệ.pdf"),
        ("a\ud800.pdf", "a?.pdf"),
        ("  a.pdf . ", "a.pdf"),
    ],
)
def test_a_name_is_reduced_to_what_is_safe(declared: str, safe: str) -> None:
    assert safe_name(declared) == safe


@pytest.mark.parametrize("declared", ["ộ" * 200 + ".pdf", "x" * 400, "y." + "z" * 400, "a" * 300])
def test_a_long_name_is_cut_to_255_bytes_and_keeps_a_short_extension(declared: str) -> None:
    name = safe_name(declared)
    assert 200 < len(name.encode()) <= 255
    assert name.endswith(".pdf") is declared.endswith(".pdf")
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "application/x-empty"),
        (b"%PDF-1.4\n", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"{\\rtf1", "application/rtf"),
        (b"PK\x05\x06" + bytes(18), "application/zip"),
        (office("a.txt"), "application/zip"),
        (office("[Content_Types].xml", "_rels/.rels", "word/document.xml"), WORD),
        (
            office("docProps/app.xml", "xl/workbook.xml"),
            SHEET,
        ),
        (
            office("ppt/presentation.xml"),
            SLIDES,
        ),
        (OLE + "WordDocument".encode("utf-16-le"), "application/msword"),
        (OLE + bytes(9000) + "Workbook".encode("utf-16-le"), "application/vnd.ms-excel"),
        (OLE, "application/x-ole-storage"),
        ("Văn bản".encode(), "text/plain"),
        ("Văn bản".encode("utf-16"), "text/plain"),
        (b"\xef\xbb\xbfabc", "text/plain"),
        (b"abc\x00def", "application/octet-stream"),
        (b"\x80\x81\x82", "application/octet-stream"),
        (b"<?xml version='1.0'?><a/>", "application/xml"),
        (b"  <a>x</a>", "application/xml"),
        (b"<3 you", "text/plain"),
        (b"<!DOCTYPE html><p>", "text/html"),
        (b"<html>", "text/html"),
        (f'<?xml version="1.0"?><edXML xmlns="{Q}"/>'.encode(), "application/edxml+xml"),
        (f'<e:edXML xmlns:e="{Q}"/>'.encode(), "application/edxml+xml"),
        (b"<edXML xmlns='urn:x'/>", "application/xml"),
    ],
)
def test_bytes_say_what_they_are(data: bytes, kind: str) -> None:
    assert sniff(data) == kind


def test_a_text_cut_inside_a_letter_is_still_a_text() -> None:
    assert sniff(b"a" + "ệ".encode() * 5000) == "text/plain"


def test_a_word_in_a_zip_is_not_a_part_of_an_office_file() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.txt", b"see word/document.xml and xl/workbook.xml")
    assert sniff(out.getvalue()) == "application/zip"


@pytest.mark.parametrize("step", [1, 7, 100, 8191])
def test_pieces_make_no_difference(step: int) -> None:
    for data in (
        office("a" * 100, "b" * 90, "word/document.xml"),
        OLE + bytes(20_000) + "PowerPoint Document".encode("utf-16-le") + bytes(100),
        b"%PDF-1.7" + bytes(9000),
        "chữ".encode() * 4000,
    ):
        sniffer = Sniffer()
        for start in range(0, len(data), step):
            sniffer.feed(data[start : start + step])
        assert sniffer.media_type() == sniff(data)


def test_a_name_contradicts_only_where_it_promises_something() -> None:
    assert contradicts("doc", "application/edxml+xml")
    assert contradicts("pdf", "application/zip")
    assert not contradicts("doc", "application/msword")
    assert not contradicts("", "application/zip")
    assert not contradicts("dwg", "application/octet-stream")
