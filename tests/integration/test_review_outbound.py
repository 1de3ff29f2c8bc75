"""What races, late outcomes, a database away for a moment or a hasty caller may not do."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Conflict, Rejected, Text, Unavailable
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain
from gateway.model.transfer import TransferState
from gateway.outbound import to_its_end
from gateway.ports import Parcel
from gateway.promise import Outlet, Work
from gateway.store import Store, Tx, ledger, transfers
from tests.integration.test_review_inbound import arrive, report
from tests.support.databases import Postgres
from tests.support.houses import PDF, Running, metadata, town

SO19, SO20, VPCP = "000.00.19.H14", "000.00.20.H14", "000.00.00.G22"
G12 = "000.00.00.G12"

Story = Callable[[Running], Awaitable[None]]


def alone(folder: Path, story: Story, jobs: tuple[str, ...] = (), database: str = "") -> None:
    """One gateway whose axis is a stand-in put there by the story."""

    async def run() -> None:
        async with town(folder, stamps=False) as made:
            await made.axis("vxp", {"sys.h14": (SO19, SO20), "sys.g22": (VPCP,)})
            house = made.house(
                "so19",
                ("H14.19", "H14.20"),
                {"vxp": "sys.h14"},
                [{"axis": "vxp", "everyone": True}],
                database=database,
            )
            async with made.open(house, jobs) as here:
                await story(here)

    asyncio.run(run())


class Scripted:
    """An axis that says what it was told to say; `during` happens while the bytes are there."""

    name = "vxp"

    def __init__(self, here: Running) -> None:
        self.capabilities = here.gateway.axes["vxp"].capabilities
        self.during: Callable[[Parcel], Awaitable[Outcome]] | None = None
        outlets = dict(here.gateway.outbound.outlets)
        policy = outlets["vxp"].policy
        outlets["vxp"] = Outlet(self, policy)  # type: ignore[arg-type]  # only submit is asked
        here.gateway.outbound.outlets = outlets

    async def submit(self, parcel: Parcel, deadline_seconds: float) -> Outcome:
        assert deadline_seconds > 0
        assert self.during is not None
        return await self.during(parcel)


def saying(outcome: Outcome) -> Callable[[Parcel], Awaitable[Outcome]]:
    async def said(parcel: Parcel) -> Outcome:
        assert parcel.size > 0
        return outcome

    return said


async def sealed(here: Running, **more: Any) -> dict[str, Any]:
    answer = await here.submit(metadata(SO19, VPCP, **more), ("12.pdf", PDF), key="a")
    while await here.gateway.sealing.seal():
        pass
    return answer


async def claimed(here: Running) -> Work:
    (work,) = await here.gateway.outbound.claim("vxp", 1)
    return work


async def row(here: Running, answer: dict[str, Any]) -> transfers.TransferRow:
    (transfer,) = answer["transfers"]
    found = await here.gateway.store.read(lambda tx: transfers.by_id(tx, transfer["transfer_id"]))
    assert found is not None
    return found


async def taken_over(here: Running) -> None:
    """As if the process that sends had died and its row were due again."""
    gateway = here.gateway

    def commit(tx: Tx) -> None:
        gateway.settling.take_over(tx, transfers.sending(tx), gateway.scribe.now())

    await gateway.store.write(commit)


async def due(here: Running) -> Work:
    """The transfer once it is due again (fractions of a second in these houses)."""
    listener = here.gateway.store.listener("test")
    async with asyncio.timeout(20):
        while not (works := await here.gateway.outbound.claim("vxp", 1)):
            await listener.wait(0.05)
    return works[0]


def test_a_late_delivered_ends_the_repeat_that_is_under_way(tmp_path: Path) -> None:
    """The first attempt was taken over and sent again; then its own success is heard."""

    async def story(here: Running) -> None:
        axis = Scripted(here)
        answer = await sealed(here)
        first = await claimed(here)
        await taken_over(here)
        axis.during = saying(Delivered("their-id"))
        second = await due(here)
        await here.gateway.outbound.deliver(first)
        found = await row(here, answer)
        assert (found.state, found.remote_ref) == ("ON_AXIS", "their-id")
        heard: list[bool] = []

        async def refused(parcel: Parcel) -> Outcome:
            heard.append(await parcel.still_mine())
            return Refused("vxp.9")

        axis.during = refused
        await here.gateway.outbound.deliver(replace(second, claimed=second.claimed - 1e6))
        assert heard == [False], "its last chunk stays here"
        found = await row(here, answer)
        assert (found.state, found.remote_ref) == ("ON_AXIS", "their-id")

    alone(tmp_path, story)


def test_a_status_settles_a_transfer_whose_repeat_is_under_way(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        axis = Scripted(here)
        answer = await sealed(here)
        axis.during = saying(Uncertain("answer.silence"))
        await here.gateway.outbound.deliver(await claimed(here))

        async def status_meanwhile(_: Parcel) -> Outcome:
            await arrive(here, report("01", answer["document_id"], "2026/11/22 09:00:00"), "s")
            await here.gateway.inbound.open_next(8)
            return Refused("vxp.9")

        axis.during = status_meanwhile
        await here.gateway.outbound.deliver(await due(here))
        assert (await row(here, answer)).state == "ON_AXIS", "never HELD: the recipient has it"

    alone(tmp_path, story)


def test_an_id_of_the_axis_is_not_forgotten(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        answer = await sealed(here)
        work = await claimed(here)

        def known(tx: Tx) -> None:
            ending = transfers.Ending(
                TransferState.DEFERRED, tx.now(), True, "x", "", 1, "their-id"
            )
            now = tx.now()
            assert transfers.end_attempt(tx, work.claim, "deferred", ending, seen=now, now=now)

        await here.gateway.store.write(known)
        axis = Scripted(here)
        axis.during = saying(Deferred("http.503"))
        await here.gateway.outbound.deliver(await claimed(here))
        assert (await row(here, answer)).remote_ref == "their-id"

    alone(tmp_path, story)


class Away:
    """A store whose commits fail `times` times, before or after they are done."""

    def __init__(self, store: Store, times: int, *, after: bool) -> None:
        self._store, self._times, self._after = store, times, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, fn: Callable[[Tx], Any], **how: bool) -> Any:
        if self._times:
            self._times -= 1
            if self._after:
                await self._store.write(fn, **how)
            raise Unavailable(Text("Mất kết nối", "connection lost"))
        return await self._store.write(fn, **how)


@pytest.mark.parametrize("after", [False, True], ids=["lost", "committed-unheard"])
def test_a_verdict_survives_a_database_that_is_away_for_a_moment(
    tmp_path: Path, after: bool
) -> None:
    """Otherwise what the axis has already would be sent again; and it is recorded once."""

    async def story(here: Running) -> None:
        axis = Scripted(here)
        axis.during = saying(Delivered("their-id"))
        answer = await sealed(here)
        work = await claimed(here)
        outbound = here.gateway.outbound
        outbound.store = Away(outbound.store, 2, after=after)  # type: ignore[assignment]
        await outbound.deliver(work)
        outbound.store = here.gateway.store
        assert (await row(here, answer)).state == "ON_AXIS"
        records = await here.gateway.store.read(lambda tx: ledger.of_document(tx, answer["id"]))
        assert [r.event for r in records].count("attempt.ended") == 1

    alone(tmp_path, story)


def test_a_long_upload_keeps_its_lease_while_bytes_flow(tmp_path: Path) -> None:
    """One that takes longer than a lease would be taken over for ever, and never delivered."""

    async def story(here: Running) -> None:
        axis = Scripted(here)
        answer = await here.submit(metadata(SO19, VPCP), ("a.bin", os.urandom(3_000_000)), key="a")
        while await here.gateway.sealing.seal():
            pass
        work = await claimed(here)
        ends: list[Any] = []

        async def lease(tx_of: Store) -> Any:
            (one,) = await tx_of.read(transfers.sending)
            return one.lease_until

        async def slow(parcel: Parcel) -> Outcome:
            ends.append(await lease(here.gateway.store))
            async for _ in parcel.chunks():
                pass
            ends.append(await lease(here.gateway.store))
            assert await parcel.still_mine()
            ends.append(await lease(here.gateway.store))
            return Delivered("r")

        axis.during = slow
        # most of the lease is gone when the first byte flows
        await here.gateway.outbound.deliver(
            replace(work, claimed=work.claimed - 0.9 * work.lease_seconds)
        )
        assert ends[0] < ends[1] < ends[2]
        deadline = here.gateway.outbound.outlets["vxp"].policy.attempt_deadline_seconds
        now = await here.gateway.store.read(lambda tx: tx.now())
        assert (ends[2] - now).total_seconds() > deadline, "it covers the wait for the verdict"
        assert (await row(here, answer)).state == "ON_AXIS"

    alone(tmp_path, story)


# -- the same document again -----------------------------------------------------------------------


async def ready_made(here: Running, package: bytes, key: str) -> dict[str, Any]:
    who = await here.account(SO19)
    with here.gateway.blobs.spool() as spool:
        spool.write(package)
        answered = await here.gateway.desk.submit_package(who, spool, key, "en")
    return json.loads(answered.answer)


async def sample(here: Running, *to: str) -> bytes:
    made = await here.submit(metadata(SO19, *to), ("12.pdf", PDF), key="seed")
    stored = await here.gateway.desk.package(await here.account(SO19), made["id"], "vxp")
    with stored.source as source:
        return (
            source.read()
            .replace(b"12/UBND-VX", b"14/UBND-VX")
            .replace(b"<edXML:CodeNumber>12<", b"<edXML:CodeNumber>14<")
        )


def test_a_ready_made_package_may_go_to_another_receiver_later(tmp_path: Path) -> None:
    """`To` is not in the identity: the same document, whole, for somebody it has not reached."""

    async def story(here: Running) -> None:
        package = await sample(here, VPCP)
        first = await ready_made(here, package, "one")
        later = package.replace(VPCP.encode(), G12.encode())
        second = await ready_made(here, later, "two")
        assert second["id"] != first["id"]
        assert [t["recipients"] for t in second["transfers"]] == [[G12]]
        both = package.replace(
            b"</edXML:To>",
            b"</edXML:To><edXML:To><edXML:OrganId>" + G12.encode() + b"</edXML:OrganId></edXML:To>",
            1,
        )
        assert await ready_made(here, both, "three") == second
        assert await ready_made(here, package, "four") == first

    alone(tmp_path, story)


def test_the_first_answer_is_the_one_that_spoke_of_these_receivers(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        one = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="a")
        two = await here.submit(metadata(SO19, VPCP, SO20), ("12.pdf", PDF), key="b")
        assert one["id"] != two["id"]
        for to, expected in (((VPCP,), one), ((SO20,), two), ((SO20, VPCP), two)):
            assert await here.submit(metadata(SO19, *to), ("12.pdf", PDF)) == expected

    alone(tmp_path, story)


def test_another_spelling_of_blanks_in_a_document_id_is_the_same_id(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        given = f"{SO19},2026/11/20,12 /UBND-VX"
        await here.submit(metadata(SO19, VPCP, document_id=given), ("12.pdf", PDF))
        for blanks in ("\u00a0", "  "):
            with pytest.raises(Conflict) as other:
                await here.submit(
                    metadata(
                        SO19, VPCP, document_id=given.replace(" ", blanks), subject="Văn bản khác"
                    ),
                    ("12.pdf", PDF),
                )
            assert other.value.code == "document.conflict"

    alone(tmp_path, story)


def test_a_key_used_at_the_same_moment_for_something_else_is_a_mismatch(tmp_path: Path) -> None:
    """The first answer to one content is never given under a key that belongs to another."""

    async def story(here: Running) -> None:
        await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="a")
        again = here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="k")
        other = here.submit(metadata(SO19, VPCP, number="13"), ("13.pdf", PDF), key="k")
        done = await asyncio.gather(again, other, return_exceptions=True)
        wrong = [d for d in done if isinstance(d, Conflict)]
        assert [w.code for w in wrong] == ["idempotency.mismatch"]

    alone(tmp_path, story)


def test_a_cancelled_request_lasts_until_its_thread_has_ended() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def walk() -> Any:
        begun.set()
        assert may_end.wait(30)
        ended.set()
        raise ValueError("nobody hears it")

    async def scene() -> None:
        request = asyncio.create_task(to_its_end(walk))
        await asyncio.to_thread(begun.wait, 30)
        request.cancel()
        done, _ = await asyncio.wait({request}, timeout=0.1)
        assert not done
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert ended.is_set()

    asyncio.run(scene())


@pytest.mark.parametrize("stated", ["0001-01-01T00:00:00+07:00", "0050-01-01T00:00:00-11:00"])
def test_an_impossible_release_is_a_finding(tmp_path: Path, stated: str) -> None:
    async def story(here: Running) -> None:
        with pytest.raises(Rejected) as refused:
            await here.submit(metadata(SO19, VPCP, released_at=stated), ("12.pdf", PDF))
        assert [f.path for f in refused.value.findings] == ["released_at"]

    alone(tmp_path, story)


@pytest.mark.postgres
def test_twenty_equal_requests_at_once_are_one_document(tmp_path: Path, postgres: Postgres) -> None:
    async def story(here: Running) -> None:
        await here.account(SO19)
        asked = [
            here.submit(metadata(SO19, VPCP, SO20), ("12.pdf", PDF), key="k" if n % 2 else None)
            for n in range(20)
        ]
        answers = await asyncio.gather(*asked)
        assert len({a["id"] for a in answers}) == 1

    with postgres.database(migrated=True) as url:
        alone(tmp_path, story, database=url)
