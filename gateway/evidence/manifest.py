"""META-INF/ASiCManifest.xml: every part with its digest, and the signature over the list.

In:     names, media types and SHA-256 digests of parts.
Out:    the manifest's bytes, one form only; or the digests that a manifest states.
Fails:  Untrusted (`evidence.manifest`) for a manifest in another form than this module writes.
Never:  parses XML: a manifest is read line by line and must come out again byte for byte.

EN 319 162-1 A.4 and its schema `http://uri.etsi.org/02918/v1.2.1#`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape, unescape

from gateway.errors import Text, Untrusted

MANIFEST = "META-INF/ASiCManifest.xml"
SIGNATURE = "META-INF/signature.p7s"
_ASIC = "http://uri.etsi.org/02918/v1.2.1#"
_DSIG = "http://www.w3.org/2000/09/xmldsig#"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_PKCS7 = "application/pkcs7-signature"
_STAMP = "application/vnd.etsi.timestamp-token"
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<asic:ASiCManifest xmlns:asic="{_ASIC}" xmlns:ds="{_DSIG}">\n'
    '<asic:SigReference URI="%s" MimeType="%s"/>\n'
)
_TAIL = "</asic:ASiCManifest>\n"
_LINE = re.compile(
    r'<asic:DataObjectReference URI="(?P<uri>[^"<>&]*)" MimeType="(?P<media>[^"<>]*)">'
    rf'<ds:DigestMethod Algorithm="{re.escape(_SHA256)}"/>'
    r"<ds:DigestValue>(?P<digest>[A-Za-z0-9+/=]{44})</ds:DigestValue></asic:DataObjectReference>"
)
# what may stand in a part's name as it is; the rest is percent-encoded (EN 319 162-1 A.4.2: a URI)
_PLAIN = "/-._~,+"


class Listed(NamedTuple):
    """`sha256`: 32 bytes."""

    name: str
    media: str
    sha256: bytes


def write(parts: Sequence[Listed], signature: str = SIGNATURE) -> bytes:
    """`signature`: the part that vouches for this list, a signature or a timestamp token."""
    lines = [
        f'<asic:DataObjectReference URI="{quote(part.name, safe=_PLAIN)}" '
        f'MimeType="{escape(part.media)}">'
        f'<ds:DigestMethod Algorithm="{_SHA256}"/>'
        f"<ds:DigestValue>{base64.b64encode(part.sha256).decode()}</ds:DigestValue>"
        "</asic:DataObjectReference>\n"
        for part in parts
    ]
    return (_head(signature) + "".join(lines) + _TAIL).encode()


def _head(signature: str) -> str:
    return _HEAD % (signature, _PKCS7 if signature == SIGNATURE else _STAMP)


def read(data: bytes, signature: str = SIGNATURE) -> tuple[Listed, ...]:
    """What a manifest lists, in its order. Untrusted (`evidence.manifest`)."""
    try:
        text = data.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise _malformed() from error
    found: list[Listed] = []
    for line in text.removeprefix(_head(signature)).removesuffix(_TAIL).splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise _malformed()
        digest = base64.b64decode(match["digest"])
        found.append(Listed(unquote(match["uri"]), unescape(match["media"]), digest))
    if write(found, signature) != data:
        raise _malformed()
    return tuple(found)


def _malformed() -> Untrusted:
    return Untrusted(
        Text(
            "Danh mục của tệp bằng chứng không đúng dạng",
            "the manifest is not in the form that a gateway writes",
        ),
        code="evidence.manifest",
    )
