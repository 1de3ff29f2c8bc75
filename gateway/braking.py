"""Time that nobody vouches for: how long it has lasted, and when it stops new documents.

In:     the newest checkpoint and the newest stamp, from the store; the wall clock; `stamp.*`.
Out:    where we stand (`Gap`, `Level`), as readiness, metrics and accepting need it; under the
        policy `hold` transfers HELD with cause `unstamped`, let go again once a stamp came.
Fails:  Unavailable: `stamp.overdue` under the policy `refuse`, `ledger.unsealed`.
Never:  stops statuses, arrivals or attempts that are due already; rewrites an instant.

Three levels. Normal: a stamp follows in time. Provisional: the chain and our own signed time, until
a later stamp covers the gap (RFC 3161 proves "existed before", so it covers all that is before it).
Brake: beyond `stamp.max_delay` a promise would rest on our clock alone for too long.
Both ends of a gap are instants of the wall clock, as `at` of a checkpoint is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from gateway import reporting
from gateway.dispatch import HoldCause
from gateway.errors import Finding, Severity, Text, Unavailable
from gateway.model.transfer import TransferState, step
from gateway.promise import Promise, ledger_unsealed
from gateway.scribe import Scribe
from gateway.store import Store, Tx, ledger, operating, transfers
from gateway.store.ledger import NewRecord
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger

MOST = 100  # transfers that are let go in one commit


class Level(StrEnum):
    """In the order of the gauge `edoc_stamp_level`."""

    NORMAL = "normal"
    PROVISIONAL = "provisional"
    BRAKE = "brake"


_EVENTS = {
    Level.NORMAL: Event.STAMP_CAUGHT_UP,
    Level.PROVISIONAL: Event.STAMP_LATE,
    Level.BRAKE: Event.STAMP_BRAKED,
}


class BrakePolicy(StrEnum):
    HOLD = "hold"  # new documents are accepted and wait until a stamp came
    REFUSE = "refuse"  # new documents are answered 503


@dataclass(frozen=True, slots=True)
class BrakeLimits:
    """`max_delay` zero: no authority is configured, nothing is ever late.

    `alarm_share`: of `max_delay`, from which on it is provisional, and an alarm.
    """

    max_delay: timedelta
    alarm_share: float = 0.025
    policy: BrakePolicy = BrakePolicy.HOLD

    @property
    def alarm_after(self) -> timedelta:
        return self.max_delay * self.alarm_share


class Gap(NamedTuple):
    """What no stamp covers: entries from `size_from` on, below `size_to`; equal: nothing.

    `stamped_at`: the time in the newest token, None without one. `since`: when the first
    checkpoint was made that no stamp covers.
    """

    size_from: int = 0
    size_to: int = 0
    stamped_at: datetime | None = None
    since: datetime | None = None


def look(tx: Tx) -> Gap:
    """The open gap of the newest epoch; three reads by key."""
    newest = ledger.newest_checkpoint(tx)
    if newest is None:
        return Gap()
    stamp = ledger.newest_stamp(tx, newest.epoch)
    size = stamp.size if stamp else 0
    waiting = ledger.checkpoints(tx, newest.epoch, size, most=1)
    return Gap(
        min(size, newest.size),
        newest.size,
        stamp.gen_time if stamp else None,
        waiting[0].at if waiting else None,
    )


class Braking:
    """One for a process. `gap` is what was seen last: accepting asks no database for it."""

    def __init__(self, scribe: Scribe, limits: BrakeLimits) -> None:
        self.scribe = scribe
        self.limits = limits
        self.gap = Gap()
        self._told = Level.NORMAL

    def seen(self, gap: Gap) -> Level:
        """What was looked at now; a change of level is a line in the log."""
        self.gap = gap
        level = self.level()
        if level is not self._told:
            self._told = level
            event = _EVENTS[level]
            since = gap.since.isoformat() if gap.since else ""
            tell = get_logger().info if level is Level.NORMAL else get_logger().warning
            tell(event, since=since, advice=event.advice)
        return level

    def age(self, gap: Gap) -> timedelta:
        """Of the gap, on the wall clock; zero for none, and where no stamp is asked for."""
        if gap.since is None or not self.limits.max_delay:
            return timedelta(0)
        return max(self.scribe.now() - gap.since, timedelta(0))

    def level(self, gap: Gap | None = None) -> Level:
        """Without `gap`: of the one that was seen last, as it is now."""
        age = self.age(self.gap if gap is None else gap)
        if not age or age < self.limits.alarm_after:
            return Level.NORMAL
        return Level.BRAKE if age > self.limits.max_delay else Level.PROVISIONAL

    def refuse(self) -> None:
        """Raises Unavailable (`stamp.overdue`) while new documents are refused."""
        if self.limits.policy is BrakePolicy.REFUSE and self.level() is Level.BRAKE:
            raise Unavailable(
                Text(
                    "Quá stamp.max_delay chưa có dấu thời gian, tạm thời không nhận văn bản",
                    "no timestamp for longer than stamp.max_delay; nothing is accepted for now",
                ),
                code="stamp.overdue",
            )

    def findings(self) -> Iterable[Finding]:
        """What a promise says that will wait: `hold` acts on it, so that both agree."""
        if self.limits.policy is BrakePolicy.HOLD and self.level() is Level.BRAKE:
            yield Finding(
                "transfers",
                "stamp.held",
                Severity.WARNING,
                Text(
                    "Đã nhận nhưng chưa gửi: quá lâu chưa có dấu thời gian; có dấu thì tự gửi",
                    "accepted and not sent yet: no timestamp for too long; it goes by itself "
                    "after the next one",
                ),
            )

    def hold(self, tx: Tx, promise: Promise, made: NewRecord) -> None:
        """In the commit of a promise: its transfers wait when it says so, each with a record."""
        if not any(f.code == "stamp.held" for f in promise.findings):
            return
        for packed in promise.packed:
            moved = transfers.move(
                tx,
                packed.transfer_id,
                fence=0,
                old=TransferState.ACCEPTED,
                new=step(TransferState.ACCEPTED, TransferState.HELD),
                doubt=False,
                now=tx.now(),
                hold_cause=HoldCause.UNSTAMPED,
            )
            if moved:
                held = self.scribe.record(
                    Event.TRANSFER_HELD,
                    made.at,
                    {"transfer": packed.transfer_id},
                    {
                        "axis": packed.route.axis,
                        "was": TransferState.ACCEPTED.value,
                        "state": TransferState.HELD.value,
                        "cause": HoldCause.UNSTAMPED.value,
                    },
                    document_ref=promise.document_ref,
                )
                ledger.append(tx, [held])
                reporting.tell(tx, self.scribe, packed.transfer_id, TransferState.HELD, held)

    async def release(self, store: Store, lifetimes: Mapping[str, timedelta]) -> int:
        """Let go what the brake held, once it is off: MOST a call; how many it were.

        `lifetimes`: axis -> how long a transfer may take from here on.
        """

        def waiting(tx: Tx) -> bool:
            return self.level(look(tx)) is not Level.BRAKE and bool(_held(tx, list(lifetimes), 1))

        def commit(tx: Tx) -> int:
            now, at = tx.now(), self.scribe.now()
            count = 0
            for row in _held(tx, list(lifetimes), MOST):
                waits = operating.waits_for_seal(tx, row.record_id)
                state = step(
                    TransferState.HELD, TransferState.ACCEPTED if waits else TransferState.SEALED
                )
                let_go = operating.release(
                    tx,
                    row,
                    state=state,
                    due_at=None if waits else now,
                    expires_at=now + lifetimes[row.axis],
                    now=now,
                )
                if let_go:
                    count += 1
                    facts = {"axis": row.axis, "was": row.state, "state": state.value}
                    made = self.scribe.record(
                        Event.TRANSFER_RELEASED,
                        at,
                        {"transfer": row.id},
                        {**facts, "cause": HoldCause.UNSTAMPED.value},
                        document_ref=row.document_ref,
                    )
                    ledger.append(tx, [made])
            tx.notify("deliver")
            return count

        if not await store.read(waiting):
            return 0
        return await store.write(commit)


def _held(tx: Tx, axes: Sequence[str], most: int) -> list[operating.Standing]:
    found: list[operating.Standing] = []
    for axis in axes:
        if len(found) < most:
            found += operating.held_for(tx, axis, HoldCause.UNSTAMPED.value, most - len(found))
    return found


def must_be_sealed(tx: Tx, now: datetime, most: timedelta) -> None:
    """Fail closed: a promise that cannot be sealed in time proves nothing (architecture 4)."""
    oldest = ledger.oldest_pending(tx)
    if oldest is not None and now - oldest > most:
        raise ledger_unsealed()
