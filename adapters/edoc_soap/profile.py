"""How one province speaks: the contract profile, data in conf/soap/*.toml.

In:     a TOML file. A new province is a new file, not code.
Out:    a frozen `Profile`.
Fails:  Misconfigured (`conf.profile_invalid`) naming file and key; an unknown key is a mistake.
Never:  holds a credential, an address or anything else of one account.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import Misconfigured, Text

MEANINGS = ("exists", "never", "later", "credentials", "empty")
_CHOICES = {
    "soap": ("1.1", "1.2"),
    "credentials": ("body", "signature", "header"),
    "payload": ("swa", "package"),
    "parts": ("base64", "text", "binary"),
    "answers": ("text", "as_declared"),
    "framing": ("chunked", "length"),
    "security": ("none", "x509"),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """`soap`: 1.1 or 1.2. `action`: the SOAPAction, `{operation}` stands for the operation;
    `quote_action`: in quotes, as SOAP 1.1 has it. `wrapper_namespace`: of the request's wrapper
    and its children, "" for none. `credentials`: OrganId and Token in the body's child, in
    E:Signature/KeyInfo of the header, or as a header Token in `token_namespace`.
    `payload`: swa (edXML 1.0 and MIME parts) or package (QCVN 102 as base64 in one element).
    `parts`: how a part of ours holds a file: base64 that says so, base64 text that does not, or
    binary. `answers`: a part of theirs that declares no encoding and begins as base64 does is
    base64 text (text), or only where it plainly holds a file (as_declared).
    `framing`: requests chunked, or with a length that is counted first. `security`: WS-Security.
    `traces_days`: how far back GetTraces looks at first and once an hour; `traces_overlap`: seconds
    by which the others overlap. `document_type`, `priority`: where a document says none.
    `errors`: patterns of codes with their meaning; the first that fits decides.
    """

    name: str = "bkav-edoc"
    soap: str = "1.1"
    action: str = "{operation}"
    quote_action: bool = True
    wrapper_namespace: str = ""
    credentials: str = "body"
    token_namespace: str = "http://e-doc.vn/xsd"  # noqa: S105 (a namespace)
    payload: str = "swa"
    parts: str = "base64"
    answers: str = "text"
    framing: str = "chunked"
    security: str = "none"
    traces_days: int = 7
    traces_overlap: int = 3600
    document_type: str = "2"
    priority: str = "0"
    errors: tuple[tuple[str, str], ...] = (
        ("M.Exist", "exists"),
        ("Permission*", "credentials"),
        ("CheckSignature*", "credentials"),
        ("CheckPermission*", "credentials"),
        ("[NRMT].*", "never"),
    )

    def meaning(self, code: str) -> str:
        """One of MEANINGS; "" for a code that stands nowhere."""
        return next((m for p, m in self.errors if fnmatch.fnmatchcase(code, p)), "")


def load_profile(path: Path | None) -> Profile:
    """The profile in a file; without one what the only public server speaks."""
    if path is None:
        return Profile()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _wrong(path, "", str(error), str(error)) from error
    fields = {f.name: f for f in dataclasses.fields(Profile)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            raise _wrong(path, key, "không có khóa này", "there is no such key")
        if key == "errors":
            values[key] = _errors(path, value)
            continue
        wanted: type[object] = type(fields[key].default)
        if type(value) is not wanted or (isinstance(value, int) and value < 0):
            raise _wrong(path, key, f"phải là {wanted.__name__}", f"must be a {wanted.__name__}")
        if key in _CHOICES and value not in _CHOICES[key]:
            words = ", ".join(_CHOICES[key])
            raise _wrong(path, key, f"phải là một trong: {words}", f"must be one of: {words}")
        values[key] = value
    if "{operation}" not in values.get("action", "{operation}"):
        raise _wrong(path, "action", "thiếu {operation}", "lacks {operation}")
    if values.get("security") == "x509" and values.get("payload") == "package":
        vi = "không ký được thân chứa cả gói tin: dùng payload = swa"
        raise _wrong(path, "security", vi, "a body that holds a whole package is not signed: swa")
    return Profile(**values)


def _errors(path: Path, value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or set(value.values()) - set(MEANINGS):
        words = ", ".join(MEANINGS)
        vi = f"phải là bảng mẫu mã = nghĩa ({words})"
        raise _wrong(path, "errors", vi, f"must be a table of code pattern = meaning ({words})")
    return tuple((str(pattern), str(meaning)) for pattern, meaning in value.items())


def _wrong(path: Path, key: str, vi: str, en: str) -> Misconfigured:
    return Misconfigured(
        Text(f"Hồ sơ trục {path}, khóa {key}: {vi}", f"axis profile {path}, key {key}: {en}"),
        code="conf.profile_invalid",
    )
