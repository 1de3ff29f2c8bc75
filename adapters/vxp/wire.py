"""The VXP wire: header parameters, their signature, the file hash, answers. Pure.

In: parameters and a time, or the headers and bytes that came. Out: headers, values, answers.
A request that may not be served raises `Rejected` or `Unauthenticated`; a body that is no
protocol answer is None, never an empty answer. Never reads a clock, a socket or a file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from gateway.errors import Rejected, Text, Unauthenticated
from gateway.model.package import PackageKind

PREFIX = "XroadVnpt-"
PROTOCOL_VERSION = "3.0.201608"
USER_AGENT = "JAVASDKAgent/1.0.0 XRoad/VPCP"  # a constant of the protocol (vxp-protocol 2.2)
JSON_TYPE = "application/json"
FILE_TYPE = "application/octet-stream"
FILE_PATH = "xml"  # the SDK leaks the client's local folder here; a constant does (6)
SUCCESS = "0"
DONE = "done"

_TIMEZONE = ZoneInfo("Asia/Ho_Chi_Minh")
_HEADER_SAFE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_SIGNED_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Operation(StrEnum):
    SEND = "sendEdoc"
    RECEIVED_LIST = "getReceivedEdocList"
    SENT_LIST = "getSentEdocList"
    GET = "getEdoc"
    DOWNLOAD = "downloadEdoc"
    UPDATE_STATUS = "updateStatus"
    COUNT_DOCUMENTS = "countReceiveEdoc"
    COUNT_STATUSES = "countReceiveStatus"
    AGENCIES = "getAgenciesList"
    AGENCIES_QD20 = "getAgenciesListQD20"
    UNITS = "getSynchronizeUnit"
    REGISTER_AGENCY = "registerAgency"
    DELETE_AGENCY = "deleteAgency"


_PLAIN = ("systemid", "timestamp", "Content-Type")
_FETCH = ("systemid", "docId", "filePath", "timestamp", "Content-Type")
# The SDK's order of the signed parameters: an axis that rebuilds the string from the key list
# gets the same bytes (vxp-protocol 2.4). Optional parameters stand where the SDK puts them.
ORDER: Mapping[Operation, tuple[str, ...]] = MappingProxyType(
    {
        Operation.SEND: (
            "systemid",
            "servicetype",
            "messagetype",
            "hash-file",
            "from",
            "to",
            "timestamp",
            "Content-Type",
        ),
        Operation.RECEIVED_LIST: (
            "systemid",
            "servicetype",
            "messagetype",
            "timestamp",
            "Content-Type",
        ),
        Operation.SENT_LIST: (
            "systemid",
            "servicetype",
            "messagetype",
            "docId",
            "timestamp",
            "Content-Type",
        ),
        Operation.GET: _FETCH,
        Operation.DOWNLOAD: _FETCH,
        Operation.UPDATE_STATUS: (
            "systemid",
            "docId",
            "timestamp",
            "Content-Type",
            "status",
            "description",
        ),
        Operation.COUNT_DOCUMENTS: _PLAIN,
        Operation.COUNT_STATUSES: _PLAIN,
        Operation.AGENCIES: _PLAIN,
        Operation.AGENCIES_QD20: ("systemid", "level", "timestamp", "Content-Type"),
        Operation.UNITS: _PLAIN,
        Operation.REGISTER_AGENCY: _PLAIN,
        Operation.DELETE_AGENCY: ("systemid", "AgencyCode", "timestamp", "Content-Type"),
    }
)
# filePath is read by nobody on a server, so a server does not ask that it be signed.
_UNUSED_BY_SERVERS = frozenset({"filepath"})

MESSAGE_TYPE: Mapping[PackageKind, str] = MappingProxyType(
    {PackageKind.DOCUMENT: "edoc", PackageKind.STATUS: "status"}
)


def kind_of(message_type: str) -> PackageKind | None:
    """`edoc` or `status`, any case; None for another word."""
    word = message_type.strip().lower()
    return next((kind for kind, name in MESSAGE_TYPE.items() if name == word), None)


def timestamp(now: datetime) -> str:
    """`ddMMyyyy'T'HHmmss+SSSS` in Vietnam time; the last four digits are milliseconds (2.3)."""
    local = now.astimezone(_TIMEZONE)
    return f"{local:%d%m%YT%H%M%S}+{local.microsecond // 1000:04d}"


def header_safe(value: str) -> bool:
    """Printable ASCII without blanks at the ends: the only values that arrive unchanged (2.6)."""
    return _HEADER_SAFE.fullmatch(value) is not None


def sign_header(pairs: Iterable[tuple[str, str]]) -> str:
    """The JSON text that is signed: prefixed names, compact, only `"`, `\\`, controls escaped."""
    # the encoder escapes exactly what the SDK's writer escapes, and leaves < > & = ' alone (2.4)
    named = {PREFIX + name: value for name, value in pairs}
    return _SIGNED_JSON.encode(named)


def hash_header(secret: str, signed: bytes) -> str:
    """HMAC-SHA256, lower-case hex; the key is the secret's UTF-8 bytes, never decoded (2.4)."""
    return hmac.digest(secret.encode(), signed, hashlib.sha256).hex()


def unpadded_hex(sha256: str) -> str:
    """The SDK's hex of a digest: byte 0x05 is written `5` (2.5). In: 64 hex digits."""
    return "".join(f"{byte:x}" for byte in bytes.fromhex(sha256))


def same_file_hash(claimed: str, sha256: str) -> bool:
    """Whether `hash-file` names this digest, in either form and any case (2.5)."""
    written = claimed.strip().lower()
    return written in {sha256.lower(), unpadded_hex(sha256)}


def request_headers(
    operation: Operation,
    parameters: Mapping[str, str],
    *,
    system_id: str,
    secret: str,
    now: datetime,
    user_agent: str = USER_AGENT,
) -> dict[str, str]:
    """Every header of one call but what HTTP itself adds, in the SDK's spelling and order.

    `parameters`: names of `ORDER[operation]` without those made here; one left out is not sent.
    ValueError when a name is not of this operation or a value is not printable ASCII.
    """
    content_type = FILE_TYPE if operation is Operation.SEND else JSON_TYPE
    made = {"systemid": system_id, "timestamp": timestamp(now), "Content-Type": content_type}
    values = {**parameters, **made}
    order = ORDER[operation]
    if not values.keys() <= set(order):
        raise ValueError(f"not a parameter of {operation}: {sorted(set(values) - set(order))}")
    if not all(header_safe(value) for value in values.values()):
        raise ValueError(f"a parameter of {operation} is not printable ASCII")
    pairs = [(name, values[name]) for name in order if name in values]
    signed = sign_header(pairs)
    headers = {PREFIX + name: value for name, value in pairs}
    headers["Content-Type"] = content_type
    headers[PREFIX + "sign-header-key"] = ";".join(name for name, _ in pairs)
    headers[PREFIX + "sign-header"] = signed
    headers[PREFIX + "hash-header"] = hash_header(secret, signed.encode())
    headers["User-Agent"] = user_agent
    headers[PREFIX + "version"] = PROTOCOL_VERSION
    return headers


# --- the other side: a request that came ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Received:
    """The protocol's headers of a request, names in lower case without prefix.

    `conflicting`: names that came twice with different values (`docid` and `docId`, section 6).
    `signed`: the exact bytes of `sign-header`; the signature is over them and nothing else.
    """

    parameters: Mapping[str, str]
    conflicting: frozenset[str]
    signed: bytes

    def get(self, name: str) -> str:
        """The value, "" when it did not come."""
        return self.parameters.get(name.lower(), "")


def decode_header(value: bytes) -> str:
    """UTF-8, else latin-1: what peers put into headers (2.6)."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def received(raw_headers: Iterable[tuple[bytes, bytes]]) -> Received:
    """The protocol's part of a request's headers, as they came from the socket."""
    prefix = PREFIX.lower().encode()
    parameters: dict[str, str] = {}
    conflicting = set()
    signed = b""
    for raw_name, raw_value in raw_headers:
        name = raw_name.lower()
        if not name.startswith(prefix):
            continue
        short = name[len(prefix) :].decode("latin-1")
        value = decode_header(raw_value)
        if parameters.setdefault(short, value) != value:
            conflicting.add(short)
        if short == "sign-header":
            signed = raw_value
    return Received(MappingProxyType(parameters), frozenset(conflicting), signed)


def check_request(request: Received, operation: Operation, secret: str) -> None:
    """Refuse a request whose signature does not cover what the operation uses (2.4, section 6).

    Parameters of other operations are ignored, signed or not: the SDK repeats old ones.
    Raises Unauthenticated `vxp.signature`, Rejected `vxp.conflict` or `vxp.unsigned`.
    """
    made = hash_header(secret, request.signed)
    claimed = request.get("hash-header").strip().lower()
    if not request.signed or not hmac.compare_digest(made.encode(), claimed.encode()):
        raise _unauthenticated("chữ ký HMAC không khớp", "the header signature does not match")
    used = {name.lower() for name in ORDER[operation]} - _UNUSED_BY_SERVERS
    own = {"sign-header", "hash-header", "sign-header-key"}
    clashing = sorted((used | own) & request.conflicting)
    if clashing:
        name = clashing[0]
        raise Rejected(
            Text(
                f"Tham số {name} có hai giá trị khác nhau",
                f"parameter {name} came with two different values",
            ),
            code="vxp.conflict",
        )
    covered = _signed_values(request.signed)
    keys = request.get("sign-header-key").lower().split(";")
    if not {key.strip() for key in keys if key.strip()} <= covered.keys():
        raise _unauthenticated(
            "sign-header-key nêu tham số không được ký", "sign-header-key names what is not signed"
        )
    mandatory = {"systemid", "timestamp", "content-type"}
    for name in sorted((used & request.parameters.keys()) | mandatory):
        if name not in covered:
            raise Rejected(
                Text(f"Tham số {name} không được ký", f"parameter {name} is not signed"),
                code="vxp.unsigned",
            )
        if request.parameters.get(name) not in covered[name]:
            raise _unauthenticated(
                f"tham số {name} khác giá trị đã ký",
                f"parameter {name} differs from what is signed",
            )


def _signed_values(signed: bytes) -> dict[str, set[str]]:
    """Lower-case names of the signed JSON with their values (one name may stand twice)."""
    try:
        pairs = json.loads(decode_header(signed), object_pairs_hook=list)
    except (ValueError, RecursionError):
        pairs = None
    if not isinstance(pairs, list):
        raise _unauthenticated("sign-header không phải JSON", "sign-header is not a JSON object")
    prefix = PREFIX.lower()
    values: dict[str, set[str]] = {}
    for pair in pairs:
        match pair:
            case (str(name), str(value)) if name.lower().startswith(prefix):
                values.setdefault(name[len(prefix) :].lower(), set()).add(value)
            case _:
                raise _unauthenticated(
                    "sign-header có mục không hợp lệ", "sign-header has an entry that is no header"
                )
    return values


def _unauthenticated(vi: str, en: str) -> Unauthenticated:
    return Unauthenticated(
        Text(f"Xác thực VXP thất bại: {vi}", f"VXP authentication failed: {en}"),
        code="vxp.signature",
    )


# --- answers -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """A protocol answer. `code` is ErrorCode as text and alone decides (4.1); "" = absent text."""

    code: str
    description: str = ""
    doc_id: str = ""

    @property
    def ok(self) -> bool:
        return self.code == SUCCESS


def parse_answer(body: bytes) -> Answer | None:
    """The answer in `body`; None when it is no JSON object with an ErrorCode.

    Tolerates a byte order mark, bytes that are not UTF-8, numbers for strings, null fields.
    """
    try:
        fields = json.loads(body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return answer_of(fields) if isinstance(fields, dict) else None


def answer_of(fields: Mapping[str, object]) -> Answer | None:
    """The common fields (4.1), names with their exact case; None without an ErrorCode."""
    code = text_of(fields.get("ErrorCode"))
    if not code:
        return None
    return Answer(code, text_of(fields.get("ErrorDesc")), text_of(fields.get("DocId")))


def text_of(value: object) -> str:
    """A field's text: strings trimmed, numbers and booleans as text, anything else ""."""
    match value:
        case str():
            return value.strip()
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return ""


def render_answer(
    code: str = SUCCESS,
    description: str = "Success",
    doc_id: str = "",
    extra: Mapping[str, object] = MappingProxyType({}),
) -> bytes:
    """An answer every known client reads: ASCII only, all common fields, none null (4.3)."""
    fields = {
        "status": "OK" if code == SUCCESS else "FAIL",
        "ErrorCode": code,
        "ErrorDesc": description,
        "DocId": doc_id,
        **extra,
    }
    return json.dumps(fields, separators=(",", ":")).encode("ascii")
