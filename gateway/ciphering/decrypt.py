"""EncryptedData -> the file, for whoever holds a key that it was encrypted to.

In:     the document's bytes, as they stood in a package; a certificate, and a call that opens what
        was encrypted to its RSA key (the key stays with its holder).
Out:    Opened, or a Finding that says why not.
Fails:  never by what the document says.
Never:  hands a stranger's XML to xmlsec: the document is read by safexml, and what xmlsec sees is
        an EncryptedData that was written here, holding nothing but an algorithm and ciphertext;
        follows a CipherReference or a RetrievalMethod; reads CBC, whose changes nobody notices;
        says which of key and content was wrong (both are `encryption.tampered`).
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pybase64
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.c14n import Attributes, Declared, Name
from gateway.ciphering import form
from gateway.errors import Finding, GatewayError, Severity, Text
from gateway.safexml import Limits, parse

MOST_RECEIVERS = 1000
_LONGEST_TEXT = 64 * 1024  # of anything but the content
_ROOT = (form.XENC, "EncryptedData")
_WRAPPED = (form.XENC, "EncryptedKey")
_VALUE = (form.XENC, "CipherValue")
_NAMES = frozenset({"KeyName", "X509SerialNumber", "X509SKI", "X509Certificate"})

# (wrapped key, hash of OAEP, hash of its mask) -> the key; None when it does not open
Unwrap = Callable[[bytes, str, str], bytes | None]


@dataclass(frozen=True, slots=True)
class Opened:
    """`name`, `media_type`: as the sender stated them in the document, "" when it did not."""

    data: bytes = field(repr=False)
    name: str
    media_type: str


@dataclass(slots=True)
class _Wrapped:
    """One EncryptedKey as it was read."""

    texts: dict[str, str] = field(default_factory=dict)
    algorithms: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Read:
    """What the document says, as far as it matters here."""

    media_type: str = ""
    name: str = ""
    algorithm: str = ""
    content: list[str] = field(default_factory=list)
    keys: list[_Wrapped] = field(default_factory=list)
    reference: bool = False


class _Reader:
    """Consumer of the XML's events: the root, its content, its keys; anything else is passed by."""

    def __init__(self) -> None:
        self.found = _Read()
        self.root_is_ours = False
        self._open: list[tuple[str, str]] = []
        self._key: _Wrapped | None = None
        self._key_depth = 0

    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        del declared
        what = (name[0], name[1])
        said = {a[1]: value for a, value in attributes if not a[0]}
        depth = len(self._open)
        self._open.append(what)
        if depth == 0:
            self.root_is_ours = what == _ROOT
            self.found.media_type = said.get("MimeType", "")
        elif what == _WRAPPED and self._key is None and len(self.found.keys) < MOST_RECEIVERS:
            self._key, self._key_depth = _Wrapped(), depth
            self.found.keys.append(self._key)
        elif self._key is not None:
            if "Algorithm" in said:
                self._key.algorithms.setdefault(name[1], said["Algorithm"])
        elif depth == 1 and what == (form.XENC, "EncryptionMethod"):
            self.found.algorithm = said.get("Algorithm", "")
        elif what == (form.XENC, "CipherReference"):
            self.found.reference = True

    def end(self, name: Name) -> None:
        del name
        self._open.pop()
        if self._key is not None and len(self._open) == self._key_depth:
            self._key = None

    def text(self, data: str) -> None:
        what = self._open[-1]
        if self._key is not None:
            so_far = self._key.texts.get(what[1], "")
            self._key.texts[what[1]] = (so_far + data)[:_LONGEST_TEXT]
        elif what == _VALUE and len(self._open) == 3:
            self.found.content.append(data)
        elif what == (form.OURS, "OriginalName"):
            self.found.name = (self.found.name + data)[:_LONGEST_TEXT]

    def instruction(self, target: str, data: str) -> None: ...


def decrypt(
    document: bytes, certificate: x509.Certificate, unwrap: Unwrap, *, max_bytes: int
) -> Opened | Finding:
    """`max_bytes`: the largest plain file; a larger document is not even read."""
    if len(document) > max_bytes * 3 // 2 + MOST_RECEIVERS * 4096:
        return too_large("", len(document), max_bytes)
    reader = _Reader()
    try:
        parse(document, reader, Limits())
    except GatewayError as error:
        return _finding("encryption.unreadable", error.text)
    read = reader.found
    if not reader.root_is_ours or not read.algorithm or not read.content or read.reference:
        return _finding(
            "encryption.unreadable",
            Text(
                "Không phải tệp mã hóa XML (EncryptedData) kèm sẵn nội dung",
                "not an EncryptedData that holds its content",
            ),
        )
    size = form.GCM_KEYS.get(read.algorithm)
    if size is None:
        return _algorithm(read.algorithm)
    wrapped = [_content_key(key, unwrap) for key in _ours(read.keys, certificate)]
    if not wrapped:
        return _not_ours()
    refused = next((one for one in wrapped if isinstance(one, Finding)), None)
    opened = next((one for one in wrapped if isinstance(one, bytes) and len(one) == size), None)
    if opened is None:
        return refused if refused is not None else _tampered()
    data = _opened(read, opened)
    if data is None:
        return _tampered()
    return Opened(data, read.name.strip(), read.media_type)


def _ours(keys: Sequence[_Wrapped], certificate: x509.Certificate) -> list[_Wrapped]:
    """Those that name this certificate; where none names any certificate, every one."""
    serial = str(certificate.serial_number)
    identifier = form.key_identifier(certificate)
    name = form.key_name(certificate)
    der = certificate.public_bytes(Encoding.DER)

    def means_us(key: _Wrapped) -> bool:
        texts = key.texts
        return (
            texts.get("KeyName", "").strip() == name
            or (texts.get("X509SerialNumber", "").strip() == serial)
            or (identifier and _base64(texts.get("X509SKI", "")) == identifier)
            or _base64(texts.get("X509Certificate", "")) == der
        )

    named = [key for key in keys if key.texts.keys() & _NAMES]
    return [key for key in keys if means_us(key)] or [key for key in keys if key not in named]


def _content_key(key: _Wrapped, unwrap: Unwrap) -> bytes | Finding | None:
    method = key.algorithms.get("EncryptionMethod", "")
    digest = key.algorithms.get("DigestMethod", f"{form.DSIG}sha1")
    mask = key.algorithms.get("MGF", f"{form.XENC11}mgf1sha1")
    if method == form.OAEP_MGF1P:
        mask = f"{form.XENC11}mgf1sha1"  # by the definition of this name
    known = method in {form.OAEP, form.OAEP_MGF1P} and "OAEPparams" not in key.texts
    if not known or digest not in form.DIGESTS or mask not in form.MASKS:
        return _algorithm(f"{method} {digest} {mask}")
    value = _base64(key.texts.get("CipherValue", ""))
    return unwrap(value, form.DIGESTS[digest], form.MASKS[mask]) if value else None


def _opened(read: _Read, key: bytes) -> bytes | None:
    """The content, or None when its tag says that it is not what was encrypted."""
    import xmlsec
    from lxml import etree

    text = "".join(read.content)
    read.content.clear()
    root: Any = etree.Element(f"{{{form.XENC}}}EncryptedData")
    etree.SubElement(root, f"{{{form.XENC}}}EncryptionMethod", Algorithm=read.algorithm)
    data = etree.SubElement(root, f"{{{form.XENC}}}CipherData")
    etree.SubElement(data, f"{{{form.XENC}}}CipherValue").text = text
    context = xmlsec.EncryptionContext()
    context.key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataAes, key)
    try:
        found: Any = context.decrypt(root)
    except xmlsec.Error:
        return None
    return found if isinstance(found, bytes) else None


def _base64(text: str) -> bytes:
    try:
        return pybase64.b64decode("".join(text.split()).encode(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def too_large(path: str, size: int, allowed: int) -> Finding:
    """xmlsec works in memory: `[encryption] max_bytes` is what one file may have."""
    return Finding(
        path,
        "encryption.too_large",
        Severity.ERROR,
        Text(
            f"Tệp {size:,} byte lớn hơn mức mã hóa được ([encryption] max_bytes = {allowed:,})",
            f"a file of {size:,} bytes is over what is encrypted ([encryption] max_bytes = "
            f"{allowed:,})",
        ),
    )


def _algorithm(name: str) -> Finding:
    return _finding(
        "encryption.algorithm",
        Text(
            f"Thuật toán mã hóa không được chấp nhận: {name[:200]!r} (cần AES-GCM và RSA-OAEP)",
            f"an algorithm that is not accepted: {name[:200]!r} (AES-GCM and RSA-OAEP are)",
        ),
    )


def _not_ours() -> Finding:
    return _finding(
        "encryption.not_for_this_key",
        Text(
            "Tệp không được mã hóa cho chứng thư số này",
            "the file was not encrypted to this certificate",
        ),
    )


def _tampered() -> Finding:
    return _finding(
        "encryption.tampered",
        Text(
            "Không giải mã được: nội dung đã bị thay đổi, hoặc khóa không đúng",
            "it does not decrypt: its bytes were changed, or the key is another",
        ),
    )


def _finding(code: str, text: Text) -> Finding:
    return Finding("", code, Severity.ERROR, text)
