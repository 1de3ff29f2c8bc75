"""The ledger's later years on PostgreSQL: keys, a new tree, a witness, another hash, tampering."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg import sql

from gateway.audit.books import verify_books
from gateway.evidence.check import Anchors
from gateway.ledger.cosignature import Witness, cosign
from gateway.ledger.note import split_note
from gateway.ledger.verify import LedgerReport
from gateway.rehashing import Rehashing
from gateway.renewing import Renewing
from gateway.store import cosignatures, ledger
from gateway.store.cosignatures import CosignatureRow
from tests.integration.test_evidence import exported, judged
from tests.support.houses import NOW, PDF, Running, metadata, town
from tests.unit.ledger.test_cosignature import NAME, SECRET

SO19, SO20 = "000.00.19.H14", "000.00.20.H14"
AT = NOW.replace(microsecond=0)  # a cosignature counts in seconds
TRIGGERED = ("record", "checkpoint", "stamp", "cosignature")


async def report(here: Running, roots: list[x509.Certificate]) -> LedgerReport:
    scribe = here.gateway.scribe
    return await asyncio.to_thread(
        verify_books,
        here.gateway.store,
        here.gateway.outbound.blobs,
        origin=scribe.origin,
        public_key=scribe.key.public_key(),
        anchors=roots,
        witnesses=(Witness(NAME, SECRET.public_key()),),
    )


@pytest.mark.postgres
def test_what_the_ledger_promises_holds_there_too(tmp_path: Path, postgres_url: str) -> None:
    async def story() -> None:
        async with town(tmp_path, stamps=True) as place:
            house = place.house("so19", ("H14.19", "H14.20"), {}, [], database=postgres_url)
            async with place.open(house, ("api",)) as here:
                gateway, scribe = here.gateway, here.gateway.scribe
                first, renewing = scribe.key, Renewing(gateway.store, scribe)

                async def sent(number: str) -> str:
                    meta = metadata(SO19, SO20, number=number)
                    answer = await here.submit(meta, ("1.pdf", PDF), key=number)
                    await stamped()
                    return str(answer["id"])

                async def stamped() -> None:
                    while await gateway.sealing.seal():
                        pass
                    await gateway.stamping.stamp()

                document = await sent("1")
                head = await gateway.store.read(ledger.newest_checkpoint)
                assert head is not None
                line = cosign(split_note(head.note)[0], NAME, SECRET, int(AT.timestamp())).line
                row = CosignatureRow(head.epoch, head.size, NAME, line, AT)
                await gateway.store.write(lambda tx: cosignatures.keep(tx, [row], NOW))
                await Rehashing(gateway.store, scribe).run("sha3-256")
                await stamped()
                new = ec.derive_private_key(60, ec.SECP256R1())
                await renewing.change_key(new)
                scribe.key = new
                await renewing.begin_epoch([])
                await sent("2")
                assert place.tsa is not None
                roots = x509.load_pem_x509_certificates(place.tsa[1].read_bytes())
                whole = await report(here, roots)
                assert [(p.path, p.code) for p in whole.problems] == []
                assert whole.verified
                anchors = Anchors({scribe.origin: first.public_key()}, tuple(roots))
                # the gateway's own exporting was built with the first key
                exporting = gateway.desk.exporting
                object.__setattr__(exporting, "key", new)
                found = judged(await exported(here, document), anchors)
                assert found.verdict == "valid", found.checks
                await asyncio.to_thread(spoil, postgres_url)
                told = {p.code for p in (await report(here, roots)).problems}
                assert told == {
                    "ledger.checkpoint_lost",
                    "ledger.stamp_lost",
                    "ledger.cosignature_lost",
                    "ledger.personal_erased",
                }

    asyncio.run(story())


def spoil(url: str) -> None:
    """By hand, as the owner of the tables can: around the triggers."""
    with psycopg.connect(url, autocommit=True) as conn:
        for table in TRIGGERED:
            name = sql.Identifier(table)
            conn.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER ALL").format(name))
        # the first checkpoint, with what stands over it
        first = "SELECT min(size) FROM checkpoint WHERE epoch = 1"
        (size,) = conn.execute(first).fetchone() or (0,)
        for table in ("checkpoint", "stamp"):
            of = sql.SQL("DELETE FROM {} WHERE epoch = 1 AND size = %s")
            conn.execute(of.format(sql.Identifier(table)), (size,))
        conn.execute("DELETE FROM cosignature")
        conn.execute("DELETE FROM personal")
