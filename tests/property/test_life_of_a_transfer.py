"""Every life that a transfer can have in the store, on both databases, against the model's table.

The machine does what workers, people, recipients and time do to transfers, in any order, with
claims that are long over and steps that nobody may take. After each of its steps it looks: no row
has gone where `TRANSFER_TRANSITIONS` (and the walks listed beside it) do not lead, and each stands
where the rules of architecture 4 and 5 say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import select, update

from adapters.loopback.axis import LoopbackAxis
from gateway.dispatch import schedule, share
from gateway.dispatch.retry import parse
from gateway.errors import Broken
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain, outcome_word
from gateway.model.transfer import CLAIMABLE, TRANSFER_MOVES, TransferState
from gateway.promise import Outlet
from gateway.scribe import Scribe
from gateway.settling import Settling, reach_axis
from gateway.store import Store, Tx, Violation, transfers
from gateway.store import claims as claiming
from gateway.store.tables import transfer
from gateway.wiring.process import SystemEntropy
from tests.support.databases import opened
from tests.support.queues import queued_transfers

S = TransferState
LEASE = timedelta(seconds=60)
OUTCOMES = (
    Delivered("ref", "ok"),
    Deferred("connect.refused"),
    Deferred("vxp.99", unlisted=True),
    Refused("vxp.22"),
    Uncertain("answer.silence"),
)
POLICIES = {
    "again": schedule.Policy(retry=parse("30s then every 1h for 1h"), grace_seconds=10),
    "never": schedule.Policy(
        retry=parse("30s then every 1h for 1h"), grace_seconds=10, repeat="never"
    ),
}
NAMES = itertools.count()
states = st.sampled_from(list(TransferState))


@dataclass
class Clock:
    at: datetime = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@dataclass
class Life:
    """What the machine expects of one transfer."""

    state: TransferState
    record: str
    doubt: bool = False
    fence: int = 0
    due: datetime | None = None
    lease: datetime | None = None
    expires: datetime = field(default_factory=lambda: datetime.max.replace(tzinfo=UTC))


class Lives(RuleBasedStateMachine):
    store: ClassVar[Store]
    clock: ClassVar[Clock]

    def __init__(self) -> None:
        super().__init__()
        self.axis = f"axis-{next(NAMES)}"
        self.policy = POLICIES["never" if next(NAMES) % 3 == 0 else "again"]
        scribe = Scribe(
            clock=self.clock,
            entropy=SystemEntropy(),
            origin="machine.test",
            key=ec.generate_private_key(ec.SECP256R1()),
        )
        # its axis is never asked: only its policy is
        outlet = Outlet(LoopbackAxis(SimpleNamespace()), self.policy)
        self.settling = Settling(scribe=scribe, key_of=str, outlets={self.axis: outlet})
        self.lives: dict[str, Life] = {}
        self.claims: list[claiming.Claim] = []
        self.before: dict[str, str] = {}

    def write(self, fn: Callable[[Tx], object]) -> object:
        return self.store.write_sync(fn)

    def one(self, pick: int) -> str | None:
        ids = sorted(self.lives)
        return ids[pick % len(ids)] if ids else None

    # -- what happens to them

    @rule()
    def accepted(self) -> None:
        name = f"{self.axis}-{len(self.lives)}-"
        lifetime = timedelta(seconds=self.policy.lifetime_seconds)

        def accept(tx: Tx) -> str:
            (made,) = queued_transfers(tx, 1, axis=self.axis, name=name, sealed=False)
            ends = update(transfer).where(transfer.c.id == made)
            tx.execute(ends.values(expires_at=tx.now() + lifetime))
            return made

        made = str(self.write(accept))
        self.lives[made] = Life(S.ACCEPTED, f"r{name}0", expires=self.clock.at + lifetime)

    @rule()
    def sealed(self) -> None:
        """The sealer names every record there is; it moves only what is still ACCEPTED."""
        records = [life.record for life in self.lives.values()]
        now = self.clock.at
        moved = self.write(lambda tx: transfers.mark_sealed(tx, records, now).moved)
        waiting = [life for life in self.lives.values() if life.state is S.ACCEPTED]
        assert moved == len(waiting)
        for life in waiting:
            life.state, life.due = S.SEALED, now

    @rule(most=st.integers(1, 3))
    def claimed(self, most: int) -> None:
        now = self.clock.at

        def claim(tx: Tx) -> list[claiming.Claim]:
            taken = claiming.claim(
                tx,
                axis=self.axis,
                most=most,
                lease_until=now + LEASE,
                now=now,
                look=claiming.Look(share),
            )
            claims = [one for one, _ in taken]
            claiming.start_attempts(
                tx,
                [
                    {
                        "id": f"{c.id}-{c.attempts}",
                        "transfer_id": c.id,
                        "number": c.attempts,
                        "fence": c.fence,
                        "started_at": now,
                    }
                    for c in claims
                ],
            ) if claims else None
            return claims

        claims = self.store.write_sync(claim)
        ready = {
            key
            for key, life in self.lives.items()
            if life.state in CLAIMABLE and life.due is not None and life.due <= now < life.expires
        }
        assert {c.id for c in claims} <= ready
        assert len(claims) == min(most, len(ready))
        for one in claims:
            life = self.lives[one.id]
            life.state, life.lease, life.fence = S.SENDING, now + LEASE, life.fence + 1
            life.due = None  # only what may be claimed has a due time
            assert (one.fence, one.doubt) == (life.fence, life.doubt)
        self.claims += claims

    @rule(pick=st.integers(0, 99), outcome=st.sampled_from(OUTCOMES))
    def ended(self, pick: int, outcome: Outcome) -> None:
        """Any claim ever made may come to its end now, and only the one that holds moves it."""
        if not self.claims:
            return
        claim = self.claims.pop(pick % len(self.claims))
        now, life = self.clock.at, self.lives[claim.id]
        step = schedule.next_step(
            outcome=outcome,
            doubt=claim.doubt,
            attempts=claim.attempts,
            accepted_at=claim.expires_at - timedelta(seconds=self.policy.lifetime_seconds),
            now=now,
            fraction=0.5,
            policy=self.policy,
            recent_codes=[claim.last_code] * claim.equal_answers,
        )
        equal = claim.equal_answers + 1 if outcome.code == claim.last_code else 1
        ending = transfers.Ending(
            step.state, step.due_at, step.doubt, outcome.code, "", equal, "", step.hold_cause
        )
        moved = self.write(
            lambda tx: transfers.end_attempt(
                tx, claim, outcome_word(outcome), ending, seen=now, now=now
            )
        )
        holds = life.state is S.SENDING and life.fence == claim.fence
        assert moved is holds
        if holds:
            life.state, life.due, life.doubt, life.lease = step.state, step.due_at, step.doubt, None

    @rule()
    def taken_over(self) -> None:
        now = self.clock.at

        def take(tx: Tx) -> int:
            gone = [s for s in transfers.stale(tx, now) if s.axis == self.axis]
            return self.settling.take_over(tx, gone, now)

        stale = [
            life
            for life in self.lives.values()
            if life.state is S.SENDING and life.lease is not None and life.lease <= now
        ]
        assert self.write(take) == len(stale)
        for life in stale:
            life.state = S.HELD if self.policy.repeat == "never" else S.UNCERTAIN
            life.due = None if life.state is S.HELD else max(life.lease or now, now)
            life.doubt, life.fence, life.lease = True, life.fence + 1, None

    @rule()
    def lapsed(self) -> None:
        now = self.clock.at
        self.write(lambda tx: self.settling.lapse(tx, now))
        for life in self.lives.values():
            if life.state in CLAIMABLE and life.expires <= now:
                doubted = life.doubt or life.state is S.UNCERTAIN
                life.state = S.HELD if doubted else S.EXPIRED
                life.doubt, life.due, life.fence = doubted, None, life.fence + 1

    @rule(pick=st.integers(0, 99))
    def settled(self, pick: int) -> None:
        """A recipient's status, or a verdict that came late."""
        key = self.one(pick)
        if key is None:
            return
        now, life = self.clock.at, self.lives[key]
        there = self.write(lambda tx: reach_axis(tx, key, now, now))
        allowed = S.ON_AXIS in TRANSFER_MOVES[life.state]
        assert there is (allowed or life.state is S.ON_AXIS)
        if allowed:
            life.state, life.due, life.lease, life.fence = S.ON_AXIS, None, None, life.fence + 1

    @rule(pick=st.integers(0, 99), new=states)
    def moved_by_a_person(self, pick: int, new: TransferState) -> None:
        """Hold, release, withdraw...: what the table knows is done, anything else is Broken."""
        key = self.one(pick)
        if key is None:
            return
        now, life = self.clock.at, self.lives[key]

        def move(tx: Tx) -> bool:
            return transfers.move(
                tx,
                key,
                fence=life.fence,
                old=life.state,
                new=new,
                doubt=life.doubt,
                due_at=now if new in CLAIMABLE else None,
                now=now,
            )

        if new not in TRANSFER_MOVES[life.state]:
            with pytest.raises(Broken) as refused:
                self.write(move)
            assert refused.value.code == "transfer.illegal_step"
        elif new is not S.SENDING:  # entered by a claim alone, which gives a lease
            assert self.write(move) is True
            life.state, life.fence, life.lease = new, life.fence + 1, None
            life.due = now if new in CLAIMABLE else None

    @rule(pick=st.integers(0, 99), new=states)
    def moved_by_somebody_with_sql(self, pick: int, new: TransferState) -> None:
        key = self.one(pick)
        if key is None or new is self.lives[key].state:
            return
        if new not in TRANSFER_MOVES[self.lives[key].state]:
            change = update(transfer).where(transfer.c.id == key).values(state=new.value)
            with pytest.raises(Violation) as refused:
                self.write(lambda tx: tx.execute(change))
            assert refused.value.kind == "transition"

    @rule(seconds=st.sampled_from([1, 30, 61, 600, 1800]))
    def time_passes(self, seconds: int) -> None:
        self.clock.at += timedelta(seconds=seconds)

    # -- what must hold

    @invariant()
    def every_row_stands_where_it_should_and_came_there_by_the_table(self) -> None:
        asked = select(
            transfer.c.id, transfer.c.state, transfer.c.doubt, transfer.c.fence, transfer.c.due_at
        ).where(transfer.c.axis == self.axis)
        rows = self.store.read_sync(lambda tx: tx.execute(asked).all())
        now = {row[0]: row[1] for row in rows}
        for key, state in now.items():
            old = self.before.get(key, S.ACCEPTED.value)
            assert state == old or TransferState(state) in TRANSFER_MOVES[TransferState(old)]
        self.before = now
        expected = {k: (v.state.value, v.doubt, v.fence, v.due) for k, v in self.lives.items()}
        assert {row[0]: tuple(row[1:]) for row in rows} == expected


def test_no_life_of_a_transfer_leaves_the_table(any_url: str) -> None:
    clock = Clock()
    with opened(any_url, clock.now) as store:
        Lives.store, Lives.clock = store, clock
        run_state_machine_as_test(
            Lives, settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
        )
