"""The port Axis in memory, with a far side that can be told to misbehave.

What the contract suite asks of every adapter, in the shortest form in which it can be kept: the
mutants of `tests/contract/test_axis_mutants.py` break it one promise at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass

from gateway.errors import Broken, Text, Unavailable
from gateway.model.outcome import Deferred, Delivered, Refused, Uncertain
from gateway.model.package import PackageKind
from gateway.ports import (
    AxisCapabilities,
    Count,
    DirectoryEntry,
    Fetched,
    FollowUp,
    Listing,
    SentItem,
    WaitingItem,
)

SECRET = "memory-axis-secret"

# how the far side misbehaves -> (what a package's sender may make of it, done before it shows)
MEANINGS = {
    "unreachable": (Deferred("connect.refused"), False),
    "lost_answer": (Uncertain("answer.reset"), True),
    "garbage": (Uncertain("answer.unreadable"), True),
    "page": (Uncertain("answer.unreadable"), False),
    "server_error": (Uncertain("http.500"), False),
    "redirect": (Deferred("http.302"), False),
    "denied": (Deferred("http.401", alarm=True), False),
    "never": (Refused("memory.22"), False),
    "later": (Deferred("memory.20"), False),
}


class Misbehaved(Exception):
    """The far side did something else than answer; `how` as in MEANINGS, `words` are its own."""

    def __init__(self, how: str, words: str) -> None:
        super().__init__(how)
        self.how = how
        self.words = words


@dataclass
class Laid:
    """A package laid out for us."""

    kind: PackageKind
    data: bytes
    taken: bool = False


class FarSide:
    """`sent`: packages by (transfer, digest); `laid`: those that wait for us, by id."""

    def __init__(self, agencies: tuple[str, ...]) -> None:
        self.agencies = agencies
        self.broken = ""
        self.dedupes = True
        self.sent: dict[tuple[str, str], str] = {}
        self.receivers: dict[str, tuple[str, ...]] = {}
        self.laid: dict[str, Laid] = {}

    async def meet(self, secret: str) -> None:
        """What a request meets before anything is done."""
        await asyncio.sleep(0)
        if self.broken == "silent":
            await asyncio.Event().wait()
        if self.broken and self.broken != "silent_after":
            _, done = MEANINGS.get(self.broken, (None, True))
            if not done:
                raise Misbehaved(self.broken, f"the key {secret} is not known here")

    async def answer(self) -> None:
        """What becomes of the answer after the work."""
        if self.broken == "silent_after":
            await asyncio.Event().wait()
        if self.broken in MEANINGS:
            raise Misbehaved(self.broken, "{'half an ans")

    async def take(self, transfer: str, data: bytes, receivers: tuple[str, ...]) -> str:
        key = (transfer, hashlib.sha256(data).hexdigest())
        if not self.dedupes:
            key = (f"{transfer}/{len(self.sent)}", key[1])
        ref = self.sent.setdefault(key, f"memory-{len(self.sent) + 1}")
        self.receivers[ref] = receivers
        await self.answer()
        return ref


class MemoryAxis:
    """`far`: the other side; everything a test wants to know of it stands there."""

    def __init__(self, far: FarSide) -> None:
        self.name = "memory"
        self.capabilities = AxisCapabilities(follows_up=True, counts=True, lists_agencies=True)
        self.far = far
        self._secret = SECRET

    def __repr__(self) -> str:
        return f"MemoryAxis({self.name!r})"

    async def submit(self, parcel, deadline_seconds):
        begun = False
        try:
            async with asyncio.timeout(deadline_seconds):
                if self.far.broken == "unreachable":
                    return MEANINGS["unreachable"][0]
                data = b"".join([chunk async for chunk in parcel.chunks()])
                if hashlib.sha256(data).hexdigest() != parcel.sha256:
                    raise Broken(Text("hỏng", "damaged"), code="blob.damaged")
                if not await parcel.still_mine():
                    return Deferred("lease.lost")
                begun = True
                await self.far.meet(self._secret)
                ref = await self.far.take(parcel.transfer_id, data, parcel.receivers)
                return Delivered(ref)
        except TimeoutError:
            return Uncertain("answer.silence") if begun else Deferred("send.timeout")
        except Misbehaved as fault:
            return self._meant(fault)

    async def list_waiting(self, kind, deadline_seconds):
        def work():
            laid = self.far.laid.items()
            return tuple(
                WaitingItem(ref, one.kind)
                for ref, one in laid
                if one.kind is kind and not one.taken
            )

        items, failure = await self._asked(work, deadline_seconds)
        return Listing(failure=failure) if failure else Listing(items)

    async def fetch(self, item, sink, deadline_seconds):
        def work():
            laid = self.far.laid.get(item.axis_doc_id)
            return laid.data if laid else None

        data, failure = await self._asked(work, deadline_seconds)
        if failure is not None or data is None:
            return Fetched(failure=failure or Deferred("memory.unknown"))
        try:
            sink.seek(0)
            sink.truncate()
            sink.write(data)
        except OSError as error:
            raise Unavailable(Text("đầy", "full"), code="spool.unwritable") from error
        return Fetched(len(data))

    async def acknowledge(self, axis_doc_id, deadline_seconds):
        def work():
            if axis_doc_id in self.far.laid:
                self.far.laid[axis_doc_id].taken = True
                return True
            return False

        known, failure = await self._asked(work, deadline_seconds)
        return failure or (Delivered() if known else Deferred("memory.unknown"))

    async def follow_up(self, remote_ref, kind, deadline_seconds):
        def work():
            return tuple(
                SentItem(
                    one,
                    remote_ref,
                    f"{remote_ref}/{one}",
                    "done",
                    "initial",
                    passed_on=True,
                    taken=False,
                )
                for one in self.far.receivers.get(remote_ref, ())
            )

        items, failure = await self._asked(work, deadline_seconds)
        return FollowUp(failure=failure) if failure else FollowUp(items)

    async def count_waiting(self, kind, deadline_seconds):
        listing = await self.list_waiting(kind, deadline_seconds)
        return Count(len(listing.items), listing.failure)

    async def read_directory(self, take, deadline_seconds):
        codes, failure = await self._asked(lambda: self.far.agencies, deadline_seconds)
        for code in codes or ():
            take(DirectoryEntry(code, f"agency {code}"))
        return failure

    async def close(self):
        """Holds nothing."""

    async def _asked(self, work, deadline_seconds):
        """What a harmless question brought, or why it brought nothing: always worth another try."""
        try:
            async with asyncio.timeout(deadline_seconds):
                await self.far.meet(self._secret)
                if self.far.broken in {"cut", "truncated"}:
                    return None, Deferred("package.incomplete")
                found = work()
                await self.far.answer()
                return found, None
        except TimeoutError:
            return None, Deferred("answer.silence")
        except Misbehaved as fault:
            meant = self._meant(fault)
            return None, Deferred(meant.code, meant.detail)

    def _meant(self, fault):
        meant, _ = MEANINGS[fault.how]
        words = fault.words.replace(self._secret, "***")
        logging.getLogger("memory-axis").debug("%s: %s", meant.code, words)
        extra = {"alarm": meant.alarm} if isinstance(meant, Deferred) else {}
        return type(meant)(meant.code, words, **extra)
