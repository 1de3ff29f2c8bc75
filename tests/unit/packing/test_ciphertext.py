"""Attachments that came encrypted are known for what they are, and passed on byte for byte."""

from __future__ import annotations

import io
import zipfile

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from gateway.cli.page.files import file_lines
from gateway.cli.page.lines import Sheet
from gateway.cli.page.media import SEALED
from gateway.packing import ciphertext
from gateway.packing.describe import attachment_json
from gateway.packing.read import extract_file, read_package
from gateway.packing.sniff import Sniffer
from tests.support import pki
from tests.support.packages import Memory, a_header, packed

XENC = "http://www.w3.org/2001/04/xmlenc#"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n"


def enveloped(encoding: serialization.Encoding) -> bytes:
    builder = (
        pkcs7.PKCS7EnvelopeBuilder()
        .set_data(b"secret")
        .add_recipient(pki.cast().agency_rsa.certificate)
    )
    return builder.encrypt(encoding, [])


def archive(*names: str, sealed: str = "", size: int = 50) -> bytes:
    """A zip; the flag of encryption is set by hand, because zipfile cannot."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name in names:
            made.writestr(name, bytes(range(50)) * (size // 50))
    data = bytearray(out.getvalue())
    if sealed:
        for magic, flags, name in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
            at = data.find(magic)
            while data[at + name : at + name + len(sealed)] != sealed.encode():
                at = data.index(magic, at + 1)
            data[at + flags] |= 1
    return bytes(data)


def directory_entry(name: str) -> bytes:
    return name.encode("utf-16-le").ljust(64, b"\0") + bytes([2 * len(name) + 2, 0, 2]) + bytes(61)


ENCRYPTED = {
    "xml": (f'<?xml version="1.0"?>\n<EncryptedData xmlns="{XENC}"/>'.encode(), "xmlenc"),
    "xml prefixed": (
        f"<!-- <x/> -->\n<xenc:EncryptedData Id='a' xmlns:xenc='{XENC}'>".encode() + bytes([32]),
        "xmlenc",
    ),
    "xml utf-16": (f'<EncryptedData xmlns="{XENC}"></EncryptedData>'.encode("utf-16"), "xmlenc"),
    "cms der": (enveloped(serialization.Encoding.DER), "cms"),
    "cms pem": (enveloped(serialization.Encoding.PEM), "cms"),
    "cms ber": (bytes.fromhex("308006092a864886f70d010703a080"), "cms"),
    "cms authenticated": (bytes.fromhex("30820100060b2a864886f70d0109100117"), "cms"),
    "ooxml": (OLE + bytes(70_000) + directory_entry("EncryptedPackage"), "ooxml"),
    "pdf": (PDF + bytes(50_000) + b"trailer<</Root 1 0 R/Encrypt 12 0 R>>\n%%EOF", "pdf"),
    "pdf linearised": (PDF + b"trailer<</Encrypt  <</V 4>>>>" + bytes(90_000), "pdf"),
    "zip": (archive("a.txt", sealed="a.txt"), "zip"),
    "zip, a later entry": (archive("a.txt", "b.txt", sealed="b.txt", size=90_000), "zip"),
}
READABLE = {
    "empty": b"",
    "pdf": PDF + b"trailer<</Root 1 0 R>>\n%%EOF",
    "pdf that speaks of it": PDF + b"(how to /EncryptMetadata)" + b"trailer<</Root 1 0 R>>",
    "signed cms": bytes.fromhex("308201000609" + "2a864886f70d010702"),
    "text of der": b"0\x80 not DER",
    "zip": archive("a.txt", "b.txt"),
    "xml of another namespace": b'<EncryptedData xmlns="urn:x"/>',
    "xml with one inside": f'<doc><EncryptedData xmlns="{XENC}"/></doc>'.encode(),
    "xml with one in a comment": f'<!-- <EncryptedData xmlns="{XENC}"/> --><doc/>'.encode(),
    "word": OLE + directory_entry("WordDocument"),
    "word that speaks of it": OLE
    + "EncryptedPackage is a word".encode("utf-16-le")
    + directory_entry("WordDocument"),
    "cut zip": archive("a.txt")[:7],
    "cut directory": archive("a.txt", "b.txt")[:-30] + b"PK\x05\x06" + bytes(18),
}


def mark(data: bytes, size: int) -> str:
    sniffer = Sniffer()
    for at in range(0, len(data), size):
        sniffer.feed(data[at : at + size])
    return sniffer.encrypted()


@pytest.mark.parametrize("size", [7, 1000, 1 << 20])
@pytest.mark.parametrize("case", list(ENCRYPTED))
def test_ciphertext_is_marked_however_it_comes_in_pieces(case: str, size: int) -> None:
    data, expected = ENCRYPTED[case]
    assert mark(data, size) == expected


@pytest.mark.parametrize("size", [7, 1 << 20])
@pytest.mark.parametrize("case", list(READABLE))
def test_what_is_readable_is_not_marked(case: str, size: int) -> None:
    assert mark(READABLE[case], size) == ""


def test_what_lies_beyond_both_ends_is_not_seen() -> None:
    """The limit that the module's docstring admits."""
    hidden = PDF + bytes(9000) + b"<</Encrypt 12 0 R>>" + bytes(ciphertext.TAIL)
    assert mark(hidden, 1000) == ""


@pytest.mark.parametrize("case", list(ENCRYPTED))
@pytest.mark.parametrize("name", ["van-ban.pdf", "van-ban.docx", "van-ban.txt"])
def test_it_passes_through_a_package_byte_for_byte_and_marked(case: str, name: str) -> None:
    data, expected = ENCRYPTED[case]
    sink = Memory()
    read = read_package(io.BytesIO(packed(a_header(), [(name, data)])), sink=sink)
    (fact,) = read.files
    assert fact.encrypted == expected
    assert attachment_json(fact)["encrypted"] == expected
    assert sink.content(0) == data
    assert "attachment.type_differs" not in {f.code for f in read.findings}
    sheet = Sheet("vi", 200)
    page = "\n".join(file_lines(read.files, read.findings, sheet))
    assert SEALED[expected].vi in page
    assert "CHÚ Ý" not in page


@pytest.mark.parametrize("mark", ["xmlenc", "cms", "ooxml", "pdf", "zip"])
def test_every_mark_has_a_word_for_a_clerk(mark: str) -> None:
    assert SEALED[mark].vi
    assert SEALED[mark].en


def test_a_sealed_zip_is_never_taken_apart() -> None:
    data = ENCRYPTED["zip"][0]
    package = packed(a_header(), [("a.zip", data)])
    out = io.BytesIO()
    (fact,) = read_package(io.BytesIO(package)).files
    extract_file(io.BytesIO(package), 0, out, unwrap=fact.unwrapped)
    assert out.getvalue() == data
