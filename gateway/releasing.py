"""The desk's window for what waits in quarantine: a person looks, lets in, or sends back.

In:     who decides, an arrival or a held fetch, and the reason, which is a must.
Out:    the arrival as ops may see it; OPENED with its items, or RETURNED, each with its record.
Fails:  Unknown; Conflict where the arrival does not wait any more, or cannot be let in or told of;
        Rejected without a reason.
Never:  lets in what could not be read, is marked secret, or is for nobody here; speaks for an
        agency unless told to; keeps the reason where it cannot be erased.

To send back is a decision of ours; to tell the sender is the receiving agency's (status 02, QĐ
28/2018 article 9.1). So it is said only on demand, in the name of each agency of ours that the
package names, and never where the sender would understand something else: after a conflict its
DocumentId means the document that stands, and after a false From it is not the one who sent it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from gateway import quarantine
from gateway.admitting import Again
from gateway.desk import Desk
from gateway.errors import Conflict, Finding, Rejected, Severity, Text, Unknown
from gateway.model.arrival import ArrivalState
from gateway.model.package import Organ
from gateway.packing import metadata
from gateway.promise import Promise, plain_id, status_about
from gateway.shapes import arrival_json
from gateway.store import Tx, arrivals, ledger
from gateway.telemetry.events import Event

WAITING = (ArrivalState.QUARANTINED, ArrivalState.ORPHAN)
REFUSED = "02"


class Releasing:
    """Beside the desk: the same corridors, for operators alone. `by`: the account, for records."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def one(self, arrival_id: str, language: str = "vi") -> dict[str, Any]:
        """Any arrival, whatever became of it; never its content."""
        row = await self._row(arrival_id)
        return arrival_json(row, language)

    async def let_in(
        self, by: str, arrival_id: str, *, reason: str, language: str = "vi"
    ) -> dict[str, Any]:
        """QUARANTINED or ORPHAN -> OPENED, against what stood against it, and said so."""
        _must_have(reason)
        row = await self._row(arrival_id)
        if row.state not in WAITING:
            raise quarantine.not_waiting(arrival_id)
        old = ArrivalState(row.state)
        overruled = tuple(
            _as_warning(kept) for kept in row.findings if kept["code"] in quarantine.OPINIONS
        )
        again = Again(old, by, reason, overruled)
        if await self.desk.inbound.enter_again(arrival_id, again) is old:
            raise _not_openable(arrival_id)
        return await self.one(arrival_id, language)

    async def send_back(
        self,
        by: str,
        arrival_id: str,
        *,
        reason: str,
        tell_sender: bool = False,
        language: str = "vi",
    ) -> dict[str, Any]:
        """QUARANTINED -> RETURNED. `tell_sender`: with status 02 of each receiver here, in whose
        name the reason is given; the answer names the transfers that carry them.
        """
        _must_have(reason)
        row = await self._row(arrival_id)
        refusals = await self._refusals(row, reason) if tell_sender else ()
        scribe = self.desk.outbound.scribe
        at = scribe.now()

        def commit(tx: Tx) -> list[str]:
            if not arrivals.returned(tx, arrival_id):
                raise quarantine.not_waiting(arrival_id)
            told = [
                self.desk.outbound.add_status(tx, by, one, REFUSED, arrival_id) for one in refusals
            ]
            made = scribe.record(
                Event.ARRIVAL_RETURNED,
                at,
                {"arrival": arrival_id, "account": by},
                {
                    "axis": row.axis,
                    "axis_doc_id": row.axis_doc_id,
                    "raw_blob": row.raw_sha256,
                    "from": plain_id(row.sender.upper()),
                    "document_id": plain_id(row.document_id),
                    "transfers": told,
                },
                arrival_id=arrival_id,
                personal={"reason": reason},
            )
            ledger.append(tx, [made])
            return told

        transfers = await self.desk.store.write(commit)
        return {**await self.one(arrival_id, language), "transfers": transfers}

    async def _row(self, arrival_id: str) -> arrivals.ArrivalRow:
        row = await self.desk.store.read(lambda tx: arrivals.by_id(tx, arrival_id))
        if row is None:
            raise Unknown(
                Text("Không có gói tin đến này", "there is no such arrival"),
                code="arrival.unknown",
            )
        return row

    async def _refusals(self, row: arrivals.ArrivalRow, reason: str) -> Sequence[Promise]:
        """A status 02 for each agency of ours that the package names."""
        outbound, inbound = self.desk.outbound, self.desk.inbound
        if any(kept["code"] in quarantine.AMBIGUOUS for kept in row.findings):
            raise _cannot_be_told(row.id)
        claim, opened = await inbound.read_again(row.id, ArrivalState.QUARANTINED)
        header = opened.header
        local = inbound.local_receivers(claim, header) if header is not None else ()
        if header is None or not header.document_id or not local:
            raise _cannot_be_told(row.id)
        at = outbound.scribe.now()
        made = []
        for code in local:
            agency = outbound.directory.find(code)
            report = status_about(
                sender=Organ(organ_id=code, name=agency.name if agency else ""),
                header=metadata.header_to_json(header),
                addressee=header.sender.organ_id or row.listed_from,
                document_id=header.document_id,
                code=REFUSED,
                at=at,
                description=reason,
            )
            made.append(await asyncio.to_thread(outbound.make_status, report, row.axis, at))
        return made


def _must_have(reason: str) -> None:
    if not reason.strip():
        text = Text("Thiếu lý do của quyết định", "the reason of the decision is missing")
        finding = Finding("reason", "decision.reason_missing", Severity.ERROR, text)
        raise Rejected(text, code="decision.reason_missing", findings=(finding,))


def _as_warning(kept: Any) -> Finding:
    """What was overruled stays with the item, for whoever reads it there."""
    text = Text(kept["vi"], kept["en"])
    return Finding(kept["path"], kept["code"], Severity.WARNING, text, kept["rule"])


def _not_openable(arrival_id: str) -> Conflict:
    return Conflict(
        Text(
            f"Gói tin đến {arrival_id} không thể đưa vào hộp đến: không đọc được, có dấu mật, "
            "không có nơi nhận ở đây, hoặc chưa biết văn bản mà trạng thái nói đến",
            f"arrival {arrival_id} cannot enter an inbox: it cannot be read, is marked secret, is "
            "for nobody here, or its status is about a document that is not known",
        ),
        code="arrival.not_openable",
    )


def _cannot_be_told(arrival_id: str) -> Conflict:
    return Conflict(
        Text(
            f"Không có trạng thái nào nói đúng với bên gửi về gói tin đến {arrival_id}; "
            "hãy báo bằng cách khác",
            f"no status would tell the sender the truth about arrival {arrival_id}; "
            "tell it by other means",
        ),
        code="arrival.cannot_be_told",
    )
