"""Whether a file is ciphertext already, as far as its beginning and its end can tell.

In:     the first 8 KiB of a file and its last 32 KiB.
Out:    "" | xmlenc | cms | ooxml | pdf | zip.
Fails:  never.
Never:  decrypts, unwraps or changes anything: such a file is carried and handed over as it is.

What cannot be known so. PDF: the trailer names the encryption, at the end of the file or, in
linearised files, near its start too; where a cross-reference stream longer than 32 KiB stands
behind the name, it is not seen. Zip: the first entry, and those of a central directory that lies in
the last 32 KiB. Old Office files (.doc, .xls) encrypt inside their streams: not seen. S/MIME as
text, OpenPGP, 7z and RAR: not looked for. "" therefore never means that a file is readable.
"""

from __future__ import annotations

import binascii
import re
import struct
from typing import Literal

Mark = Literal["", "xmlenc", "cms", "ooxml", "pdf", "zip"]

TAIL = 32 * 1024
NS_XMLENC = b"http://www.w3.org/2001/04/xmlenc#"

# RFC 5652 6.1 and 8; RFC 5083 2: id-envelopedData, id-encryptedData, id-ct-authEnvelopedData
_CMS = tuple(
    bytes.fromhex(oid)
    for oid in (
        "06092a864886f70d010703",
        "06092a864886f70d010706",
        "060b2a864886f70d0109100117",
    )
)
_PEM = re.compile(rb"-----BEGIN (?:CMS|PKCS7)-----\s+([A-Za-z0-9+/]{24})")
# ISO 32000-1, 7.5.5: the entry of a trailer (or of a cross-reference stream's dictionary)
_PDF = re.compile(rb"/Encrypt[\s\0]*(?:\d+[\s\0]+\d+[\s\0]+R|<<)")
_XML = re.compile(rb"<(?:([A-Za-z_][\w.\-]*):)?EncryptedData((?:\s[^<>]*)?)>")
# MS-OFFCRYPTO 2.3.4.4: an office file of the zip kind lies in a stream of this name. MS-CFB 2.6.1:
# the name in 64 bytes, its length with the end, and the type of a stream; in a text it would be
# the bare name
OOXML = "EncryptedPackage".encode("utf-16-le").ljust(64, b"\0") + b"\x22\0\x02"
_NO_ELEMENT = re.compile(rb"<!--.*?-->|<\?.*?\?>", re.DOTALL)
_ZIP_LOCAL = b"PK\x03\x04"
_ZIP_CENTRAL = b"PK\x01\x02"
_ZIP_END = b"PK\x05\x06"
_ZIP_SEALED = 0x2041  # APPNOTE 4.4.4: bit 0 encrypted, bit 6 strong, bit 13 masked directory


def cms(head: bytes) -> bool:
    """A ContentInfo of enveloped, encrypted or authenticated-enveloped data: DER, BER or PEM."""
    if found := _PEM.match(head.lstrip()):
        head = binascii.a2b_base64(found[1])
    if head[:1] != b"\x30" or len(head) < 2:
        return False
    length = head[1]
    start = 2 + (length & 0x7F if length > 0x80 else 0)
    return head[start:].startswith(_CMS)


def xmlenc(root: bytes) -> bool:
    """`root`: XML in UTF-8 from its root's tag on, or from whatever stands in front of it."""
    root = _NO_ELEMENT.sub(b"", root)
    first = re.search(rb"<[A-Za-z_]", root)
    found = _XML.match(root, first.start()) if first else None
    if found is None:
        return False
    name = b"xmlns:" + found[1] if found[1] else b"xmlns"
    return re.search(name + rb"""\s*=\s*["']""" + re.escape(NS_XMLENC), found[2]) is not None


def pdf(head: bytes, tail: bytes) -> bool:
    return bool(_PDF.search(tail) or _PDF.search(head))


def zip_entries(head: bytes, tail: bytes) -> bool:
    """Some entry is encrypted: the first, or one that the central directory names."""
    if head.startswith(_ZIP_LOCAL) and _sealed(head, 6):
        return True
    end = tail.rfind(_ZIP_END)
    if end < 0 or len(tail) < end + 22:
        return False
    size = int(struct.unpack_from("<I", tail, end + 12)[0])
    at = max(end - size, 0)
    at = at if tail.startswith(_ZIP_CENTRAL, at) else tail.find(_ZIP_CENTRAL, at, end)
    while 0 <= at <= end - 46 and tail.startswith(_ZIP_CENTRAL, at):
        if _sealed(tail, at + 8):
            return True
        at += 46 + sum(struct.unpack_from("<3H", tail, at + 28))
    return False


def _sealed(data: bytes, at: int) -> bool:
    if len(data) < at + 2:
        return False
    return bool(struct.unpack_from("<H", data, at)[0] & _ZIP_SEALED)
