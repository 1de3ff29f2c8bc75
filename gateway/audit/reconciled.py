"""Reports of reconciliation as they are kept, against what was recorded when they were made.

In:     the table of reports; the records `reconciliation.made`, by the id that each report names.
Out:    findings: a report whose bytes, axis, day or instant no record says.
Never:  judges what a report says; its note is judged by whoever holds the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial

from gateway.audit.against import Against, batches, said
from gateway.errors import Finding
from gateway.store import Tx, audit, reconciliations
from gateway.telemetry.events import Event


def reports(tx: Tx) -> Iterator[Finding]:
    """Every report: its bytes are those whose digest was recorded."""
    for rows in batches(partial(reconciliations.all_made, tx)):
        for row in rows:
            yield from _report(tx, row)


def _report(tx: Tx, row: reconciliations.Made) -> Iterator[Finding]:
    shown = Against(
        f"reconciliation/{row.id}",
        "ledger.shown_reconciliation",
        "Biên bản đối soát đang giữ khác với bản ghi trong sổ cái",
        "the reconciliation that is kept is not what its record says",
    )
    body = audit.body_of(tx, row.record_id)
    record = None if body is None else said(bytes(body))
    if record is None or record.event != Event.RECONCILIATION_MADE:
        yield shown.finding("record_id", row.record_id, ())
        return
    facts = record.facts
    yield from shown.says("id", row.id, record.about.get("reconciliation"))
    yield from shown.says("made_at", row.made_at, record.at)
    yield from shown.says("axis", row.axis, facts.get("axis"))
    yield from shown.says("day", row.day, facts.get("day"))
    yield from shown.says("counts", dict(row.counts), facts.get("counts"))
    digest = hashlib.sha256(row.report).hexdigest()
    yield from shown.says("report", digest, facts.get("report_sha256"))
