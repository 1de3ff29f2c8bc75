"""Whether a declared content type tells the truth about the bytes (edxml-format 4).

In:     a declared type, as senders write it; a file's facts, or a media type that was sniffed.
Out:    true, false, or None where the declaration promises nothing that could be checked; findings.
Fails:  never.
Never:  decides what a file is: the bytes do.
"""

from __future__ import annotations

from gateway.model.package import FileFact
from gateway.packing.names import CARRIED_AS_IS, extension
from gateway.packing.sniff import EDXML, OFFICE, OLE, ZIP
from gateway.packing.told import RULE, WRAPPED, Told

_WORD = frozenset({"application/msword", OLE, "application/rtf"})
_DOCX = frozenset({OFFICE + "wordprocessingml.document", ZIP})
_TEXT = frozenset({"text/plain", "text/html", "application/xml", EDXML})
# `application/doc` and `application/docx` are the vendor's own words
_MEANT: dict[str, frozenset[str]] = {
    "application/pdf": frozenset({"application/pdf"}),
    "application/doc": _WORD,
    "application/msword": _WORD,
    "application/docx": _DOCX,
    OFFICE + "wordprocessingml.document": _DOCX,
    OFFICE + "spreadsheetml.sheet": frozenset({OFFICE + "spreadsheetml.sheet", ZIP}),
    OFFICE + "presentationml.presentation": frozenset(
        {OFFICE + "presentationml.presentation", ZIP}
    ),
    "application/vnd.ms-excel": frozenset({"application/vnd.ms-excel", OLE}),
    "application/rtf": frozenset({"application/rtf"}),
    "text/plain": _TEXT,
    "text/html": frozenset({"text/html"}),
    "application/xml": frozenset({"application/xml", EDXML}),
    "text/xml": frozenset({"application/xml", EDXML}),
    "image/png": frozenset({"image/png"}),
    "image/jpeg": frozenset({"image/jpeg"}),
    "image/gif": frozenset({"image/gif"}),
    "image/tiff": frozenset({"image/tiff"}),
}
_DECLARED_ZIP = frozenset({ZIP, "application/x-zip-compressed", "application/x-zip"})
_ZIP_LIKE = ("application/vnd.openxmlformats-", "application/vnd.oasis.opendocument.")


def is_true_of(declared: str, actual: str) -> bool | None:
    """Does `declared` fit these bytes? Parameters and letter case of the type are no matter."""
    kind = declared.partition(";")[0].strip().lower()
    if kind in _DECLARED_ZIP:
        return actual == ZIP or actual.startswith(_ZIP_LIKE)
    meant = _MEANT.get(kind)
    return None if meant is None else actual in meant


def is_false_of(declared: str, fact: FileFact) -> bool:
    """Whether `declared` fits neither the file nor the zip that may be around it."""
    if fact.failed or not fact.size or is_true_of(declared, fact.actual_type) is not False:
        return False
    return not fact.unwrapped or is_true_of(declared, ZIP) is False


def tell_types(found: Told, fact: FileFact, declared: str, where: str) -> None:
    """What an attachment declares of itself, against what it is and how it came."""
    kind = declared.partition(";")[0].strip().lower()
    ext = extension(fact.declared_name)
    expected = kind in _DECLARED_ZIP or (not kind and ext not in CARRIED_AS_IS)
    if fact.unwrapped and not expected:
        found.habit(WRAPPED, where, f"{fact.name} ({declared[:60]})")
    if is_false_of(declared, fact):
        found.warn(
            where,
            "attachment.type_declared",
            f"Khai báo {declared[:60]!r} nhưng nội dung thực là {fact.actual_type}",
            f"declared as {declared[:60]!r}, the bytes are {fact.actual_type}",
            RULE,
        )
