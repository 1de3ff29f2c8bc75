"""Media types in words.

In:     a media type as `packing.sniff` names it, and the extension of the file's name.
Out:    what an office calls such a file, in Vietnamese and English.
Fails:  never: a type without a word is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.errors import Text
from gateway.packing.sniff import CMS, EDXML, UNKNOWN, XMLENC, ZIP, contradicts

_OFFICE = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."

KINDS: Mapping[str, Text] = MappingProxyType(
    {
        "application/pdf": Text("tài liệu PDF", "PDF document"),
        "application/msword": Text("tài liệu Word (.doc)", "Word document (.doc)"),
        _OFFICE + "wordprocessingml.document": Text("tài liệu Word", "Word document"),
        _ODF + "text": Text("tài liệu OpenDocument", "OpenDocument text"),
        "application/rtf": Text("tài liệu RTF", "RTF document"),
        "application/vnd.ms-excel": Text("bảng tính Excel (.xls)", "Excel spreadsheet (.xls)"),
        _OFFICE + "spreadsheetml.sheet": Text("bảng tính Excel", "Excel spreadsheet"),
        _ODF + "spreadsheet": Text("bảng tính OpenDocument", "OpenDocument spreadsheet"),
        "application/vnd.ms-powerpoint": Text(
            "bản trình chiếu PowerPoint (.ppt)", "PowerPoint presentation (.ppt)"
        ),
        _OFFICE + "presentationml.presentation": Text(
            "bản trình chiếu PowerPoint", "PowerPoint presentation"
        ),
        _ODF + "presentation": Text("bản trình chiếu OpenDocument", "OpenDocument presentation"),
        "application/x-ole-storage": Text(
            "tệp Office đời cũ, không rõ loại", "old Office file of unknown kind"
        ),
        ZIP: Text("tệp nén ZIP", "ZIP archive"),
        "application/x-7z-compressed": Text("tệp nén 7-Zip", "7-Zip archive"),
        "application/vnd.rar": Text("tệp nén RAR", "RAR archive"),
        "application/gzip": Text("tệp nén GZIP", "GZIP archive"),
        "image/png": Text("ảnh PNG", "PNG picture"),
        "image/jpeg": Text("ảnh JPEG", "JPEG picture"),
        "image/gif": Text("ảnh GIF", "GIF picture"),
        "image/tiff": Text("ảnh TIFF", "TIFF picture"),
        "text/plain": Text("tệp văn bản thuần", "plain text"),
        "text/html": Text("trang web (HTML)", "web page (HTML)"),
        "application/xml": Text("tệp XML", "XML file"),
        EDXML: Text("gói edXML", "edXML package"),
        XMLENC: Text("tệp mã hóa XML", "XML-encrypted file"),
        CMS: Text("tệp mã hóa CMS (PKCS#7)", "CMS (PKCS#7) encrypted file"),
        "application/x-empty": Text("tệp rỗng", "empty file"),
        UNKNOWN: Text("tệp không rõ loại", "file of unknown kind"),
    }
)

# what a file that came encrypted is called, whatever name it has (gateway/packing/ciphertext.py)
SEALED: Mapping[str, Text] = MappingProxyType(
    {
        "xmlenc": Text("tệp mã hóa XML", "XML-encrypted file"),
        "cms": Text("tệp mã hóa CMS (PKCS#7)", "CMS (PKCS#7) encrypted file"),
        "ooxml": Text("tệp Office có mật khẩu", "Office file with a password"),
        "pdf": Text("tài liệu PDF có mật khẩu", "PDF document with a password"),
        "zip": Text("tệp nén ZIP có mật khẩu", "ZIP archive with a password"),
    }
)


def kind_of(media_type: str, extension: str) -> Text:
    """`tài liệu PDF`; where the name promises something else, `gói edXML trong tệp .doc`."""
    kind = KINDS.get(media_type, Text(media_type, media_type))
    if not contradicts(extension, media_type):
        return kind
    return Text(f"{kind.vi} trong tệp .{extension}", f"{kind.en} in a .{extension} file")
