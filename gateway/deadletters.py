"""Dead letters: everything that waits for a person, whose fault it is, and what to do about it.

In:     a cursor, a cause or none, a language.
Out:    one page: transfers that ended without delivery or are held, fetches that were given up for
        now, arrivals in quarantine; each with cause, reason, next step and the commands to take it.
Fails:  Rejected for a cursor that is not one of ours.
Never:  writes; shows content; lists what was replayed, for that is somebody's answer already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from shlex import quote
from typing import Any, NamedTuple

from gateway import quarantine
from gateway.dispatch import causes
from gateway.dispatch.causes import Cause, Whose
from gateway.errors import Text
from gateway.model.transfer import TransferState, person_may
from gateway.promise import local_time
from gateway.shapes import dead_cursor, read_dead_cursor
from gateway.store import Store, Tx, operating, transfers
from gateway.store.operating import Dead, DeadArrival, DeadFetch

KINDS = ("transfer", "fetch", "arrival")
BATCH = 200
MOST_LOOKED_AT = 4000  # rows behind one page, when nearly none has the cause asked for


class Letter(NamedTuple):
    """`place`: the cursor that goes on behind it."""

    place: str
    whose: Whose
    shown: dict[str, Any]


async def page(
    store: Store, *, whose: Whose | None, cursor: str, limit: int, language: str
) -> tuple[list[dict[str, Any]], str]:
    """Transfers first, the newest before the older, then fetches, then arrivals.

    A page may be short of `limit` and still have a cursor: few of many had the cause asked for.
    """
    start = read_dead_cursor(cursor, KINDS)

    def look(tx: Tx) -> tuple[list[dict[str, Any]], str]:
        found: list[dict[str, Any]] = []
        end = ""
        for count, letter in enumerate(_letters(tx, start, language)):
            wanted = whose is None or letter.whose is whose
            if (wanted and len(found) == limit) or count == MOST_LOOKED_AT:
                return found, end
            if wanted:
                found.append(letter.shown)
            end = letter.place
        return found, ""

    return await store.read(look)


def _letters(tx: Tx, start: tuple[str, datetime, str], language: str) -> Iterator[Letter]:
    kind, at, ref = start
    if kind == KINDS[0]:
        yield from _transfers(tx, (at, ref), language)
    if kind in KINDS[:2]:
        yield from _fetches(tx, ref if kind == KINDS[1] else "", language)
    _, forever, _ = read_dead_cursor("", KINDS)
    yield from _arrivals(tx, (at, ref) if kind == KINDS[2] else (forever, ""), language)


def _transfers(tx: Tx, before: tuple[datetime, str], language: str) -> Iterator[Letter]:
    while found := operating.dead(tx, before=before, most=BATCH):
        recipients: dict[str, list[str]] = {}
        for r in transfers.recipients_of(tx, [one.transfer.id for one in found]):
            recipients.setdefault(r.transfer_id, []).append(r.agency)
        for one in found:
            row = one.transfer
            cause = cause_of(one)
            place = dead_cursor(KINDS[0], row.moved_at, row.id)
            shown = _of_transfer(one, recipients.get(row.id, []), cause, language)
            yield Letter(place, cause.whose, shown)
        before = (found[-1].transfer.moved_at, found[-1].transfer.id)


def cause_of(one: Dead) -> Cause:
    row = one.transfer
    return causes.of_transfer(
        row.state, hold_cause=row.hold_cause, code=row.last_code, doubt=row.doubt
    )


def _of_transfer(one: Dead, recipients: list[str], cause: Cause, language: str) -> dict[str, Any]:
    row = one.transfer
    can = person_may(TransferState(row.state), doubt=row.doubt)
    return {
        "kind": KINDS[0],
        "id": row.id,
        "of": row.kind,
        "document_id": one.document_id,
        "from": row.sender,
        "recipients": recipients,
        "axis": row.axis,
        "state": row.state,
        "since": local_time(row.moved_at),
        "code": row.last_code,
        "hold_cause": row.hold_cause,
        "doubt": row.doubt,
        **_words(cause, language),
        "can": list(can),
        "commands": [_command(act, row.id, doubt=row.doubt) for act in ("show", *can)],
    }


def _command(act: str, transfer_id: str, *, doubt: bool) -> str:
    again = " --yes-again" if act == "release" and doubt else ""
    why = ' --reason "..."' if act in ("withdraw", "replay") else ""
    return f"edoc-gateway queue {act} {transfer_id}{again}{why}"


def _fetches(tx: Tx, after: str, language: str) -> Iterator[Letter]:
    axis, _, doc_id = after.partition(" ")
    while found := operating.held_fetches(tx, after=(axis, doc_id), most=BATCH):
        for row in found:
            place = dead_cursor(KINDS[1], None, f"{row.axis} {row.axis_doc_id}")
            yield Letter(place, causes.FETCH_HELD.whose, _of_fetch(row, language))
        axis, doc_id = found[-1].axis, found[-1].axis_doc_id


def _of_fetch(row: DeadFetch, language: str) -> dict[str, Any]:
    return {
        "kind": KINDS[1],
        "id": row.axis_doc_id,
        "of": row.kind,
        "document_id": "",
        "from": row.sender,
        "recipients": [row.receiver] if row.receiver else [],
        "axis": row.axis,
        "state": "HELD",
        "since": local_time(row.listed_at),
        "code": row.last_code,
        "hold_cause": "",
        "doubt": False,
        **_words(causes.FETCH_HELD, language),
        "can": ["release"],
        "commands": [
            f"edoc-gateway queue release {quote(row.axis_doc_id)} --axis {quote(row.axis)}"
        ],
    }


def _arrivals(tx: Tx, before: tuple[datetime, str], language: str) -> Iterator[Letter]:
    while found := operating.quarantined(tx, before=before, most=BATCH):
        for row in found:
            wrong = [f["code"] for f in row.findings if f["severity"] == "error"]
            cause = causes.of_arrival(quarantine.stopped_by(wrong))
            place = dead_cursor(KINDS[2], row.received_at, row.id)
            yield Letter(place, cause.whose, _of_arrival(row, wrong, cause, language))
        before = (found[-1].received_at, found[-1].id)


def _of_arrival(
    row: DeadArrival, wrong: Sequence[str], cause: Cause, language: str
) -> dict[str, Any]:
    can = quarantine.person_may(wrong)
    show, *acts = (f"edoc-gateway quarantine {act} {row.id}" for act in ("show", *can))
    return {
        "kind": KINDS[2],
        "id": row.id,
        "of": row.kind,
        "document_id": row.document_id or row.axis_doc_id,
        "from": row.sender or row.listed_from,
        "recipients": [],
        "axis": row.axis,
        "state": row.state,
        "since": local_time(row.received_at),
        "code": quarantine.stopped_by(wrong),
        "hold_cause": "",
        "doubt": False,
        **_words(cause, language),
        "can": list(can),
        "commands": [show, *(f'{act} --reason "..."' for act in acts)],
    }


def _words(cause: Cause, language: str) -> dict[str, str]:
    def said(text: Text) -> str:
        return text.vi if language == "vi" else text.en

    return {
        "cause": cause.whose.value,
        "reason": said(cause.reason),
        "next_step": said(cause.next_step),
    }
