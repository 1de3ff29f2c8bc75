"""How one province's REST axis differs from another's, as data: a file of conf/axes.

In:     a parsed TOML table.
Out:    `RestProfile`.
Fails:  Misconfigured `conf.axis_profile`, naming the file and the key.
Never:  guesses a key that it does not know, takes a profile that does not say how sure it is.
Source: vxp-protocol 8.3.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Literal

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
    try:
        made = msgspec.convert(table, RestProfile)
    except msgspec.ValidationError as error:
        raise _wrong(name, str(error)) from None
    if not made.source.strip():
        raise _wrong(name, "source is empty")
    if "good" not in made.codes.values():
        raise _wrong(name, "codes: no code means `good`")
    if not 0 <= made.login.renew_before < made.login.lifetime:
        raise _wrong(name, "login.renew_before must be shorter than login.lifetime")
    if made.list_days < 1:
        raise _wrong(name, "list_days must be 1 or more")
    return made


def read_profile(path: Path | None = None) -> RestProfile:
    """The profile in a file; None: the one that is shipped."""
    name = str(path) if path else SHIPPED
    try:
        text = path.read_text("utf-8") if path else _shipped()
        return profile_of(tomllib.loads(text), name)
    except (OSError, ValueError) as error:
        raise _wrong(name, str(error)) from error


def _shipped() -> str:
    return resources.files("conf").joinpath(SHIPPED).read_text("utf-8")


def _wrong(name: str, detail: str) -> Misconfigured:
    return Misconfigured(
        Text(f"Hồ sơ trục {name}: {detail}", f"axis profile {name}: {detail}"),
        code="conf.axis_profile",
    )
