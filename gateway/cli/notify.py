"""Tells systemd, or whoever started us, that the gateway is ready (sd_notify(3)).

In:     NOTIFY_SOCKET from the environment, as systemd sets it for Type=notify.
Out:    one datagram. Without the variable, or when nobody listens: nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

NOTIFY_SOCKET = "NOTIFY_SOCKET"


def notify(*assignments: str, environ: Mapping[str, str] = os.environ) -> None:
    """`READY=1`, `STOPPING=1`, `STATUS=...`; a name that begins with @ is an abstract socket."""
    address = environ.get(NOTIFY_SOCKET, "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.connect(address)
            out.send("\n".join(assignments).encode())
    except OSError:
        return  # the gateway runs as well without being watched
