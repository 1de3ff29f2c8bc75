"""What the fuzzer starts from: a corpus and a dictionary, made by code."""

from __future__ import annotations

import base64
import functools
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.model.package import Business, ReceiverChange, Replacement, Staff
from gateway.packing.write import write_status
from gateway.packing.zipfiles import Wrapper
from gateway.signing import ECDSA_SHA256
from tests.support import pki, signed_packages
from tests.support.packages import Q, a_header, a_status, packed

_PDF = b"%PDF-1.7\n1"


def packages() -> Iterator[bytes]:
    header = a_header(
        business=Business(
            2, "e", "r", 1, 1, 1, (ReceiverChange("G22", 0),), (Replacement("x", ("G22",)),)
        )
    )
    plain = packed(header, [("a.pdf", _PDF), ("b.txt", b"xin"), ("c.zip", _zip({"x": b"y"}))])
    yield plain
    yield plain.decode().replace("UTF-8", "UTF-16").encode("utf-16")
    yield plain.replace(b"edXML:", b"").replace(b"\r\n", b"")
    yield plain.replace(b' xmlns:edXML="' + Q.encode() + b'"', b"")
    yield b"1212\r\n" + plain.replace(b"Bussiness", b"Business")
    yield write_status(a_status())
    yield write_status(a_status(code="13", description="", staff=Staff()))
    signed = signed_package()
    yield signed
    yield signed_packages.rebuild(signed)
    yield packed(a_header(), [])


class _Fixed(pki.Leaf):
    """Signs the same bytes alike each time, so that equal seeds give equal corpora."""

    def sign(self, message: bytes) -> bytes:
        made = _key().sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(made)
        return r.to_bytes(32) + s.to_bytes(32)


@functools.cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(20261129, ec.SECP256R1())


@functools.cache
def leaf() -> pki.Leaf:
    named = pki.name("fuzz (test)")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(_key().public_key())
        .serial_number(1)
        .not_valid_before(pki.AT)
        .not_valid_after(pki.AT + timedelta(days=365))
        .add_extension(pki.key_usage(signing=True), critical=True)
        .sign(_key(), hashes.SHA256(), ecdsa_deterministic=True)
    )
    return _Fixed(certificate, _key(), certificate)


def signed_package() -> bytes:
    return signed_packages.seal(leaf(), ECDSA_SHA256).xml


def signatures() -> Iterator[bytes]:
    """`Signature` elements, as they stand in a header."""
    signed = signed_package()
    for xml in (signed, signed_packages.rebuild(signed)):
        found = _SIGNATURE.search(xml)
        if found is None:
            raise ValueError("the seed is not signed")
        yield found[0]
    yield b"<Signature><SignedInfo>x</SignedInfo><SignatureValue>QQ==</SignatureValue></Signature>"


def certificates() -> Iterator[bytes]:
    """DER."""
    yield leaf().der
    yield b"\x30\x82\x01\x00" + bytes(32)


def attachments() -> Iterator[bytes]:
    """A byte that chooses name, pieces and form; then carried bytes, or base64 text."""
    wrapper = Wrapper("a.txt")
    wrapped = wrapper.start() + wrapper.add(b"xin chao" * 20) + wrapper.finish()
    kinds = [wrapped, _zip({"a.txt": b"x" * 50}), _zip({"d/": b"", "d/a.txt": b"x"}), _PDF]
    kinds += [_zip({"a.docx": _zip({"word/document.xml": b"<x/>"})}), _zip({"a": b"1", "b": b"2"})]
    kinds += [_zip({"a.txt": b"stored"}, zipfile.ZIP_STORED), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1x"]
    for number, data in enumerate(kinds):
        yield bytes([number * 2]) + data
        yield bytes([number * 2 + 1]) + base64.b64encode(data)
    yield b"\1Q Q = =\n"


def _zip(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


CORPORA: dict[str, Callable[[], Iterator[bytes]]] = {
    "package": packages,
    "signature": signatures,
    "certificate": certificates,
    "attachment": attachments,
}
_SIGNATURE = re.compile(rb"(?s)<(?:\w+:)?Signature[ >].*</(?:\w+:)?Signature>")
_NAME = re.compile(rb"</?[A-Za-z:]+>")
_WORDS = (
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<?x ?>",
    b"<!DOCTYPE",
    b"&#0;",
    b"&#x202e;",
    b"&lt;",
    b"xmlns:edXML=",
    b"cid:",
    b"cid:edxml-header",
    b"null",
    b"2026/11/20",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x07\x08",
    b"\xff\xff\xff\xff",
    b"http://www.w3.org/2000/09/xmldsig#",
    b"http://www.w3.org/2001/10/xml-exc-c14n#",
    b"http://www.w3.org/2001/04/xmlenc#sha256",
    b"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    b"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    Q.encode(),
)


def write(folder: Path, target: str) -> Path:
    """The corpus of one target into `folder`; the path of the dictionary, which lies beside it."""
    for number, data in enumerate(CORPORA[target]()):
        (folder / f"{number:02}").write_bytes(data)
    names = {name for package in packages() for name in _NAME.findall(package)}
    words = {*_WORDS, *names}
    dictionary = folder.parent / f"{target}.dict"
    lines = ('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in sorted(words))
    dictionary.write_text("\n".join(lines) + "\n")
    return dictionary
