"""A provincial axis over SOAP, we being its client: the port Axis with the eDoc operations.

In:     parcels to send, items to fetch.
Out:    outcomes, lists, packages of QCVN 102 in a sink.
Fails:  what raises is ours: a damaged blob (`Broken`), a full disk (`Unavailable`), cancellation.
        A remote's fault never raises: it is an outcome within the deadline.
Never:  follows a redirect, repeats SendDocument by itself, logs, puts a token into an outcome.
Source: vxp-protocol 8.1 and 9, architecture 4 "Doubt".

ConfirmReceived itself tells the sender that the document arrived (status 01), so it is called for
a document that was confirmed, and never at pick-up (`acknowledge_reports_arrival`).

Statuses have no ids and no queue: GetTraces marks what it returns as fetched, unless it is told
since when. So it always is, and a status' id is the digest of what it says.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from adapters.cargo import Cargo
from adapters.edoc_soap import contract as soap
from adapters.edoc_soap.arriving import PackageArrival, SwaArrival
from adapters.edoc_soap.contract import Answer, Contract
from adapters.edoc_soap.forms import ARRIVED, form_of, status_code
from adapters.edoc_soap.outcomes import Judge
from adapters.edoc_soap.security import X509Signer
from adapters.edoc_soap.settings import SoapSettings
from adapters.edoc_soap.traces import Traces, trace_item
from adapters.edoc_soap.verifying import AnswerVerifier
from adapters.remote import REMOTE_FAULTS, SessionHolder, small_body, tls_context
from adapters.streams import NotAnAnswer, Spool
from gateway.errors import Rejected, Unavailable, Untrusted
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused
from gateway.model.package import PackageKind
from gateway.ports import (
    AxisCapabilities,
    Clock,
    Count,
    DirectoryEntry,
    Fetched,
    FollowUp,
    Listing,
    Parcel,
    WaitingItem,
)

_OK = frozenset({200, 201})
_LOOK_BACK_EVERY = timedelta(hours=1)
_USABLE_ID = re.compile(r"[\x21-\x7e]{1,255}")
_VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")


@dataclass(slots=True)
class _Reply:
    """What is known of an answer when the deadline strikes in the middle of it."""

    status: int = 0
    content_type: str = ""
    body: bytes | None = None


class SoapAxis:
    """One account on one axis. One per process; safe for many concurrent calls."""

    def __init__(self, settings: SoapSettings, clock: Clock) -> None:
        """Raises Misconfigured for a key that cannot be used; opens no connection."""
        self.name = settings.name
        self.capabilities = AxisCapabilities(
            acknowledge_reports_arrival=True, lists_agencies=True, repeat=settings.repeat
        )
        self._settings = settings
        self._clock = clock
        profile = settings.profile
        signer = None
        if profile.security == "x509":
            signer = X509Signer(settings.key, settings.certificate, clock)
        verifier = None
        if profile.verify_answers:
            verifier = AnswerVerifier(settings.answer_certificates, clock)
        self._contract = Contract(profile, settings.organ_id, settings.token, signer, verifier)
        self._judge = Judge(
            profile,
            frozenset(settings.retry_codes),
            frozenset(settings.never_codes),
            settings.token,
        )
        self._tls = None
        if settings.endpoint.startswith("https"):
            self._tls = tls_context(settings.name, settings.ca_file)
        self._sessions = SessionHolder(self._tls, settings)
        self._session = self._sessions.get
        self._loading = asyncio.Lock()
        self._loaded = False
        self._traces = Traces()
        self._listed_to: datetime | None = None
        self._looked_back: datetime | None = None

    def __repr__(self) -> str:
        return f"SoapAxis({self.name!r})"

    async def close(self) -> None:
        await self._sessions.close()

    # --- sending ---------------------------------------------------------------------------

    async def submit(self, parcel: Parcel, deadline_seconds: float) -> Outcome:
        """SendDocument or UpdateTraces, once. Raises Broken `blob.damaged`."""
        if parcel.about and (told_of := await self._arrival(parcel, deadline_seconds)):
            return told_of
        operation = soap.UPDATE if parcel.kind is PackageKind.STATUS else soap.SEND
        reply = _Reply()
        cargo: Cargo | None = None
        failure: BaseException | None = None
        told = ""
        try:
            async with asyncio.timeout(deadline_seconds):
                await self.prepare()
                form = form_of(self._contract, parcel)
                size = await self._size(parcel)
                cargo = Cargo(parcel, form.content_type(), form, size)
                await self._post(operation, cargo, reply)
                told = form.converted.words()
            cargo.settled = True
        except REMOTE_FAULTS as error:
            failure = error
        except (Untrusted, Rejected) as error:  # while the length was counted
            return Refused(error.code, error.text.en)
        except Unavailable as error:
            return Deferred(error.code, error.text.en)
        finally:
            if cargo is not None:
                await cargo.stop()
        if cargo is None:
            return self._judge.failed(failure or TimeoutError(), handed_over=False)
        if isinstance(cargo.fault, Untrusted | Rejected):
            return Refused(cargo.fault.code, cargo.fault.text.en)  # it has no form on this axis
        if (ours := cargo.withheld()) is not None:
            return ours
        if not reply.status:
            return self._judge.failed(failure or TimeoutError(), handed_over=cargo.handed_over)
        answer = self._read(operation, reply)
        # a status has no id of its own there
        ref = parcel.transfer_id if operation == soap.UPDATE else _text(answer.value, "DocumentId")
        return self._judge.submitted(
            reply.status,
            answer,
            handed_over=cargo.handed_over,
            repeated=parcel.again,
            ref=ref,
            told=told,
        )

    async def _arrival(self, parcel: Parcel, deadline_seconds: float) -> Outcome | None:
        """Status 01 about a document that this axis brought: ConfirmReceived says it. None: it is
        another status.
        """
        try:
            async with asyncio.timeout(deadline_seconds):
                if await status_code(parcel) != ARRIVED:
                    return None
                if not await parcel.still_mine():
                    return Deferred("lease.lost", "the attempt's lease went to another worker")
        except TimeoutError:
            return Deferred("send.timeout")
        except Unavailable as error:
            return Deferred(error.code, error.text.en)
        return await self.acknowledge(parcel.about, deadline_seconds)

    async def _size(self, parcel: Parcel) -> int | None:
        """The length of the request, counted, where the profile wants one."""
        if self._settings.profile.framing != "length":
            return None
        form = form_of(self._contract, parcel)
        size = 0
        async for chunk in parcel.chunks():
            size += len(form.take(chunk))
        return size + len(form.finish())

    async def follow_up(
        self, remote_ref: str, kind: PackageKind, deadline_seconds: float
    ) -> FollowUp:
        """This axis cannot be asked (vxp-protocol 8.6)."""
        del remote_ref, kind, deadline_seconds
        return FollowUp(failure=Refused("edoc.no_follow_up"))

    async def check_permission(self, deadline_seconds: float) -> Outcome:
        """CheckPermission: whether the account is good."""
        return await self._tell(soap.CHECK, {}, "", deadline_seconds)

    # --- receiving -------------------------------------------------------------------------

    async def list_waiting(self, kind: PackageKind, deadline_seconds: float) -> Listing:
        """GetPendingDocumentIds or GetTraces. A list that is not read whole is a failure."""
        if kind is PackageKind.STATUS:
            return await self._list_traces(self._since(), deadline_seconds)
        answer = await self._question(soap.LIST, {}, deadline_seconds)
        if isinstance(answer, Deferred):
            return Listing(failure=answer)
        ids = [str(one).strip() for one in soap.items(answer.value, "DocumentIds", "DocumentId")]
        usable = [one for one in dict.fromkeys(ids) if _USABLE_ID.fullmatch(one)]
        if ids and not usable:
            words = f"{len(ids)} lines without a usable id"
            return Listing(failure=Deferred("list.unusable_ids", words, alarm=True))
        return Listing(tuple(WaitingItem(one, PackageKind.DOCUMENT) for one in usable))

    def _since(self) -> datetime:
        """From when on statuses are asked for: an overlap behind the last list; at first and once
        an hour days back, because a list that was given may not have been committed.
        """
        now, profile = self._clock.now(), self._settings.profile
        whole = self._looked_back is None or now - self._looked_back >= _LOOK_BACK_EVERY
        if whole or self._listed_to is None:
            return now - timedelta(days=profile.traces_days)
        return self._listed_to - timedelta(seconds=profile.traces_overlap)

    async def _list_traces(self, since: datetime, deadline_seconds: float) -> Listing:
        asked_at = self._clock.now()
        stamp = since.astimezone(_VIETNAM).strftime("%Y/%m/%d %H:%M:%S")
        answer = await self._question(soap.TRACES, {"TimeStamp": stamp}, deadline_seconds)
        if isinstance(answer, Deferred):
            return Listing(failure=answer)
        found = [trace_item(one) for one in soap.items(answer.value, "Traces", "Status")]
        self._traces.keep(found)
        self._listed_to = asked_at
        if since <= asked_at - timedelta(days=self._settings.profile.traces_days):
            self._looked_back = asked_at
        listed = {one.item.axis_doc_id: one.item for one in found}
        return Listing(tuple(listed.values()))

    async def fetch(self, item: WaitingItem, sink: BinaryIO, deadline_seconds: float) -> Fetched:
        """GetDocument into `sink`, as QCVN 102. Raises Unavailable when the sink cannot write.

        Success means: the message ended with its last boundary, every file that the manifest
        names came, base64 well-formed, or the package's own root closed.
        """
        if not _USABLE_ID.fullmatch(item.axis_doc_id):
            return Fetched(failure=Deferred("item.bad_id", alarm=True))
        if item.kind is PackageKind.STATUS:
            return await self._fetch_trace(item, sink, deadline_seconds)
        try:
            async with asyncio.timeout(deadline_seconds):
                await self.prepare()
                return await self._fetch(item.axis_doc_id, sink)
        except REMOTE_FAULTS as error:
            return Fetched(failure=self._judge.unanswered(error))
        except NotAnAnswer as error:
            return Fetched(failure=Deferred(error.code, self._judge.clean(error.words)))
        except (Untrusted, Rejected) as error:
            return Fetched(failure=Deferred(error.code, self._judge.clean(error.text.en)))

    async def _fetch(self, doc_id: str, sink: BinaryIO) -> Fetched:
        request = self._contract.request(soap.GET, {"documentId": doc_id})
        async with self._session().post(
            self._settings.endpoint,
            data=request,
            headers=self._headers(soap.GET),
            allow_redirects=False,
        ) as response:
            content_type = response.headers.get("Content-Type", "")
            if response.status not in _OK:
                reply = _Reply(response.status, content_type, await small_body(response))
                answer = self._read(soap.GET, reply)
                failure = self._judge.unread(response.status, answer)
                return Fetched(failure=failure or Deferred(f"http.{response.status}"))
            spool = Spool(sink, self._settings.max_package_bytes)
            arrival: SwaArrival | PackageArrival
            if self._settings.profile.payload == "package":
                arrival = PackageArrival(self._contract, spool)
            else:
                arrival = SwaArrival(self._contract, content_type, spool)
            async for piece in response.content.iter_any():
                arrival.feed(piece)
                if spool.too_large:
                    return spool.result()
            arrival.close()
            if arrival.answer is None:
                return spool.result()
            failure = self._judge.unread(response.status, arrival.answer)
            return Fetched(failure=failure or Deferred("answer.no_data"))

    async def _fetch_trace(
        self, item: WaitingItem, sink: BinaryIO, deadline_seconds: float
    ) -> Fetched:
        package = self._traces.package(item.axis_doc_id)
        if package is None:  # listed by an earlier process, or pushed out since
            days = timedelta(days=self._settings.profile.traces_days)
            listing = await self._list_traces(self._clock.now() - days, deadline_seconds)
            if listing.failure is not None:
                return Fetched(failure=listing.failure)
            package = self._traces.package(item.axis_doc_id)
        if package is None:
            return Fetched(failure=Deferred("trace.gone", "the axis no longer lists it"))
        spool = Spool(sink, self._settings.max_package_bytes)
        spool.take(package)
        return spool.result()

    async def acknowledge(self, axis_doc_id: str, deadline_seconds: float) -> Outcome:
        """ConfirmReceived: the sender hears of it (01). Nobody needs to be told of a status."""
        if self._traces.is_id(axis_doc_id):
            return Delivered(axis_doc_id)
        if not _USABLE_ID.fullmatch(axis_doc_id):
            return Deferred("item.bad_id", alarm=True)
        values = {"documentId": axis_doc_id}
        return await self._tell(soap.CONFIRM, values, axis_doc_id, deadline_seconds)

    async def count_waiting(self, kind: PackageKind, deadline_seconds: float) -> Count:
        """The length of the list: there is no cheaper way."""
        listing = await self.list_waiting(kind, deadline_seconds)
        return Count(len(listing.items), listing.failure)

    async def read_directory(
        self, take: Callable[[DirectoryEntry], None], deadline_seconds: float
    ) -> Outcome | None:
        """GetOrganizations, one call of `take` each; None: the list was read whole."""
        answer = await self._question(soap.ORGANIZATIONS, {}, deadline_seconds)
        if isinstance(answer, Deferred):
            return answer
        for one in soap.items(answer.value, "Organizations", "Organization"):
            if code := _text(one, "OrganId"):
                take(DirectoryEntry(code, _text(one, "OrganName"), mail=_text(one, "Email")))
        return None

    # --- the ground ------------------------------------------------------------------------

    async def prepare(self) -> None:
        """The contract is read once, in a thread; the first call does it, if nobody did before."""
        if self._loaded:
            return
        async with self._loading:
            if not self._loaded:
                await asyncio.to_thread(self._contract.load)
                self._loaded = True

    async def _question(
        self, operation: str, values: Mapping[str, Any], deadline_seconds: float
    ) -> Answer | Deferred:
        """A harmless question."""
        reply = _Reply()
        try:
            async with asyncio.timeout(deadline_seconds):
                await self.prepare()
                request = self._contract.request(operation, values)
                await self._post(operation, request, reply)
        except REMOTE_FAULTS as error:
            return self._judge.unanswered(error)
        answer = self._read(operation, reply)
        return self._judge.unread(reply.status, answer) or answer

    async def _tell(
        self, operation: str, values: Mapping[str, Any], ref: str, deadline_seconds: float
    ) -> Outcome:
        """Something small whose repetition is harmless."""
        reply = _Reply()
        try:
            async with asyncio.timeout(deadline_seconds):
                await self.prepare()
                await self._post(operation, self._contract.request(operation, values), reply)
        except REMOTE_FAULTS as error:
            if not reply.status:
                return self._judge.failed(error, handed_over=True)
        answer = self._read(operation, reply)
        return self._judge.submitted(
            reply.status, answer, handed_over=True, repeated=True, ref=ref or "ok"
        )

    async def _post(self, operation: str, body: bytes | Cargo, reply: _Reply) -> None:
        headers = self._headers(operation)
        if isinstance(body, Cargo):
            headers.pop("Content-Type")
        async with self._session().post(
            self._settings.endpoint, data=body, headers=headers, allow_redirects=False
        ) as response:
            reply.status = response.status
            reply.content_type = response.headers.get("Content-Type", "")
            reply.body = await small_body(response, self._settings.max_reply_bytes)

    def _headers(self, operation: str) -> dict[str, str]:
        return {
            "Content-Type": self._contract.content_type(operation),
            "Accept": "text/xml, application/soap+xml, multipart/related",
            **self._contract.headers(operation),
        }

    def _read(self, operation: str, reply: _Reply) -> Answer:
        if reply.body is None:
            return Answer(problem="answer.cut", words="the answer was not read whole")
        data = soap.envelope_of(reply.content_type, reply.body)
        return self._contract.read(operation, data)


def _text(value: Any, name: str) -> str:
    return str(getattr(value, name, None) or "").strip()
