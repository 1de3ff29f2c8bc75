"""Checkpoints name those before them, and what came meanwhile: nothing goes without being missed.

Losses are played by not writing the row, so on both databases and around no trigger.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.audit.books import verify_books
from gateway.audit.lineage import unbroken
from gateway.ledger import checkpoint, lineage, merkle
from gateway.lineage import sign_head
from gateway.model.record import Stamp
from gateway.store import Store, Tx, cosignatures, ledger, unsaid
from gateway.store import tables as t
from gateway.store.cosignatures import CosignatureRow
from tests.support.houses import PDF, metadata, town
from tests.support.ledgers import KEY, ORIGIN, START

SO19, SO20 = "000.00.19.H14", "000.00.20.H14"
ROOT = bytes(32)
OLD = 2  # checkpoints up to this size were made before any said a word of the others


class Wrote:
    """A tree whose checkpoints stand at sizes 1 to 6; stamps over 2, 3 and 5, a cosignature at 4.

    `lost`: what is not written although all that comes after it speaks of it.
    """

    def __init__(self, tx: Tx, lost: Collection[str] = (), old: int = OLD) -> None:
        self.tx, self.lost, self.old = tx, lost, old
        self.before: checkpoint.Checkpoint | None = None
        for size in range(1, 7):
            self.checkpoint(size)
            if size in {2, 3, 5}:
                self.stamp(size)
            if size == 4:
                self.cosignature(size)

    def checkpoint(self, size: int) -> None:
        grown = merkle.Appended((), size, ROOT)
        if size <= self.old:
            made = checkpoint.make_checkpoint(ORIGIN, 1, size, ROOT, START, KEY)
        else:
            made = sign_head(self.tx, ORIGIN, 1, grown, self.before, START, KEY)
        self.before = made
        if f"checkpoint {size}" not in self.lost:
            entry = (size - 1, f"r{size}", bytes(32))
            ledger.extend(self.tx, entries=[entry], nodes=[], made=made)

    def stamp(self, size: int) -> None:
        token = b"token %d" % size
        if f"stamp {size}" not in self.lost:
            made = Stamp(1, size, token, "tsa", START, "1.2.3", str(size))
            ledger.keep_stamp(self.tx, f"stamp-{size}", made, START)
            if size < self.old or f"wait {size}" in self.lost:  # as an older gateway kept it
                self.forget(token)
        else:
            row = unsaid.Unsaid(hashlib.sha256(token).digest(), unsaid.STAMP, 1, size, "")
            unsaid.add(self.tx, row)

    def cosignature(self, size: int) -> None:
        row = CosignatureRow(1, size, "w.example", "— w.example AAAA", START)
        cosignatures.keep(self.tx, [row], START)
        cosignatures.keep(self.tx, [row], START + timedelta(seconds=1))  # the first stays
        if f"wait {size}" in self.lost:
            self.forget(row.line.encode())

    def forget(self, content: bytes) -> None:
        digest = hashlib.sha256(content).digest()
        unsaid.said(self.tx, [r for r in unsaid.after(self.tx, b"", 100) if r.digest == digest])


@pytest.mark.parametrize(
    ("lost", "found"),
    [
        ((), []),
        (("checkpoint 4",), [("epoch/1/checkpoint/4", "ledger.checkpoint_lost")]),
        (
            ("checkpoint 4", "checkpoint 5"),
            [("epoch/1/checkpoint/5", "ledger.checkpoint_lost")],
        ),
        (("stamp 3",), [("epoch/1/checkpoint/3/stamp", "ledger.stamp_lost")]),
        (("stamp 5",), [("epoch/1/checkpoint/5/stamp", "ledger.stamp_lost")]),
        (("wait 4",), [("epoch/1/checkpoint/4/witness/w.example", "ledger.unnamed")]),
        (("wait 5",), [("epoch/1/checkpoint/5/stamp", "ledger.unnamed")]),
        # before the first that says something of the others nothing is missed
        (("checkpoint 1",), []),
        (("wait 2",), []),
        # its next is the first that does
        (("checkpoint 2",), [("epoch/1/checkpoint/2", "ledger.checkpoint_lost")]),
        # named although it was stamped before: it came when the names had begun
        (("stamp 2",), [("epoch/1/checkpoint/2/stamp", "ledger.stamp_lost")]),
    ],
)
def test_what_is_gone_is_missed_by_what_came_after_it(
    any_store: Store, lost: tuple[str, ...], found: list[tuple[str, str]]
) -> None:
    any_store.write_sync(lambda tx: Wrote(tx, lost))
    told = any_store.read_sync(lambda tx: list(unbroken(tx)))
    assert [(f.path, f.code) for f in told] == found


def test_a_checkpoint_that_says_nothing_any_more_is_told(any_store: Store) -> None:
    def silent(tx: Tx) -> None:
        wrote = Wrote(tx, old=0)
        wrote.old = 7
        wrote.checkpoint(7)

    any_store.write_sync(silent)
    told = any_store.read_sync(lambda tx: list(unbroken(tx)))
    assert [(f.path, f.code) for f in told] == [("epoch/1/checkpoint/7", "ledger.lineage")]


def test_a_checkpoint_too_many_is_told(any_store: Store) -> None:
    """Signed by the same key, behind the same one: another history was shown to somebody."""

    def second(tx: Tx) -> None:
        wrote = Wrote(tx, old=0)
        last = wrote.before
        wrote.checkpoint(7)
        wrote.before = last
        wrote.checkpoint(8)

    any_store.write_sync(second)
    told = any_store.read_sync(lambda tx: list(unbroken(tx)))
    assert [(f.path, f.code) for f in told] == [("epoch/1/checkpoint/8", "ledger.lineage")]


def test_more_than_a_checkpoint_can_name_wait_for_the_next(any_store: Store) -> None:
    def many(tx: Tx) -> list[int]:
        wrote = Wrote(tx, old=0)
        for number in range(lineage.MOST + 5):
            made = Stamp(1, 6, b"more %d" % number, "tsa", START, "1.2.3", "1")
            ledger.keep_stamp(tx, f"more-{number}", made, START)
        left = []
        for size in (7, 8):
            wrote.checkpoint(size)
            left.append(len(unsaid.oldest(tx, 1000)))
        return left

    assert any_store.write_sync(many) == [5, 0]
    assert any_store.read_sync(lambda tx: list(unbroken(tx))) == []


def test_an_idle_gateway_stamps_nothing_of_its_own(tmp_path: Path, any_url: str) -> None:
    """A stamp asks for no checkpoint, so for no other stamp; the next one names it."""

    async def run() -> None:
        async with town(tmp_path, stamps=True) as made:
            house = made.house(
                "so19",
                ("H14.19", "H14.20"),
                {},
                [],
                database=any_url if "postgres" in any_url else "",
            )
            async with made.open(house, ("api",)) as here:
                gateway = here.gateway

                async def turn() -> tuple[int, int, int]:
                    while await gateway.sealing.seal():
                        pass
                    await gateway.stamping.stamp()
                    return await gateway.store.read(counts)

                await here.submit(metadata(SO19, SO20, number="1"), ("1.pdf", PDF), key="1")
                first = await turn()
                assert first[1:] == (1, 1)
                assert [await turn() for _ in range(3)] == [first] * 3
                await here.submit(metadata(SO19, SO20, number="2"), ("1.pdf", PDF), key="2")
                second = await turn()
                assert second == (first[0] + 1, 2, 1)
                newest = await gateway.store.read(ledger.newest_checkpoint)
                assert newest is not None
                said = lineage.read_lineage(newest.note)
                assert said is not None
                assert [one.kind for one in said.known] == ["stamp"]
                scribe = gateway.scribe
                report = await asyncio.to_thread(
                    verify_books,
                    gateway.store,
                    gateway.outbound.blobs,
                    origin=scribe.origin,
                    public_key=scribe.key.public_key(),
                    anchors=(),
                    stamp_max_delay=timedelta(0),
                )
                assert report.verified, report.problems
                # it is unjudged because no anchor was given, so nothing counts as stamped
                told = {p.code for p in report.problems}
                assert told == {"ledger.stamp_unjudged", "ledger.unstamped"}

    asyncio.run(run())


def counts(tx: Tx) -> tuple[int, int, int]:
    """Checkpoints, stamps, and what waits to be named."""
    found = [
        tx.execute(select(func.count()).select_from(name)).scalar()
        for name in (t.checkpoint, t.stamp, t.unsaid)
    ]
    return int(found[0]), int(found[1]), int(found[2])
