"""The axis between agencies of this gateway: the port Axis onto the port Intake.

In: a parcel whose bytes already lie in our blob store. Out: Delivered once `Intake.receive` has
made the arrival durable, Uncertain when that did not end in time, or when the store went away in
the middle of it and once more when it was asked again: it may have committed (the same bytes
again find the same arrival). Nothing is collected, so listing and fetching have nothing to say.
Our own faults are raised. Whether a document between agencies of this gateway comes here at all,
or an axis insists on it, is the routing's to say (`route.local`). Source: architecture 2, 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from gateway.errors import Unavailable
from gateway.model.arrival import Incoming
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain
from gateway.model.package import PackageKind
from gateway.ports import (
    AxisCapabilities,
    Count,
    DirectoryEntry,
    Fetched,
    FollowUp,
    Intake,
    Listing,
    Parcel,
    WaitingItem,
)

NAME = "loopback"


class LoopbackAxis:
    """`intake` is what the wiring implements with `inbound.receive`."""

    def __init__(self, intake: Intake) -> None:
        self.name = NAME
        self.capabilities = AxisCapabilities(collects=False)
        self._intake = intake

    async def submit(self, parcel: Parcel, deadline_seconds: float) -> Outcome:
        """The transfer's id is the axis' docId: a repeat gives the first arrival again."""
        incoming = Incoming(
            axis=self.name,
            axis_doc_id=parcel.transfer_id,
            kind=parcel.kind,
            sha256=parcel.sha256,
            size=parcel.size,
            listed_from=parcel.sender,
            listed_to=",".join(parcel.receivers),
        )
        begun = False
        try:
            async with asyncio.timeout(deadline_seconds):
                if not await parcel.still_mine():
                    return Deferred("lease.lost", "the attempt's lease went to another worker")
                begun = True
                return await self._handed_in(incoming)
        except TimeoutError:
            if begun:
                return Uncertain("intake.silence", "the arrival was not confirmed in time")
            return Deferred("send.timeout")
        except Unavailable as error:  # of the lease: nothing was handed in
            return Deferred(error.code, error.text.en)

    async def _handed_in(self, incoming: Incoming) -> Outcome:
        """A commit whose answer was lost is found by asking again; twice is doubt."""
        with suppress(Unavailable):
            return Delivered(await self._intake.receive(incoming))
        try:
            return Delivered(await self._intake.receive(incoming))
        except Unavailable as error:
            return Uncertain(error.code, error.text.en)

    async def list_waiting(self, kind: PackageKind, deadline_seconds: float) -> Listing:
        """Nothing ever waits: `capabilities.collects` is False."""
        del kind, deadline_seconds
        return Listing()

    async def fetch(self, item: WaitingItem, sink: BinaryIO, deadline_seconds: float) -> Fetched:
        """There is nothing to fetch: the bytes never left our own store."""
        del item, sink, deadline_seconds
        return Fetched(failure=Refused("loopback.nothing_to_fetch"))

    async def acknowledge(self, axis_doc_id: str, deadline_seconds: float) -> Outcome:
        """Nobody else needs to be told."""
        del deadline_seconds
        return Delivered(axis_doc_id)

    async def follow_up(
        self, remote_ref: str, kind: PackageKind, deadline_seconds: float
    ) -> FollowUp:
        """Our own inbox knows; an axis has nothing to add."""
        del remote_ref, kind, deadline_seconds
        return FollowUp(failure=Refused("loopback.nothing_to_ask"))

    async def count_waiting(self, kind: PackageKind, deadline_seconds: float) -> Count:
        """Nothing ever waits."""
        del kind, deadline_seconds
        return Count()

    async def read_directory(
        self, take: Callable[[DirectoryEntry], None], deadline_seconds: float
    ) -> Outcome | None:
        """Who is served here stands in our own configuration."""
        del take, deadline_seconds
        return Refused("loopback.nothing_to_ask")

    async def close(self) -> None:
        """Holds nothing."""
