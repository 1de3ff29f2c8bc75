"""The corridor of evidence: records -> entries -> signed checkpoint -> stamp (steps 5 and 6).

In:     what stands in `pending`; the newest checkpoint.
Out:    entries, tree nodes, a checkpoint and SEALED transfers in one commit; stamp rows.
Fails:  Unavailable while another process seals, or no authority answers; Misconfigured when the
        ledger's key was handed over to another.
        Each authority that was asked is counted, by day, with what its stamps cost.
Never:  lets a checkpoint leave before its commit; rewrites an entry; stamps anything but the
        newest checkpoint; writes what a process did that slept through its turn.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from typing import NamedTuple

from gateway import drifting, lineage
from gateway.errors import GatewayError, Misconfigured, Text, Untrusted
from gateway.ledger import merkle, note, records, stamp
from gateway.ledger.keys import key_id
from gateway.model.record import Checkpoint, Stamp
from gateway.ports import StampReply, TimestampAuthority
from gateway.promise import VIETNAM
from gateway.scribe import Scribe
from gateway.store import Store, Tx, leases, ledger, stamp_uses, transfers
from gateway.store.stamp_uses import Use
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.telemetry.metrics import Metrics

SEALER = "sealer"
STAMPER = "stamper"
SLACK = timedelta(seconds=10)  # of a turn, beyond the deadlines of the authorities
URGENT_CHANNEL = "urgent"  # an urgent document was sealed: its stamp should not wait long


@dataclass(frozen=True, slots=True)
class Pace:
    """`batch`: entries a commit at most; `lease`: how long a sealer that died blocks the next."""

    batch: int = 250
    lease: timedelta = timedelta(seconds=5)


class Sealing:
    """One sealer at a time, by lease; `owner` is this process."""

    def __init__(self, *, store: Store, scribe: Scribe, owner: str, pace: Pace) -> None:
        self.store = store
        self.scribe = scribe
        self.owner = owner
        self.pace = pace

    async def seal(self) -> int:
        """Seal one batch; the number of records sealed (0: nothing waits, or not our turn)."""
        at = self.scribe.now()

        def commit(tx: Tx) -> int:
            if ledger.oldest_pending(tx) is None:
                return 0  # an idle sealer writes nothing, not even its lease
            now = tx.now()
            until = now + self.pace.lease
            if leases.take(tx, SEALER, self.owner, now=now, until=until) is None:
                return 0
            batch = ledger.pending_batch(tx, self.pace.batch)
            if not batch:
                return 0
            newest = ledger.newest_checkpoint(tx)
            if newest is not None:
                self._still_ours(newest)
            epoch, size = (newest.epoch, newest.size) if newest else (1, 0)
            leaves = [records.leaf_hash(body) for _, body in batch]
            # a tree that no longer gives its own last root is never extended: Broken
            grown = merkle.append(
                leaves,
                size,
                partial(ledger.read_nodes, tx, epoch),
                expected_root=newest.root if newest else None,
            )
            key = self.scribe.key
            made = lineage.sign_head(tx, self.scribe.origin, epoch, grown, newest, at, key)
            ledger.extend(
                tx,
                entries=[
                    (size + n, record_id, leaf)
                    for n, ((record_id, _), leaf) in enumerate(zip(batch, leaves, strict=True))
                ],
                nodes=[(n.level, n.idx, n.hash) for n in grown.nodes],
                made=made,
            )
            sealed = transfers.mark_sealed(tx, [record_id for record_id, _ in batch], now)
            if sealed.moved:
                tx.notify("deliver")
            if sealed.urgent:
                tx.notify(URGENT_CHANNEL)
            return len(batch)

        return await self.store.write(commit)

    def _still_ours(self, newest: Checkpoint) -> None:
        """The key of this process signed the newest checkpoint: it was not handed over since."""
        mine = key_id(self.scribe.key.public_key())
        if mine not in {blob[:4] for _, blob in note.split_note(newest.note)[1]}:
            raise Misconfigured(
                Text(
                    "Sổ cái đã đổi khóa: khởi động lại với khóa mới, hoặc chạy lại `key rotate`",
                    "the ledger changed its key: start with the new one, or run `key rotate` again",
                ),
                code="ledger.key_retired",
            )


class Turn(NamedTuple):
    """The right to ask for a stamp: one request in flight, whoever makes it."""

    owner: str
    fence: int


class Stamping:
    """Stamps the newest checkpoint by the first authority that answers well, one at a time.

    `authorities` in the order in which they are asked; `costs`: of one stamp, by their names.
    """

    def __init__(
        self,
        *,
        store: Store,
        scribe: Scribe,
        authorities: Sequence[TimestampAuthority],
        costs: Mapping[str, int],
        metrics: Metrics,
        deadline_seconds: float,
        owner: str,
    ) -> None:
        self.store = store
        self.scribe = scribe
        self.authorities = authorities
        self.costs = costs
        self.metrics = metrics
        self._turns = count()
        self.deadline_seconds = deadline_seconds
        self.owner = owner

    async def stamp(self) -> Stamp | None:
        """One stamp over the newest checkpoint; None when every entry is stamped already."""

        def look(tx: Tx) -> Checkpoint | None:
            newest = ledger.newest_checkpoint(tx)
            if newest is None or ledger.stamped_size(tx, newest.epoch) >= newest.size:
                return None
            return newest

        newest = await self.store.read(look)
        if newest is None or not self.authorities:
            return None
        turn = await self.store.write(self.my_turn)
        return None if turn is None else await self.stamp_over(newest, turn)

    async def stamp_over(self, head: Checkpoint, turn: Turn) -> Stamp | None:
        """A stamp over this checkpoint, by whoever took its turn; the turn is given back.

        None: it was lost meanwhile. Raises Unavailable (`stamp.unavailable`): nobody answered well.
        """
        try:
            return await self._stamp(head, turn)
        finally:
            give_back = partial(leases.give_back, name=STAMPER, owner=turn.owner)
            await self.store.write(give_back)

    def my_turn(self, tx: Tx) -> Turn | None:
        """None while somebody else stamps, in another process or in this one."""
        now = tx.now()
        until = now + timedelta(seconds=self.deadline_seconds * len(self.authorities)) + SLACK
        owner = f"{self.owner}/{next(self._turns)}"
        fence = leases.take(tx, STAMPER, owner, now=now, until=until)
        return None if fence is None else Turn(owner, fence)

    async def _stamp(self, newest: Checkpoint, turn: Turn) -> Stamp | None:
        reply, uses, drift = await self._ask(stamp.stamp_digest(newest))
        made = Stamp(
            epoch=newest.epoch,
            size=newest.size,
            token=reply.token,
            authority=reply.authority,
            gen_time=reply.gen_time,
            policy=reply.policy,
            serial=reply.serial,
        )
        stamp_id = self.scribe.entropy.new_id()
        at = self.scribe.now()

        def keep(tx: Tx) -> bool:
            stamp_uses.add(tx, self._day(), uses)
            drifting.note(tx, drift)
            if not leases.holds(tx, STAMPER, turn.owner, turn.fence):
                return False
            ledger.keep_stamp(tx, stamp_id, made, at)
            return True

        if await self.store.write(keep):
            return made
        # this process slept, or the authority did: somebody else stamps, or stamped, a newer one
        get_logger().warning(Event.LEASE_LOST, lease=STAMPER, advice=Event.LEASE_LOST.advice)
        return None

    async def _ask(self, digest: bytes) -> tuple[StampReply, list[Use], float]:
        """The first good answer, who was asked for it, and what it shows of our clock.

        A slow one delays nothing but this.
        """
        failures: list[str] = []
        uses: list[Use] = []
        for authority in self.authorities:
            name, began, asked_at = authority.name, time.monotonic(), self.scribe.now()
            try:
                reply = await authority.stamp(digest, self.deadline_seconds)
            except GatewayError as problem:
                failures.append(f"{name}: {problem.code}")
                uses.append(Use(name, 0, 1, 0))
                result = "untrusted" if isinstance(problem, Untrusted) else "unavailable"
                self.metrics.asked_for_stamp(name, result, time.monotonic() - began)
                continue
            cost = self.costs.get(name, 0)
            uses.append(Use(name, 1, 0, cost))
            self.metrics.asked_for_stamp(name, reply.reading, time.monotonic() - began, cost)
            drift = drifting.of_stamp(asked_at, reply.gen_time, self.scribe.now())
            return reply, uses, drift
        await self.store.write(lambda tx: stamp_uses.add(tx, self._day(), uses))
        raise stamp.unanswered(failures)

    def _day(self) -> str:
        return self.scribe.now().astimezone(VIETNAM).date().isoformat()
