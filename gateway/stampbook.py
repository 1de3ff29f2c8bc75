"""Stamps as people ask about them: where we stand, what it cost, and one now for one record.

In:     an account and a record's id; a day.
Out:    the level, the open gap, each authority with its count and cost; the stamp of a record.
Fails:  Unknown: no such record. Unavailable: it is not sealed yet, a stamp is under way, nobody
        answers (`stamp.unavailable`), or nobody is to be asked (`stamp.no_authority`).
Never:  asks an authority for what a stamp covers already; asks before the order is recorded.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from gateway.braking import Braking, look
from gateway.errors import Text, Unavailable, Unknown
from gateway.model.record import Checkpoint, Entry, Stamp
from gateway.promise import VIETNAM, local_time
from gateway.sealing import Stamping, Turn
from gateway.store import Tx, evidence, ledger, stamp_uses
from gateway.telemetry.events import Event


class _Asked(NamedTuple):
    """`head` None: `stamped` covers the entry already."""

    entry: Entry
    stamped: tuple[datetime, str] | None
    head: Checkpoint | None
    turn: Turn | None = None


class Stampbook:
    """Of one process. An order goes on when the door that took it does not wait any longer."""

    def __init__(self, stamping: Stamping, braking: Braking) -> None:
        self.stamping = stamping
        self.braking = braking
        self.store = stamping.store
        self.scribe = stamping.scribe
        self._orders: dict[str, asyncio.Task[dict[str, Any]]] = {}

    async def shown(self, days: int = 31) -> dict[str, Any]:
        """Level, gap, and the authorities in the order in which they are asked.

        Counts are of the last `days` days of Vietnam, today included.
        """
        today = self.scribe.now().astimezone(VIETNAM).date()
        first = today - timedelta(days=days - 1)
        gap = await self.store.read(look)
        used = await self.store.read(
            lambda tx: stamp_uses.sums(tx, first.isoformat(), today.isoformat())
        )
        uses = {use.authority: use for use in used}
        names = [authority.name for authority in self.stamping.authorities]
        limits = self.braking.limits
        ends = gap.since + limits.max_delay if gap.since and limits.max_delay else None
        return {
            "level": self.braking.level(gap).value,
            "stamped_at": local_time(gap.stamped_at) if gap.stamped_at else None,
            "stamped_entries": gap.size_from,
            "entries": gap.size_to,
            "gap_since": local_time(gap.since) if gap.since else None,
            "brake_at": local_time(ends) if ends else None,
            "brake": limits.policy.value,
            "from_day": first.isoformat(),
            "authorities": [
                {
                    "name": name,
                    "asked": name in names,
                    "cost_of_one": self.stamping.costs.get(name, 0),
                    "granted": uses[name].granted if name in uses else 0,
                    "failed": uses[name].failed if name in uses else 0,
                    "cost": uses[name].cost if name in uses else 0,
                }
                for name in [*names, *sorted(uses.keys() - set(names))]
            ],
        }

    def start(self, account_id: str, record_id: str) -> asyncio.Task[dict[str, Any]]:
        """`order` in a task of its own: an authority may take minutes. One that is under way for
        this record is joined.
        """
        task = self._orders.get(record_id)
        if task is None:
            task = asyncio.create_task(self.order(account_id, record_id))
            self._orders[record_id] = task
            task.add_done_callback(partial(self._ended, record_id))
        return task

    def _ended(self, record_id: str, task: asyncio.Task[dict[str, Any]]) -> None:
        del self._orders[record_id]
        if not task.cancelled():
            task.exception()  # heard, whether the door still waits or not

    async def close(self) -> None:
        under_way = list(self._orders.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def order(self, account_id: str, record_id: str) -> dict[str, Any]:
        """A stamp that covers this record: the one that there is, or one asked for now."""
        asked = await self.store.read(lambda tx: self._look(tx, record_id))
        if asked.head is None:
            return _json(record_id, asked.entry, asked.stamped, ordered=False)
        if not self.stamping.authorities:
            raise Unavailable(
                Text(
                    "Chưa cấu hình dịch vụ dấu thời gian (stamp.authorities)",
                    "no timestamp authority is configured (stamp.authorities)",
                ),
                code="stamp.no_authority",
            )
        asked = await self.store.write(lambda tx: self._begin(tx, account_id, record_id))
        if asked.head is None or asked.turn is None:
            return _json(record_id, asked.entry, asked.stamped, ordered=False)
        made: Stamp | None = await self.stamping.stamp_over(asked.head, asked.turn)
        if made is None:
            raise _busy()
        self.stamping.metrics.stamped(made.gen_time)
        return _json(record_id, asked.entry, (made.gen_time, made.authority), ordered=True)

    def _begin(self, tx: Tx, account_id: str, record_id: str) -> _Asked:
        """The turn and the record of the order, in one commit."""
        asked = self._look(tx, record_id)
        if asked.head is None:
            return asked
        turn = self.stamping.my_turn(tx)
        if turn is None:
            raise _busy()
        made = self.scribe.record(
            Event.STAMP_ORDERED,
            self.scribe.now(),
            {"account": account_id, "record": record_id},
            {
                "epoch": asked.entry.epoch,
                "seq": asked.entry.seq,
                "size": asked.head.size,
            },
        )
        ledger.append(tx, [made])
        return asked._replace(turn=turn)

    def _look(self, tx: Tx, record_id: str) -> _Asked:
        entry = ledger.entry_of(tx, record_id)
        if entry is None and ledger.waiting_body(tx, record_id) is not None:
            raise Unavailable(
                Text(
                    "Bản ghi còn chờ niêm phong; hãy thử lại sau giây lát",
                    "the record waits to be sealed; try again in a moment",
                ),
                code="record.unsealed",
            )
        head = None if entry is None else evidence.newest_of(tx, entry.epoch)
        if entry is None or head is None:
            raise Unknown(Text("Không có bản ghi này", "no such record"), code="record.unknown")
        stamped = ledger.stamp_covering(tx, entry.epoch, entry.seq)
        return _Asked(entry, stamped, None if stamped else head)


def _json(
    record_id: str, entry: Entry, stamped: tuple[datetime, str] | None, *, ordered: bool
) -> dict[str, Any]:
    """`ordered`: an authority was asked for this, and may want its price."""
    return {
        "record": record_id,
        "state": "stamped",
        "epoch": entry.epoch,
        "seq": entry.seq,
        "stamped_at": local_time(stamped[0]) if stamped else None,
        "authority": stamped[1] if stamped else "",
        "ordered": ordered,
    }


def _busy() -> Unavailable:
    return Unavailable(
        Text(
            "Đang có một yêu cầu dấu thời gian khác; hãy thử lại sau giây lát",
            "another timestamp is being asked for; try again in a moment",
        ),
        code="stamp.under_way",
    )
