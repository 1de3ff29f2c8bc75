"""The name of a file in a form, whatever way the client's library wrote it.

In:     the value of a part's Content-Disposition, and the name that the form parser found in it.
Out:    the name; "" when there is none.
Fails:  never: what cannot be decoded is taken as it stands, and the rules judge it.
Never:  makes a name safe: a path that was sent stays one, to be refused with a finding.

Browsers write UTF-8 between quotes (HTML; RFC 7578, 4.2). .NET writes two names: an RFC 2047 word
and `filename*` (RFC 8187); other libraries send `filename*` alone. RFC 7578 forbids both, and
refusing them would only hurt those who cannot change their library.
"""

from __future__ import annotations

import binascii
import quopri
import re
from urllib.parse import unquote_to_bytes

_PARAMETER = re.compile(r';\s*([A-Za-z0-9_-]+\*?)\s*=\s*("(?:\\.|[^\\"])*"|[^;\s"]*)')
_EXTENDED = re.compile(
    r"(utf-8|iso-8859-1)'[A-Za-z0-9-]*'((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-Fa-f]{2})+)",
    re.IGNORECASE,
)
_WORD = re.compile(r"=\?([A-Za-z0-9_-]+)(?:\*[A-Za-z0-9-]*)?\?([bBqQ])\?([^?\s]*)\?=")
_WORDS = re.compile(rf"(?:{_WORD.pattern}\s*)+")
# never a codec that a client names: some of Python's do more than read letters
_CHARSETS = frozenset({"utf-8", "us-ascii", "iso-8859-1", "windows-1252", "windows-1258"})


def file_name(disposition: str, plain: str | None) -> str:
    """`plain`: the parameter `filename`, already out of its quotes; None when it is not there."""
    if "*" in disposition:
        for name, value in _PARAMETER.findall(disposition):
            if name.lower() == "filename*" and (exact := _extended(value.strip('"'))):
                return exact
    if not plain:
        return ""
    return _from_words(plain) if "=?" in plain else plain


def _extended(value: str) -> str:
    """RFC 8187, 3.2.1: charset'language'percent-encoded. "" when it is not."""
    match = _EXTENDED.fullmatch(value)
    if match is None:
        return ""
    return _decoded(unquote_to_bytes(match[2]), match[1]) or ""


def _from_words(text: str) -> str:
    """RFC 2047, 2, when the whole text is encoded words; else the text itself."""
    if not _WORDS.fullmatch(text):
        return text
    read = ""
    fresh, charset = b"", ""
    for word in _WORD.finditer(text):
        try:
            content = (
                binascii.a2b_base64(word[3], strict_mode=True)
                if word[2] in "bB"
                else quopri.decodestring(word[3].encode(), header=True)
            )
        except ValueError:
            return text
        # libraries cut long names anywhere, also inside a letter: bytes first, letters then
        if charset and word[1].lower() != charset:
            piece = _decoded(fresh, charset)
            if piece is None:
                return text
            read, fresh = read + piece, b""
        fresh, charset = fresh + content, word[1].lower()
    piece = _decoded(fresh, charset)
    return text if piece is None else read + piece


def _decoded(raw: bytes, charset: str) -> str | None:
    if charset.lower() not in _CHARSETS:
        return None
    try:
        return raw.decode(charset)
    except UnicodeDecodeError:
        return None
