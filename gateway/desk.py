"""The desk: everything a unit's document-management system may ask, in one place.

Every door for unit systems (REST now; others later) calls this and nothing else. It decides who
may ask what; the corridors decide what happens. Times are shown with +07:00 (contract 3).

In:     an account, and values already taken apart by the door.
Out:    JSON-ready values, open files, stored answers.
Fails:  Unauthenticated, Forbidden, Unknown, Rejected, Conflict, Unavailable.
Never:  shows an account what belongs to agencies it does not speak for.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, BinaryIO

from gateway.answering import Answering, not_there, with_package
from gateway.c14n import canonical_json
from gateway.errors import (
    Finding,
    Forbidden,
    Rejected,
    Severity,
    Text,
    Unknown,
    errors_in,
)
from gateway.evidence.zipped import MEDIA_TYPE as EVIDENCE
from gateway.exporting import Exporting
from gateway.guide import Guide
from gateway.inbound import Inbound
from gateway.leasing import lease_item
from gateway.model.arrival import ArrivalState, ItemKind
from gateway.model.package import PackageKind, ReadyPackage, Staff
from gateway.model.submission import Submission
from gateway.opening import CameIn, open_package
from gateway.outbound import Outbound
from gateway.packing import metadata
from gateway.promise import (
    Order,
    impossible_release,
    keyless,
    local_time,
    not_acceptable,
    not_served,
    other_agency,
    untold,
)
from gateway.recognising import KEY_PREFIX, Recognising
from gateway.rules import checks
from gateway.safexml import Limits
from gateway.shapes import (
    account_json,
    acts_json,
    arrival_json,
    document_cursor,
    document_json,
    item_json,
    lane_cursor,
    queued_json,
    read_document_cursor,
    read_lane_cursor,
    records_json,
    transfer_json,
)
from gateway.store import Store, Tx, accounts, arrivals, ledger, transfers
from gateway.store import documents as document_rows
from gateway.store import inbox as inbox_rows
from gateway.store.accounts import Account
from gateway.store.documents import Answered, Repeated
from gateway.store.inbox import Item
from gateway.store.tables import Role
from gateway.telemetry.events import Event

__all__ = [
    "Account",
    "Answered",
    "Desk",
    "Item",
    "Repeated",
    "Role",
    "Stored",
    "account_json",
    "item_json",
]

LEASE = timedelta(minutes=10)
# a unit's system confirms a whole page of its inbox at once, and who hands in would stand behind it
CONFIRMED_AT_ONCE = 4

MEASURED_AT_ONCE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes to serve: `open()` blocks; `mark()` must be awaited before the last byte leaves."""

    sha256: str
    size: int
    source: BinaryIO
    name: str
    media_type: str


class Desk:
    """`item_lease`: how long a lease hides an inbox item from other callers."""

    def __init__(
        self,
        *,
        outbound: Outbound,
        inbound: Inbound,
        limits: Limits,
        item_lease: timedelta = LEASE,
    ) -> None:
        self.item_lease = item_lease
        self.outbound = outbound
        self.inbound = inbound
        self.answering = Answering(outbound)
        self.guide = Guide(outbound.directory, outbound.routing, outbound.today)
        self.limits = limits
        self.exporting = Exporting(
            outbound.store,
            outbound.blobs,
            outbound.scribe.origin,
            outbound.scribe.key,
            limits,
            outbound.algorithms,
        )
        self._recognising = Recognising(outbound.store)
        self._confirming = asyncio.Semaphore(CONFIRMED_AT_ONCE)

    @property
    def store(self) -> Store:
        return self.outbound.store

    # -- who asks --------------------------------------------------------------------------------

    async def authenticate(self, presented: str) -> Account:
        return await self._recognising.authenticate(presented)

    def require(self, who: Account, *roles: Role) -> None:
        if who.role not in roles:
            raise Forbidden(
                Text("Khóa này không có quyền đó", "this key may not do that"),
                code="account.role",
            )

    def speaks_for(self, who: Account, code: str) -> bool:
        mine = {self.outbound.key_of(c) for c in who.agencies}
        return who.role is Role.UNIT and self.outbound.key_of(code) in mine

    def _keys(self, who: Account) -> list[str]:
        self.require(who, Role.UNIT)
        return [self.outbound.key_of(c) for c in who.agencies]

    def _elsewhere(self, codes: Sequence[str], path: str) -> list[Finding]:
        """Agencies that this gateway does not serve: no key of ours speaks for them."""
        served = self.outbound.directory.is_local
        return [not_served(c, path.format(n)) for n, c in enumerate(codes) if not served(c)]

    def require_sender(self, who: Account, code: str) -> None:
        self.require(who, Role.UNIT)
        if not self.speaks_for(who, code):
            raise Forbidden(
                Text(
                    f"Khóa này không được gửi thay cho cơ quan {code}",
                    f"this key does not speak for agency {code}",
                ),
                code="account.other_agency",
                findings=(other_agency(),),
            )

    # -- submit ----------------------------------------------------------------------------------

    def judge_metadata(self, who: Account, raw: bytes, idempotency_key: str | None) -> Submission:
        """Everything that can be refused before a file byte is read: shape, secrecy, sender.

        Whatever refuses, all that is wrong with the metadata is told with it.
        """
        self.require(who, Role.UNIT)
        submission, shape = metadata.read_metadata(raw)
        if submission is None:
            raise metadata.misshapen(shape, readable=False)
        header = submission.header
        sender = header.sender.organ_id
        secret = errors_in(
            checks.check_secrecy(
                self.outbound.today(),
                self.outbound.rules,
                secrecy=submission.secrecy,
                type_name=header.document_type.name,
                typer_notation=header.other.typer_notation,
            )
        )
        unkeyed = () if header.document_id or idempotency_key else (keyless(),)
        if secret or shape or not sender:
            foreign = () if not sender or self.speaks_for(who, sender) else (other_agency(),)
            every = (*secret, *shape, *foreign, *unkeyed, *self._of_the_rest(submission, shape))
            if secret:
                text = Text(
                    "Văn bản có độ mật không được gửi qua hệ thống này",
                    "documents marked secret may not be sent through this system",
                )
                raise Rejected(text, code="secrecy.marked", findings=every)
            if shape:
                raise metadata.misshapen(every, readable=True)
            raise Rejected(not_acceptable(), code="submission.invalid", findings=every)
        self.require_sender(who, sender)
        if unkeyed:
            raise Rejected(unkeyed[0].text, code="idempotency.missing", findings=unkeyed)
        return submission

    def _of_the_rest(self, submission: Submission, shape: Sequence[Finding]) -> list[Finding]:
        """What rules and routes say of metadata, where their shape was not wrong already."""
        receivers = [o.organ_id for o in submission.header.to]
        judged = (
            *checks.check_submission(
                submission, self.outbound.scribe.now(), self.outbound.rules, with_files=False
            ),
            *impossible_release(submission.released_at),
            *self.outbound.routing.plan(receivers, self.outbound.today()).findings,
        )
        return untold(judged, shape)

    async def submit(
        self, who: Account, submission: Submission, idempotency_key: str | None, language: str
    ) -> Answered:
        """Metadata and files, all streamed in. The answer was committed when this returns."""
        content = canonical_json(
            {
                "metadata": metadata.header_to_json(submission.header),
                "secrecy": submission.secrecy,
                "released_at": submission.released_at.isoformat() if submission.released_at else "",
                "files": [[f.name, f.sha256] for f in submission.files],
            }
        )
        order = Order(
            account_id=who.id,
            content=hashlib.sha256(content).hexdigest(),
            idempotency_key=idempotency_key,
            language=language,
        )
        return await self.outbound.accept(order, submission)

    async def submit_package(
        self,
        who: Account,
        spool: BinaryIO,
        idempotency_key: str | None,
        language: str,
    ) -> Answered:
        """A package made by the unit system. Its bytes are kept as they came, or not at all."""

        def open_it() -> CameIn:
            spool.seek(0)
            return open_package(
                spool,
                limits=self.limits,
                rules=self.outbound.rules,
                policy=self.outbound.algorithms,
                day=self.outbound.today(),
                arriving=False,
                relied=self.inbound.trusting.relied,
                at=at,
            )

        at = self.outbound.scribe.now()
        came = await asyncio.to_thread(open_it)
        package, header = came.package, came.package.header
        if header is None:
            raise Rejected(
                Text("Gói tin này không phải văn bản", "this package is not a document"),
                code="package.not_document",
                findings=package.findings,
            )
        sender = header.sender.organ_id
        self.require_sender(who, sender)
        findings = (
            *came.findings,
            *(
                []
                if self.outbound.directory.is_local(sender)
                else [not_served(sender, "from.organ_id")]
            ),
        )
        if errors_in(findings):
            raise Rejected(
                Text("Gói tin chưa đạt yêu cầu", "the package cannot be accepted"),
                code="secrecy.marked" if came.secret else "package.invalid",
                findings=findings,
            )
        ready = ReadyPackage(PackageKind.DOCUMENT, package.sha256, package.size)
        content = canonical_json(
            {
                "metadata": metadata.header_to_json(header),
                "files": [[f.declared_name, f.sha256] for f in package.files],
            }
        )
        order = Order(
            account_id=who.id,
            content=hashlib.sha256(content).hexdigest(),
            idempotency_key=idempotency_key,
            language=language,
        )
        return await self.outbound.accept_package(
            order,
            header=header,
            files=[(f.name, f.size, f.sha256, f.declared_name) for f in package.files],
            package=ready,
            keep=partial(self.outbound.blobs.keep, spool, package.sha256),
            findings=findings,
        )

    # -- what became of it -----------------------------------------------------------------------

    async def documents(
        self, who: Account, *, cursor: str, limit: int
    ) -> tuple[list[dict[str, Any]], str]:
        keys = self._keys(who)
        before_at, before_id = read_document_cursor(cursor)

        def look(tx: Tx) -> list[document_rows.DocumentRow]:
            return document_rows.page(
                tx, sender_keys=keys, before_at=before_at, before_id=before_id, most=limit + 1
            )

        rows = await self.store.read(look)
        more = len(rows) > limit
        rows = rows[:limit]
        listed = await self.store.read(lambda tx: [document_json(tx, row) for row in rows])
        return listed, document_cursor(rows[-1] if more else None)

    async def document(self, who: Account, document_ref: str) -> dict[str, Any]:
        def look(tx: Tx) -> dict[str, Any]:
            row = self.mine(tx, who, document_ref)
            return {**document_json(tx, row), **acts_json(tx, row)}

        return await self.store.read(look)

    async def package(self, who: Account, document_ref: str, axis: str) -> Stored:
        """The bytes sent. `axis` chooses among siblings; "" takes the only one, or the first."""

        def look(tx: Tx) -> transfers.TransferRow:
            row = self.mine(tx, who, document_ref)
            sent = transfers.of_documents(tx, [row.id])
            chosen = [t for t in sent if axis in ("", t.axis)]
            if not chosen:
                raise not_there()
            return chosen[0]

        found = await self.store.read(look)
        source = await asyncio.to_thread(self.outbound.blobs.open, found.package_sha256)
        return Stored(
            found.package_sha256,
            found.package_size,
            source,
            f"{document_ref}.edxml",
            "application/edxml+xml",
        )

    async def evidence(self, who: Account, ref: str, *, item: bool = False) -> Stored:
        """A document that `who` sent, or an item in its inbox: a container that proves itself."""
        if item:
            await self.item(who, ref)
        else:
            await self.store.read(lambda tx: self.mine(tx, who, ref))
        source = await self.exporting.export(ref)
        digest, size = await asyncio.to_thread(_measured, source)
        return Stored(digest, size, source, f"{ref}.asice", EVIDENCE)

    async def history(self, who: Account, document_ref: str) -> list[dict[str, Any]]:
        """Every record about a document: the bytes themselves, and where the tree has them."""

        def look(tx: Tx) -> list[dict[str, Any]]:
            row = self.mine(tx, who, document_ref, auditors=True)
            return records_json(tx, ledger.of_document(tx, row.id))

        return await self.store.read(look)

    def mine(
        self, tx: Tx, who: Account, document_ref: str, *, auditors: bool = False
    ) -> document_rows.DocumentRow:
        """The row, if `who` may see it. Auditors see records, which hold no content; no more."""
        row = document_rows.by_id(tx, document_ref)
        inspects = auditors and who.role is Role.AUDITOR
        if row is None or not (inspects or self.speaks_for(who, row.sender)):
            raise Unknown(
                Text("Không có văn bản này", "there is no such document"), code="document.unknown"
            )
        return row

    # -- the inbox -------------------------------------------------------------------------------

    async def inbox(
        self,
        who: Account,
        *,
        agency: str,
        kinds: Sequence[ItemKind],
        cursor: str,
        limit: int,
        wait: float,
        language: str = "vi",
    ) -> tuple[list[dict[str, Any]], str]:
        """Waiting items, urgent first. With `wait` seconds: a long poll that never loses one."""
        keys = self._keys(who)
        if agency:
            if self.outbound.key_of(agency) not in keys:
                raise Forbidden(
                    Text(
                        f"Khóa này không thuộc cơ quan {agency}",
                        f"this key does not speak for agency {agency}",
                    ),
                    code="account.other_agency",
                )
            keys = [self.outbound.key_of(agency)]
        after = read_lane_cursor(cursor)
        listener = self.store.listener("inbox")

        def look(tx: Tx) -> list[Item]:
            return inbox_rows.waiting(
                tx, agency_keys=keys, kinds=kinds, after=after, most=limit + 1
            )

        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        rows = await self.store.read(look)
        while not rows and (left := end - loop.time()) > 0:
            await listener.wait(left)
            rows = await self.store.read(look)
        more = len(rows) > limit
        rows = rows[:limit]
        end_of_page = lane_cursor(rows[-1].lane, rows[-1].id) if more else ""
        return [item_json(r, language) for r in rows], end_of_page

    async def item(self, who: Account, item_id: str) -> Item:
        found = await self.store.read(lambda tx: inbox_rows.by_id(tx, item_id))
        if found is None or not self.speaks_for(who, found.agency):
            raise not_there()
        return found

    async def lease(self, who: Account, item_id: str, held: str = "") -> dict[str, Any]:
        """`held`: the lease that the caller was given before and wants to keep."""
        await self.item(who, item_id)
        fresh = secrets.token_urlsafe(16)

        def take(tx: Tx) -> tuple[str, datetime]:
            now = tx.now()
            until = now + self.item_lease
            return lease_item(tx, item_id, held=held, fresh=fresh, now=now, until=until), until

        token, until = await self.store.write(take)
        return {"id": item_id, "lease": token, "until": local_time(until)}

    async def item_package(self, who: Account, item_id: str) -> tuple[Item, Stored]:
        """The raw bytes that came. The door calls `fetched` before the last one leaves."""
        item = with_package(await self.item(who, item_id))
        source = await asyncio.to_thread(self.outbound.blobs.open, item.raw_sha256)
        return item, Stored(
            item.raw_sha256, item.raw_size, source, f"{item_id}.edxml", "application/edxml+xml"
        )

    async def item_attachment(self, who: Account, item_id: str, number: int) -> tuple[Item, Stored]:
        item = await self.item(who, item_id)
        fact, source = await self.inbound.attachment(item, number)
        return item, Stored(
            fact["sha256"],
            fact["size"],
            source,
            fact["name"],
            fact["actual_type"] or "application/octet-stream",
        )

    async def fetched(self, who: Account, item: Item) -> None:
        if item.fetched_at is None:
            await self.inbound.mark_fetched(item, who.id)

    async def confirm(self, who: Account, item_id: str) -> str:
        async with self._confirming:
            return await self.inbound.confirm(await self.item(who, item_id), who.id)

    async def report_status(
        self,
        who: Account,
        item_id: str,
        *,
        code: str,
        description: str,
        staff: Staff | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """`staff`: who dealt with it, if the unit says so; goes into the status package."""
        item = await self.item(who, item_id)
        said = staff or Staff()
        content = canonical_json([item_id, code, description, asdict(said)])
        order = Order(who.id, hashlib.sha256(content).hexdigest(), idempotency_key)
        transfer_id = await self.answering.report_status(
            item, who.id, code=code, description=description, staff=said, order=order
        )
        return {"id": item_id, "code": code, "transfer_id": transfer_id}

    # -- accounts --------------------------------------------------------------------------------

    async def add_account(
        self, by: str, *, name: str, role: Role, agencies: Sequence[str]
    ) -> tuple[Account, str]:
        """The account and its key, which is shown this once; only the hash of its secret stays."""
        made, key, record = self.new_account(by, name=name, role=role, agencies=agencies)

        def commit(tx: Tx) -> None:
            accounts.add(tx, made)
            ledger.append(tx, [record])

        await self.store.write(commit)
        return made, key

    def new_account(
        self, by: str, *, name: str, role: Role, agencies: Sequence[str]
    ) -> tuple[Account, str, ledger.NewRecord]:
        wrong = [
            Finding(
                f"agencies[{n}]",
                "agency.unknown",
                Severity.ERROR,
                Text(f"Không có cơ quan {code[:60]!r}", f"no agency {code[:60]!r}"),
            )
            for n, code in enumerate(agencies)
            if self.outbound.directory.find(code) is None
        ]
        wrong = wrong or self._elsewhere(agencies, "agencies[{}]")
        rule = Text(
            "Khóa của đơn vị phải gắn với mã cơ quan trong danh mục; khóa khác thì không",
            "a unit's key is bound to agencies of the directory; no other key is",
        )
        if (role is Role.UNIT) != bool(agencies):
            wrong.append(Finding("agencies", "account.agencies", Severity.ERROR, rule))
        if wrong:
            raise Rejected(rule, code="account.agencies", findings=tuple(wrong))
        scribe = self.outbound.scribe
        at = scribe.now()
        account_id = secrets.token_hex(6)
        secret = secrets.token_urlsafe(32)
        made = Account(
            id=account_id,
            name=name,
            role=role,
            agencies=tuple(agencies),
            key_hash=hashlib.sha256(secret.encode()).hexdigest(),
            created_at=at,
            revoked_at=None,
        )
        record = scribe.record(
            Event.ACCOUNT_ADDED,
            at,
            {"account": account_id, "by": by},
            {"role": role.value, "agencies": [c.upper() for c in agencies]},
        )
        return made, f"{KEY_PREFIX}_{account_id}_{secret}", record

    async def list_accounts(self) -> list[dict[str, Any]]:
        found = await self.store.read(accounts.everyone)
        return [account_json(a) for a in found]

    async def revoke_account(self, by: str, account_id: str) -> None:
        scribe = self.outbound.scribe
        at = scribe.now()
        record = scribe.record(Event.ACCOUNT_REVOKED, at, {"account": account_id, "by": by}, {})

        def commit(tx: Tx) -> None:
            if not accounts.revoke(tx, account_id, at):
                raise Unknown(
                    Text("Không có khóa đang dùng này", "there is no such account in use"),
                    code="account.unknown",
                )
            ledger.append(tx, [record])

        await self.store.write(commit)

    # -- the queue, for ops ----------------------------------------------------------------------

    async def queue(
        self, *, states: Sequence[str], cursor: str, limit: int
    ) -> tuple[list[dict[str, Any]], str]:
        after = read_lane_cursor(cursor)

        def look(tx: Tx) -> tuple[list[transfers.Queued], list[transfers.RecipientRow]]:
            rows = transfers.queue(tx, states=states, after=after, most=limit + 1)
            return rows, transfers.recipients_of(tx, [q.transfer.id for q in rows])

        rows, recipients = await self.store.read(look)
        more = len(rows) > limit
        rows = rows[:limit]
        last = rows[-1].transfer if more else None
        end_of_page = lane_cursor(last.lane, last.id) if last else ""
        return [queued_json(q, recipients) for q in rows], end_of_page

    async def queued(self, transfer_id: str) -> dict[str, Any]:
        """One transfer with all its attempts, for a person who must decide."""

        def look(tx: Tx) -> dict[str, Any]:
            row = transfers.by_id(tx, transfer_id)
            if row is None:
                raise Unknown(
                    Text("Không có lượt chuyển này", "there is no such transfer"),
                    code="transfer.unknown",
                )
            document = document_rows.by_id(tx, row.document_ref)
            recipients = transfers.recipients_of(tx, [transfer_id])
            named = document.document_id if document else ""
            return transfer_json(
                transfers.Queued(row, named), recipients, transfers.attempts_of(tx, transfer_id)
            )

        return await self.store.read(look)

    async def quarantine(self, most: int, language: str = "vi") -> dict[str, Any]:
        """What waits for a person: arrivals with their findings (never their content), fetches."""
        states = (ArrivalState.QUARANTINED, ArrivalState.ORPHAN)

        def look(tx: Tx) -> dict[str, Any]:
            return {
                "arrivals": [
                    arrival_json(row, language) for row in arrivals.in_states(tx, states, most)
                ],
                "fetches": [held._asdict() for held in arrivals.held_fetches(tx)[:most]],
            }

        return await self.store.read(look)


def _measured(source: BinaryIO) -> tuple[str, int]:
    """SHA-256 (hex) and size of a spool, which is rewound."""
    digest = hashlib.sha256()
    while piece := source.read(MEASURED_AT_ONCE):
        digest.update(piece)
    size = source.tell()
    source.seek(0)
    return digest.hexdigest(), size
