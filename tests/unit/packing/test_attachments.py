"""What the bytes of an attachment really are: the zip habit, bombs, sinks, extraction."""

import base64
import hashlib
import io
import random
import struct
import zipfile
from pathlib import Path

import pytest

from gateway.errors import Unreadable
from gateway.packing.read import extract_file, read_package
from gateway.packing.write import plan_files
from gateway.safexml import Limits, Parser
from tests.support.packages import (
    Folder,
    Memory,
    Q,
    a_header,
    a_pdf,
    an_attachment,
    codes,
    packed,
    read,
)

PDF = a_pdf(5000)


def zipped(
    *entries: tuple[str, bytes],
    method: int = zipfile.ZIP_DEFLATED,
    comment: bytes = b"",
    streamed: bool = False,
) -> bytes:
    out = io.BytesIO()
    target = Unseekable(out) if streamed else out
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.comment = comment
        for name, data in entries:
            archive.writestr(name, data)
    return out.getvalue()


class Unseekable(io.RawIOBase):
    """Makes zipfile write data descriptors, as Java's streams do."""

    def __init__(self, out: io.BytesIO) -> None:
        super().__init__()
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # bytes are all it gets
        return self._out.write(data)


def carrying(name: str | None, carried: bytes, *, name_last: bool = False) -> bytes:
    """A package as a stranger writes it: any bytes under any name."""
    named = f"<AttachmentName>{name}</AttachmentName>" if name is not None else ""
    content = base64.b64encode(carried).decode()
    content = f"<ContentTransferEncoded>{content}</ContentTransferEncoded>"
    inner = content + named if name_last else named + content
    return (
        f'<edXML xmlns="{Q}"><edXMLEnvelope><edXMLHeader><MessageHeader>'
        f"<From><OrganId>H14</OrganId></From><To><OrganId>G22</OrganId></To><DocumentId>d</DocumentId></MessageHeader>"
        f"</edXMLHeader></edXMLEnvelope><AttachmentEncoded><Attachment>{inner}</Attachment>"
        f"</AttachmentEncoded></edXML>"
    ).encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# the unwrapping rule (edxml-format 4)


@pytest.mark.parametrize("name", ["a.pdf", "a.doc", "a.txt", "a", "a.PDF"])
@pytest.mark.parametrize("name_last", [False, True])
def test_a_zip_of_one_file_is_unwrapped_whatever_its_name_and_type(
    name: str, *, name_last: bool
) -> None:
    carried = zipped(("anything.bin", PDF))
    fact = read(carrying(name, carried, name_last=name_last)).files[0]
    assert (fact.unwrapped, fact.sha256, fact.size) == (True, sha256(PDF), len(PDF))
    assert (fact.carried_sha256, fact.carried_size) == (sha256(carried), len(carried))
    assert fact.actual_type == "application/pdf"


@pytest.mark.parametrize(
    ("carried", "why"),
    [
        (zipped(("a.txt", PDF), ("b.txt", PDF)), "two files"),
        (zipped(("a.txt", PDF), ("b.txt", b"")), "two files, one empty"),
        (zipped(("d/", b"")), "a folder only"),
        (zipped(), "no entry"),
        (zipped(("a.txt", PDF)) + b"x", "something behind the end"),
        (zipped(("a.txt", PDF))[:-1], "cut off"),
        (zipped(("a.txt", PDF), method=zipfile.ZIP_BZIP2), "another method"),
        (zipped(("a.txt", PDF), method=zipfile.ZIP_STORED, streamed=True), "stored as a stream"),
        (zipped(("a.txt", PDF)).replace(b"a.txt", b"b.txt", 1), "two names for one entry"),
        (b"PK\x03\x04" + b"x" * 5000, "only the first four bytes"),
        (b"PK\x03\x04", "nothing but the magic"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anything_else_that_looks_like_a_zip_is_kept_as_it_is(carried: bytes, why: str) -> None:
    del why
    sink = Memory()
    got = read_package(io.BytesIO(carrying("a.pdf", carried)), sink=sink)
    fact = got.files[0]
    assert (fact.unwrapped, fact.sha256, fact.size) == (False, sha256(carried), len(carried))
    assert sink.content(0) == carried


def test_a_damaged_entry_is_kept_as_the_zip_it_is() -> None:
    carried = bytearray(zipped(("a.txt", PDF)))
    for at in range(40, len(carried), 97):
        carried[at] ^= 0x40
        sink = Memory()
        fact = read_package(io.BytesIO(carrying("a.pdf", bytes(carried))), sink=sink).files[0]
        assert sink.content(0) == (PDF if fact.unwrapped else bytes(carried))
        assert fact.sha256 == sha256(sink.content(0))
        carried[at] ^= 0x40


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_folders_and_comments_beside_the_one_file_are_no_matter(method: int) -> None:
    for entries in (
        [("d/", b""), ("d/a.txt", PDF)],
        [("a.txt", PDF), ("d/", b"")],
    ):
        carried = zipped(*entries, method=method, comment=b"a note")
        assert read(carrying("a.pdf", carried)).files[0].sha256 == sha256(PDF)


def test_an_empty_file_in_a_zip_is_an_empty_file() -> None:
    sink = Memory()
    got = read_package(io.BytesIO(carrying("a.pdf", zipped(("a", b"")))), sink=sink)
    assert (got.files[0].unwrapped, got.files[0].size) == (True, 0)
    assert codes(got) == ["attachment.empty", "manifest.unlisted", "attachment.wrapped"]
    assert sink.content(0) == b""


def test_only_one_level_is_unwrapped() -> None:
    inner = zipped(("deep.txt", PDF))
    fact = read(carrying("a.pdf", zipped(("a.pdf", inner)))).files[0]
    assert (fact.sha256, fact.actual_type) == (sha256(inner), "application/zip")


@pytest.mark.parametrize("ext", ["zip", "docx", "xlsx", "odt", "jar"])
def test_a_zip_based_format_is_unwrapped_only_around_its_own_kind(ext: str) -> None:
    document = zipped(("[Content_Types].xml", b"x"), ("word/document.xml", b"y"))
    for entry, content, expected in (
        (f"x.{ext}", document, True),
        (f"x.{ext.upper()}", document, True),
        ("x.bin", document, False),
        (f"x.{ext}", b"no zip", False),
        (f"x.{ext}", b"PK", False),
    ):
        carried = zipped((entry, content))
        for name_last in (False, True):
            sink = Memory()
            package = carrying(f"a.{ext}", carried, name_last=name_last)
            fact = read_package(io.BytesIO(package), sink=sink).files[0]
            assert fact.unwrapped is expected, (entry, name_last)
            assert sink.content(0) == (content if expected else carried)


def test_an_office_file_with_one_part_is_never_taken_apart() -> None:
    odd = zipped(("document.xml", PDF))
    assert read(carrying("a.docx", odd)).files[0].sha256 == sha256(odd)


def test_one_file_listed_twice_in_the_directory_is_no_wrapper() -> None:
    carried = zipped(("a.txt", PDF))
    end = carried.rindex(b"PK\x05\x06")
    start = carried.rindex(b"PK\x01\x02")
    directory = carried[start:end]
    facts = struct.pack("<2HI", 2, 2, 2 * len(directory))
    twice = carried[:end] + directory + carried[end : end + 8] + facts + carried[end + 16 :]
    with zipfile.ZipFile(io.BytesIO(twice)) as archive:
        assert len(archive.infolist()) == 2
    assert read(carrying("a.pdf", twice)).files[0].sha256 == sha256(twice)


# bombs


@pytest.mark.parametrize("name", ["a.pdf", None])
def test_a_zip_bomb_fails_that_attachment_only(name: str | None) -> None:
    bomb = zipped(("a.txt", bytes(40 * 1024 * 1024)))
    sink = Memory()
    limits = Limits(ratio=200, ratio_floor_bytes=1024 * 1024)
    got = read_package(io.BytesIO(carrying(name, bomb)), limits=limits, sink=sink)
    assert got.files[0].failed
    assert "limit.ratio" in codes(got)
    assert sink.content(0) == b""


def test_a_small_file_may_be_packed_as_well_as_it_likes() -> None:
    dense = bytes(1_000_000)
    assert read(carrying("a.pdf", zipped(("a", dense)))).files[0].sha256 == sha256(dense)


def test_a_bomb_that_would_never_be_unwrapped_is_just_a_zip() -> None:
    bomb = zipped(("a.txt", bytes(20 * 1024 * 1024)))
    limits = Limits(ratio_floor_bytes=1024 * 1024)
    for name_last in (False, True):
        package = carrying("a.zip", bomb, name_last=name_last)
        sink = Memory()
        fact = read_package(io.BytesIO(package), limits=limits, sink=sink).files[0]
        assert (fact.failed, fact.unwrapped, fact.sha256) == (False, False, sha256(bomb))
        assert sink.content(0) == bomb


@pytest.mark.parametrize("carried", [PDF, zipped(("a.txt", PDF))])
def test_an_attachment_over_its_limit_fails_alone(carried: bytes) -> None:
    limits = Limits(attachment_bytes=4000)
    got = read_package(io.BytesIO(carrying("a.pdf", carried)), limits=limits)
    assert got.files[0].failed
    assert "limit.attachment_bytes" in codes(got)


# sinks


def test_the_sink_gets_the_inner_files(tmp_path: Path) -> None:
    table = random.Random(4).randbytes(2_000_000)
    files = [("a.pdf", PDF), ("b.txt", b"van ban"), ("c.xls", table)]
    read_package(io.BytesIO(packed(a_header(), files)), sink=Folder(tmp_path))
    assert [Folder(tmp_path).content(i) for i in range(3)] == [data for _, data in files]


def test_a_zip_that_was_no_wrapper_after_all_is_delivered_whole() -> None:
    """Its second file shows only after the first was written: the package is read once more."""
    archive = zipped(("a.txt", PDF * 100), ("b.txt", PDF))
    sink = Memory()
    fact = read_package(io.BytesIO(carrying("a.pdf", archive)), sink=sink).files[0]
    assert sink.opened == [0, 0]
    assert sink.content(0) == archive
    assert fact.sha256 == sha256(archive)


def test_an_ordinary_office_file_needs_no_second_reading() -> None:
    document = zipped(("[Content_Types].xml", b"x" * 900), ("word/document.xml", PDF * 300))
    sink = Memory()
    got = read_package(io.BytesIO(packed(a_header(), [("a.docx", document)])), sink=sink)
    assert sink.opened == [0]
    assert sink.content(0) == document
    assert got.files[0].actual_type.endswith("wordprocessingml.document")


def test_a_failed_attachment_leaves_an_empty_file() -> None:
    whole = carrying("a.pdf", a_pdf(3_000_000))
    package = whole.replace(b"</ContentTransferEncoded>", b"*</ContentTransferEncoded>")
    sink = Memory()
    assert read_package(io.BytesIO(package), sink=sink).files[0].failed
    assert sink.opened == [0]
    assert sink.content(0) == b""


def test_one_file_can_be_extracted_inner_or_carried() -> None:
    carried = zipped(("a.txt", PDF))
    package = carrying("a.pdf", carried)
    for unwrap, expected in ((True, PDF), (False, carried)):
        out = io.BytesIO()
        fact = extract_file(io.BytesIO(package), 0, out, unwrap=unwrap)
        assert out.getvalue() == expected
        assert fact.name == "a.pdf"


def test_extracting_one_of_several_leaves_the_others_alone() -> None:
    files = [(f"{i}.txt", bytes([65 + i]) * 1000) for i in range(4)]
    package = packed(a_header(), files)
    out = io.BytesIO()
    extract_file(io.BytesIO(package), 2, out, unwrap=True)
    assert out.getvalue() == files[2][1]


def test_a_file_is_extracted_once_though_the_reading_began_anew_behind_it() -> None:
    """A prefix that nobody declared shows only behind the file: all is read once more."""
    package = carrying("a.pdf", PDF).replace(
        b"</AttachmentEncoded>", b"<Attachment><edXML:Note/></Attachment></AttachmentEncoded>"
    )
    out = io.BytesIO(b"before")
    out.seek(6)
    extract_file(io.BytesIO(package), 0, out, unwrap=False)
    assert out.getvalue() == b"before" + PDF


@pytest.mark.parametrize("index", [1, 7])
def test_a_file_that_is_not_there_cannot_be_extracted(index: int) -> None:
    with pytest.raises(Unreadable) as caught:
        extract_file(io.BytesIO(carrying("a", PDF)), index, io.BytesIO(), unwrap=False)
    assert caught.value.code == "attachment.missing"


# large files cross block borders and threads


@pytest.mark.parametrize("size", [3 * 1024 * 1024 + 1, 5 * 1024 * 1024])
@pytest.mark.parametrize("name", ["a.pdf", "a.txt"])
def test_large_files_come_out_as_they_went_in(size: int, name: str) -> None:
    data = random.Random(size).randbytes(size)
    package = packed(a_header(), [(name, data), ("b.pdf", PDF)])
    sink = Memory()
    got = read_package(io.BytesIO(package), sink=sink)
    assert sink.content(0) == data
    assert got.files[0].sha256 == sha256(data)
    assert got.files[1].sha256 == sha256(PDF)
    assert got.sha256 == sha256(package)


# what else is said about the bytes


def test_a_pdf_ruined_by_a_text_conversion_is_named() -> None:
    ruined = PDF.decode("utf-8", "replace").encode()
    got = read(carrying("a.pdf", ruined))
    assert "attachment.ruined" in codes(got)


def test_a_name_that_contradicts_the_bytes_is_named() -> None:
    assert "attachment.type_differs" in codes(read(carrying("a.doc", PDF)))
    assert "attachment.type_differs" not in codes(read(carrying("a.pdf", PDF)))


# writer and reader agree (identity alike at both ends, contract 4)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pdf", PDF),
        ("a.pdf", zipped(("x.pdf", PDF))),
        ("a.pdf", zipped(("x.pdf", PDF), ("y.pdf", PDF))),
        ("a.PDF", PDF),
        ("a.doc", PDF),
        ("a.docx", zipped(("[Content_Types].xml", b"x"), ("word/document.xml", b"y"))),
        ("a.docx", zipped(("a.docx", zipped(("x", b"y"))))),
        ("a.docx", b"not a zip"),
        ("a.zip", zipped(("x.txt", PDF))),
        ("a.zip", zipped(("x.zip", zipped(("x", b"y"))))),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
        ("a.xlsx", zipped(("[Content_Types].xml", b"x"), ("xl/workbook.xml", b"y"))),
        ("a.xlsx", zipped(("a.xlsx", zipped(("x", b"y"))))),
        ("a.xlsx", b"a;b;c"),
        ("a.odt", b"no zip"),
        ("a.txt", b"van ban"),
        ("a.txt", zipped(("x.txt", b"y"))),
        ("a.png", b"\x89PNG\r\n\x1a\n..."),
        ("khong_phan_mo_rong", b"x"),
        ("a.đuôi", b"x"),
        ("rong.txt", b""),
        ("rong.pdf", b""),
    ],
)
def test_the_plan_of_a_file_is_what_a_reader_finds(name: str, data: bytes) -> None:
    plan = plan_files([an_attachment(name, data)], "seed")[0]
    fact = read(packed(a_header(), [(name, data)])).files[0]
    assert fact.sha256 == plan.fact.sha256
    assert fact.size == plan.fact.size
    assert fact.unwrapped == plan.fact.unwrapped
    assert fact.actual_type == plan.fact.actual_type
    assert fact.declared_type == plan.content_type
    assert (fact.name, fact.content_id) == (plan.fact.name, plan.fact.content_id)
    if not plan.wrapped:
        assert fact == plan.fact


# the fast path


def test_base64_does_not_go_through_the_xml_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[int] = []
    skip = Parser.skip

    def counting(parser: Parser, size: int, lines: int) -> None:
        passed.append(size)
        skip(parser, size, lines)

    monkeypatch.setattr(Parser, "skip", counting)
    data = a_pdf(4_000_000)
    assert read(packed(a_header(), [("a.pdf", data), ("b.pdf", PDF)])).files[1].size == len(PDF)
    assert sum(passed) == sum(len(base64.b64encode(d)) for d in (data, PDF))
