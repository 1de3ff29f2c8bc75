"""The edXML package as values: header, business act, status report, attachments, signature.

Field meanings and cardinalities: edxml-format 2, 3, 6, 14. Raw text is kept as it came (trimmed);
what could not be read as a date or number stays text and becomes a finding of the reader.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum, StrEnum

from gateway.c14n import JsonValue, canonical_json
from gateway.model.trust import CertificateTrust

NS_QCVN102 = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
NS_EDXML1 = "http://www.e-doc.vn/Schema/"
NS_SOAP = frozenset(
    {"http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"}
)
NS_DSIG = "http://www.w3.org/2000/09/xmldsig#"


class PackageKind(StrEnum):
    """What VXP calls `messagetype`: a document (`edoc`) or a status report."""

    DOCUMENT = "document"
    STATUS = "status"


class BusinessType(IntEnum):
    """BussinessDocType: văn bản mới, thu hồi, cập nhật, thay thế (edxml-format 6)."""

    NEW = 0
    RECALL = 1
    UPDATE = 2
    REPLACE = 3


STATUS_CODES = ("01", "02", "03", "04", "05", "06", "13", "15", "16")


@dataclass(frozen=True, slots=True)
class Organ:
    organ_id: str = ""
    name: str = ""
    in_charge: str = ""
    address: str = ""
    email: str = ""
    telephone: str = ""
    fax: str = ""
    website: str = ""


@dataclass(frozen=True, slots=True)
class DocumentCode:
    number: str = ""
    notation: str = ""


@dataclass(frozen=True, slots=True)
class Promulgation:
    """`date` is ISO `yyyy-MM-dd` when it could be read, else the text as it came."""

    place: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class DocumentType:
    type: int | None = None
    type_detail: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Signer:
    competence: str = ""
    position: str = ""
    full_name: str = ""


@dataclass(frozen=True, slots=True)
class OtherInfo:
    priority: int | None = None
    sphere: str = ""
    typer_notation: str = ""
    copies: int | None = None
    pages: int | None = None
    reply_fors: str = ""
    direction: bool | None = None
    reference_codes: str = ""
    appendixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseFor:
    organ_id: str = ""
    code: str = ""
    document_id: str = ""
    promulgation_date: str = ""


@dataclass(frozen=True, slots=True)
class Staff:
    department: str = ""
    department_id: str = ""
    name: str = ""
    staff_id: str = ""
    email: str = ""
    mobile: str = ""


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """One hop. `timestamp` is the text as written, Vietnam time without a zone (2.4, 8)."""

    organ_id: str = ""
    timestamp: str = ""


@dataclass(frozen=True, slots=True)
class ReceiverChange:
    """Type 2: `change` 0 = receiver removed, 1 = added (edxml-format 6)."""

    organ_id: str
    change: int


@dataclass(frozen=True, slots=True)
class Replacement:
    """Type 3: one replaced document and the receivers concerned."""

    document_id: str
    organ_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Business:
    """The `Bussiness` group (sic). Absent in the package = type 0."""

    type: int = 0
    document_id: str = ""
    reason: str = ""
    paper: int | None = None
    document_changed: int | None = None
    receivers_changed: int | None = None
    receivers: tuple[ReceiverChange, ...] = ()
    replaces: tuple[Replacement, ...] = ()
    staff: tuple[Staff, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentHeader:
    sender: Organ
    to: tuple[Organ, ...]
    document_id: str
    code: DocumentCode = DocumentCode()
    promulgation: Promulgation = Promulgation()
    document_type: DocumentType = DocumentType()
    subject: str = ""
    content: str = ""
    signer: Signer = Signer()
    due_date: str = ""
    other: OtherInfo = OtherInfo()
    response_for: tuple[ResponseFor, ...] = ()
    steering_type: int | None = None
    task_codes: tuple[str, ...] = ()
    application_type: str = ""
    to_places: tuple[str, ...] = ()
    business: Business = Business()
    traces: tuple[TraceHeader, ...] = ()
    trace_id: str = ""
    trace_version: str = ""
    paper: int | None = None

    def about(self) -> tuple[str, ...]:
        """Ids of the earlier documents this act names, wherever it names them; () for type 0."""
        business = self.business
        if business.type == BusinessType.NEW:
            return ()
        named = [r.document_id for r in self.response_for]
        named.append(business.document_id)
        named.extend(r.document_id for r in business.replaces)
        return tuple(sorted({d for d in named if d}, key=lambda s: s.encode()))


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A status package (gói tin trạng thái): addressee = `response_for.organ_id` (3)."""

    sender: Organ
    response_for: ResponseFor
    code: str
    timestamp: str
    description: str = ""
    staff: Staff = Staff()


_LEADING_CID = re.compile(r"\A(?:cid:)+", re.IGNORECASE)


def bare_cid(content_id: str) -> str:
    """A content id, or a URI that names one, without any leading `cid:`.

    Each rebuild by the vendor adds one (edxml-format 5); a scheme is read in any letter case
    (RFC 3986, 3.1).
    """
    return _LEADING_CID.sub("", content_id.strip())


@dataclass(frozen=True, slots=True)
class FileFact:
    """One attachment as it really is. Digests are lower-case hex SHA-256, sizes in bytes.

    `sha256`/`size`: the inner file after the reader's unwrapping rule (edxml-format 4).
    `carried_sha256`/`carried_size`: the bytes inside the base64. Equal when not `unwrapped`.
    `failed`: the base64 could not be decoded, or a limit was passed; then the digests are empty.
    `encrypted`: "" | xmlenc | cms | ooxml | pdf | zip, what the inner file is seen to be; "" does
    not say that it is readable (gateway/packing/ciphertext.py).
    """

    name: str
    size: int
    sha256: str
    carried_size: int
    carried_sha256: str
    unwrapped: bool
    declared_name: str
    declared_type: str = ""
    actual_type: str = ""
    content_id: str = ""
    description: str = ""
    failed: bool = False
    encrypted: str = ""


@dataclass(frozen=True, slots=True)
class SignatureReference:
    """One Reference of SignedInfo, values trimmed.

    `parameters`: a transform has elements of its own, such as a list of prefixes. `absent`: there
    is no attribute URI at all, which is not the same as `URI=""`.
    """

    uri: str
    digest_method: str
    digest_value: str
    transforms: tuple[str, ...] = ()
    parameters: bool = False
    absent: bool = False


@dataclass(frozen=True, slots=True)
class SignatureBlock:
    """A `Signature` element as read, values trimmed, nothing verified yet.

    `signed_info_exclusive` / `_inclusive`: canonical bytes of SignedInfo as carried (empty when
    they could not be made); the normal form is rebuilt from the values (edxml-format 9.4).
    """

    in_dsig_namespace: bool
    canonicalization: str
    signature_method: str
    references: tuple[SignatureReference, ...]
    signature_value: str
    certificates: tuple[str, ...] = ()
    subject_name: str = ""
    signed_info_exclusive: bytes = b""
    signed_info_inclusive: bytes = b""


@dataclass(frozen=True, slots=True)
class Extra:
    """An element or attribute we do not know: kept with its path, never acted on."""

    path: str
    value: str


class Trust(StrEnum):
    """Verdict on one reference or on a whole side (header, files) of a signature.

    `not_verifiable`: the bytes that were signed are not there any more, as after an axis that
    wrote the package anew (edxml-format 9.4); `not_checked`: a form that is not judged here.
    """

    VALID = "valid"
    FALSE = "false"
    WEAK = "weak"
    NOT_VERIFIABLE = "not_verifiable"
    NOT_CHECKED = "not_checked"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ReferenceVerdict:
    """`matched`: the bytes that have this digest (header | carried | inner | whole).

    It is said whatever the verdict is. `why`: the code of the finding that goes with it, or "".
    """

    uri: str
    verdict: Trust
    matched: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    """`value`: the signature value over SignedInfo. `header`, `files`: what it really covers.

    `profile`: relay | enveloped | other | none. `summary()` is what `inspect` prints.
    `trust`: of the certificate, judged apart; None: there is none, or nobody judged it.
    """

    profile: str
    value: Trust
    header: Trust
    files: Trust
    references: tuple[ReferenceVerdict, ...] = ()
    certificate: dict[str, str] = field(default_factory=dict)
    algorithm: str = ""
    trust: CertificateTrust | None = None

    def certificate_json(self) -> dict[str, JsonValue]:
        """The facts of the certificate, with what is known of its trust in their midst."""
        return {**self.certificate, **(self.trust.as_json() if self.trust else {})}

    def summary(self) -> str:
        if self.profile == "none":
            return "none"
        if Trust.FALSE in (self.value, self.header, self.files):
            return "false"
        if self.value is not Trust.VALID:
            return self.value.value
        if self.header is Trust.VALID and self.files is Trust.VALID:
            return "valid"
        if self.files is Trust.VALID:
            return "files_only"
        if self.header is Trust.VALID:
            return "header_only"
        for verdict in (Trust.WEAK, Trust.NOT_VERIFIABLE):
            if verdict in (self.header, self.files):
                return verdict.value
        return "not_checked"


@dataclass(frozen=True, slots=True)
class ReadyPackage:
    """A written package: the only thing a transfer can be made of. Immutable, by digest."""

    kind: PackageKind
    sha256: str
    size: int


def normal_text(value: str) -> str:
    """Text for comparing: NFC, U+00A0 and runs of white space become one blank, trimmed."""
    return " ".join(unicodedata.normalize("NFC", value).split())


_DATES = (
    (re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?:[ T].*)?"), (1, 2, 3)),
    (re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})(?:[ T].*)?"), (3, 2, 1)),
)


def iso_date(value: str) -> str:
    """`yyyy-MM-dd` from any form edxml-format 8 accepts; the trimmed text when it is no date."""
    text = value.strip()
    for pattern, order in _DATES:
        match = pattern.fullmatch(text)
        if match:
            year, month, day = (int(match.group(i)) for i in order)
            try:
                return date(year, month, day).isoformat()
            except ValueError:
                return text
    return text


def _text(value: str) -> str:
    cleaned = normal_text(value)
    return "" if cleaned == "null" else cleaned


def _sorted(values: Iterable[str]) -> list[str]:
    return sorted(set(values) - {""}, key=lambda v: v.encode())


def _ids(values: Iterable[str]) -> list[str]:
    return _sorted(_text(v).upper() for v in values)


def identity_object(
    header: DocumentHeader, files: Iterable[tuple[str, str]]
) -> dict[str, JsonValue]:
    """Identity object v1 (contract 4). `files`: (declared name, inner SHA-256 hex) pairs."""
    business = header.business
    acts = business.type != BusinessType.NEW
    replaced: dict[str, set[str]] = {}
    for item in business.replaces if acts else ():
        replaced.setdefault(_text(item.document_id), set()).update(_ids(item.organ_ids))
    changes = {(_text(r.organ_id).upper(), r.change) for r in business.receivers if acts}
    return {
        "v": 1,
        "from": _text(header.sender.organ_id).upper(),
        "document_id": _text(header.document_id),
        "business": {
            "type": int(business.type),
            "about": _sorted(_text(d) for d in header.about()),
            "receivers": [[o, c] for o, c in sorted(changes, key=lambda p: (p[0].encode(), p[1]))],
            "replaces": [
                [d, _sorted(replaced[d])] for d in sorted(replaced, key=lambda d: d.encode())
            ],
            "reason": _text(business.reason) if acts else "",
        },
        "code": {"number": _text(header.code.number), "notation": _text(header.code.notation)},
        "date": iso_date(_text(header.promulgation.date)),
        "subject": _text(header.subject),
        "files": [
            [name, digest]
            for name, digest in sorted(
                ((_text(n), d) for n, d in files), key=lambda p: (p[0].encode(), p[1].encode())
            )
        ],
    }


def identity(header: DocumentHeader, files: Iterable[tuple[str, str]]) -> str:
    """Hex SHA-256 over the identity object: the same document whatever road it came by."""
    return hashlib.sha256(canonical_json(identity_object(header, files))).hexdigest()


def header_digest(header: DocumentHeader, files: Iterable[tuple[str, str]]) -> bytes:
    """SHA-256 that the reference `cid:edxml-header` carries: the identity object plus `to`."""
    covered = identity_object(header, files)
    covered["to"] = _ids(o.organ_id for o in header.to)
    return hashlib.sha256(canonical_json(covered)).digest()


def status_identity(report: StatusReport) -> str:
    """Identity of a status (architecture 4): one report counts once, 05 and 05 later are two."""
    description = hashlib.sha256(_text(report.description).encode()).hexdigest()
    return hashlib.sha256(
        canonical_json(
            [
                "status",
                _text(report.sender.organ_id).upper(),
                _text(report.response_for.organ_id).upper(),
                _text(report.response_for.document_id),
                _text(report.response_for.code),
                _text(report.code),
                _text(report.timestamp),
                description,
            ]
        )
    ).hexdigest()
