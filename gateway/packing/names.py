"""Names of attachments: what may be written, what may be shown, what the extension says.

In:     a name as a person, a unit system or a package gave it.
Out:    an extension; a base name that is safe to show and to save; the vendor's type table.
Fails:  never.
Never:  trusts a name to say what a file is, or uses one as a path.
"""

from __future__ import annotations

import re
import unicodedata

MAX_NAME_BYTES = 255

# edxml-format 4: for these extensions the vendor's builder carries the file itself; "xsl" and
# "xslx" are its typing errors for xls and xlsx, and its receivers live with them
CARRIED_AS_IS = {
    "pdf": "application/pdf",
    "doc": "application/doc",
    "docx": "application/docx",
    "zip": "application/zip",
    "xsl": "application/xsl",
    "xslx": "application/xslx",
}
WRAPPED_TYPE = "application/zip"
# formats that are zip files themselves: unwrapped only around another file of the same kind
ZIP_BASED = frozenset({"zip", "docx", "xlsx", "pptx", "odt", "ods", "odp", "jar", "apk", "kmz"})

# what no file name of a package may hold (edxml-format 13: a file name only, no path): separators,
# control characters, and invisible marks that make a name read as another
_UNWRITABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f/\\\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
# path separators, what Windows forbids, control, direction and other invisible marks
_UNSAFE = re.compile(
    r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]'
)
# Windows takes these for devices whatever follows the first dot, blanks before it included
_RESERVED = re.compile(
    r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\..*)?"
)
_PATH = re.compile(r"[/\\\x00]|^[A-Za-z]:|^\.\.?$")


def extension(name: str) -> str:
    """Lower-case extension without the dot, "" when there is none (`.profile` has none)."""
    stem, dot, ext = name.rpartition(".")
    return ext.lower() if dot and stem and "/" not in ext and "\\" not in ext else ""


def is_safe(name: str) -> bool:
    """True when `safe_name` has nothing to change."""
    return safe_name(name) == name


def is_writable(name: str) -> bool:
    """Whether the strict form allows it (edxml-format 13): a bare file name, NFC, 255 bytes.

    More than `is_safe`: a quote or a name that Windows keeps for itself is a name all the same;
    whoever saves it there gives it another.
    """
    size = len(name.encode("utf-8", "surrogatepass"))
    if not 0 < size <= MAX_NAME_BYTES or name in (".", "..") or name != name.strip():
        return False
    return _UNWRITABLE.search(name) is None and unicodedata.is_normalized("NFC", name)


def names_a_path(entry: str) -> bool:
    """Whether an archive's entry would land outside or deeper in the folder it is unpacked to."""
    return _PATH.search(entry) is not None


def safe_name(declared: str, fallback: str = "tep-dinh-kem") -> str:
    """A file name without path, NFC, at most 255 bytes; the extension survives shortening.

    `fallback` stands in for a name of which nothing safe is left.
    """
    name = unicodedata.normalize("NFC", declared).replace("\\", "/").rpartition("/")[2]
    name = _UNSAFE.sub("_", name).strip(" .\u00a0")
    name = name.encode("utf-8", "replace").decode()
    if not name or _RESERVED.fullmatch(name):
        name = f"{fallback}_{name}" if name else fallback
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, ext = name.rpartition(".")
    tail = dot + ext if dot and len(ext.encode()) <= 16 else ""
    kept = (stem if tail else name).encode()[: MAX_NAME_BYTES - len(tail.encode())]
    return kept.decode("utf-8", "ignore").strip(" .") + tail
