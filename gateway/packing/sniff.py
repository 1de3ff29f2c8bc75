"""What the bytes of an attachment really are, as a media type, and whether they are ciphertext.

In:     the bytes of a file, in pieces.
Out:    a media type; `application/octet-stream` when nothing fits. A mark (ciphertext.py), or "".
Fails:  never.
Never:  looks at the name or the declared type, or reads beyond what it needs.
"""

from __future__ import annotations

import codecs
import re

from gateway.model.package import NS_QCVN102
from gateway.packing import ciphertext

HEAD = 8192
EDXML = "application/edxml+xml"
XMLENC = "application/xenc+xml"  # the registered type of EncryptedData
CMS = "application/pkcs7-mime"
ZIP = "application/zip"
UNKNOWN = "application/octet-stream"
OLE = "application/x-ole-storage"
ZIP_MAGIC = b"PK\x03\x04"

OFFICE = "application/vnd.openxmlformats-officedocument."
_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"{\\rtf", "application/rtf"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"PK\x05\x06", ZIP),
)
_SEALED_OFFICE = "ooxml"
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS = (
    ("WordDocument".encode("utf-16-le"), "application/msword"),
    ("Workbook".encode("utf-16-le"), "application/vnd.ms-excel"),
    ("PowerPoint Document".encode("utf-16-le"), "application/vnd.ms-powerpoint"),
)
_OLE_MARKS = (*_OLE_STREAMS, (ciphertext.OOXML, _SEALED_OFFICE))
_ZIP_PARTS = (
    (b"word/", OFFICE + "wordprocessingml.document"),
    (b"xl/", OFFICE + "spreadsheetml.sheet"),
    (b"ppt/", OFFICE + "presentationml.presentation"),
)
_ODF = re.compile(rb"mimetype(application/vnd\.oasis\.opendocument\.[a-z\-]{1,30})")
_XML_ROOT = re.compile(rb"<([A-Za-z_][\w.\-]*:)?([A-Za-z_][\w.\-]*)[\s/>]")
_HTML = re.compile(rb"(?i)\s*(<!doctype html|<html[\s>])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_OVERLAP = 96  # the longest mark, and the header in front of the name of a zip entry
_ZIP_SEARCHED = 1024 * 1024
_REPLACEMENT = "\ufffd".encode()


class Sniffer:
    """Fed a file from its start, answers what it is. Holds at most 40 KiB."""

    __slots__ = ("_edge", "_found", "_head", "_searching", "_size", "_tail", "_with_tail")

    def __init__(self) -> None:
        self._head = b""
        self._edge = b""
        self._found = ""
        self._searching: tuple[tuple[bytes, str], ...] = ()
        self._size = 0
        self._tail = b""
        self._with_tail = False

    def feed(self, piece: bytes) -> None:
        if len(self._head) < HEAD:
            undecided = len(self._head) < 8
            before, self._head = self._head, self._head + piece[: HEAD - len(self._head)]
            if undecided:
                self._edge = before
                self._look_closer()
        if self._searching and not self._found:
            self._search(piece)
        self._keep_tail(piece)
        self._size += len(piece)

    def feed_ends(self, piece: bytes) -> None:
        """As `feed`, for files of which only beginning and end matter: much cheaper."""
        missing = HEAD - len(self._head)
        if missing > 0:
            self.feed(piece[:missing])
            piece = piece[missing:]
        self._keep_tail(piece)

    @property
    def head(self) -> bytes:
        return self._head

    def media_type(self) -> str:
        head = self._head
        if not head:
            return "application/x-empty"
        for magic, kind in _MAGIC:
            if head.startswith(magic):
                return kind
        if head.startswith(ZIP_MAGIC):
            odf = _ODF.search(head, 30, 200)
            return odf.group(1).decode() if odf else self._found or ZIP
        if head.startswith(_OLE_MAGIC):
            return OLE if self._found in {"", _SEALED_OFFICE} else self._found
        if ciphertext.cms(head):
            return CMS
        return _text_type(head, whole=self._size <= HEAD)

    def encrypted(self) -> ciphertext.Mark:
        """As far as beginning and end tell: ciphertext.py says how far that is."""
        head = self._head
        if head.startswith(b"%PDF-"):
            return "pdf" if ciphertext.pdf(head, self._tail) else ""
        if head.startswith(ZIP_MAGIC):
            return "zip" if ciphertext.zip_entries(head, self._tail) else ""
        if head.startswith(_OLE_MAGIC):
            return "ooxml" if self._found == _SEALED_OFFICE else ""
        kind = self.media_type()
        return "cms" if kind == CMS else "xmlenc" if kind == XMLENC else ""

    def ruined_by_text_conversion(self) -> bool:
        """A PDF in which every non-UTF-8 byte became U+FFFD: it cannot be repaired.

        edxml-format 4 has one that came back from the axis so, and nothing noticed.
        """
        if not self._head.startswith(b"%PDF-") or self._head.count(_REPLACEMENT) < 4:
            return False
        text = self._head.decode("utf-8", "ignore")
        return len(text.encode()) >= len(self._head) - 3

    def _keep_tail(self, piece: bytes) -> None:
        if self._with_tail:
            end = piece[-ciphertext.TAIL :]  # a large piece is not copied whole
            self._tail = (self._tail + end)[-ciphertext.TAIL :]

    def _look_closer(self) -> None:
        self._with_tail = self._head.startswith((b"%PDF-", ZIP_MAGIC))
        if self._head.startswith(ZIP_MAGIC):
            self._searching = _ZIP_PARTS
        elif self._head.startswith(_OLE_MAGIC):
            self._searching = _OLE_MARKS

    def _search(self, piece: bytes) -> None:
        if self._searching is _ZIP_PARTS:
            # an office file names its parts early; the rest of a large archive is not searched
            window = self._edge + piece[: max(0, _ZIP_SEARCHED - self._size)]
            self._found = _office_part(window)
        else:
            window = self._edge + piece
            self._found = next((kind for mark, kind in _OLE_MARKS if mark in window), "")
        self._edge = window[-_OVERLAP:]


def sniff(data: bytes) -> str:
    """The media type of a file given from its start (its whole, or at least 8 KiB of it)."""
    sniffer = Sniffer()
    sniffer.feed(data)
    return sniffer.media_type()


def _office_part(window: bytes) -> str:
    """A part's name right behind a local header: the word alone proves nothing."""
    at = window.find(ZIP_MAGIC)
    while at >= 0:
        for mark, kind in _ZIP_PARTS:
            if window.startswith(mark, at + 30):
                return kind
        at = window.find(ZIP_MAGIC, at + 4)
    return ""


def _text_type(head: bytes, *, whole: bool) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = head[: len(head) & ~1].decode("utf-16", "replace")
    else:
        try:
            text = codecs.getincrementaldecoder("utf-8-sig")().decode(head, whole)
        except UnicodeDecodeError:
            return UNKNOWN
    if _CONTROL.search(text):
        return UNKNOWN
    start = text.lstrip().encode()
    if _HTML.match(start):
        return "text/html"
    if start.startswith(b"<") and ciphertext.xmlenc(start):
        return XMLENC
    if start.startswith(b"<?xml") or (start.startswith(b"<") and _XML_ROOT.match(start)):
        root = _XML_ROOT.search(start)
        if root and root.group(2).lower() == b"edxml" and NS_QCVN102.encode() in start:
            return EDXML
        return "application/xml"
    return "text/plain"


_EXPECTED = {
    "pdf": {"application/pdf"},
    "doc": {"application/msword", OLE, "application/rtf"},
    "xls": {"application/vnd.ms-excel", OLE},
    "ppt": {"application/vnd.ms-powerpoint", OLE},
    "docx": {OFFICE + "wordprocessingml.document", ZIP},
    "xlsx": {OFFICE + "spreadsheetml.sheet", ZIP},
    "pptx": {OFFICE + "presentationml.presentation", ZIP},
    "zip": {ZIP},
    "rtf": {"application/rtf"},
    "png": {"image/png"},
    "jpg": {"image/jpeg"},
    "jpeg": {"image/jpeg"},
    "gif": {"image/gif"},
    "tif": {"image/tiff"},
    "tiff": {"image/tiff"},
    "txt": {"text/plain"},
    "xml": {"application/xml", EDXML},
    "edxml": {EDXML},
}


def contradicts(extension: str, media_type: str) -> bool:
    """Whether a name with this extension promises something else than the bytes are."""
    expected = _EXPECTED.get(extension)
    return expected is not None and media_type not in expected
