"""The whole ledger under a newer hash function, recorded, sealed and stamped by the old one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509

from gateway.cli import cli
from gateway.errors import Rejected, Untrusted
from gateway.ledger import merkle
from gateway.ledger.checkpoint import parse_checkpoint
from gateway.ledger.records import leaf_hash, parse_record
from gateway.ledger.rehash import Hashing
from gateway.ledger.stamp import ChainVerdict, verify_stamp
from gateway.rehashing import Rehashing
from gateway.store import Tx, ledger, sqlite_path
from tests.support.houses import PDF, House, Running, metadata, town

SO19, VPCP = "000.00.19.H14", "000.00.00.G22"


async def sealed(here: Running) -> None:
    while await here.gateway.sealing.seal():
        pass


def forge(house: House, record_id: str) -> None:
    """Somebody with the database in his hands changes one record."""
    with closing(sqlite3.connect(sqlite_path(house.settings().database.url))) as database:
        guards = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'record'"
        for (name,) in database.execute(guards).fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE record SET body = ? WHERE id = ?", (b"{}", record_id))
        database.commit()


async def _story(folder: Path) -> House:
    async with town(folder, stamps=True) as place:
        await place.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
        house = place.house(
            "so19", ("H14.19",), {"vxp": "sys.h14"}, [{"axis": "vxp", "everyone": True}]
        )
        async with place.open(house, ()) as here:
            store, scribe = here.gateway.store, here.gateway.scribe
            rehashing = Rehashing(store, scribe)
            with pytest.raises(Rejected):
                await rehashing.run("sha384")
            for number in range(3):
                await here.submit(metadata(SO19, VPCP, number=f"{number + 1}"), ("1.pdf", PDF))
            await sealed(here)
            before = await store.read(ledger.newest_checkpoint)
            assert before is not None
            made = await rehashing.run("sha384")
            assert (made.epoch, made.size, len(made.root)) == (before.epoch, before.size, 48)
            await sealed(here)
            await here.gateway.stamping.stamp()

            def look(tx: Tx) -> tuple[object, ...]:
                newest = ledger.newest_checkpoint(tx)
                assert newest is not None
                (stamp,) = ledger.stamps(tx, newest.epoch)
                nodes = partial(ledger.read_nodes, tx, newest.epoch)
                entries = ledger.entries_from(tx, newest.epoch, 0, 100)
                last = entries[-1]
                proof = merkle.inclusion_proof(last.seq, newest.size, nodes)
                old = [merkle.inclusion_proof(e.seq, before.size, nodes) for e in entries[:-1]]
                return newest, stamp, entries, proof, old

            newest, stamp, entries, proof, old = await store.read(look)
            # recorded in the old tree, under a signed and stamped checkpoint
            record = parse_record(entries[-1].body)
            assert record.event == "ledger.rehashed"
            assert record.facts["root"] == made.root.hex()
            assert record.facts["sha256_root"] == before.root.hex()
            leaf = leaf_hash(entries[-1].body)
            assert merkle.verify_inclusion(leaf, entries[-1].seq, newest.size, proof, newest.root)
            parse_checkpoint(newest.note, scribe.origin, scribe.key.public_key(), newest.at)
            assert place.tsa is not None
            roots = x509.load_pem_x509_certificates(place.tsa[1].read_bytes())
            facts = verify_stamp(stamp.token, newest.note, roots)
            assert facts.chain is ChainVerdict.TRUSTED
            # each record is proved by the old proof and by the new one
            hashing = Hashing("sha384")
            bodies = partial(rehashing.bodies, made.epoch, made.size)
            for entry, path in zip(entries[:-1], old, strict=True):
                leaf = leaf_hash(entry.body)
                assert merkle.verify_inclusion(leaf, entry.seq, before.size, path, before.root)
                new = hashing.inclusion(bodies, entry.seq, made.size)
                assert hashing.includes(entry.body, entry.seq, made.size, new, made.root)

            again = await rehashing.run("sha3-256")
            assert again.size == made.size + 1
            await asyncio.to_thread(forge, house, entries[1].record_id)
            with pytest.raises(Untrusted) as refused:
                await rehashing.run("sha512")
            assert f"-{entries[1].seq} " in refused.value.text.en
        return house


def test_old_and_new_proofs_hold_and_the_new_root_is_on_record(tmp_path: Path) -> None:
    asyncio.run(_story(tmp_path))


def test_the_command_says_the_new_root(tmp_path: Path) -> None:
    async def filled() -> House:
        async with town(tmp_path, stamps=False) as place:
            await place.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
            house = place.house(
                "so19", ("H14.19",), {"vxp": "sys.h14"}, [{"axis": "vxp", "everyone": True}]
            )
            async with place.open(house, ()) as here:
                await here.submit(metadata(SO19, VPCP), ("1.pdf", PDF))
                await sealed(here)
            return house

    house = asyncio.run(filled())
    done = CliRunner().invoke(
        cli, ["ledger", "rehash", "--algorithm", "sha512", "--conf", str(house.conf), "--json"]
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.output.splitlines()[-1] if "\n{" in done.output else done.output)
    assert (told["algorithm"], len(told["root"])) == ("sha512", 128)
    held = CliRunner().invoke(cli, ["ledger", "verify", "--conf", str(house.conf)])
    assert held.exit_code == 0, held.output
