"""Writes legal facts down: gives each record its id, instant and salt, and signs receipts.

The corridors say what happened; this says it in record format v1. It also notices when the wall
clock steps back by more than two seconds: then `clock.stepped` is recorded beside the next fact.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from gateway.c14n import JsonValue
from gateway.ledger import receipt, records
from gateway.model.record import Record
from gateway.ports import Clock, Entropy
from gateway.store.ledger import NewRecord
from gateway.telemetry.events import Event
from gateway.telemetry.logs import current_trace

TOLERATED_STEP = timedelta(seconds=2)


class Scribe:
    """`origin`: the ledger's name, as in its checkpoints; `key` signs receipts and checkpoints."""

    def __init__(
        self, *, clock: Clock, entropy: Entropy, origin: str, key: EllipticCurvePrivateKey
    ) -> None:
        self.clock = clock
        self.entropy = entropy
        self.origin = origin
        self.key = key
        self._latest: datetime | None = None
        self._watch = threading.Lock()

    def now(self) -> datetime:
        return self.clock.now()

    def record(
        self,
        event: Event,
        at: datetime,
        about: Mapping[str, str],
        facts: Mapping[str, JsonValue],
        *,
        document_ref: str | None = None,
        arrival_id: str | None = None,
        personal: Mapping[str, str] | None = None,
        record_id: str = "",
    ) -> NewRecord:
        """`document_ref`, `arrival_id`: by which the record is found; `about` names them too.

        `record_id`: where one fact has one record and its id says which.

        `personal` values enter as salted digests; salt and value stand in a row to be erased.
        Each has a salt of its own: the record's is in the record, and would let its reader guess.
        """
        hidden = [(k, self.entropy.salt(), v) for k, v in (personal or {}).items() if v]
        digests = {k: records.salted(salt, k, v) for k, salt, v in hidden}
        named = dict(about)
        if document_ref is not None:
            named["document"] = document_ref
        if arrival_id is not None:
            named["arrival"] = arrival_id
        if trace := current_trace():
            named["traceparent"] = trace
        made = Record(
            id=record_id or self.entropy.new_id(),
            event=event.value,
            at=at,
            salt=self.entropy.salt(),
            about=named,
            facts={**facts, "personal": digests} if digests else facts,
        )
        return NewRecord(
            id=made.id,
            event=made.event,
            at=at,
            body=records.record_bytes(made),
            # copies of what is sealed, never more: an audit holds them against it
            document_ref=named.get("document"),
            arrival_id=named.get("arrival"),
            personal=tuple(hidden),
        )

    def with_clock(self, made: NewRecord) -> list[NewRecord]:
        """`made`, and beside it a record about the clock when it stepped back since `written`.

        By the time that it is now: `made` may be as old as a large package takes to be packed.
        """
        with self._watch:
            before = self._latest
        if before is None or before - self.now() <= TOLERATED_STEP:
            return [made]
        facts = {"from": before.isoformat(timespec="microseconds")}
        return [made, self.record(Event.CLOCK_STEPPED, made.at, {}, facts)]

    def written(self, records: Sequence[NewRecord]) -> None:
        """They are committed: from here on the clock is compared with theirs.

        Not before: a step noticed by a request that then failed would never be told.
        """
        at = max(r.at for r in records)
        with self._watch:
            stepped = len(records) > 1
            self._latest = at if stepped or self._latest is None else max(self._latest, at)

    def receipt(self, made: NewRecord) -> bytes:
        """What a unit keeps: it proves the promise even if our row were removed."""
        return receipt.make_receipt(made.body, self.origin, made.at, self.key)
