"""The axes of gateway.toml: which adapter speaks for each, and with which account.

In:     the settings and one `[[axis]]`.
Out:    an Axis; no connection is opened.
Fails:  Misconfigured, naming the axis or the file of its profile.
Never:  keeps a secret anywhere but in the adapter.
"""

from __future__ import annotations

from adapters.keys.private import read_private
from adapters.lgsp_rest.axis import RestAxis, RestSettings
from adapters.lgsp_rest.profile import read_profile
from adapters.vxp.axis import VxpAxis, VxpSettings
from gateway.config import AxisSection, Settings
from gateway.ports import Axis, Clock
from gateway.wiring.blobs import secret_of


def make_axis(settings: Settings, one: AxisSection, clock: Clock) -> Axis:
    """The adapter that this axis' `kind` names."""
    if one.kind == "lgsp_rest":
        return RestAxis(rest_settings(settings, one), clock)
    return VxpAxis(vxp_settings(settings, one), clock)


def vxp_settings(settings: Settings, one: AxisSection) -> VxpSettings:
    """The axis' account; its secret comes sealed under the master key, or from a file of 0600."""
    return VxpSettings(
        name=one.name,
        endpoint=one.endpoint,
        system_id=one.system_id,
        secret=secret_of(settings, one, f"axis/{one.name}"),
        service_type=one.service_type,
        connect_timeout=one.connect_timeout,
        max_connections=one.max_connections,
        keepalive=one.keepalive,
        hash_form=one.hash_form,
        retry_codes=one.retry,
        never_codes=one.never,
        unknown_codes=one.unknown,
        repeat=one.repeat,
        ca_file=str(one.ca_file or ""),
        allow_http=bool(one.allow_http),
        max_package_bytes=settings.limits.package_bytes,
    )


def rest_settings(settings: Settings, one: AxisSection) -> RestSettings:
    """As `vxp_settings`, and the login; what differs between provinces comes from the profile."""
    password = read_private(one.password_file).decode().strip() if one.password_file else ""
    return RestSettings(
        name=one.name,
        endpoint=one.endpoint,
        system_id=one.system_id,
        secret=secret_of(settings, one, f"axis/{one.name}"),
        username=one.username,
        password=password,
        profile=read_profile(one.profile),
        connect_timeout=one.connect_timeout,
        max_connections=one.max_connections,
        keepalive=one.keepalive,
        retry_codes=one.retry,
        never_codes=one.never,
        repeat=one.repeat,
        ca_file=str(one.ca_file or ""),
        allow_http=bool(one.allow_http),
        max_package_bytes=settings.limits.package_bytes,
    )
