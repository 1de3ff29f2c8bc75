"""Which axes are spoken to in the clear, and why the operator lets them.

In:     sections of gateway.toml.
Out:    the axes, or the object store, whose endpoint is plain http to another machine, with the
        reason that was given.
Fails:  never.
Never:  judges what the timestamp authorities are asked over: tokens are signed (RFC 3161).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import urlsplit

from gateway.config.sections import AxisSection, BlobsSection

Spoken = TypeVar("Spoken", AxisSection, BlobsSection)
LEAST_REASON = 10  # characters: "ok" is no reason that anybody can weigh later


def is_loopback(host: str) -> bool:
    """This machine by its own name for itself; a name that merely leads here does not count."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reason_of(one: AxisSection | BlobsSection) -> str:
    """Why it may be spoken to in the clear, in one line; "" where no reason is given."""
    reason = " ".join(one.allow_http.split())
    return reason if len(reason) >= LEAST_REASON else ""


def in_the_clear(asked: Iterable[Spoken]) -> list[Spoken]:
    """Those that a gateway speaks to over plain http, this machine excepted."""
    found = []
    for one in asked:
        parts = urlsplit(one.endpoint)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            found.append(one)
    return found
