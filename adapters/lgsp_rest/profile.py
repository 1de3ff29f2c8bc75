"""How one province's REST axis differs from another's, as data: a file of conf/axes.

In:     a parsed TOML table.
Out:    `RestProfile`.
Fails:  Misconfigured `conf.profile_invalid`, naming the file and every key that is wrong;
        `conf check` names them with their lines (`profile_mistakes`).
Never:  guesses a key that it does not know, takes a profile that does not say how sure it is.
Source: vxp-protocol 8.3.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway.errors import Misconfigured, Text

SHIPPED = "axes/rest-v1.toml"
Meaning = Literal["good", "never", "later", "account"]


class Paths(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Below the endpoint, without a leading slash."""

    login: str
    send: str
    list: str
    get: str
    status: str
    agencies: str


class Login(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the login asks for besides user name and password, and how long a token lives.

    `lifetime`, `renew_before`: seconds; a token is renewed so long before its end.
    """

    query: Mapping[str, str] = {}
    fields: Mapping[str, str | bool | None] = {}
    nulls: tuple[str, ...] = ()
    lifetime: float = 1800.0
    renew_before: float = 300.0


class Words(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Their words: kinds of message, the status that acknowledges, headers of the account."""

    document: str = "edoc"
    status: str = "status"
    done: str = "done"
    system_header: str = "X-SystemId"
    secret_header: str = "X-SecretKey"  # noqa: S105 - the name of a header
    file_field: str = "edocFile"
    file_type: str = "application/xml"


class RestProfile(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`dated`, `source`, `sure`: when, from what and how well it is known.

    `sure`: `observed` on the wire, `read` in their code or manual, `reported` by others.
    `codes`: their error code -> what it means for a package: `good`, `never` (refused), `later`,
    `account` (later, and a person should look: it is our registration). Any other code is unlisted.
    `list_days`: how far back the list of waiting packages is asked for.
    """

    dated: date
    source: str
    sure: Literal["observed", "read", "reported"]
    paths: Paths
    login: Login = Login()
    words: Words = Words()
    codes: Mapping[str, Meaning]
    list_days: int = 31


def profile_of(table: object, name: str) -> RestProfile:
    """`table`: a parsed file; `name`: how it is called in mistakes."""
    if not isinstance(table, dict):
        raise _wrong(name, [("", Text("không phải bảng TOML", "is no table"))])
    if mistakes := list(profile_mistakes(table)):
        raise _wrong(name, mistakes)
    return msgspec.convert(table, RestProfile)


def profile_mistakes(table: Mapping[str, Any]) -> Iterator[tuple[str, Text]]:
    """Every mistake of a file's table: its key (`login.lifetime`), and what is wrong."""
    found = list(_misfits(table, RestProfile, ""))
    yield from found
    if found:
        return
    made = msgspec.convert(table, RestProfile)
    if not made.source.strip():
        yield "source", Text("để trống", "is empty")
    if "good" not in made.codes.values():
        yield "codes", Text("không mã nào nghĩa là good", "no code means `good`")
    if not 0 <= made.login.renew_before < made.login.lifetime:
        vi, en = "phải ngắn hơn login.lifetime", "must be shorter than login.lifetime"
        yield "login.renew_before", Text(vi, en)
    if made.list_days < 1:
        yield "list_days", Text("phải từ 1 trở lên", "must be 1 or more")


def _misfits(
    table: Mapping[str, Any], kind: type[msgspec.Struct], above: str
) -> Iterator[tuple[str, Text]]:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name in table:
        if name not in fields:
            yield f"{above}{name}", Text("không có khóa này", "there is no such key")
    for name, field in fields.items():
        key, inner = f"{above}{name}", field.type
        if name not in table:
            if field.required:
                yield key, Text("còn thiếu", "is missing")
        elif isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            if isinstance(table[name], dict):
                yield from _misfits(table[name], inner, f"{key}.")
            else:
                yield key, Text("phải là một bảng", "must be a table")
        else:
            try:
                msgspec.convert(table[name], inner)
            except msgspec.ValidationError as error:
                yield key, Text(f"giá trị không hợp lệ: {error}", f"wrong value: {error}")


def read_profile(path: Path | None = None) -> RestProfile:
    """The profile in a file; None: the one that is shipped."""
    name = str(path) if path else SHIPPED
    try:
        text = path.read_text("utf-8") if path else _shipped()
        return profile_of(tomllib.loads(text), name)
    except (OSError, ValueError) as error:
        raise _wrong(name, [("", Text(str(error), str(error)))]) from error


def _shipped() -> str:
    return resources.files("conf").joinpath(SHIPPED).read_text("utf-8")


def _wrong(name: str, mistakes: Sequence[tuple[str, Text]]) -> Misconfigured:
    vi = "; ".join(f"{key}: {text.vi}" for key, text in mistakes)
    en = "; ".join(f"{key}: {text.en}" for key, text in mistakes)
    return Misconfigured(
        Text(f"Hồ sơ trục {name}: {vi}", f"axis profile {name}: {en}"), code="conf.profile_invalid"
    )
