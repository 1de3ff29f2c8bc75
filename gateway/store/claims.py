"""Claims: the next transfers of one axis, taken in a batch under a lease and a fencing token.

What a claim costs depends on the batch, never on the backlog: it reads a window at the front of
each lane (index `ix_transfer_due`), deals the places among the lanes, and takes rows by their ids.
Other processes may do so at the same moment: nobody waits for another, and no row is taken twice.

Rows that were taken leave the index, on PostgreSQL only once no older snapshot needs them any more.
So a worker remembers how far it has come (`Look`) and does not walk over the dead again; what may
have been committed late is looked for a little before that mark, and every ten seconds from the
very beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    Select,
    Text,
    and_,
    bindparam,
    insert,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from gateway.model.breaker import Breaker, BreakerState
from gateway.model.transfer import CLAIMABLE, LANE_COUNT, TransferState
from gateway.store import breakers, pacing
from gateway.store.session import Tx
from gateway.store.tables import attempt, recipient
from gateway.store.tables import transfer as t
from gateway.store.types import Instant

WINDOW = 64  # rows read at the front of a lane
LONG_WINDOW = 256  # the same while some destinations have all they can take
SLACK = 16  # rows offered beyond the places: those that another process holds are skipped
LATE = timedelta(seconds=5)  # what is due at T is committed by T + LATE, or waits for the next look
AFRESH = timedelta(seconds=10)
_FEW = 32  # sets of busy destinations that are remembered
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class Claim(NamedTuple):
    """One transfer taken for one attempt. `fence` must be shown by every commit that ends it."""

    id: str
    document_ref: str
    kind: str
    axis: str
    sender: str
    package_sha256: str
    package_size: int
    attempts: int
    fence: int
    doubt: bool
    lane: int
    accepted_at: datetime
    expires_at: datetime
    last_code: str
    equal_answers: int
    destination: str


class Place(NamedTuple):
    """A place in a lane: everything up to it is taken, lapsed or blocked."""

    due_at: datetime
    id: str


Owed = tuple[int, ...]  # by lane
Deal = Callable[[Sequence[int], int, Owed], tuple[Sequence[int], Owed]]
Full = frozenset[str]  # destinations that have all they can take
Places = tuple[Place, ...]  # by lane
NOWHERE = Place(_FIRST, "")
_START: Places = (NOWHERE,) * LANE_COUNT


@dataclass(slots=True)
class Look:
    """What one worker of one axis remembers from claim to claim; for one claim at a time.

    `deal`: how places go to lanes, from how many wait in each, the places, and what is owed.
    `room`: how many transfers to a destination may be taken now, `room_for_others` where it names
    none. `probe`: the breaker's fence under which its owner probes an axis that failed; `standing`:
    the breaker as the last claim found it.
    `keep` adopts what the last claim found out, once it is committed. `waited`: seconds for which
    what the last claim took had been due, on the average.
    """

    deal: Deal
    room: Mapping[str, int] = field(default_factory=dict)
    room_for_others: int = 1_000_000
    probe: int = -1
    standing: Breaker = field(default_factory=Breaker)
    owed: Owed = (0,) * LANE_COUNT
    places: dict[Full, Places] = field(default_factory=dict)
    began: datetime = _FIRST
    waited: float = 0.0
    found: Found | None = None

    def keep(self) -> bool:
        """True: there may be more to take at once."""
        found, self.found = self.found, None
        self.waited = 0.0 if found is None else found.waited
        if found is None:
            return False
        if found.began != self.began or len(self.places) >= _FEW:
            self.places.clear()
        self.began, self.owed = found.began, found.owed
        self.places[found.full] = found.places
        return found.more

    def start(self, full: Full, now: datetime) -> tuple[datetime, Places]:
        """When the present round of looks began, and where this one begins."""
        if not timedelta() <= now - self.began < AFRESH:
            return now, _START
        # what is blocked while few destinations are full is blocked while more are
        known = [places for some, places in self.places.items() if some <= full]
        latest = Place(now - LATE, "")
        return self.began, tuple(
            min(max((p[lane] for p in known), default=NOWHERE), latest)
            for lane in range(LANE_COUNT)
        )


class Found(NamedTuple):
    began: datetime
    full: Full
    places: Places
    owed: Owed
    more: bool  # the window hid what could have been taken
    waited: float


class _Row(NamedTuple):
    lane: int
    id: str
    due_at: datetime
    expires_at: datetime
    destination: str
    pace_ms: int | None
    state: str


_CLAIMABLE = [s.value for s in CLAIMABLE]


def _front(lane: int) -> Select[Any]:
    """The front of a lane, after a place."""
    due, name = bindparam(f"due{lane}", type_=Instant()), bindparam(f"id{lane}", type_=Text())
    rows = (
        select(
            t.c.lane, t.c.id, t.c.due_at, t.c.expires_at, t.c.destination, t.c.pace_ms, t.c.state
        )
        .where(
            t.c.axis == bindparam("on_axis"),
            t.c.lane == lane,
            t.c.behind == literal_column("0"),  # as the index says it
            t.c.due_at >= due,
            t.c.due_at <= bindparam("now"),
            or_(t.c.due_at > due, and_(t.c.due_at == due, t.c.id > name)),
        )
        .order_by(t.c.due_at, t.c.id)
        .limit(bindparam("window"))
        .subquery(f"lane{lane}")
    )
    return select(*rows.c)


FRONT = union_all(*(_front(lane) for lane in range(LANE_COUNT)))
_OFFERED = (
    select(t.c.id)
    .where(
        t.c.id.in_(bindparam("offered", expanding=True)),
        t.c.state.in_(_CLAIMABLE),
        t.c.behind == literal_column("0"),
        t.c.due_at <= bindparam("now"),
        t.c.expires_at > bindparam("now"),
    )
    .order_by(t.c.due_at, t.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    # as a CTE it is run once; a sub-select may be run once a row, and then takes others each time
    .cte("due")
)
_CLAIM = (
    update(t)
    .where(t.c.id.in_(select(_OFFERED.c.id)), t.c.state.in_(_CLAIMABLE))
    .values(
        state=TransferState.SENDING.value,
        due_at=None,
        attempts=t.c.attempts + 1,
        fence=t.c.fence + 1,
        lease_until=bindparam("until"),
        moved_at=bindparam("now"),
    )
    .returning(*[t.c[name] for name in Claim._fields])
)
_INSERT_ATTEMPT = insert(attempt)
_RECEIVERS = (
    select(recipient.c.transfer_id, recipient.c.agency)
    .where(recipient.c.transfer_id.in_(bindparam("ids", expanding=True)))
    .order_by(recipient.c.transfer_id, recipient.c.agency_key)
)


def claim(
    tx: Tx, *, axis: str, most: int, lease_until: datetime, now: datetime, look: Look
) -> list[tuple[Claim, tuple[str, ...]]]:
    """Take up to `most` due transfers of one axis; each with its receivers' codes.

    Urgent lanes first, and in a lane the longest due first, replays of a period no faster than
    their pace; nothing while the axis' breaker is not closed, but for its prober. What `look` holds
    stays as it was: `look.found` is what its owner may keep after the commit.
    """
    look.found, look.standing = None, breakers.seen(tx, axis)
    if look.standing.state is not BreakerState.CLOSED and look.standing.fence != look.probe:
        return []
    full = frozenset(name for name, room in look.room.items() if room <= 0)
    began, start = look.start(full, now)
    window = LONG_WINDOW if full else WINDOW
    lanes = _fronts(tx, axis, start, window, now)
    able = [_eligible(rows, look, now) for rows in lanes]
    if pacing.together(_paced(able), now):
        pacing.space(tx, axis, now, full=full)
        lanes = _fronts(tx, axis, start, window, now)
        able = [_eligible(rows, look, now) for rows in lanes]
    waiting = [min(len(rows), most) for rows in able]
    takes, owed = look.deal(waiting, most, look.owed)
    going: Counter[str] = Counter()
    taken: list[Claim] = []
    dues: list[datetime] = []
    places, more = list(start), False
    for lane, rows in enumerate(lanes):
        wanted = takes[lane]
        offered = _eligible(rows, look, now, going)[: wanted + SLACK] if wanted else []
        got = _take(tx, [row.id for row in offered], wanted, lease_until, now)
        going.update(one.destination for one in got)
        taken += got
        ids, tried = {one.id for one in got}, {row.id for row in offered}
        dues += [row.due_at for row in offered if row.id in ids]
        short = len(got) < wanted
        done = _done(rows, ids, tried, short, full, now)
        if done:
            places[lane] = max(places[lane], Place(rows[done - 1].due_at, rows[done - 1].id))
        beyond = done == len(rows) == window
        more = more or beyond or (short and len(rows) > len(offered))
    waited = sum((now - due_at).total_seconds() for due_at in dues) / max(len(dues), 1)
    look.found = Found(began, full, tuple(places), owed, more and len(taken) < most, waited)
    return _with_receivers(tx, sorted(taken, key=lambda c: (c.lane, c.accepted_at, c.id)))


def asked(axis: str, start: Places, window: int, now: datetime) -> dict[str, Any]:
    """The parameters of FRONT: `window` rows of each lane after its place."""
    params: dict[str, Any] = {"on_axis": axis, "now": now, "window": window}
    for lane, place in enumerate(start):
        params |= {f"due{lane}": place.due_at, f"id{lane}": place.id}
    return params


def _fronts(tx: Tx, axis: str, start: Places, window: int, now: datetime) -> list[list[_Row]]:
    """The front of each lane, in the order in which it will leave."""
    lanes: list[list[_Row]] = [[] for _ in range(LANE_COUNT)]
    for row in map(_Row._make, tx.execute(FRONT, asked(axis, start, window, now)).all()):
        lanes[row.lane].append(row)
    return [sorted(rows, key=lambda row: (row.due_at, row.id)) for rows in lanes]


def _paced(able: Sequence[Sequence[_Row]]) -> list[tuple[datetime, int]]:
    return [
        (row.due_at, row.pace_ms)
        for rows in able
        for row in rows
        if row.pace_ms is not None and row.state == TransferState.SEALED.value
    ]


def _eligible(
    rows: Sequence[_Row], look: Look, now: datetime, going: Mapping[str, int] | None = None
) -> list[_Row]:
    """Rows that may leave now, never more to one destination than it has room for."""
    used = Counter(going or {})
    found = []
    for row in rows:
        if row.expires_at <= now:
            continue
        if row.destination:
            if used[row.destination] >= look.room.get(row.destination, look.room_for_others):
                continue
            used[row.destination] += 1
        found.append(row)
    return found


def _take(tx: Tx, offered: Sequence[str], most: int, until: datetime, now: datetime) -> list[Claim]:
    if not offered:
        return []
    params = {"offered": list(offered), "most": most, "until": until, "now": now}
    return [Claim._make(row) for row in tx.execute(_CLAIM, params).all()]


def _done(
    rows: Sequence[_Row],
    got: Collection[str],
    tried: Collection[str],
    short: bool,
    full: Full,
    now: datetime,
) -> int:
    """How many rows at the front need not be read again: ours, lapsed, blocked, or another's."""
    last = max((n for n, row in enumerate(rows) if row.id in got), default=-1)
    for n, row in enumerate(rows):
        held_elsewhere = row.id in tried and (short or n < last)
        lapsed = row.expires_at <= now
        if not (row.id in got or lapsed or row.destination in full or held_elsewhere):
            return n
    return len(rows)


def _with_receivers(tx: Tx, taken: Sequence[Claim]) -> list[tuple[Claim, tuple[str, ...]]]:
    if not taken:
        return []
    receivers: dict[str, list[str]] = {}
    for transfer_id, agency in tx.execute(_RECEIVERS, {"ids": [c.id for c in taken]}).all():
        receivers.setdefault(transfer_id, []).append(agency)
    return [(c, tuple(receivers.get(c.id, ()))) for c in taken]


def start_attempts(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows: id, transfer_id, number, fence, started_at."""
    tx.put(_INSERT_ATTEMPT, list(rows))
