"""Packages made to do harm: each is refused, or read without harm, with a finding that names it.

Every refusal here is what `Unreadable` and `TooLarge` promise: a code, a path, a text in two
languages. What concerns one attachment only is an error finding, and the others are delivered.
"""

from __future__ import annotations

import base64
import codecs
import io
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import Severity, TooLarge, Unreadable
from gateway.packing import feed
from gateway.packing.names import is_safe, is_writable, safe_name
from gateway.packing.read import read_header, read_package
from gateway.packing.result import ReadPackage
from gateway.packing.zipfiles import Unwrapper, Wrapper
from gateway.safexml import Limits, Parser
from tests.support import streams
from tests.support.packages import Folder, Memory, a_header, codes, packed, read

PDF = b"%PDF-1.7\nm\xe1\xba\xabu"
SECRET = "for nobody's eyes"
PACKAGE = packed(a_header(), [("a.pdf", PDF)])


def refused(data: bytes, limits: Limits | None = None) -> str:
    """The code of the refusal."""
    with pytest.raises((Unreadable, TooLarge)) as caught:
        read_package(io.BytesIO(data), limits=limits)
    (finding,) = caught.value.findings
    assert finding.code == caught.value.code
    assert finding.path.startswith("/")
    assert finding.text.vi != finding.text.en
    assert SECRET not in str(caught.value) + finding.text.vi + finding.text.en
    return caught.value.code


def with_doctype(doctype: str, reference: str) -> bytes:
    text = PACKAGE.decode().replace("?>\r\n", f"?>\r\n{doctype}\r\n", 1)
    return text.replace("<edXML:Subject>", f"<edXML:Subject>{reference}", 1).encode()


def with_content(carried: bytes, name: str = "a.bin") -> bytes:
    """A package of one attachment with exactly these carried bytes."""
    text = base64.b64encode(carried)
    return PACKAGE.replace(base64.b64encode(PDF), text).replace(b">a.pdf<", f">{name}<".encode())


def a_zip(entry: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(entry, data)
    return out.getvalue()


def errors(package: ReadPackage) -> list[str]:
    return [f.code for f in package.findings if f.severity is Severity.ERROR]


# -- entities --------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", [False, True], ids=["general", "parameter"])
def test_an_external_entity_reads_no_file(tmp_path: Path, *, parameter: bool) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    kind = "% x" if parameter else "x"
    use = "%x;" if parameter else ""
    doctype = f'<!DOCTYPE edXML [<!ENTITY {kind} SYSTEM "{secret.as_uri()}">{use}]>'
    assert refused(with_doctype(doctype, "" if parameter else "&x;")) == "xml.doctype"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


@pytest.mark.parametrize(
    "form",
    [
        '<!DOCTYPE edXML SYSTEM "{url}">',
        '<!DOCTYPE edXML PUBLIC "-//x" "{url}">',
        '<!DOCTYPE edXML [<!ENTITY x SYSTEM "{url}">]>',
        '<!DOCTYPE edXML [<!ENTITY % x SYSTEM "{url}">%x;]>',
    ],
)
def test_an_external_entity_opens_no_connection(listener: socket.socket, form: str) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.dtd"
    reference = "&x;" if "ENTITY x" in form else ""
    assert refused(with_doctype(form.replace("{url}", url), reference)) == "xml.doctype"
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_addresses_elsewhere_in_a_package_are_text(listener: socket.socket) -> None:
    """schemaLocation, XInclude and stylesheets are for others to follow."""
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    data = PACKAGE.replace(
        b"<edXML:Subject>",
        f'<?xml-stylesheet href="{url}"?><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" '
        f'href="{url}"/><edXML:Subject xmlns:i="http://www.w3.org/2001/XMLSchema-instance" '
        f'i:schemaLocation="urn:x {url}">'.encode(),
    )
    got = read(data)
    assert got.header == a_header()
    assert "package.extras" in codes(got)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_billion_laughs() -> None:
    laughs = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "ha">' for n in range(10)
    )
    assert refused(with_doctype(f"<!DOCTYPE edXML [{laughs}]>", "&l9;")) == "xml.doctype"


def test_quadratic_blow_up() -> None:
    doctype = f'<!DOCTYPE edXML [<!ENTITY a "{"a" * 100_000}">]>'
    assert refused(with_doctype(doctype, "&a;" * 10_000)) == "xml.doctype"


def test_default_attributes_of_a_dtd() -> None:
    doctype = '<!DOCTYPE edXML [<!ATTLIST edXML id ID "forged">]>'
    assert refused(with_doctype(doctype, "")) == "xml.doctype"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_a_doctype_hides_in_no_encoding(codec: str) -> None:
    text = with_doctype('<!DOCTYPE edXML [<!ENTITY x "y">]>', "&x;").decode()
    text = text.replace("UTF-8", "UTF-16") if "16" in codec else text
    assert refused(text.encode(codec)) == "xml.doctype"


# -- encodings and versions ------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read_as_what_it_is(codec: str) -> None:
    got = read(PACKAGE.decode().replace("UTF-8", "UTF-16").encode(codec))
    assert got.header == a_header()
    assert got.files[0].size == len(PDF)


@pytest.mark.parametrize("version", ["1.1", "2.0", "1.0.0", "", "1"])
def test_only_xml_1_0(version: str) -> None:
    data = PACKAGE.replace(b'version="1.0"', f'version="{version}"'.encode(), 1)
    assert refused(data) in {"xml.version", "xml.malformed"}


@pytest.mark.parametrize(
    "declared",
    ["ISO-8859-1", "windows-1258", "UTF-7", "UTF-32", "UTF-16", "EBCDIC-CP-US", "x-user", "utf8\0"],
)
def test_a_declaration_of_another_encoding(declared: str) -> None:
    data = PACKAGE.replace(b"UTF-8", declared.encode(), 1)
    assert refused(data) in {"xml.encoding", "xml.malformed"}


@pytest.mark.parametrize(
    "data",
    [
        PACKAGE.decode().encode("utf-32"),
        PACKAGE.decode().encode("utf-32-be"),
        PACKAGE.decode().encode("cp500", "replace"),
        PACKAGE.decode().encode("cp1258", "replace"),
        codecs.BOM_UTF16_LE + PACKAGE,
        PACKAGE.replace("Cao Bằng".encode(), b"Cao B\xc0\xafng"),  # an overlong slash
        PACKAGE.replace("Cao Bằng".encode(), b"Cao \xed\xa0\x80"),  # a lone surrogate
        PACKAGE.replace("Cao Bằng".encode(), b"Cao \xf4\x90\x80\x80"),  # beyond Unicode
        PACKAGE.replace("Cao Bằng".encode(), b"Cao \0"),
    ],
)
def test_bytes_of_an_odd_encoding_are_refused(data: bytes) -> None:
    assert refused(data) in {"xml.encoding", "xml.malformed", "package.not_xml"}


def test_utf_7_stays_the_ascii_it_is() -> None:
    got = read(PACKAGE.replace(b">STTTT-VX<", b">+ADw-x/+AD4-<"))
    assert got.header is not None
    assert got.header.code.notation == "+ADw-x/+AD4-"


def test_a_second_byte_order_mark_is_junk() -> None:
    got = read(codecs.BOM_UTF8 * 2 + PACKAGE)
    assert codes(got) == ["package.junk_before"]


# -- comments --------------------------------------------------------------------------------------


def test_comments_are_never_read() -> None:
    """A reader that stops at a comment sees another subject, code or file than a signer signed."""
    data = (
        PACKAGE.replace(b"12,", b"1<!-- 9 -->2,")
        .replace(b">STTTT-VX<", b">STTTT<!-- GIA -->-VX<")
        .replace(b"<edXML:Subject>", b"<!-- <edXML:Subject>x</edXML:Subject> --><edXML:Subject>")
        .replace(b"  </AttachmentEncoded>", b"<!-- <Attachment/> --></AttachmentEncoded>")
        .replace(base64.b64encode(PDF)[:4], base64.b64encode(PDF)[:4] + b"<!-- QUJD -->")
    )
    got, plain = read(data), read(PACKAGE)
    assert (got.header, got.files, got.extras) == (plain.header, plain.files, ())


def test_a_comment_full_of_content_tags_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """expat begins an unfinished token anew with each piece: pieces must not follow the tags."""

    class Counting(Parser):
        pieces = 0
        looked_at = 0

        def feed(self, data: bytes) -> None:
            Counting.pieces += 1
            Counting.looked_at += self.pending + len(data)
            super().feed(data)

    monkeypatch.setattr(feed, "Parser", Counting)
    comment = b"<!--" + b"<ContentTransferEncoded>" * 40_000 + b"-->"
    data = PACKAGE.replace(b"<edXML:Subject>", comment + b"<edXML:Subject>")
    assert read(data).header == a_header()
    assert Counting.pieces < 100
    assert Counting.looked_at < 4 * len(data)


# -- names of attachments --------------------------------------------------------------------------

NAMES = {
    "path": ("../../etc/passwd.pdf", "passwd.pdf"),
    "absolute path": ("/etc/cron.d/a.pdf", "a.pdf"),
    "path of Windows": ("C:\\Windows\\win.pdf", "win.pdf"),
    "drive": ("C:a.pdf", "C_a.pdf"),
    "stream of NTFS": ("a.pdf::$DATA", "a.pdf__$DATA"),
    "nothing but dots": ("..", "tep-dinh-kem-1"),
    "folder": ("a/", "tep-dinh-kem-1"),
    "right-to-left override": ("cong-van\u202efdp.exe", "cong-van_fdp.exe"),
    "isolate": ("a\u2066b\u2069.pdf", "a_b_.pdf"),
    "Arabic letter mark": ("a\u061cb.pdf", "a_b.pdf"),
    "line separator": ("a\u2028b.pdf", "a_b.pdf"),
    "zero width": ("a\u200bb\ufeffc\u2060d.pdf", "a_b_c_d.pdf"),
    "C1 control": ("a\u0085b.pdf", "a_b.pdf"),
    "reserved": ("CON", "tep-dinh-kem-1_CON"),
    "reserved with extension": ("nul.pdf", "tep-dinh-kem-1_nul.pdf"),
    "reserved with blanks": ("aux .pdf", "tep-dinh-kem-1_aux .pdf"),
    "reserved with superscript": ("COM\u00b9.pdf", "tep-dinh-kem-1_COM\u00b9.pdf"),
    "console": ("CONOUT$", "tep-dinh-kem-1_CONOUT$"),
    "dots and blanks at the end": ("a.pdf. .", "a.pdf"),
    "quote and pipe": ('a"|<b>?.pdf', "a___b__.pdf"),
    "too long": ("ộ" * 200 + ".pdf", "ộ" * 83 + ".pdf"),
}


@pytest.mark.parametrize(("declared", "safe"), NAMES.values(), ids=NAMES)
def test_a_name_of_an_attachment_becomes_a_safe_one(declared: str, safe: str) -> None:
    written = declared.replace("<", "&lt;").replace(">", "&gt;")
    got = read(PACKAGE.replace(b">a.pdf<", f">{written}<".encode()))
    (file,) = got.files
    assert (file.name, file.declared_name) == (safe, declared)
    assert "attachment.name_unsafe" in codes(got)
    assert is_safe(file.name)
    assert file.size == len(PDF)
    assert len(file.name.encode()) <= 255


def test_a_name_with_nul_is_no_xml() -> None:
    assert refused(PACKAGE.replace(b">a.pdf<", b">a\0.pdf<")) == "xml.malformed"
    assert refused(PACKAGE.replace(b">a.pdf<", b">a&#0;.pdf<")) == "xml.malformed"
    assert safe_name("a\0.pdf") == "a_.pdf"


def test_names_that_deceive_are_never_written() -> None:
    for declared in ("a/b", "a\\b", "a\u202eb", "a\u061cb", "a\0b", "..", "a\u2028b"):
        assert not is_writable(declared)


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    """Not even for a sink that uses the names it is offered."""

    class Naming(Folder):
        def open(self, index: int, name: str):
            return (tmp_path / "inside" / name).open("wb")

    (tmp_path / "inside").mkdir()
    for declared, _ in NAMES.values():
        if "<" not in declared:
            data = PACKAGE.replace(b">a.pdf<", f">{declared}<".encode())
            read_package(io.BytesIO(data), sink=Naming(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert all(path.is_file() for path in (tmp_path / "inside").iterdir())


# -- archives --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    ["../../../tmp/evil.txt", "/etc/cron.d/evil", "..\\evil.txt", "C:\\evil.txt", "d/e.txt"],
)
def test_zip_slip(tmp_path: Path, entry: str) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    data = with_content(a_zip(entry, b"harm"), "a.txt")
    got = read_package(io.BytesIO(data), sink=Folder(inside))
    assert "attachment.entry_path" in codes(got)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [inside / "0"]
    assert (got.files[0].name, got.files[0].unwrapped) == ("a.txt", True)
    assert (inside / "0").read_bytes() == b"harm"


def test_an_honest_entry_name_is_no_finding() -> None:
    assert codes(read(packed(a_header(), [("a.txt", b"x")]))) == []


def test_a_zip_bomb_fails_its_attachment_only() -> None:
    limits = Limits(ratio_floor_bytes=1_000_000)
    data = with_content(a_zip("a.bin", bytes(3_000_000)))
    sink = Memory()
    got = read_package(io.BytesIO(data), limits=limits, sink=sink)
    assert errors(got) == ["limit.ratio"]
    assert got.files[0].failed
    assert sink.content(0) == b""
    assert got.header == a_header()


def test_a_zip_bomb_in_a_zip_is_not_opened() -> None:
    """Only one layer is ever unpacked: the bomb arrives as the small zip it is."""
    bomb = a_zip("deep.bin", bytes(3_000_000))
    sink = Memory()
    got = read_package(
        io.BytesIO(with_content(a_zip("inner.zip", bomb), "a.xls")),
        limits=Limits(ratio_floor_bytes=1_000_000),
        sink=sink,
    )
    assert "attachment.zip_nested" in codes(got)
    assert errors(got) == []
    assert sink.content(0) == bomb


def test_a_zip_bomb_whose_layers_are_bombs_fails_at_the_first() -> None:
    bomb = a_zip("deep.zip", a_zip("deeper.bin", bytes(2_000_000)) * 100)
    got = read_package(
        io.BytesIO(with_content(bomb, "a.xls")), limits=Limits(ratio_floor_bytes=100_000, ratio=20)
    )
    assert errors(got) == ["limit.ratio"]


def test_many_zip_bombs_that_are_each_small_enough() -> None:
    """The ratio is judged over all that a package unpacks to."""
    bombs = [(f"{n}.bin", bytes(900_000)) for n in range(5)]
    data = packed(a_header(), [*bombs, ("b.pdf", PDF)])
    got = read_package(io.BytesIO(data), limits=Limits(ratio_floor_bytes=1_000_000))
    assert errors(got) == ["limit.ratio"] * 4
    assert [file.failed for file in got.files] == [False, True, True, True, True, False]


def test_an_honest_neighbour_of_well_packed_files_is_read() -> None:
    noise = bytes(range(256)) * 40
    data = packed(a_header(), [("a.bin", bytes(900_000)), ("b.txt", noise * 3), ("c.pdf", PDF)])
    assert errors(read_package(io.BytesIO(data), limits=Limits(ratio_floor_bytes=1_000_000))) == []


def test_an_unpacked_attachment_over_its_limit() -> None:
    noise = packed(a_header(), [("a.txt", bytes(range(256)) * 20), ("b.pdf", PDF)])
    got = read_package(io.BytesIO(noise), limits=Limits(attachment_bytes=5000))
    assert errors(got) == ["limit.attachment_bytes"]
    got = read_package(io.BytesIO(with_content(bytes(6000))), limits=Limits(attachment_bytes=5000))
    assert errors(got) == ["limit.attachment_bytes"]


def test_a_zip_that_lies_about_its_sizes_stays_a_zip() -> None:
    lie = bytearray(a_zip("a.bin", bytes(5000)))
    lie[22:26] = (4_000_000_000).to_bytes(4, "little")  # the local header's unpacked size
    central = lie.rindex(b"PK\x01\x02")
    lie[central + 24 : central + 28] = (10).to_bytes(4, "little")
    got = read(with_content(bytes(lie)))
    assert (got.files[0].unwrapped, got.files[0].size) == (False, len(lie))


def test_a_zip_with_a_second_file_behind_the_first_stays_a_zip() -> None:
    """What one unpacker shows and another does not: the overlapped bomb is built of it."""
    two = a_zip("a.bin", b"one") + a_zip("a.bin", b"two")
    got = read(with_content(two))
    assert (got.files[0].unwrapped, got.files[0].size) == (False, len(two))


def test_a_zip_in_pieces_of_three_bytes_is_the_same_zip() -> None:
    """Base64 may be torn by comments after every fourth letter."""
    wrapper = Wrapper("x" * 40 + ".bin")
    whole = wrapper.start() + wrapper.add(b"content" * 500) + wrapper.finish()
    unwrapper = Unwrapper(Limits(), "a.bin")
    out = b"".join(
        piece for at in range(0, len(whole), 3) for piece in unwrapper.feed(whole[at : at + 3])
    )
    assert out == b"content" * 500
    assert unwrapper.is_wrapper("a.bin")


def test_folders_without_end_are_no_wrapper() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(300):
            archive.writestr(f"{number}/", b"")
        archive.writestr("a.bin", b"x")
    got = read(with_content(out.getvalue()))
    assert not got.files[0].unwrapped


# -- floods, far larger than memory ----------------------------------------------------------------


@pytest.fixture(scope="module")
def costs() -> dict[str, streams.Cost]:
    return streams.measured(list(streams.PACKAGES))


@pytest.mark.parametrize("name", streams.PACKAGES)
def test_a_flood_is_refused_or_flows_through(costs: dict[str, streams.Cost], name: str) -> None:
    cost = costs[name]
    expected = streams.PACKAGES[name][1]
    assert cost.code == expected
    assert cost.above_idle_mib < 64, cost
    if expected:
        assert cost.findings == {expected: 1}
        assert cost.taken < 70 * streams.MB


def test_a_flowing_content_is_delivered_whole(costs: dict[str, streams.Cost]) -> None:
    cost = costs["text of a content"]
    assert cost.largest > 35 * streams.MB
    assert cost.above_idle_mib < 16, cost


def test_bombs_cost_the_limits_name(costs: dict[str, streams.Cost]) -> None:
    assert costs["a zip bomb"].findings["limit.ratio"] == 1
    # a code is told twenty times, then once more with the count of the rest
    assert costs["many small zip bombs"].findings["limit.ratio"] == 21


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_gigabytes_of_a_content_flow_through() -> None:
    (cost,) = streams.measured(list(streams.LONG_PACKAGES)).values()
    assert cost.code == ""
    assert cost.largest > 1490 * streams.MB
    assert cost.above_idle_mib < 32, cost


# -- what never ends for the header alone ----------------------------------------------------------


def test_the_header_alone_is_refused_as_the_whole_is() -> None:
    for name in ("text of a field", "depth of a hundred thousand", "a million attributes"):
        pieces, code = streams.PACKAGES[name]
        source = streams.Stream(pieces)
        with pytest.raises(TooLarge) as caught:
            read_header(source)  # type: ignore[arg-type]  # what a reader uses of a BinaryIO
        assert caught.value.code == code
        assert source.taken < 4 * streams.MB
