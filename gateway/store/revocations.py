"""Revocation data as authorities gave it, what is due to be asked, and who waits for an answer.

The cache is no legal fact: rows are changed and dropped. What was decided by it stands in records,
with the digest of the evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, select, update

from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore
from gateway.store.tables import arrival, inbox_item, revocation, unjudged

r, u = revocation, unjudged


class Place(NamedTuple):
    """Where something can be asked. `kind`: crl | ocsp; `certificate`, `issuer`: DER."""

    kind: str
    url: str
    about: str
    certificate: bytes
    issuer: bytes

    @property
    def id(self) -> str:
        return place_id(self.kind, self.url, self.about)


class Held(NamedTuple):
    """What the cache has of a place, without its bytes. `sha256` "": nothing yet."""

    id: str
    sha256: str
    fetched_at: datetime | None
    wanted_at: datetime


class Due(NamedTuple):
    """A place taken for asking."""

    id: str
    kind: str
    url: str
    certificate: bytes
    issuer: bytes
    this_update: datetime | None
    failures: int


class Answer(NamedTuple):
    data: bytes
    sha256: str
    this_update: datetime
    next_update: datetime | None


class Waiting(NamedTuple):
    arrival_id: str
    certificate: bytes
    others: Sequence[str]
    received_at: datetime


_HELD = select(*[r.c[name] for name in Held._fields]).where(
    r.c.id.in_(bindparam("ids", expanding=True))
)
_DATA = select(r.c.data).where(r.c.id == bindparam("place"), r.c.sha256 == bindparam("digest"))
_ADD = insert_or_ignore(r)
_WANT = update(r).where(r.c.id == bindparam("place")).values(wanted_at=bindparam("now"))
_DUE = (
    select(r.c.id)
    .where(r.c.due_at <= bindparam("now"))
    .order_by(r.c.due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_CLAIM = (
    update(r)
    .where(r.c.id.in_(select(_DUE.c.id)), r.c.due_at <= bindparam("now"))
    .values(due_at=bindparam("until"))
    .returning(*[r.c[name] for name in Due._fields])
)
_ANSWERED = (
    update(r)
    .where(r.c.id == bindparam("place"))
    .values(
        data=bindparam("new_data"),
        sha256=bindparam("new_sha256"),
        this_update=bindparam("new_this_update"),
        next_update=bindparam("new_next_update"),
        fetched_at=bindparam("at"),
        due_at=bindparam("again"),
        failures=0,
        last_code="",
    )
)
_FAILED = (
    update(r)
    .where(r.c.id == bindparam("place"))
    .values(due_at=bindparam("again"), failures=r.c.failures + 1, last_code=bindparam("code"))
)
_FORGET = delete(r).where(r.c.wanted_at < bindparam("before"))
_WAIT = insert_or_ignore(u)
_WAKE = update(u).values(due_at=bindparam("now")).where(u.c.due_at > bindparam("now"))
_WAITING = (
    select(*[u.c[name] for name in Waiting._fields])
    .where(u.c.due_at <= bindparam("now"))
    .order_by(u.c.due_at)
    .limit(bindparam("most"))
)
_LATER = update(u).where(u.c.arrival_id == bindparam("arrival")).values(due_at=bindparam("again"))
_DONE = delete(u).where(u.c.arrival_id == bindparam("arrival"))
_ASKED = select(func.min(func.coalesce(r.c.fetched_at, r.c.since)))
_VERDICT = select(arrival.c.verdict, arrival.c.findings, arrival.c.raw_sha256).where(
    arrival.c.id == bindparam("arrival")
)
_REJUDGE = (
    update(arrival)
    .where(arrival.c.id == bindparam("arrival"))
    .values(verdict=bindparam("new_verdict"), findings=bindparam("new_findings"))
)
_ITEMS = select(inbox_item.c.id, inbox_item.c.content).where(
    inbox_item.c.arrival_id == bindparam("arrival")
)
_ITEM = (
    update(inbox_item)
    .where(inbox_item.c.id == bindparam("item"))
    .values(content=bindparam("new_content"))
)


def place_id(kind: str, url: str, about: str) -> str:
    return hashlib.sha256(f"{kind}\n{about}\n{url}".encode()).hexdigest()


def held(tx: Tx, ids: Sequence[str]) -> dict[str, Held]:
    rows = tx.execute(_HELD, {"ids": list(ids)}).all() if ids else []
    return {h.id: h for h in map(Held._make, rows)}


def data(tx: Tx, place: str, sha256: str) -> bytes | None:
    """None: another answer has taken its place since `held`."""
    found = tx.execute(_DATA, {"place": place, "digest": sha256}).scalar()
    return None if found is None else bytes(found)


def want(tx: Tx, places: Sequence[Place], now: datetime) -> None:
    """These places stand on a path that was judged: asked from now on, and kept while wanted."""
    for place in places:
        made = tx.execute(
            _ADD.on(tx),
            {
                "id": place.id,
                "kind": place.kind,
                "url": place.url,
                "certificate": place.certificate,
                "issuer": place.issuer,
                "since": now,
                "wanted_at": now,
                "due_at": now,
                "failures": 0,
            },
        ).count
        if not made:
            tx.execute(_WANT, {"place": place.id, "now": now})


def claim(tx: Tx, *, most: int, now: datetime, until: datetime) -> list[Due]:
    """Places that are due; nobody else asks them before `until`."""
    rows = tx.execute(_CLAIM, {"most": most, "now": now, "until": until}).all()
    return [Due._make(row) for row in rows]


def answered(tx: Tx, place: str, answer: Answer, *, at: datetime, again: datetime) -> None:
    tx.execute(
        _ANSWERED,
        {
            "place": place,
            "new_data": answer.data,
            "new_sha256": answer.sha256,
            "new_this_update": answer.this_update,
            "new_next_update": answer.next_update,
            "at": at,
            "again": again,
        },
    )


def failed(tx: Tx, place: str, *, code: str, again: datetime) -> None:
    """What is held stays: an old answer proves more than none."""
    tx.execute(_FAILED, {"place": place, "code": code, "again": again})


def forget(tx: Tx, before: datetime) -> int:
    """Places that no path has named since."""
    return tx.execute(_FORGET, {"before": before}).count


def wait(tx: Tx, waiting: Waiting, due_at: datetime) -> None:
    """This arrival is judged again once fresher data came."""
    tx.execute(_WAIT.on(tx), {**waiting._asdict(), "due_at": due_at})


def wake(tx: Tx, now: datetime) -> None:
    tx.execute(_WAKE, {"now": now})


def waiting(tx: Tx, *, most: int, now: datetime) -> list[Waiting]:
    return [Waiting._make(w) for w in tx.execute(_WAITING, {"most": most, "now": now}).all()]


def later(tx: Tx, arrival_id: str, again: datetime) -> None:
    tx.execute(_LATER, {"arrival": arrival_id, "again": again})


def done(tx: Tx, arrival_id: str) -> bool:
    """False: somebody else has judged it meanwhile."""
    return tx.execute(_DONE, {"arrival": arrival_id}).count == 1


def findings_of(tx: Tx, arrival_id: str) -> tuple[Any, Any, str] | None:
    """Verdict, findings and raw digest of an opened arrival."""
    row = tx.execute(_VERDICT, {"arrival": arrival_id}).one_or_none()
    return None if row is None else (row[0], row[1], str(row[2]))


def items_of(tx: Tx, arrival_id: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(str(i), content) for i, content in tx.execute(_ITEMS, {"arrival": arrival_id}).all()]


def rejudge(
    tx: Tx, arrival_id: str, verdict: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]
) -> None:
    tx.execute(
        _REJUDGE,
        {"arrival": arrival_id, "new_verdict": verdict, "new_findings": list(findings)},
    )


def rejudge_item(tx: Tx, item_id: str, content: Mapping[str, Any]) -> None:
    tx.execute(_ITEM, {"item": item_id, "new_content": content})


def asked_longest_ago(tx: Tx) -> datetime | None:
    """When the place that was silent longest gave its last answer, or was wanted first."""
    at: datetime | None = tx.execute(_ASKED).scalar()
    return at
