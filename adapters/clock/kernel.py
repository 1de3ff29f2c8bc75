"""Whether the kernel's clock is synchronised: adjtimex(2) with `modes` 0, which only reads.

In:     nothing.
Out:    `ports.SyncState`, as ntpd, chrony or systemd-timesyncd left it in the kernel.
Fails:  never: where the call is missing or refused, `synchronised` is None (not known).
Never:  sets a clock; waits.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from gateway.ports import SyncState

STA_UNSYNC = 0x0040  # <sys/timex.h>: the clock is not synchronised
TIME_ERROR = 5  # the return value that says the same
_WORDS = 32  # struct timex has 208 bytes on 64-bit Linux; the rest is never looked at
_MAXERROR, _STATUS = 3, 5  # which long, after modes (padded), offset and freq

Adjtimex = Callable[[ctypes.Array[ctypes.c_long]], int]


def adjtimex(buffer: ctypes.Array[ctypes.c_long]) -> int:
    """The C library's; AttributeError where there is none."""
    return int(ctypes.CDLL(None).adjtimex(ctypes.byref(buffer)))


class KernelSync:
    """ports.SyncSource."""

    def __init__(self, call: Adjtimex = adjtimex) -> None:
        self._call = call

    def state(self) -> SyncState:
        buffer = (ctypes.c_long * _WORDS)()
        try:
            said = self._call(buffer)
        except (AttributeError, OSError):
            return SyncState(None)
        if said < 0:
            return SyncState(None)
        status = buffer[_STATUS] & 0xFFFFFFFF  # an int, before its padding
        unsynchronised = said == TIME_ERROR or bool(status & STA_UNSYNC)
        return SyncState(not unsynchronised, buffer[_MAXERROR] / 1e6)


class Unwatched:
    """ports.SyncSource where nobody is to ask the kernel."""

    def state(self) -> SyncState:
        return SyncState(None)
