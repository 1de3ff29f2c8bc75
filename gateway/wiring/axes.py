"""The axes of gateway.toml: which adapter speaks for each, and with which account.

In:     the settings and one `[[axis]]`, its files.
Out:    an Axis of that kind; no connection is opened.
Fails:  Misconfigured: a profile, a key or a certificate that cannot be used, by its file.
Never:  keeps a secret anywhere but in the adapter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypedDict

from adapters.edoc_soap.axis import SoapAxis
from adapters.edoc_soap.profile import load_profile
from adapters.edoc_soap.profile import profile_mistakes as soap_mistakes
from adapters.edoc_soap.settings import SoapSettings
from adapters.keys.private import read_private, read_public
from adapters.lgsp_rest.axis import RestAxis, RestSettings
from adapters.lgsp_rest.profile import profile_mistakes as rest_mistakes
from adapters.lgsp_rest.profile import read_profile
from adapters.vxp.axis import VxpAxis
from adapters.vxp.settings import VxpSettings
from gateway.config import AxisSection, Settings, axes_in, check_file
from gateway.errors import Finding
from gateway.ports import Axis, Clock
from gateway.wiring.blobs import secret_of


def make_axis(settings: Settings, one: AxisSection, clock: Clock) -> Axis:
    """The client of one account, by the axis' `kind`."""
    if one.kind == "edoc_soap":
        return SoapAxis(soap_settings(settings, one), clock)
    if one.kind == "lgsp_rest":
        return RestAxis(rest_settings(settings, one), clock)
    return VxpAxis(vxp_settings(settings, one), clock)


def check_profiles(path: str | Path) -> tuple[Finding, ...]:
    """What is wrong inside the profiles that the axes name: file, line and key of each mistake.

    `path`: the configuration. A file that is not there is `config.check`'s to name.
    """
    judges = {
        "edoc_soap": (soap_mistakes, "conf/soap/bkav-edoc.toml"),
        "lgsp_rest": (rest_mistakes, "conf/axes/rest-v1.toml"),
    }
    found: dict[Path, tuple[Finding, ...]] = {}
    for one in axes_in(path):
        judge = judges.get(one.kind)
        if judge is not None and one.profile is not None and one.profile.is_file():
            found.setdefault(one.profile, check_file(one.profile, *judge))
    return tuple(finding for findings in found.values() for finding in findings)


class _Shared(TypedDict):
    """What the settings of every axis have."""

    name: str
    endpoint: str
    connect_timeout: float
    max_connections: int
    keepalive: float
    retry_codes: tuple[str, ...]
    never_codes: tuple[str, ...]
    repeat: Literal["again", "never"]
    ca_file: str
    allow_http: bool
    max_package_bytes: int


def _shared(settings: Settings, one: AxisSection) -> _Shared:
    return {
        "name": one.name,
        "endpoint": one.endpoint,
        "connect_timeout": one.connect_timeout,
        "max_connections": one.max_connections,
        "keepalive": one.keepalive,
        "retry_codes": one.retry,
        "never_codes": one.never,
        "repeat": one.repeat,
        "ca_file": str(one.ca_file or ""),
        "allow_http": bool(one.allow_http),
        "max_package_bytes": settings.limits.package_bytes,
    }


def vxp_settings(settings: Settings, one: AxisSection) -> VxpSettings:
    """The axis' account; its secret comes sealed under the master key, or from a file of 0600."""
    return VxpSettings(
        system_id=one.system_id,
        secret=secret_of(settings, one, f"axis/{one.name}"),
        service_type=one.service_type,
        hash_form=one.hash_form,
        unknown_codes=one.unknown,
        **_shared(settings, one),
    )


def soap_settings(settings: Settings, one: AxisSection) -> SoapSettings:
    """The same over SOAP: `system_id` is the OrganId, the secret its token."""
    return SoapSettings(
        organ_id=one.system_id,
        token=secret_of(settings, one, f"axis/{one.name}"),
        profile=load_profile(one.profile),
        **_shared(settings, one),
        key=read_private(one.sign_key) if one.sign_key else b"",
        certificate=read_public(one.sign_certificate) if one.sign_certificate else b"",
        answer_certificates=(
            read_public(one.answer_certificates) if one.answer_certificates else b""
        ),
    )


def rest_settings(settings: Settings, one: AxisSection) -> RestSettings:
    """As `vxp_settings`, and the login; what differs between provinces comes from the profile."""
    password = read_private(one.password_file).decode().strip() if one.password_file else ""
    return RestSettings(
        system_id=one.system_id,
        secret=secret_of(settings, one, f"axis/{one.name}"),
        username=one.username,
        password=password,
        profile=read_profile(one.profile),
        **_shared(settings, one),
    )
