"""Sending again what died: one transfer, or all that ended in a period, at a rate.

In:     an order (who asks), a final transfer or a period, a reason.
Out:    new transfers with `replay_of`: the same bytes to the same receivers, ACCEPTED, a record
        `transfer.replayed` each; of a period a preview that writes nothing.
Fails:  Unknown; Conflict for a transfer that is not at its end, has a replay already, would reach
        its receivers twice, or carries what its sender has recalled since; Rejected for a period
        that is none; Unavailable while another period is being replayed.
Never:  makes two replays of one transfer (a key decides, not a look before); moves the old one.

A period may be asked for again at any time, killed in the middle or not: what has its replay is
passed over, and those still to come queue up behind the last that waits, so the rate holds. In a
period a document goes before the acts on it, whichever died first; what its sender has recalled,
replaced or asked back since is left alone.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from gateway.deadletters import cause_of
from gateway.dispatch.causes import Whose
from gateway.errors import Conflict, Finding, Rejected, Severity, Text, Unavailable
from gateway.model.transfer import TransferState
from gateway.operating import Operating, must_allow, must_say_why
from gateway.promise import VIETNAM, Order, local_time, no_axis
from gateway.store import Tx, acts, documents, leases, ledger, pacing, transfers
from gateway.store import blobs as blob_rows
from gateway.store import operating as rows
from gateway.store.operating import Dead, Standing
from gateway.store.patience import write_after_race
from gateway.telemetry.events import Event

BATCH = 50  # replays a commit
MOST_NAMED = 200  # ids in an answer; the counts are of all
MOST_HELD = 10_000  # counted beside a period; more are a lower bound
USUAL_RATE, MOST_RATE = 60, 6000
FIRST_YEAR, LAST_YEAR = 1990, 2199
TURN = timedelta(seconds=30)
LEASE = "replay"
Place = tuple[datetime, str] | None  # the last transfer looked at; None: there was none


class Period(NamedTuple):
    """What ended in [start, end) on the database's clock; `whose` None, `axis` "": all of them.

    `rate`: replays a minute at most.
    """

    start: datetime
    end: datetime
    whose: Whose | None = None
    axis: str = ""
    rate: int = 60

    def wants(self, one: Dead) -> bool:
        return self.axis in ("", one.transfer.axis) and self.whose in (None, cause_of(one).whose)

    @property
    def pace_ms(self) -> int:
        return -(-60_000 // self.rate)

    def holds(self, one: Dead) -> bool:
        return self.start <= one.transfer.moved_at < self.end and self.wants(one)


class _Batch(NamedTuple):
    """`undone`: ids of those left alone, because their sender has recalled them."""

    place: Place
    made: list[dict[str, Any]]
    undone: list[str]


class Replaying:
    """Beside `Operating`: the same orders, the same kept answers."""

    def __init__(self, operating: Operating) -> None:
        self.operating = operating
        self.outbound = operating.outbound
        self.scribe = operating.scribe

    # -- one -------------------------------------------------------------------------------------

    async def one(
        self, order: Order, transfer_id: str, *, again: bool, reason: str
    ) -> documents.Answered:
        """A final transfer once more. One that is on the axis only with `again`: its receivers
        tell doubles by identity, but the axis may not. So too one that its sender has undone since:
        whoever gives it back to a receiver must mean it.
        """
        must_say_why(reason)

        def act(tx: Tx, row: Standing, at: datetime) -> dict[str, Any]:
            must_allow(row, "replay")
            if row.state == TransferState.ON_AXIS and not again:
                raise _on_axis()
            if not again and acts.undone(tx, [row.id]):
                raise _undone()
            made = self._make(tx, row, order, at, due_at=None, about={}, reason=reason)
            if made is None:
                raise _replayed(rows.replay_of(tx, row.id) or "")
            state = TransferState.ACCEPTED.value
            return {"transfer_id": made, "replay_of": row.id, "state": state}

        return await self.operating.act(order, transfer_id, act)

    def _make(
        self,
        tx: Tx,
        old: Standing,
        order: Order,
        at: datetime,
        *,
        due_at: datetime | None,
        about: dict[str, str],
        pace_ms: int | None = None,
        reason: str = "",
    ) -> str | None:
        """The new transfer's id; None when the old one has its replay."""
        receivers = transfers.recipients_of(tx, [old.id])
        new_id = self.scribe.entropy.new_id()
        made = self.scribe.record(
            Event.TRANSFER_REPLAYED,
            at,
            {"transfer": new_id, "account": order.account_id, "replay_of": old.id, **about},
            {
                "from": old.sender.upper(),
                "axis": old.axis,
                "package_blob": old.package_sha256,
                "size": old.package_size,
                "to": [r.agency.upper() for r in receivers],
                "was": old.state,
                "state": TransferState.ACCEPTED.value,
            },
            document_ref=old.document_ref,
            personal={"reason": reason.strip()},
        )
        now = tx.now()
        lifetime = self.operating.settling.policy_of(old.axis).lifetime_seconds
        if not rows.add_replay(
            tx,
            old,
            new_id=new_id,
            record_id=made.id,
            accepted_at=at,
            due_at=due_at,
            expires_at=(due_at or now) + timedelta(seconds=lifetime),
            now=now,
            recipients=[(r.agency_key, r.agency) for r in receivers],
            pace_ms=pace_ms,
        ):
            return None
        blob_rows.refer(tx, [(old.package_sha256, old.package_size)])
        ledger.append(tx, [made])
        return new_id

    async def now(self) -> datetime:
        """On the database's clock, by which transfers end."""
        return await self.outbound.store.read(lambda tx: tx.now())

    @property
    def axes(self) -> Container[str]:
        """The axes that there are, the house itself among them."""
        return self.outbound.outlets

    # -- a period ----------------------------------------------------------------------------------

    async def preview(self, period: Period) -> dict[str, Any]:
        """How many there are by cause, and which; nothing is written."""

        def look(tx: Tx) -> tuple[dict[str, list[str]], list[str], list[str]]:
            found, undone = dict[str, list[str]](), list[str]()
            wanted = _wanted(tx, period, (period.start, ""))
            while some := list(islice(wanted, MOST_NAMED)):
                left = acts.undone(tx, [one.transfer.id for one in some])
                for one in some:
                    if one.transfer.id in left:
                        undone.append(one.transfer.id)
                    else:
                        found.setdefault(cause_of(one).whose.value, []).append(one.transfer.id)
            return found, undone, _held(tx, period)

        found, undone, held = await self.outbound.store.read(look)
        count = sum(len(ids) for ids in found.values())
        return {
            "preview": True,
            "from": local_time(period.start),
            "to": local_time(period.end),
            "count": count,
            "minutes": -(-count // period.rate),
            "by_cause": {
                whose: {"count": len(ids), "transfer_ids": ids[:MOST_NAMED]}
                for whose, ids in sorted(found.items())
            },
            "recalled": _counted(undone),
            "held": _counted(held),
        }

    async def run(self, order: Order, period: Period, *, reason: str) -> documents.Answered:
        """Replay what ended in a period, `period.rate` a minute. See the head of this file."""
        must_say_why(reason)
        store = self.outbound.store
        told = await store.read(lambda tx: self.outbound.answered(tx, order))
        if told is not None:
            return told
        at = self.scribe.now()
        facts = {
            "from": local_time(period.start),
            "to": local_time(period.end),
            "cause": period.whose.value if period.whose else "",
            "axis": period.axis,
            "rate": period.rate,
        }
        ordered = self.scribe.record(
            Event.REPLAY_ORDERED,
            at,
            {"account": order.account_id},
            facts,
            personal={"reason": reason.strip()},
        )
        # the same request again takes its own turn back, another waits for it
        owner = f"{order.account_id} {order.content}"

        def begin(tx: Tx) -> None:
            _take_turn(tx, owner)
            ledger.append(tx, [ordered])
            now = tx.now()
            for axis in self.outbound.outlets:
                # what an earlier period has left over goes before this one, not beside it
                pacing.space(tx, axis, now, unsealed=True)

        def batch(tx: Tx, after: tuple[datetime, str]) -> _Batch:
            _take_turn(tx, owner)
            now = tx.now()
            apart = timedelta(milliseconds=period.pace_ms)
            last = rows.last_slot(tx)
            due_at = max(last + apart, now) if last else now
            some = list(islice(_wanted(tx, period, after), BATCH))
            place = (some[-1].transfer.moved_at, some[-1].transfer.id) if some else None
            seen = set[str]()
            ordered_ones = [old for one in some for old in _in_order(tx, period, one, seen)]
            undone = acts.undone(tx, [old.id for old in ordered_ones]) if ordered_ones else set()
            made = []
            for old in ordered_ones:
                if old.id in undone:
                    continue
                about = {"order": ordered.id}
                new_id = self._make(
                    tx, old, order, at, due_at=due_at, about=about, pace_ms=period.pace_ms
                )
                if new_id is not None:  # None: another made it at this moment
                    shown = {"transfer_id": new_id, "replay_of": old.id}
                    made.append({**shown, "due_at": local_time(due_at)})
                    due_at += apart
            return _Batch(place, made, [old.id for old in ordered_ones if old.id in undone])

        await store.write(begin)
        held = await store.read(lambda tx: _held(tx, period))
        count, named, end = 0, list[dict[str, Any]](), None
        undone = dict[str, None]()  # in a family one may be met twice
        place: Place = (period.start, "")
        while place is not None:
            place, made, left = await store.write(partial(batch, after=place))
            count += len(made)
            named += made[: MOST_NAMED - len(named)]
            end = made[-1]["due_at"] if made else end
            undone |= dict.fromkeys(left)
        value = {
            "order": ordered.id,
            "count": count,
            "last_due_at": end,
            "replays": named,
            "recalled": _counted(list(undone)),
            "held": _counted(held),
        }

        def finish(tx: Tx) -> documents.Answered:
            leases.give_back(tx, LEASE, owner)
            told = self.outbound.answered(tx, order)
            return told or self.operating.keep(tx, order, value)

        return await write_after_race(store, finish)


def period_of(
    start: str,
    end: str,
    *,
    now: datetime,
    axes: Container[str],
    whose: str = "",
    axis: str = "",
    rate: int = USUAL_RATE,
    preview: bool = False,
    reason: str = "",
) -> Period:
    """A period as somebody wrote it: whole and in the past; without an offset, Vietnam's time.

    Only a preview may leave the end open: a run that is asked for again must mean the same.
    Raises Rejected with a finding for each member that is wrong or missing: `replay.period`, or
    what alone is wrong, `axis.unknown` or `transfer.reason_missing`.
    """
    wrong: list[Finding] = []
    begins = _instant("from", start, wrong)
    ends = now if preview and not end else _instant("to", end, wrong)
    if begins is not None and ends is not None and not begins < ends <= now:
        text = Text(
            "Khoảng thời gian phải có đầu trước cuối, và cuối không ở tương lai",
            "a period begins before it ends, and ends not in the future",
        )
        wrong.append(Finding("to", "replay.period", Severity.ERROR, text))
    if whose and whose not in list(Whose):
        text = Text("cause là unit, peer hoặc ours", "cause is unit, peer or ours")
        wrong.append(Finding("cause", "replay.period", Severity.ERROR, text))
    if axis and axis not in axes:
        wrong.append(Finding("axis", "axis.unknown", Severity.ERROR, no_axis(axis)))
    if not 1 <= rate <= MOST_RATE:
        text = Text(
            f"rate (lượt mỗi phút) từ 1 đến {MOST_RATE}",
            f"rate is a number of replays a minute, 1 to {MOST_RATE}",
        )
        wrong.append(Finding("rate", "replay.period", Severity.ERROR, text))
    if not preview and not reason.strip():
        text = Text("Thiếu lý do: gửi lại phải nêu lý do", "it is missing: a replay needs a reason")
        wrong.append(Finding("reason", "transfer.reason_missing", Severity.ERROR, text))
    if wrong or begins is None or ends is None:
        raise _no_period(wrong)
    return Period(begins, ends, Whose(whose) if whose else None, axis, rate)


def _no_period(wrong: Sequence[Finding]) -> Rejected:
    """What alone is wrong speaks for itself, where it has a code of its own."""
    if len(wrong) == 1 and wrong[0].code != "replay.period":
        return Rejected(wrong[0].text, code=wrong[0].code, findings=tuple(wrong))
    text = Text("Yêu cầu gửi lại theo khoảng thời gian chưa đúng", "the period is not right")
    return Rejected(text, code="replay.period", findings=tuple(wrong))


def _instant(path: str, text: str, wrong: list[Finding]) -> datetime | None:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is not None and FIRST_YEAR <= read.year <= LAST_YEAR:
        return read if read.tzinfo is not None else read.replace(tzinfo=VIETNAM)
    if not text.strip():
        said = Text(
            "Thiếu thời điểm này; chỉ xem trước (preview) mới được bỏ trống to",
            "it is missing; only a preview may leave out to",
        )
    elif read is not None:
        said = Text(
            f"Thời điểm ngoài phạm vi: năm từ {FIRST_YEAR} đến {LAST_YEAR}",
            f"it is out of range: years {FIRST_YEAR} to {LAST_YEAR} are taken",
        )
    else:
        said = Text(
            "Thời điểm phải viết như 2026-11-20T08:00:00+07:00 (RFC 3339); không có múi giờ là giờ "
            "Việt Nam",
            "an instant is written as 2026-11-20T08:00:00+07:00 (RFC 3339); without an offset it "
            "is Vietnam's time",
        )
    wrong.append(Finding(path, "replay.period", Severity.ERROR, said))
    return None


def _wanted(tx: Tx, period: Period, after: tuple[datetime, str]) -> Iterator[Dead]:
    """The transfers of a period that have no replay, the oldest end first, behind `after`."""
    while found := rows.ended(tx, start=period.start, end=period.end, after=after, most=200):
        yield from (one for one in found if period.wants(one))
        after = (found[-1].transfer.moved_at, found[-1].transfer.id)


def _in_order(tx: Tx, period: Period, one: Dead, seen: set[str]) -> Iterator[Standing]:
    """One that died, behind those of the same period that come before it in its family."""
    if one.transfer.id in seen:
        return
    seen.add(one.transfer.id)
    for earlier in rows.dead_before(tx, one.transfer):
        if period.holds(earlier):
            yield from _in_order(tx, period, earlier, seen)
    yield one.transfer


def _held(tx: Tx, period: Period) -> list[str]:
    """Of the same period, and no replay's business: a person decides about each."""
    found = rows.held_between(tx, start=period.start, end=period.end, most=MOST_HELD)
    return [one.transfer.id for one in found if period.wants(one)]


def _counted(ids: list[str]) -> dict[str, Any]:
    return {"count": len(ids), "transfer_ids": ids[:MOST_NAMED]}


def _take_turn(tx: Tx, owner: str) -> None:
    """One period at a time. Whoever holds the row keeps all others out until the commit."""
    now = tx.now()
    if leases.take(tx, LEASE, owner, now=now, until=now + TURN) is None:
        raise Unavailable(
            Text(
                "Một lệnh gửi lại theo khoảng thời gian khác đang chạy; hãy thử lại sau",
                "another period is being replayed at this moment; try again later",
            ),
            code="replay.busy",
        )


def _on_axis() -> Conflict:
    return Conflict(
        Text(
            "Trục đã nhận lượt chuyển này: gửi lại có thể tới nơi nhận lần thứ hai; nếu vẫn gửi: "
            "again = true (--yes-again)",
            "the axis has this transfer: a replay may reach its receivers a second time; to send "
            "all the same: again = true (--yes-again)",
        ),
        code="transfer.again",
    )


def _undone() -> Conflict:
    return Conflict(
        Text(
            "Đơn vị gửi đã thu hồi, thay thế hoặc đề nghị lấy lại văn bản này ở nơi nhận: gửi lại "
            "là đưa nó trở lại; nếu vẫn gửi: again = true (--yes-again)",
            "its sender has recalled or replaced this document, or asked for it back: a replay "
            "gives it to the receiver all the same; to send it: again = true (--yes-again)",
        ),
        code="transfer.recalled",
    )


def _replayed(new_id: str) -> Conflict:
    return Conflict(
        Text(
            f"Lượt chuyển này đã được gửi lại bằng lượt chuyển {new_id}",
            f"this transfer was replayed already: see transfer {new_id}",
        ),
        code="transfer.replayed_already",
    )
