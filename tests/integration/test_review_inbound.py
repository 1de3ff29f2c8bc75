"""What a hostile peer, a killer package or a slow process may not do to what arrives."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Conflict
from gateway.model.arrival import ArrivalState, Incoming, ItemKind
from gateway.model.package import Organ, PackageKind, ResponseFor, StatusReport
from gateway.packing import write
from gateway.store import Tx, arrivals
from tests.support.houses import PDF, Running, metadata, town

SO19, SO20, VPCP = "000.00.19.H14", "000.00.20.H14", "000.00.00.G22"

Story = Callable[[Running], Awaitable[None]]


def alone(folder: Path, story: Story, jobs: tuple[str, ...] = ()) -> None:
    """One gateway with two local agencies; nothing turns but `jobs`."""

    async def run() -> None:
        async with town(folder, stamps=False) as made:
            await made.axis("vxp", {"sys.h14": (SO19, SO20), "sys.g22": (VPCP,)})
            house = made.house(
                "so19",
                ("H14.19", "H14.20"),
                {"vxp": "sys.h14"},
                [{"axis": "vxp", "everyone": True}],
            )
            async with made.open(house, jobs) as here:
                await story(here)

    asyncio.run(run())


def report(code: str, document_id: str, timestamp: str, sender: str = VPCP) -> bytes:
    return write.write_status(
        StatusReport(
            sender=Organ(organ_id=sender),
            response_for=ResponseFor(organ_id=SO19, code="12/UBND-VX", document_id=document_id),
            code=code,
            timestamp="2026/11/22 09:00:00",
        )
    ).replace(b"2026/11/22 09:00:00", timestamp.encode())


async def arrive(here: Running, data: bytes, doc_id: str) -> str:
    digest = hashlib.sha256(data).hexdigest()
    here.gateway.blobs.keep_bytes(data, digest)
    return await here.gateway.inbound.receive(
        Incoming("vxp", doc_id, PackageKind.STATUS, digest, len(data))
    )


async def states(here: Running) -> dict[str, str]:
    rows = await here.gateway.store.read(lambda tx: arrivals.in_states(tx, list(ArrivalState), 100))
    return {row.axis_doc_id: row.state for row in rows}


async def killed_while_opening(here: Running, most: int) -> None:
    """What a SIGKILL between the claim and the end of reading leaves, and the start after it."""

    def take(tx: Tx) -> None:
        now = tx.now()
        arrivals.claim_to_open(tx, most=most, now=now, until=now + timedelta(minutes=10))

    await here.gateway.store.write(take)
    await here.gateway.store.write(arrivals.forget_leases)


def test_only_the_package_that_kills_the_process_is_poison(tmp_path: Path) -> None:
    """Its neighbours were claimed with it each time, and never did any harm."""

    async def story(here: Running) -> None:
        for n in range(5):
            await arrive(here, report("03", "x", f"2026/11/22 09:00:0{n}"), f"d{n}")
        for _ in range(3):
            await killed_while_opening(here, 8)
        while await here.gateway.inbound.open_next(8):
            pass
        quarantined = [d for d, state in (await states(here)).items() if state == "QUARANTINED"]
        assert quarantined == ["d0"], "the one that was being opened at the second and third death"

    alone(tmp_path, story)


def test_a_lease_lost_while_opening_is_no_reason_to_end_the_process(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        await arrive(here, report("03", "x", "2026/11/22 09:00:00"), "d0")
        inbound = here.gateway.inbound
        read = inbound._read
        taken: list[int] = []

        def slow(claim: arrivals.OpenClaim) -> Any:
            def steal(tx: Tx) -> list[arrivals.OpenClaim]:
                arrivals.forget_leases(tx)
                now = tx.now()
                return arrivals.claim_to_open(tx, most=8, now=now, until=now + timedelta(hours=1))

            taken.extend(c.fence for c in here.gateway.store.write_sync(steal))
            return read(claim)

        inbound._read = slow  # type: ignore[method-assign]  # another process at the worst moment
        await inbound.open_next(8)
        assert taken == [2]
        assert await states(here) == {"d0": "RECEIVED"}, "it belongs to the other process now"

    alone(tmp_path, story)


@pytest.mark.parametrize(
    "timestamp", ["0001/01/01 00:00:00", "9999/12/31 23:59:59", "Nguyễn Văn Mẫu 0912345678"]
)
def test_an_impossible_time_of_a_peer_makes_no_instant_and_no_crash(
    tmp_path: Path, timestamp: str
) -> None:
    async def story(here: Running) -> None:
        answer = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="a")
        await arrive(here, report("01", answer["document_id"], timestamp), "d0")
        while await here.gateway.inbound.open_next(8):
            pass
        assert await states(here) == {"d0": "OPENED"}
        shown = await here.document(SO19, answer["id"])
        (recipient,) = shown["transfers"][0]["recipients"]
        assert (recipient["state"], recipient["entered_at"]) == ("ARRIVED", None)
        for line in await here.gateway.desk.history(await here.account(SO19), answer["id"]):
            assert "Mẫu" not in json.dumps(line["record"], ensure_ascii=False), "no free text"
        (item,) = await here.inbox(SO19, ItemKind.STATUS)
        assert item["status"]["timestamp"] == timestamp, "the peer's own words are kept there"

    alone(tmp_path, story)


@pytest.mark.parametrize(
    "timestamp", ["2026/11/22 09:00:00", "2026-11-22 09:00:00", "22/11/2026 09:00:00"]
)
def test_every_form_of_time_that_peers_write_gives_the_instant(
    tmp_path: Path, timestamp: str
) -> None:
    """edxml-format 8."""

    async def story(here: Running) -> None:
        answer = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="a")
        await arrive(here, report("01", answer["document_id"], timestamp), "d0")
        await here.gateway.inbound.open_next(8)
        shown = await here.document(SO19, answer["id"])
        (recipient,) = shown["transfers"][0]["recipients"]
        assert recipient["entered_at"] == "2026-11-22T09:00:00.000000+07:00"

    alone(tmp_path, story)


async def given_item(here: Running) -> tuple[Any, Any]:
    """A document from one local agency waiting at the other."""
    await here.submit(metadata(SO19, SO20), ("12.pdf", PDF), key="a")
    (shown,) = await here.inbox(SO20)
    who = await here.account(SO20)
    return who, await here.gateway.desk.item(who, shown["id"])


LOCAL = ("seal", "deliver", "open")


def test_a_refusal_that_races_with_the_confirm_keeps_the_confirms_answer(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        who, item = await given_item(here)
        inbound = here.gateway.inbound
        first = await inbound.confirm(item, who.id)
        # this request read the item before the confirm was committed
        await here.gateway.desk.answering.report_status(
            item, who.id, code="02", description="Sai nơi nhận"
        )
        assert await here.gateway.desk.confirm(who, item.id) == first
        refused = await here.gateway.desk.item(who, item.id)
        assert refused.state == "REFUSED"
        assert refused.entered_at is not None

    alone(tmp_path, story, LOCAL)


def test_the_same_status_twice_within_a_second_is_one(tmp_path: Path) -> None:
    """A status is what it says and when: a repeated request is not a second one, nor a fault."""

    async def story(here: Running) -> None:
        who, item = await given_item(here)
        inbound = here.gateway.inbound
        await inbound.confirm(item, who.id)
        item = await here.gateway.desk.item(who, item.id)
        here.gateway.scribe.clock = Still(here.gateway.scribe.now())
        one = await here.gateway.desk.answering.report_status(
            item, who.id, code="03", description=""
        )
        two = await here.gateway.desk.answering.report_status(
            item, who.id, code="03", description=""
        )
        assert one == two

    alone(tmp_path, story, LOCAL)


def test_a_status_repeated_under_its_key_is_sent_once(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        who, item = await given_item(here)
        desk = here.gateway.desk
        await desk.confirm(who, item.id)

        async def say(code: str, key: str | None) -> dict[str, Any]:
            return await desk.report_status(
                who, item.id, code=code, description="", idempotency_key=key
            )

        here.gateway.scribe.clock = Still(here.gateway.scribe.now())
        one = await say("05", "k")
        here.gateway.scribe.clock.at += timedelta(minutes=1)
        assert await say("05", "k") == one
        assert (await say("05", None))["transfer_id"] != one["transfer_id"]
        with pytest.raises(Conflict) as other:
            await say("06", "k")
        assert other.value.code == "idempotency.mismatch"

    alone(tmp_path, story, LOCAL)


class Still:
    """A clock that moves only when told."""

    def __init__(self, at: Any) -> None:
        self.at = at

    def now(self) -> Any:
        return self.at


def test_a_unit_cannot_say_what_only_confirm_may_say(tmp_path: Path) -> None:
    from gateway.errors import Rejected

    async def story(here: Running) -> None:
        who, item = await given_item(here)
        for code in ("01", "13", "99", ""):
            with pytest.raises(Rejected) as refused:
                await here.gateway.desk.answering.report_status(
                    item, who.id, code=code, description="x"
                )
            assert refused.value.code == "status.code"

    alone(tmp_path, story, LOCAL)


def test_a_refusal_is_a_record_of_its_arrival(tmp_path: Path) -> None:
    from gateway.store import ledger

    async def story(here: Running) -> None:
        who, item = await given_item(here)
        await here.gateway.desk.answering.report_status(item, who.id, code="02", description="Sai")
        rows = await here.gateway.store.read(lambda tx: ledger.of_arrival(tx, item.arrival_id))
        assert [r.event for r in rows][-1] == "item.refused"

    alone(tmp_path, story, LOCAL)
