"""An inbox page by page: of several agencies and kinds, in one order, without what is leased."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from gateway.model.arrival import ItemKind, ItemState
from gateway.store import Store, Tx, inbox

AT = datetime(2026, 11, 20, 3, 4, 5, tzinfo=UTC)
AGENCIES = [f"H14.{n}" for n in range(40)]  # with three kinds more than one statement takes
LANES = 4
MINE = AGENCIES[::2]
KINDS = (ItemKind.DOCUMENT, ItemKind.REPORT)
OTHERS = AGENCIES[1::2]


def filled(tx: Tx) -> list[inbox.NewItem]:
    """400 items, of which the sixth is leased still, the seventh no more, the eighth done with."""
    dice = random.Random(4)
    items = [
        inbox.NewItem(
            id=f"{n:026}",
            arrival_id=None,
            agency=agency,
            agency_key=agency,
            kind=dice.choice(list(ItemKind)).value,
            identity=str(n),
            lane=dice.randrange(LANES),
            axis="vxp",
            sender="",
            document_id=str(n),
            status_code="",
            about_document=None,
            content={},
            available_at=AT,
        )
        for n, agency in enumerate(dice.choices(AGENCIES, k=400))
    ]
    for item in items:
        assert inbox.add(tx, item)
    now = tx.now()
    for item in items[::6]:
        assert inbox.lease(tx, item.id, "a", now=now, until=now + timedelta(hours=1))
    for item in items[1::7]:
        inbox.lease(tx, item.id, "b", now=now, until=now)
    for item in items[2::8]:
        olds = (ItemState.WAITING, ItemState.LEASED)
        new = ItemState.ENTERED if item.kind == ItemKind.DOCUMENT else ItemState.SEEN
        assert inbox.end(tx, item.id, olds=olds, new=new, entered_at=now, answer="{}")
    gone = {item.id for item in (*items[::6], *items[2::8])}
    return [item for item in items if item.id not in gone]


def pages(
    store: Store, agencies: list[str], kinds: tuple[ItemKind, ...], most: int
) -> Iterator[list[inbox.Item]]:
    look = partial(inbox.waiting, agency_keys=agencies, kinds=kinds, most=most)
    after = (0, "")
    while page := store.read_sync(partial(look, after=after)):
        yield page
        after = (page[-1].lane, page[-1].id)


@pytest.mark.parametrize(
    ("agencies", "kinds"),
    [
        (AGENCIES, tuple(ItemKind)),
        (AGENCIES, KINDS),
        (MINE, tuple(ItemKind)),
        (MINE[:1], (ItemKind.STATUS,)),
    ],
    ids=["everything", "two kinds", "half of the agencies", "one agency's statuses"],
)
def test_pages_give_each_item_that_waits_once_and_urgent_ones_first(
    any_store: Store, agencies: list[str], kinds: tuple[ItemKind, ...]
) -> None:
    waiting = any_store.write_sync(filled)
    wanted = sorted(
        (item.lane, item.id)
        for item in waiting
        if item.agency in agencies and item.kind in {k.value for k in kinds}
    )
    shown = list(pages(any_store, agencies, kinds, 7))
    assert [(item.lane, item.id) for page in shown for item in page] == wanted
    assert {len(page) for page in shown[:-1]} <= {7}


def test_nobody_has_an_inbox_without_agencies_or_kinds(any_store: Store) -> None:
    any_store.write_sync(filled)
    assert list(pages(any_store, [], tuple(ItemKind), 7)) == []
    assert list(pages(any_store, AGENCIES, (), 7)) == []


def test_what_waits_is_counted(any_store: Store) -> None:
    """Leased or not: nobody has confirmed it yet."""
    items = any_store.write_sync(filled)
    counted = any_store.read_sync(lambda tx: inbox.count_waiting(tx, AGENCIES))
    assert counted > len(items)
    some = any_store.read_sync(lambda tx: inbox.count_waiting(tx, MINE))
    rest = any_store.read_sync(lambda tx: inbox.count_waiting(tx, OTHERS))
    assert some + rest == counted
