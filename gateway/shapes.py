"""Rows as the JSON that contract 3 and 5 name. Times with +07:00, findings in one language.

In:     rows of the store; "vi" or "en". Out: JSON-ready values, and cursors both ways.
Fails:  Rejected (`cursor.invalid`) for a cursor that is not one of ours.
Never:  shows what a row does not hold; decides who may see it (that is `desk`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from gateway.errors import Finding, Rejected, Text
from gateway.ledger.reconciliation import SignedReport
from gateway.model.package import FileFact, PackageKind, SignatureVerdict, StatusReport
from gateway.model.transfer import TransferState, person_may
from gateway.promise import VIETNAM, local_time
from gateway.signing import verify
from gateway.store import (
    Tx,
    acts,
    arrivals,
    documents,
    inbox,
    ledger,
    reconciliations,
    transfers,
)
from gateway.store.accounts import Account

FOREVER = datetime.max.replace(tzinfo=VIETNAM)
Json = dict[str, Any]


def shown(at: datetime | None) -> str | None:
    return local_time(at) if at else None


def findings_json(kept: Sequence[Mapping[str, str]], language: str) -> list[Json]:
    """Findings as rows keep them (both languages) -> as contract 3 shows them (one)."""
    return [
        {
            "path": f["path"],
            "code": f["code"],
            "severity": f["severity"],
            "message": f[language],
            "rule": f["rule"],
        }
        for f in kept
    ]


# -- documents and transfers -----------------------------------------------------------------------


def document_json(tx: Tx, row: documents.DocumentRow) -> Json:
    sent = transfers.of_documents(tx, [row.id])
    recipients = transfers.recipients_of(tx, [t.id for t in sent])
    history = transfers.statuses(tx, row.id)
    return {
        "id": row.id,
        "document_id": row.document_id,
        "kind": row.kind,
        "from": row.sender,
        "subject": row.header.get("subject", ""),
        "business_type": row.business_type,
        **({"about": acts.targets(tx, row.id)} if row.business_type else {}),
        "files": list(row.files),
        "instants": {
            "released_at": local_time(row.released_at),
            "accepted_at": local_time(row.accepted_at),
            "sources": {"released_at": row.released_source, "accepted_at": "observed"},
        },
        "transfers": [
            {
                "transfer_id": t.id,
                "axis": t.axis,
                "state": t.state,
                "attempts": t.attempts,
                "due_at": shown(t.due_at),
                "doubt": t.doubt,
                "hold_cause": t.hold_cause,
                "last_outcome": t.last_code,
                **({"replay_of": t.replay_of} if t.replay_of else {}),
                "package": {"sha256": t.package_sha256, "size": t.package_size},
                "recipients": [
                    _recipient_json(r, history) for r in recipients if r.transfer_id == t.id
                ],
            }
            for t in sent
        ],
    }


def acts_json(tx: Tx, row: documents.DocumentRow) -> Json:
    """What was sent about a document: acts with their type, take-backs with their code."""
    key, document_id = row.sender_key, row.document_id
    sent: list[Json] = [
        {"id": one.id, "type": one.business_type, "document_id": one.document_id}
        for one in acts.sent(tx, sender_key=key, document_id=document_id)
        if one.id != row.id
    ]
    if row.kind == PackageKind.DOCUMENT.value:
        asked = acts.take_backs(tx, sender_key=key, document_id=document_id)
        sent += [{"id": one.id, "code": acts.TAKE_BACK} for one in asked]
    return {"acts": sent} if sent else {}


def _recipient_json(row: transfers.RecipientRow, history: Sequence[tuple[str, str, str]]) -> Json:
    return {
        "agency": row.agency,
        "state": row.state,
        "status_code": row.status_code,
        "on_axis_at": shown(row.on_axis_at),
        "entered_at": shown(row.entered_at),
        "sources": {
            **({"on_axis_at": "observed"} if row.on_axis_at else {}),
            **({"entered_at": row.entered_source} if row.entered_at else {}),
        },
        "statuses": [
            {"code": code, "timestamp": stamp}
            for key, code, stamp in history
            if key == row.agency_key
        ],
    }


def records_json(tx: Tx, rows: Sequence[ledger.RecordRow]) -> list[Json]:
    """Each record with its place in the tree and the first stamp that covers it."""
    listed = []
    for row in rows:
        covering = None
        if row.seq is not None and row.epoch is not None:
            covering = ledger.stamp_covering(tx, row.epoch, row.seq)
        listed.append(
            {
                "seq": row.seq,
                "event": row.event,
                "at": local_time(row.at),
                "sealed": row.seq is not None,
                "stamped_at": local_time(covering[0]) if covering else None,
                "stamped_by": covering[1] if covering else None,
                "record": json.loads(row.body),
            }
        )
    return listed


def queued_json(queued: transfers.Queued, recipients: Sequence[transfers.RecipientRow]) -> Json:
    """One line of `queue list --json` (contract 5)."""
    row = queued.transfer
    return {
        "transfer_id": row.id,
        "document_id": queued.document_id,
        "state": row.state,
        "axis": row.axis,
        "recipients": [r.agency for r in recipients if r.transfer_id == row.id],
        "lane": row.lane,
        "attempts": row.attempts,
        "due_at": shown(row.due_at),
        "last_outcome": row.last_code,
    }


def transfer_json(
    queued: transfers.Queued,
    recipients: Sequence[transfers.RecipientRow],
    attempts: Sequence[transfers.AttemptRow],
) -> Json:
    """One transfer with all its attempts, for a person who must decide."""
    row = queued.transfer
    return {
        **queued_json(queued, recipients),
        "kind": row.kind,
        "doubt": row.doubt,
        "hold_cause": row.hold_cause,
        **({"replay_of": row.replay_of} if row.replay_of else {}),
        "can": list(person_may(TransferState(row.state), doubt=row.doubt)),
        "last_detail": row.last_detail,
        "remote_ref": row.remote_ref,
        "package": {"sha256": row.package_sha256, "size": row.package_size},
        "attempt_list": [
            {
                "number": a.number,
                "started_at": local_time(a.started_at),
                "ended_at": shown(a.ended_at),
                "outcome": a.outcome,
                "code": a.code,
                "detail": a.detail,
            }
            for a in attempts
        ],
    }


# -- arrivals and inbox items ----------------------------------------------------------------------


def item_json(item: inbox.Item, language: str = "vi") -> Json:
    content: Mapping[str, Any] = item.content
    return {
        "id": item.id,
        "kind": item.kind,
        "agency": item.agency,
        "from": item.sender,
        "document_id": item.document_id,
        "state": item.state,
        "axis": item.axis,
        **({"status": content["status"]} if "status" in content else {}),
        **({"report": report_json(content["report"], language)} if "report" in content else {}),
        **({"about": item.about_document} if item.about_document else {}),
        **({"business": content["business"]} if "business" in content else {}),
        **({"header": content["header"]} if "header" in content else {}),
        **({"attachments": content["files"]} if "files" in content else {}),
        **({"signature": content["signature"]} if "signature" in content else {}),
        "findings": findings_json(content.get("findings", ()), language),
        **(
            {"package": {"sha256": item.raw_sha256, "size": item.raw_size}}
            if item.raw_sha256
            else {}
        ),
        "instants": {
            "available_at": local_time(item.available_at),
            "fetched_at": shown(item.fetched_at),
            "entered_at": shown(item.entered_at),
            "sources": {
                "available_at": "observed",
                **({"fetched_at": "observed"} if item.fetched_at else {}),
                **({"entered_at": "observed"} if item.entered_at else {}),
            },
        },
    }


def report_json(kept: Mapping[str, Any], language: str) -> Json:
    """What the gateway itself tells the sender of a document; its sentences in one language."""
    return {k: v[language] if isinstance(v, Mapping) else v for k, v in kept.items()}


def arrival_json(row: arrivals.ArrivalRow, language: str) -> Json:
    """What ops may see of an arrival that could not be handed over; never its content."""
    return {
        "id": row.id,
        "axis": row.axis,
        "axis_doc_id": row.axis_doc_id,
        "state": row.state,
        "kind": row.kind,
        "raw": {"sha256": row.raw_sha256, "size": row.raw_size},
        "received_at": local_time(row.received_at),
        "from": row.sender or row.listed_from,
        "document_id": row.document_id,
        **({"signature": row.verdict} if row.verdict else {}),
        "findings": findings_json(row.findings, language),
    }


# -- what opening an arrival keeps in its rows -----------------------------------------------------


def kept_findings(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [
        {
            "path": f.path,
            "code": f.code,
            "severity": f.severity.value,
            "rule": f.rule,
            "vi": f.text.vi,
            "en": f.text.en,
        }
        for f in findings
    ]


def kept_verdict(verdict: SignatureVerdict | None) -> Json:
    if verdict is None:
        return {}
    return {
        "profile": verdict.profile,
        "verdict": verdict.summary(),
        "header": verdict.header.value,
        "files": verdict.files.value,
        "references": [{"uri": r.uri, "verdict": r.verdict.value} for r in verdict.references],
        "certificate": verdict.certificate_json(),
    }


def kept_files(verdict: SignatureVerdict | None, files: Sequence[FileFact]) -> list[Json]:
    """What is served: the carried bytes where a verified reference covers them, else the inner."""
    if verdict is None:
        return []
    chosen = verify.inner_choice(verdict, files)
    return [
        {
            "name": fact.name,
            "size": fact.size if digest == fact.sha256 else fact.carried_size,
            "sha256": digest,
            "declared_type": fact.declared_type,
            "actual_type": fact.actual_type,
            "encrypted": fact.encrypted,
            "unwrapped": fact.unwrapped and digest == fact.sha256,
            "failed": fact.failed,
        }
        for fact, digest in zip(files, chosen, strict=True)
    ]


def kept_status(report: StatusReport) -> Json:
    staff = {k: v for k, v in asdict(report.staff).items() if v}
    return {
        "code": report.code,
        "description": report.description,
        "timestamp": report.timestamp,
        "from": {k: v for k, v in asdict(report.sender).items() if v},
        "response_for": {k: v for k, v in asdict(report.response_for).items() if v},
        **({"staff": staff} if staff else {}),
    }


# -- accounts --------------------------------------------------------------------------------------


def account_json(account: Account) -> Json:
    return {
        "id": account.id,
        "name": account.name,
        "role": account.role.value,
        "agencies": list(account.agencies),
        "created_at": local_time(account.created_at),
        "revoked_at": shown(account.revoked_at),
    }


# -- cursors: opaque, URL-safe, "" = the end -------------------------------------------------------


def document_cursor(last: documents.DocumentRow | None) -> str:
    return _cursor([last.accepted_at.isoformat(), last.id]) if last else ""


def read_document_cursor(cursor: str) -> tuple[datetime, str]:
    if not cursor:
        return FOREVER, ""
    at_text, ref = _opened(cursor)
    try:
        at = datetime.fromisoformat(str(at_text))
    except ValueError:
        raise _bad_cursor() from None
    if at.tzinfo is None:
        raise _bad_cursor()
    return at, ref


def lane_cursor(lane: int, ref: str) -> str:
    """For lists that are in the order of lane and id: the inbox and the queue."""
    return _cursor([lane, ref])


def read_lane_cursor(cursor: str) -> tuple[int, str]:
    if not cursor:
        return -1, ""
    lane, ref = _opened(cursor)
    if not isinstance(lane, int) or not 0 <= lane < 1000:
        raise _bad_cursor()
    return lane, ref


def dead_cursor(kind: str, at: datetime | None, ref: str) -> str:
    """For the dead letters: which kind of them, since when it is dead, and its id."""
    return _cursor([f"{kind} {at.isoformat() if at else ''}", ref])


def read_dead_cursor(cursor: str, kinds: Sequence[str]) -> tuple[str, datetime, str]:
    if not cursor:
        return kinds[0], FOREVER, ""
    first, ref = _opened(cursor)
    kind, _, at_text = str(first).partition(" ")
    try:
        at = datetime.fromisoformat(at_text) if at_text else FOREVER
    except ValueError:
        raise _bad_cursor() from None
    if kind not in kinds or at.tzinfo is None:
        raise _bad_cursor()
    return kind, at, ref


def place_cursor(place: int) -> str:
    """For lists in memory: the place to go on from."""
    return _cursor([place, ""])


def read_place_cursor(cursor: str) -> int:
    if not cursor:
        return 0
    place, _ = _opened(cursor)
    if not isinstance(place, int) or not 0 <= place < 10_000_000:
        raise _bad_cursor()
    return place


def _cursor(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _opened(cursor: str) -> tuple[Any, str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        first, ref = parts
    except (ValueError, TypeError):
        raise _bad_cursor() from None
    if not isinstance(ref, str) or not ref.isascii() or not ref.isprintable():
        raise _bad_cursor()
    return first, ref


def _bad_cursor() -> Rejected:
    return Rejected(
        Text("Con trỏ trang không hợp lệ", "the cursor is not one of ours"), code="cursor.invalid"
    )


# -- reconciliations -------------------------------------------------------------------------------


def listed_json(row: reconciliations.Listed | reconciliations.Made) -> Json:
    """`daily`: made by the clock, the one report of its axis and day."""
    return {
        "id": row.id,
        "state": "made",
        "axis": row.axis,
        "day": row.day,
        "daily": row.once != row.id,
        "made_at": local_time(row.made_at),
        "counts": dict(row.counts),
    }


def reconciliation_json(row: reconciliations.Made) -> Json:
    """`report`: what was signed, to read; `signed`: the file itself, to keep and to check."""
    signed = SignedReport(row.report, row.note)
    return {
        **listed_json(row),
        "report": json.loads(row.report),
        "signed": json.loads(signed.file()),
    }
