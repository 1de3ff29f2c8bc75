"""How one province speaks: the contract profile, data in conf/soap/*.toml.

In:     a TOML file. A new province is a new file, not code.
Out:    a frozen `Profile`.
Fails:  Misconfigured (`conf.profile_invalid`) naming the file and every key that is wrong; an
        unknown key is a mistake. `conf check` names them with their lines (`profile_mistakes`).
Never:  holds a credential, an address or anything else of one account.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import tomllib
from collections.abc import Iterator, Mapping, Sequence
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
    `framing`: requests chunked, or with a length that is counted first. `security`: WS-Security of
    requests; `verify_answers`: no answer is believed that the axis did not sign.
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
    verify_answers: bool = False
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
        raise _wrong(path, [("", Text(str(error), str(error)))]) from error
    if mistakes := list(profile_mistakes(table)):
        raise _wrong(path, mistakes)
    errors = table.get("errors")
    if errors is not None:
        table["errors"] = tuple((str(pattern), str(word)) for pattern, word in errors.items())
    return Profile(**table)


def profile_mistakes(table: Mapping[str, Any]) -> Iterator[tuple[str, Text]]:
    """Every mistake of a file's table: its key, and what is wrong."""
    fields = {f.name: f for f in dataclasses.fields(Profile)}
    for key, value in table.items():
        if key not in fields:
            yield key, Text("không có khóa này", "there is no such key")
            continue
        if key == "errors":
            if not isinstance(value, dict) or not all(m in MEANINGS for m in value.values()):
                words = ", ".join(MEANINGS)
                vi = f"phải là bảng mẫu mã = nghĩa ({words})"
                yield key, Text(vi, f"must be a table of code pattern = meaning ({words})")
            continue
        wanted: type[object] = type(fields[key].default)
        if type(value) is not wanted or (isinstance(value, int) and value < 0):
            yield key, Text(f"phải là {wanted.__name__}", f"must be a {wanted.__name__}")
        elif key in _CHOICES and value not in _CHOICES[key]:
            words = ", ".join(_CHOICES[key])
            yield key, Text(f"phải là một trong: {words}", f"must be one of: {words}")
    if "{operation}" not in str(table.get("action", "{operation}")):
        yield "action", Text("thiếu {operation}", "lacks {operation}")
    if table.get("security") == "x509" and table.get("payload") == "package":
        vi = "không ký được thân chứa cả gói tin: dùng payload = swa"
        en = "a body that holds a whole package is not signed: swa"
        yield "security", Text(vi, en)
    if table.get("verify_answers") is True and table.get("payload") == "package":
        vi = "không kiểm được chữ ký của thân chứa cả gói tin: dùng payload = swa"
        en = "the signature of a body that holds a whole package cannot be verified: swa"
        yield "verify_answers", Text(vi, en)


def _wrong(path: Path, mistakes: Sequence[tuple[str, Text]]) -> Misconfigured:
    vi = "; ".join(f"khóa {key}: {text.vi}" for key, text in mistakes)
    en = "; ".join(f"key {key}: {text.en}" for key, text in mistakes)
    return Misconfigured(
        Text(f"Hồ sơ trục {path}, {vi}", f"axis profile {path}, {en}"), code="conf.profile_invalid"
    )
