"""The certificate behind an arrival: judged from the cache, asked by the sweep, judged again.

A real gateway, a real web server of an authority that counts what it is asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.audit.received import arrivals as audited
from gateway.ledger.receipt import verify_receipt
from gateway.model.arrival import ArrivalState, Incoming
from gateway.model.package import Organ, PackageKind
from gateway.signing import ECDSA_SHA256
from gateway.store import Tx, arrivals, ledger, revocations
from gateway.store.tables import arrival, blob, revocation
from tests.support.houses import NOW, Running, town
from tests.support.pki import Leaf, ec_key
from tests.support.revocation_server import RevocationServer, revocation_server
from tests.support.signed_packages import HEADER, seal
from tests.support.trust_pki import DAY, HOUR, Layer, root

YEAR = timedelta(days=365)
SO19, VPCP = "000.00.19.H14", "000.00.00.G22"
SPAN = {"not_before": NOW - YEAR, "not_after": NOW + YEAR}


@dataclass
class Authority:
    """Root, issuing authority and a signer whose certificate names this server."""

    server: RevocationServer
    root: Layer
    issuing: Layer
    signer: Leaf

    def publish(self, revoked: Mapping[int, datetime] | None = None, at: datetime = NOW) -> None:
        """New lists, dated `at`."""
        self.server.lists["/root.crl"] = self.root.crl(at=at - HOUR)
        self.server.lists["/issuing.crl"] = self.issuing.crl(dict(revoked or {}), at=at - HOUR)


def authority(server: RevocationServer) -> Authority:
    top = root("E2E root", 600, **SPAN)
    issuing = top.below("E2E issuing", 601, lists=[f"{server.url}/root.crl"], **SPAN)
    signer = issuing.leaf(
        "000.00.00.G22 (test)",
        ec_key(602),
        lists=[f"{server.url}/issuing.crl"],
        answers=[f"{server.url}/ocsp"],
        **SPAN,
    )
    made = Authority(server, top, issuing, signer)
    made.publish()
    server.ocsp = lambda _: issuing.ocsp(signer, at=NOW - HOUR)
    return made


Story = Callable[[Running, Authority], Awaitable[None]]


def lived(folder: Path, story: Story, *, database: str = "", **changes: Mapping[str, Any]) -> None:
    """One gateway that trusts the authority; nothing turns by itself."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(revocation_server())
            made = await stack.enter_async_context(town(folder, stamps=False))
            await made.axis("vxp", {"sys.h14": (SO19,)})
            house = made.house(
                "so19",
                ("H14.19",),
                {"vxp": "sys.h14"},
                [{"axis": "vxp", "everyone": True}],
                database=database,
                changes={"trust": {"fetch": "on"}, **changes},
            )
            who = authority(server)
            for kind, layer in (("roots", who.root), ("intermediates", who.issuing)):
                place = house.conf.parent / "trust" / kind
                place.mkdir(parents=True)
                (place / "made.pem").write_bytes(layer.pem)
            async with made.open(house, ()) as here:
                await story(here, who)

    asyncio.run(run())


def package(signer: Leaf, number: str) -> bytes:
    header = replace(
        HEADER,
        sender=Organ(VPCP),
        to=(Organ(SO19),),
        document_id=f"{VPCP},2026/11/20,{number}/UBND-VX",
    )
    return seal(signer, ECDSA_SHA256, header=header).xml


async def arrive(here: Running, data: bytes, doc_id: str) -> str:
    """Received and opened."""
    digest = sha256(data).hexdigest()
    here.gateway.blobs.keep_bytes(data, digest)
    arrival = await here.gateway.inbound.receive(
        Incoming("vxp", doc_id, PackageKind.DOCUMENT, digest, len(data))
    )
    while await here.gateway.inbound.open_next(8):
        pass
    return arrival


async def swept(here: Running) -> None:
    """Everything that is due now, asked and judged."""
    while await here.gateway.inbound.trusting.refresh():
        pass


async def again(here: Running) -> None:
    """As if `trust.refresh` had gone by."""
    await here.gateway.store.write(lambda tx: tx.execute(update(revocation), {"due_at": tx.now()}))


async def certificate(here: Running, arrival: str) -> dict[str, Any]:
    """What the rows show of it; the arrival and its item always say the same."""

    def look(tx: Tx) -> tuple[Any, Any]:
        row = arrivals.by_id(tx, arrival)
        assert row is not None
        ((_, content),) = revocations.items_of(tx, arrival)
        assert {f["code"] for f in row.findings} == {f["code"] for f in content["findings"]}
        return row.verdict["certificate"], content["signature"]["certificate"]

    shown, served = await here.gateway.store.read(look)
    assert shown == served
    return dict(shown)


async def records(here: Running, arrival: str) -> dict[str, dict[str, Any]]:
    rows = await here.gateway.store.read(lambda tx: ledger.of_arrival(tx, arrival))
    return {r.event: json.loads(r.body)["facts"] for r in rows}


def test_opening_asks_nobody_the_sweep_does_and_the_arrival_is_judged_again(tmp_path) -> None:
    async def story(here: Running, who: Authority) -> None:
        first = await arrive(here, package(who.signer, "1"), "d1")
        assert who.server.asked == []
        shown = await certificate(here, first)
        assert (shown["trust"], shown["trust_why"]) == ("unknown_revocation", "not_fetched")
        opened = (await records(here, first))["arrival.opened"]
        assert opened["certificate"]["trust"] == "unknown_revocation"
        assert "certificate.revocation_unknown" in opened["findings"]

        await swept(here)
        assert sorted(who.server.asked) == ["GET /issuing.crl", "GET /root.crl", "POST /ocsp"]
        shown = await certificate(here, first)
        assert (shown["trust"], len(shown["path"])) == ("trusted", 3)
        assert all(fact["age_seconds"] < 3600 for fact in shown["revocation"])
        again_judged = (await records(here, first))["arrival.rejudged"]
        assert again_judged["certificate"]["trust"] == "trusted"
        assert len(again_judged["certificate"]["evidence"]) == 2
        assert "G22" not in json.dumps(again_judged["certificate"])
        digests = [e["blob"] for e in again_judged["certificate"]["evidence"]]
        with here.gateway.blobs.open(digests[1]) as kept:
            assert kept.read() == who.server.lists["/root.crl"]
        held = await here.gateway.store.read(
            lambda tx: tx.scalars(select(blob.c.refs).where(blob.c.sha256.in_(digests)))
        )
        assert held == [1, 1]  # the sweep never drops what a record rests on

        assert await here.gateway.store.read(lambda tx: list(audited(tx))) == []

        who.server.asked.clear()
        second = await arrive(here, package(who.signer, "2"), "d2")
        assert (await certificate(here, second))["trust"] == "trusted"
        await swept(here)
        assert who.server.asked == []  # nothing is due before `trust.refresh`
        assert "arrival.rejudged" not in await records(here, second)

    lived(tmp_path, story)


def test_a_word_that_was_changed_without_its_record_is_found(tmp_path) -> None:
    async def story(here: Running, who: Authority) -> None:
        stranger = root("E2E strangers", 604, **SPAN).leaf("x", ec_key(605), **SPAN)
        made = await arrive(here, package(stranger, "1"), "d1")

        def forge(tx: Tx) -> None:
            row = arrivals.by_id(tx, made)
            assert row is not None
            better = {**row.verdict["certificate"], "trust": "trusted"}
            tx.execute(update(arrival), {"verdict": {**row.verdict, "certificate": better}})

        await here.gateway.store.write(forge)
        (finding,) = await here.gateway.store.read(lambda tx: list(audited(tx)))
        assert finding.code == "ledger.shown_arrival"
        assert "certificate is shown as trusted, recorded: untrusted" in finding.text.en

    lived(tmp_path, story)


@pytest.mark.postgres
def test_the_same_on_postgresql(tmp_path, postgres_url) -> None:
    async def story(here: Running, who: Authority) -> None:
        came = await arrive(here, package(who.signer, "1"), "d1")
        assert who.server.asked == []
        await swept(here)
        assert (await certificate(here, came))["trust"] == "trusted"

    lived(tmp_path, story, database=postgres_url)


def test_revoked_before_receiving_is_revoked_and_afterwards_takes_nothing_away(tmp_path) -> None:
    async def story(here: Running, who: Authority) -> None:
        before = await arrive(here, package(who.signer, "1"), "d1")
        await swept(here)
        since = here.gateway.scribe.now().replace(microsecond=0) + timedelta(seconds=1)
        serial = who.signer.certificate.serial_number
        # dated in the second after the first arrival; the second one comes at a later instant
        who.publish({serial: since}, at=NOW + 2 * HOUR)
        who.server.ocsp = lambda _: who.issuing.ocsp(who.signer, at=NOW - HOUR, revoked_since=since)
        await again(here)
        await swept(here)
        assert (await certificate(here, before))["trust"] == "trusted"
        clock = here.gateway.scribe.clock
        here.gateway.scribe.clock = Later(clock.now() + timedelta(minutes=5))
        after = await arrive(here, package(who.signer, "2"), "d2")
        shown = await certificate(here, after)
        assert (shown["trust"], shown["trust_why"]) == ("revoked", "keyCompromise")
        opened = (await records(here, after))["arrival.opened"]
        assert opened["state"] == ArrivalState.OPENED.value  # no package is thrown away for it
        assert "certificate.revoked" in opened["findings"]

    lived(tmp_path, story)


@dataclass(frozen=True)
class Later:
    """The wall clock, five minutes on."""

    at: datetime

    def now(self) -> datetime:
        return self.at


def test_an_answer_that_is_forged_or_older_never_takes_the_place_of_the_one_held(tmp_path) -> None:
    async def story(here: Running, who: Authority) -> None:
        await arrive(here, package(who.signer, "1"), "d1")
        await swept(here)

        async def kept() -> dict[str, tuple[str, int, str]]:
            def look(tx: Tx) -> list[Any]:
                columns = (revocation.c.url, revocation.c.sha256)
                failures = (revocation.c.failures, revocation.c.last_code)
                return tx.execute(revocation.select().with_only_columns(*columns, *failures)).all()

            rows = await here.gateway.store.read(look)
            return {url.rpartition("/")[2]: (digest, n, code) for url, digest, n, code in rows}

        good = await kept()
        assert all(failures == 0 for _, failures, _ in good.values())
        forged = who.issuing.crl(at=NOW, signed_by=ec_key(603))
        who.server.lists["/issuing.crl"] = forged
        who.server.lists["/root.crl"] = who.root.crl(at=NOW - 2 * DAY)
        who.server.ocsp = lambda _: b"<html>a proxy</html>"
        await again(here)
        await swept(here)
        now = await kept()
        assert {name: row[0] for name, row in now.items()} == {n: r[0] for n, r in good.items()}
        assert {name: row[2] for name, row in now.items()} == {
            "issuing.crl": "revocation.signature",
            "root.crl": "revocation.older",
            "ocsp": "revocation.unreadable",
        }
        # what is held is still good for an arrival
        later = await arrive(here, package(who.signer, "2"), "d2")
        assert (await certificate(here, later))["trust"] == "trusted"

    lived(tmp_path, story)


def test_a_strangers_certificate_never_makes_us_call_an_address_of_his(tmp_path) -> None:
    async def story(here: Running, who: Authority) -> None:
        foreign = root("E2E strangers", 604, **SPAN)
        stranger = foreign.leaf(
            "x", ec_key(605), lists=[f"{who.server.url}/trap"], answers=[f"{who.server.url}/trap"]
        )
        came = await arrive(here, package(stranger, "1"), "d1")
        await swept(here)
        assert (await certificate(here, came))["trust"] == "untrusted"
        assert who.server.asked == []

    lived(tmp_path, story)


def test_an_authority_that_stays_silent_is_an_alarm_before_its_data_are_too_old(tmp_path) -> None:
    async def story(here: Running, who: Authority) -> None:
        who.server.lists.clear()
        await arrive(here, package(who.signer, "1"), "d1")
        await swept(here)
        assert await here.gateway.readiness() == []

        def two_days_ago(tx: Tx) -> None:
            tx.execute(update(revocation), {"since": tx.now() - 2 * DAY})

        await here.gateway.store.write(two_days_ago)
        (finding,) = await here.gateway.readiness()
        assert (finding.code, finding.severity.value) == ("trust.stale", "warning")

    lived(tmp_path, story)


def test_with_fetch_off_nobody_is_asked_and_lists_laid_down_count(tmp_path) -> None:
    async def story(here: Running, who: Authority) -> None:
        came = await arrive(here, package(who.signer, "1"), "d1")
        await swept(here)
        assert who.server.asked == []
        assert (await certificate(here, came))["trust"] == "unknown_revocation"

    lived(tmp_path, story, trust={"fetch": "off"})


def test_a_weak_signature_is_countersigned_where_conf_says_so(tmp_path) -> None:
    async def story(here: Running, who: Authority) -> None:
        good = await arrive(here, package(who.signer, "1"), "d1")
        assert "arrival.countersigned" not in await records(here, good)
        weak = package(who.signer, "2").replace(
            ECDSA_SHA256.encode(), b"http://www.w3.org/2000/09/xmldsig#rsa-sha1"
        )
        came = await arrive(here, weak, "d2")
        facts = (await records(here, came))["arrival.countersigned"]
        assert facts["raw_blob"] == sha256(weak).hexdigest()
        assert facts["value"] == "weak"
        assert facts["algorithm"].endswith("rsa-sha1")

        def look(tx: Tx) -> Any:
            ((_, content),) = revocations.items_of(tx, came)
            return content["signature"]

        shown = await here.gateway.store.read(look)
        public = here.gateway.scribe.key.public_key()
        proved = verify_receipt(shown["countersigned"].encode(), public)
        assert proved.record.event == "arrival.countersigned"
        assert proved.record.facts == facts
        assert proved.origin == "so19.test"

    lived(tmp_path, story, signing={"countersign_weak": True})


def test_without_the_option_a_weak_signature_is_only_reported(tmp_path) -> None:
    async def story(here: Running, who: Authority) -> None:
        weak = package(who.signer, "1").replace(
            ECDSA_SHA256.encode(), b"http://www.w3.org/2000/09/xmldsig#rsa-sha1"
        )
        came = await arrive(here, weak, "d1")
        assert "arrival.countersigned" not in await records(here, came)

    lived(tmp_path, story)
