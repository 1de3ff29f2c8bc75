"""What ops may ask about the hours to come: when each queue is empty, and what is too late then.

In:     the desk's store and axes; a language.
Out:    JSON-ready values of `GET /v1/queue/forecast`; times with +07:00.
Fails:  Unavailable, as every look into the store.
Never:  writes; looks at more than CANDIDATES deadlines and LATEST deliveries of an axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from gateway.desk import Desk
from gateway.dispatch import forecast as room
from gateway.dispatch.forecast import Deadline, Forecast, Outlook, Passing, Queue
from gateway.errors import Text
from gateway.model.breaker import BreakerState
from gateway.model.transfer import CLAIMABLE, TransferState
from gateway.promise import VIETNAM, local_time
from gateway.store import Tx, breakers, forecasts, watching

LATEST = 2_000
CANDIDATES = 10_000
NAMED = 20  # of what is too late, for each axis
# how far ahead what is held is looked at, where the queues are empty sooner
HELD_AHEAD = timedelta(days=2)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_WAITS = frozenset(s.value for s in (*CLAIMABLE, TransferState.ACCEPTED, TransferState.SENDING))
_FAILED = frozenset((TransferState.DEFERRED.value, TransferState.UNCERTAIN.value))


class _Seen(NamedTuple):
    now: datetime
    made: Sequence[Forecast]
    held: Mapping[str, int]
    behind: Mapping[str, int]  # acts that wait for what is held
    paused: Mapping[str, datetime | None]  # axis -> when the next one may try
    late: Mapping[str, Sequence[Passing]]
    past: Mapping[str, int]
    more: bool
    held_late: Mapping[str, Sequence[Passing]]
    held_past: Mapping[str, int]
    held_more: bool
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Forecasting:
    """`candidates`: how many deadlines are looked at; beyond it a total is a lower bound."""

    desk: Desk
    candidates: int = CANDIDATES

    async def forecast(self, language: str) -> dict[str, Any]:
        seen = await self.desk.store.read(self._look)
        return {
            "at": local_time(seen.now),
            "axes": [_axis_json(seen, made, language) for made in seen.made],
        }

    def _look(self, tx: Tx) -> _Seen:
        now = tx.now()
        outlets = self.desk.outbound.outlets
        queues, held, behind, paused = [], {}, {}, {}
        for axis in outlets:
            gate = breakers.seen(tx, axis)
            if gate.state is not BreakerState.CLOSED:
                paused[axis] = gate.until
            counts = watching.waiting(tx, axis)
            stopped = forecasts.behind_held(tx, axis)
            behind[axis] = sum(stopped.values())
            queue = _queue(tx, axis, counts, stopped, now)
            queues.append(replace(queue, paused=axis in paused))
            held[axis] = sum(w.number for w in counts if w.state == TransferState.HELD.value)
        made = [room.emptying(queue, now) for queue in queues]
        # an attempt may lie further away than the end of the queue, by one wait at most
        longest = max((o.policy.retry.longest for o in outlets.values()), default=0.0)
        known = (Outlook.MOVING, Outlook.STANDS)
        ends = [one.empty_at or NEVER for one in made if one.outlook in known]
        until = min(max(ends, default=now), NEVER) + timedelta(seconds=longest)
        today = now.astimezone(VIETNAM).date()
        last = until.astimezone(VIETNAM).date() + timedelta(days=1)
        lapsing = forecasts.lapsing(tx, until=until, most=self.candidates)
        falling = forecasts.falling_due(
            tx, from_day=today.isoformat(), to_day=last.isoformat(), most=self.candidates
        )
        deadlines = [Deadline(*row) for row in (*lapsing, *falling)]
        late = {one.axis: room.too_late(one, deadlines, now) for one in made}
        ahead = max(until, now + HELD_AHEAD)
        held_falling = forecasts.held_falling_due(
            tx,
            from_day=today.isoformat(),
            to_day=(ahead.astimezone(VIETNAM).date() + timedelta(days=1)).isoformat(),
            most=self.candidates,
        )
        held_ends = [Deadline(*row) for row in held_falling]
        held_late = {axis: room.while_held(axis, held_ends, now, ahead) for axis in outlets}
        named = [
            p.deadline.document_ref
            for found in (*late.values(), *held_late.values())
            for p in found[:NAMED]
        ]
        return _Seen(
            now=now,
            made=made,
            held=held,
            behind=behind,
            paused=paused,
            late=late,
            past=forecasts.past_due(tx, today=today.isoformat(), most=self.candidates),
            more=self.candidates in (len(lapsing), len(falling)),
            held_late=held_late,
            held_past=forecasts.held_past_due(tx, today=today.isoformat(), most=self.candidates),
            held_more=self.candidates == len(held_falling),
            names=forecasts.names(tx, named),
        )


def _queue(
    tx: Tx,
    axis: str,
    counts: Sequence[watching.Waiting],
    stopped: Mapping[int, int],
    now: datetime,
) -> Queue:
    """`stopped`: lane -> those that leave only after a person has decided about another."""
    waiting: dict[int, int] = dict.fromkeys(watching.LANES, 0)
    for one in counts:
        if one.state in _WAITS:
            waiting[one.lane] = waiting.get(one.lane, 0) + one.number
    for lane, number in stopped.items():
        waiting[lane] = max(0, waiting.get(lane, 0) - number)
    return Queue(
        axis=axis,
        waiting=waiting,
        failed=sum(w.number for w in counts if w.state in _FAILED),
        due_since=min(watching.oldest_due(tx, axis).values(), default=None),
        delivered=forecasts.delivered(tx, axis, since=now - room.WINDOWS[-1], most=LATEST),
        most=LATEST,
    )


def _axis_json(seen: _Seen, made: Forecast, language: str) -> dict[str, Any]:
    late = seen.late[made.axis]
    told = _words(seen, made)
    return {
        "axis": made.axis,
        "outlook": made.outlook.value,
        "message": told.vi if language == "vi" else told.en,
        "waiting": made.waiting,
        "held": seen.held[made.axis],
        "empty_at": _shown(made.empty_at),
        "rate": {
            "per_minute": round(made.rate.per_minute, 3),
            "delivered": made.rate.delivered,
            "window_seconds": round(made.rate.window.total_seconds()),
            "rough": made.rate.rough,
        },
        "lanes": [{"lane": n, "empty_at": _shown(at)} for n, at in made.lanes.items()],
        "past_due": seen.past.get(made.axis, 0),
        "passing": _passing_json(seen, late, more=seen.more),
        "behind_held": seen.behind[made.axis],
        "held_past_due": seen.held_past.get(made.axis, 0),
        "held_passing": _passing_json(seen, seen.held_late[made.axis], more=seen.held_more),
    }


def _passing_json(seen: _Seen, late: Sequence[Passing], *, more: bool) -> dict[str, Any]:
    return {
        "total": len(late),
        "more": more,
        "first": [
            {
                "transfer_id": p.deadline.transfer_id,
                "document_id": seen.names.get(p.deadline.document_ref, ""),
                "lane": p.deadline.lane,
                "passes": p.passes,
                "at": local_time(p.at),
                "due_date": p.deadline.due_date,
                "expires_at": local_time(p.deadline.expires_at),
            }
            for p in late[:NAMED]
        ],
    }


def _words(seen: _Seen, made: Forecast) -> Text:
    """One paragraph: when, at which rate, what is too late; what it does not know it says."""
    rate, minutes = made.rate, round(made.rate.window.total_seconds() / 60) or 1
    count = len(seen.late[made.axis])
    at_least = ("ít nhất ", "at least ") if seen.more and count else ("", "")
    late = Text(
        f" {at_least[0]}{count} lượt chuyển qua hạn xử lý hoặc hết hạn gửi trước khi đi.",
        f" {at_least[1]}{count} transfers pass their due date or lifetime before they leave.",
    )
    match made.outlook:
        case Outlook.EMPTY:
            said, late = Text("Không có gì chờ gửi.", "Nothing waits."), Text("", "")
        case Outlook.UNKNOWN:
            said = Text(
                f"Chưa biết: {made.waiting} lượt chuyển mới tới, trước đó chưa gửi gì trong "
                f"{minutes} phút.",
                f"Unknown: {made.waiting} transfers came a moment ago, and nothing was delivered "
                f"in the {minutes} minutes before.",
            )
            late = Text("", "")
        case Outlook.STANDS if made.axis in seen.paused:
            said = _paused_words(seen, made)
        case Outlook.STANDS:
            said = Text(
                f"Không bao giờ, nếu cứ thế này: {minutes} phút qua không lượt nào lên trục, "
                f"{made.waiting} lượt đang chờ.",
                f"Never, if it stays like this: nothing got onto the axis in {minutes} minutes, "
                f"and {made.waiting} transfers wait.",
            )
        case _:
            when = made.empty_at.astimezone(VIETNAM) if made.empty_at else None
            clock = "" if when is None else _clock(when, seen.now)
            said = Text(
                f"Với tốc độ hiện nay ({rate.per_minute:.1f} lượt/phút, tính theo "
                f"{rate.delivered} lượt trong {minutes} phút) hàng đợi trống lúc {clock}, nếu "
                "không có thêm văn bản.",
                f"At the present rate ({rate.per_minute:.1f} a minute, by {rate.delivered} in "
                f"{minutes} minutes) this queue is empty at {clock}, if nothing more comes.",
            )
            if rate.rough:
                said = Text(
                    f"{said.vi} Ít lượt quá nên chỉ là ước đoán.",
                    f"{said.en} That is a guess: they are few.",
                )
    waits = _held_words(seen, made.axis)
    return Text(said.vi + late.vi + waits.vi, said.en + late.en + waits.en)


def _paused_words(seen: _Seen, made: Forecast) -> Text:
    at = seen.paused[made.axis]
    due = at is not None and at > seen.now
    when = "" if at is None or not due else _clock(at.astimezone(VIETNAM), seen.now)
    return Text(
        f"Không bao giờ, nếu trục cứ im: đang tạm dừng gửi, {made.waiting} lượt đang chờ; "
        + (f"lần gửi thử kế tiếp lúc {when}." if when else "đang gửi thử một lượt."),
        f"Never, as long as the axis fails: sending is paused, and {made.waiting} transfers wait; "
        + (f"the next one tries at {when}." if when else "one is trying now."),
    )


def _held_words(seen: _Seen, axis: str) -> Text:
    """What a person holds, what waits for it, and what is too late if it stays so."""
    held, behind = seen.held[axis], seen.behind[axis]
    said = Text("", "")
    if held:
        said = Text(
            f" {held} lượt HELD chờ người quyết định, không tính ở đây.",
            f" {held} are HELD for a person and not counted here.",
        )
    if behind:
        said = Text(
            f"{said.vi} {behind} lượt chờ sau các lượt HELD, cũng không tính.",
            f"{said.en} {behind} wait behind those that are HELD, and are not counted either.",
        )
    count = len(seen.held_late[axis])
    if count:
        at_least = ("ít nhất ", "at least ") if seen.held_more else ("", "")
        first = seen.held_late[axis][0].at.astimezone(VIETNAM)
        said = Text(
            f"{said.vi} Nếu không ai quyết định, {at_least[0]}{count} lượt HELD qua hạn xử lý, "
            f"sớm nhất lúc {_clock(first, seen.now)}.",
            f"{said.en} If nobody decides, {at_least[1]}{count} of the HELD pass their due date, "
            f"the first at {_clock(first, seen.now)}.",
        )
    return said


def _clock(at: datetime, now: datetime) -> str:
    """hh:mm, with the day where it is another one."""
    same = at.date() == now.astimezone(VIETNAM).date()
    return at.strftime("%H:%M" if same else "%H:%M %d/%m/%Y")


def _shown(at: datetime | None) -> str | None:
    return None if at is None else local_time(at)
