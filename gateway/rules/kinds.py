"""The kinds of check that rule data may name: what each one means, nothing about which law.

In:     a Judged (header, file names, instant), one rule of conf/rules/*.toml.
Out:    hits: the path where the rule is broken, and what its text may quote.
Fails:  msgspec.ValidationError while loading; never while judging.
Never:  quotes the document: a text names paths, limits and codes only.

Each class is one word for the key `check` of a rule; its fields are the keys that the rule takes
besides those of Rule. A key that a check does not know is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec

from gateway.errors import Finding, Rejected, Severity, Text
from gateway.model.agency import AgencyCode
from gateway.model.package import DocumentHeader, iso_date, normal_text
from gateway.rules import fields as metadata

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# XML 1.0, 2.2: the characters that a document may hold; no escape exists for the others
_NOT_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# the same as packing refuses to write (edxml-format 13), so that nobody learns of it later
_NAME_FORBIDDEN = re.compile(
    r"[/\\\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
# what Windows forbids or keeps for itself: names all the same, which other systems write
_NOT_WINDOWS = re.compile(
    r'.*[:*?"<>|].*|.*[. ]|(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?', re.DOTALL
)
_CONTROL = re.compile("[\x7f-\x9f]")
_CONTROL_BYTES = re.compile(rb"\xc2[\x80-\x9f]")
_EMAIL = re.compile(r"[^\s@<>,;]{1,64}@[^\s@<>,;.]+(\.[^\s@<>,;.]+)+")


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule may look at. `day`: the day of judging in Vietnam.

    `sizes` of the files in bytes, `at`, `released_at` (the instant of judging and the one stated
    by the unit): submissions only. What a package holds is told by whoever read it. `plain`: no
    text of the header needs a closer look.
    """

    header: DocumentHeader
    names: tuple[str, ...]
    day: date
    sizes: tuple[int, ...] = ()
    at: datetime | None = None
    released_at: datetime | None = None
    plain: bool = field(init=False)

    def __post_init__(self) -> None:
        # asked by several rules, and the answer costs a pass over the whole header
        object.__setattr__(self, "plain", _plain(self.header))


@dataclass(frozen=True, slots=True)
class Hit:
    path: str
    quoted: tuple[tuple[str, str], ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every rule has.

    `id` names the rule over time (periods of one id never overlap); `code` is the finding's code;
    `severity` holds for submissions, `package` for ready-made packages (absent: the same);
    arrivals are never refused by a rule (architecture 3). `valid_to` is the last day.
    """

    id: str
    code: str
    article: str
    vi: str
    en: str
    valid_from: date
    valid_to: date | None = None
    severity: Severity = Severity.ERROR
    package: Severity | None = None

    def in_force(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)

    def hits(self, judged: Judged) -> Iterator[Hit]:
        """Where the rule is broken. Rules that are asked elsewhere (secrecy) have none here."""
        del judged
        yield from ()

    def finding(self, hit: Hit, severity: Severity) -> Finding:
        vi, en = self.vi, self.en
        for name, value in (("path", hit.path), *hit.quoted):
            vi, en = vi.replace(f"{{{name}}}", value), en.replace(f"{{{name}}}", value)
        return Finding(hit.path, self.code, severity, Text(vi, en), self.article)


class FieldRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule about metadata fields, named as contract 5 names them, `[]` for lists."""

    fields: tuple[str, ...]

    def found(self, judged: Judged) -> list[tuple[str, object]]:
        # lists, not chains of generators: every rule runs for every document
        return [pair for name in self.fields for pair in metadata.read(judged.header, name)]

    def texts(self, judged: Judged) -> list[tuple[str, str]]:
        return [
            (path, value)
            for path, value in self.found(judged)
            if isinstance(value, str) and value and not value.isspace()
        ]

    def dates(self, judged: Judged) -> list[tuple[str, date | None]]:
        """(path, day) of every date that is there; None when it cannot be read as one."""
        return [(path, _day(value)) for path, value in self.texts(judged)]


class Required(FieldRule, frozen=True, kw_only=True, tag_field="check", tag="required"):
    """Each field must have a value; a list that the field runs through must have an item."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        for name in self.fields:
            found = tuple(metadata.read(judged.header, name))
            if not found:
                yield Hit(metadata.list_of(name) or name)
            for path, value in found:
                if value is None or (isinstance(value, str) and not value.strip()):
                    yield Hit(path)


class HasFile(Rule, frozen=True, kw_only=True, tag_field="check", tag="has_file"):
    """At least one file."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        if not judged.names:
            yield Hit("files")


class ReadableDate(FieldRule, frozen=True, kw_only=True, tag_field="check", tag="readable_date"):
    """A date that is there must be a day of the calendar (edxml-format 8)."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        for path, day in self.dates(judged):
            if day is None or (day.year < 1900 or day.year > 2999):
                yield Hit(path)


class NotFuture(FieldRule, frozen=True, kw_only=True, tag_field="check", tag="not_future"):
    """A date must not lie after the day of judging (standards 1.3, 1.4)."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        for path, day in self.dates(judged):
            if day is not None and day > judged.day:
                yield Hit(path, (("day", judged.day.isoformat()),))


class NotPast(FieldRule, frozen=True, kw_only=True, tag_field="check", tag="not_past"):
    """A deadline that a unit states must not lie before the day of judging."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        if judged.at is None:
            return  # a package may have been long on its way
        for path, day in self.dates(judged):
            if day is not None and day < judged.day:
                yield Hit(path, (("day", judged.day.isoformat()),))


class EmailForm(FieldRule, frozen=True, kw_only=True, tag_field="check", tag="email"):
    """A value that is there must look like addresses: name@domain, several apart by , or ;"""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        for path, value in self.texts(judged):
            addresses = [part.strip() for part in re.split("[,;]", value) if part.strip()]
            if not addresses or not all(_EMAIL.fullmatch(part) for part in addresses):
                yield Hit(path)


class MaxLength(FieldRule, frozen=True, kw_only=True, tag_field="check", tag="max_length"):
    """At most `limit` characters (code points, after NFC and folding of blanks)."""

    limit: int

    def hits(self, judged: Judged) -> Iterator[Hit]:
        limit = self.limit
        for path, value in self.found(judged):
            if isinstance(value, str) and len(value) > limit and len(normal_text(value)) > limit:
                yield Hit(path, (("limit", str(limit)),))


class MaxTotal(FieldRule, frozen=True, kw_only=True, tag_field="check", tag="max_total"):
    """All values of the fields together: at most `limit` characters."""

    limit: int

    def hits(self, judged: Judged) -> Iterator[Hit]:
        total = sum(len(normal_text(value)) for _, value in self.texts(judged))
        if total > self.limit:
            path = metadata.list_of(self.fields[0]) or self.fields[0]
            yield Hit(path, (("limit", str(self.limit)),))


class Between(FieldRule, frozen=True, kw_only=True, tag_field="check", tag="between"):
    """A number that is there must lie in the range, ends included; no `maximum`: open."""

    minimum: int
    maximum: int | None = None

    def hits(self, judged: Judged) -> Iterator[Hit]:
        most = "∞" if self.maximum is None else str(self.maximum)
        quoted = (("minimum", str(self.minimum)), ("maximum", most))
        for path, value in self.found(judged):
            if not isinstance(value, int) or isinstance(value, bool):
                continue
            if value < self.minimum or (self.maximum is not None and value > self.maximum):
                yield Hit(path, quoted)


class Listed(FieldRule, frozen=True, kw_only=True, tag_field="check", tag="listed"):
    """A number that stands on this list is reported: values read, but better not written."""

    values: tuple[int, ...]

    def hits(self, judged: Judged) -> Iterator[Hit]:
        for path, value in self.found(judged):
            if value in self.values:
                yield Hit(path)


class ActRule(FieldRule, frozen=True, kw_only=True):
    """A rule about acts of some business `types` (edxml-format 6); other documents pass."""

    types: tuple[int, ...]

    def concerns(self, judged: Judged) -> bool:
        return judged.header.business.type in self.types

    def lacking(self, judged: Judged) -> Iterator[Hit]:
        """Where a field has no value; the list itself, when it has no item."""
        for name in self.fields:
            found = metadata.read(judged.header, name)
            if not found:
                yield Hit(metadata.list_of(name) or name)
            yield from (Hit(path) for path, value in found if _empty(value))


class NamesDocument(ActRule, frozen=True, kw_only=True, tag_field="check", tag="names_document"):
    """Such an act names the document that it is about in each of `fields`.

    A ready-made package may name it in another of the three places: third parties mix them
    (edxml-format 6), and its bytes are never changed.
    """

    def hits(self, judged: Judged) -> Iterator[Hit]:
        if self.concerns(judged) and (judged.at is not None or not judged.header.about()):
            yield from self.lacking(judged)


class ActNeeds(ActRule, frozen=True, kw_only=True, tag_field="check", tag="act_needs"):
    """Such an act needs a value in each of `fields`; with `flag` only where that field is 1."""

    flag: str = ""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        if self.concerns(judged) and (not self.flag or _is_set(judged.header, self.flag)):
            yield from self.lacking(judged)


class ActNeedsOne(ActRule, frozen=True, kw_only=True, tag_field="check", tag="act_needs_one"):
    """Such an act sets at least one of `fields`, which are flags, to 1."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        if self.concerns(judged) and not any(_is_set(judged.header, f) for f in self.fields):
            yield Hit(self.fields[0], (("fields", ", ".join(self.fields)),))


class OnlyInActs(ActRule, frozen=True, kw_only=True, tag_field="check", tag="only_in_acts"):
    """`fields` have a value in documents of these types only."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        if not self.concerns(judged):
            yield from (Hit(path) for path, value in self.found(judged) if not _empty(value))


class ActOnlyWith(ActRule, frozen=True, kw_only=True, tag_field="check", tag="act_only_with"):
    """In such an act `fields` have a value only where the field `flag` is 1."""

    flag: str

    def hits(self, judged: Judged) -> Iterator[Hit]:
        if self.concerns(judged) and not _is_set(judged.header, self.flag):
            yield from (Hit(path) for path, value in self.found(judged) if not _empty(value))


class AgencyForm(FieldRule, frozen=True, kw_only=True, tag_field="check", tag="agency_code"):
    """A value that is there must have the form of an agency code (edxml-format 7)."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        for path, value in self.texts(judged):
            if _agency(value) is None:
                yield Hit(path)


class AgencyOnce(FieldRule, frozen=True, kw_only=True, tag_field="check", tag="agency_once"):
    """No agency twice, whichever of its two written forms is used (standards 1.3, 2.3)."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        seen: set[str] = set()
        for path, value in self.texts(judged):
            code = _agency(value)
            key = code.match_key() if code else normal_text(value).upper()
            if key in seen:
                yield Hit(path)
            seen.add(key)


class ReleasedAhead(Rule, frozen=True, kw_only=True, tag_field="check", tag="released_ahead"):
    """`released_at` later than now by more than `from_seconds` and at most `to_seconds`.

    A released instant without an offset is no instant: the rule without `to_seconds` reports it.
    """

    from_seconds: float
    to_seconds: float | None = None

    def hits(self, judged: Judged) -> Iterator[Hit]:
        released, at = judged.released_at, judged.at
        if released is None or at is None:
            return
        if released.tzinfo is None:
            if self.to_seconds is None:
                yield Hit("released_at")
            return
        ahead = released - at
        if ahead > timedelta(seconds=self.from_seconds) and (
            self.to_seconds is None or ahead <= timedelta(seconds=self.to_seconds)
        ):
            yield Hit("released_at")


class FileName(Rule, frozen=True, kw_only=True, tag_field="check", tag="file_name"):
    """A bare file name of at most `limit` bytes in UTF-8 (edxml-format 13).

    No path, no control or direction-changing character, none of `.`, `..` and `null`.
    """

    limit: int

    def hits(self, judged: Judged) -> Iterator[Hit]:
        for index, name in enumerate(judged.names):
            size = len(normal_text(name).encode("utf-8", "surrogatepass"))
            if size > self.limit or not _bare_name(name):
                yield Hit(f"files[{index}].name", (("limit", str(self.limit)),))


class FileNameOnce(Rule, frozen=True, kw_only=True, tag_field="check", tag="file_name_once"):
    """No file name twice: receivers that save by name would overwrite one with the other."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        seen: set[str] = set()
        for index, name in enumerate(judged.names):
            key = normal_text(name).casefold()
            if key in seen:
                yield Hit(f"files[{index}].name")
            seen.add(key)


class FileNamePortable(
    Rule, frozen=True, kw_only=True, tag_field="check", tag="file_name_portable"
):
    """A name that every receiver can save as it is; submissions only (readers say it of others)."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        for index, name in enumerate(judged.names if judged.at is not None else ()):
            if _bare_name(name) and _NOT_WINDOWS.fullmatch(normal_text(name)):
                yield Hit(f"files[{index}].name")


class FileEmpty(Rule, frozen=True, kw_only=True, tag_field="check", tag="file_empty"):
    """A file has at least one byte."""

    def hits(self, judged: Judged) -> Iterator[Hit]:
        for index, size in enumerate(judged.sizes):
            if not size:
                yield Hit(f"files[{index}]")


class TextRule(Rule, frozen=True, kw_only=True):
    """A rule about every text of the header, looked through only when some text is suspicious."""

    def wrong(self, value: str) -> bool:
        """Whether this text breaks the rule. A kind that says nothing finds nothing."""
        del value
        return False

    def hits(self, judged: Judged) -> Iterator[Hit]:
        if judged.plain:
            return
        for name in metadata.TEXT_FIELDS:
            for path, value in metadata.read(judged.header, name):
                if value and self.wrong(str(value)):
                    yield Hit(path)


class XmlCharacters(TextRule, frozen=True, kw_only=True, tag_field="check", tag="xml_characters"):
    """Every text of the header must be writable in XML 1.0."""

    def wrong(self, value: str) -> bool:
        return _NOT_XML.search(value) is not None


class ControlCharacters(
    TextRule, frozen=True, kw_only=True, tag_field="check", tag="control_characters"
):
    """Characters that XML could carry but no text for people holds: U+007F to U+009F."""

    def wrong(self, value: str) -> bool:
        return _CONTROL.search(value) is not None


class NullWord(TextRule, frozen=True, kw_only=True, tag_field="check", tag="null_word"):
    """The word `null` alone: receivers take it for no value (edxml-format 13)."""

    def wrong(self, value: str) -> bool:
        return value.strip() == "null"


class Secrecy(Rule, frozen=True, kw_only=True, tag_field="check", tag="secrecy"):
    """The words that mark a state secret; asked by `checks.check_secrecy`, before any file byte."""

    marks: tuple[str, ...]

    def marked(self, value: str) -> bool:
        """The whole value is one of the marks: NFC, blanks folded, without case."""
        return folded(value) in {folded(mark) for mark in self.marks}


class ValueClass(Rule, frozen=True, kw_only=True, tag_field="check", tag="legal_value"):
    """The legal value that a document has as far as it was examined (standards 9, article 4)."""

    value_class: Literal["original", "information", "invalid"]
    provisional: bool


AnyRule = (
    Required
    | HasFile
    | ReadableDate
    | NotFuture
    | NotPast
    | EmailForm
    | MaxLength
    | MaxTotal
    | Between
    | Listed
    | NamesDocument
    | ActNeeds
    | ActNeedsOne
    | OnlyInActs
    | ActOnlyWith
    | AgencyForm
    | AgencyOnce
    | ReleasedAhead
    | FileName
    | FileNameOnce
    | FileNamePortable
    | FileEmpty
    | XmlCharacters
    | ControlCharacters
    | NullWord
    | Secrecy
    | ValueClass
)


def folded(value: str) -> str:
    """For comparing words: NFC, blanks folded, trimmed, without case."""
    return unicodedata.normalize("NFC", normal_text(value).casefold())


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_set(header: DocumentHeader, flag: str) -> bool:
    return any(value == 1 for _, value in metadata.read(header, flag))


def _bare_name(name: str) -> bool:
    if normal_text(name) in ("", ".", "..", "null"):
        return False
    return not (_NAME_FORBIDDEN.search(name) or _NOT_XML.search(name))


def _plain(header: DocumentHeader) -> bool:
    """True when no text of the header can be one that a TextRule finds; False: look closely.

    JSON escapes every control character with a backslash, refuses lone surrogates, U+FFFE and
    U+FFFF begin with EF BF, U+0080 to U+009F with C2: a few passes in C instead of a search in
    fifty fields.
    """
    try:
        text = msgspec.json.encode(header)
    except (UnicodeEncodeError, msgspec.EncodeError):
        return False
    if b"\\" in text or b"\xef\xbf" in text or b"\x7f" in text or b'"null"' in text:
        return False
    return b"\xc2" not in text or _CONTROL_BYTES.search(text) is None


def _day(value: str) -> date | None:
    text = iso_date(value)
    if not _ISO_DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:  # 2014-02-30 keeps the form of a date (edxml-format 7)
        return None


def _agency(value: str) -> AgencyCode | None:
    try:
        return AgencyCode(normal_text(value))
    except Rejected:
        return None
