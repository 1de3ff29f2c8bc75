"""The vocabulary read back: one word once, in one form, with advice for the operator."""

from __future__ import annotations

import re

from gateway.telemetry.events import Event

# Words that stand in the ledger are kept for decades: added, never renamed, never dropped.
RECORDED = {
    "account.added", "account.revoked", "arrival.countersigned", "arrival.opened",
    "arrival.received", "arrival.rejudged", "arrival.returned",
    "attempt.ended", "attempt.started", "attempt.taken_over",
    "authority.judged", "clock.stepped", "conf.exception",
    "fetch.failed",
    "fetch.held", "fetch.released", "item.available", "item.entered", "item.fetched",
    "item.recalled", "item.refused", "item.seen", "ledger.epoch_begun",
    "ledger.key_changed", "ledger.rehashed", "recipient.moved",
    "reconciliation.made", "replay.ordered", "report.available", "signer.judged",
    "stamp.ordered",
    "status.accepted",
    "submission.accepted", "submission.refused", "transfer.expired", "transfer.held",
    "transfer.released",
    "transfer.replayed", "transfer.rerouted", "transfer.retried", "transfer.settled",
    "transfer.withdrawn",
}  # fmt: skip


def test_every_event_is_noun_and_participle_and_says_what_to_do() -> None:
    for event in Event:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", event.value)
        assert event.advice.endswith(".")
        assert len(event.advice) > 10


def test_the_words_of_the_ledger_never_change() -> None:
    assert {e.value for e in Event if e.is_record} == RECORDED


def test_leases_seals_and_stamps_are_no_records() -> None:
    for event in (Event.ITEM_LEASED, Event.LEDGER_SEALED, Event.LEDGER_STAMPED):
        assert not event.is_record


def test_an_event_is_its_word() -> None:
    assert Event("item.entered") is Event.ITEM_ENTERED
    assert f"{Event.ITEM_ENTERED}" == "item.entered"
