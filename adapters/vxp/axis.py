"""The national document axis, we being its client: the port Axis over HTTP.

In: parcels to send, items to fetch. Out: outcomes, lists, packages in a sink. A remote's fault
never raises: refused connections, silence, resets, garbage, half answers are outcomes within the
deadline. What raises is ours: a damaged blob (`Broken`), a full disk (`Unavailable`),
cancellation. Never follows a redirect, never repeats sendEdoc by itself, never logs, never puts
a secret into an outcome. Source: vxp-protocol 2 to 6, architecture 4 "Doubt".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import aiohttp
import tenacity
from yarl import URL

from adapters.cargo import Cargo
from adapters.remote import SessionHolder, small_body, tls_context
from adapters.streams import Base64Stream, NotAnAnswer, Spool
from adapters.vxp import wire
from adapters.vxp.items import directory_entry, sent_item, usable_id, waiting_item
from adapters.vxp.outcomes import REMOTE_FAULTS, Judge, answer_code
from adapters.vxp.scan import AnswerScanner
from adapters.vxp.settings import VxpSettings
from adapters.vxp.wire import Operation
from gateway.model.outcome import Deferred, Outcome
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
    SentItem,
    WaitingItem,
)

__all__ = ["VxpAxis", "VxpSettings"]

_OK = frozenset({200, 201})
_NO_SUCH_OPERATION = frozenset({404, 405, 501})

T = TypeVar("T")


class VxpAxis:
    """One account on one VXP axis. One per process; safe for many concurrent calls."""

    def __init__(self, settings: VxpSettings, clock: Clock) -> None:
        """Raises Misconfigured only through `settings`; opens no connection."""
        self.name = settings.name
        self.capabilities = AxisCapabilities(
            follows_up=True,
            counts=True,
            lists_agencies=True,
            acknowledge_reports_arrival=False,
            repeat=settings.repeat,
        )
        self._settings = settings
        self._clock = clock
        self._judge = Judge(
            frozenset(settings.retry_codes), frozenset(settings.never_codes), settings.secret
        )
        self._says_unknown = frozenset(answer_code(code) for code in settings.unknown_codes)
        base = settings.endpoint.rstrip("/")
        self._urls = {operation: URL(f"{base}/{operation}") for operation in Operation}
        self._tls = (
            tls_context(settings.name, settings.ca_file) if base.startswith("https") else None
        )
        self._sessions = SessionHolder(self._tls, settings)
        self._session = self._sessions.get
        self._downloads = True  # until the axis turns out to have no downloadEdoc

    def __repr__(self) -> str:
        return f"VxpAxis({self.name!r})"

    async def close(self) -> None:
        await self._sessions.close()

    # --- sending ---------------------------------------------------------------------------

    async def submit(self, parcel: Parcel, deadline_seconds: float) -> Outcome:
        """sendEdoc, once. Raises Broken `blob.damaged` when the stored bytes are not `sha256`."""
        sha256 = parcel.sha256
        unpadded = self._settings.hash_form == "unpadded"
        headers = self._headers(
            Operation.SEND,
            {
                "servicetype": self._settings.service_type,
                "messagetype": wire.MESSAGE_TYPE[parcel.kind],
                "hash-file": wire.unpadded_hex(sha256) if unpadded else sha256,
                "from": parcel.sender,
            },
        )
        cargo = Cargo(parcel, wire.FILE_TYPE)
        reply = _Reply()
        failure: BaseException | None = None
        try:
            async with (
                asyncio.timeout(deadline_seconds),
                self._session().post(
                    self._urls[Operation.SEND],
                    data=cargo,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                reply.status = response.status
                reply.body = await small_body(response)
            cargo.settled = True
        except REMOTE_FAULTS as error:
            failure = error
        finally:
            await cargo.stop()
        if (ours := cargo.withheld()) is not None:
            return ours
        if reply.status:
            return self._judge.submitted(reply.status, reply.body, handed_over=cargo.handed_over)
        return self._judge.failed(failure or TimeoutError(), handed_over=cargo.handed_over)

    async def follow_up(
        self, remote_ref: str, kind: PackageKind, deadline_seconds: float
    ) -> FollowUp:
        """getSentEdocList: one line per recipient.

        Which ErrorCode says "no such DocId" is not known (vxp-protocol 10): only those that the
        operator lists (`unknown_codes`) are read so, any other is a failure with its code.
        """
        if not usable_id(remote_ref):
            return FollowUp(failure=Deferred("item.bad_id", alarm=True))
        items: list[SentItem] = []

        def take(item: object) -> None:
            if isinstance(item, dict):
                items.append(sent_item(item, remote_ref))

        parameters = {
            "servicetype": self._settings.service_type,
            "messagetype": wire.MESSAGE_TYPE[kind],
            "docId": remote_ref,
        }
        failure = await self._read_list(Operation.SENT_LIST, parameters, take, deadline_seconds)
        if failure is not None:
            unknown = failure.code in self._says_unknown
            return FollowUp() if unknown else FollowUp(failure=failure)
        return FollowUp(tuple(items))

    # --- receiving -------------------------------------------------------------------------

    async def list_waiting(self, kind: PackageKind, deadline_seconds: float) -> Listing:
        """getReceivedEdocList. A list that is not read whole is a failure.

        Lines without a usable docId are left out while others are there; when nothing else is
        left they are a failure with alarm, so that they cannot stay unseen.
        """
        items: dict[str, WaitingItem] = {}
        unusable = 0

        def take(item: object) -> None:
            nonlocal unusable
            line = waiting_item(item, kind)
            if line is None:
                unusable += 1
            else:
                items.setdefault(line.axis_doc_id, line)

        parameters = {
            "servicetype": self._settings.service_type,
            "messagetype": wire.MESSAGE_TYPE[kind],
        }
        failure = await self._read_list(Operation.RECEIVED_LIST, parameters, take, deadline_seconds)
        if failure is None and unusable and not items:
            failure = Deferred("list.unusable_ids", f"{unusable} lines without docId", alarm=True)
        return Listing(failure=failure) if failure else Listing(tuple(items.values()))

    async def fetch(self, item: WaitingItem, sink: BinaryIO, deadline_seconds: float) -> Fetched:
        """downloadEdoc, else getEdoc, into `sink`. Raises Unavailable when the sink cannot write.

        Success means: the transport said whole, base64 well-formed, the root element closed.
        """
        if not usable_id(item.axis_doc_id):
            return Fetched(failure=Deferred("item.bad_id", alarm=True))
        try:
            async with asyncio.timeout(deadline_seconds):
                return await self._fetch(item.axis_doc_id, sink)
        except REMOTE_FAULTS as error:
            return Fetched(failure=self._judge.unanswered(error))

    async def _fetch(self, doc_id: str, sink: BinaryIO) -> Fetched:
        unsupported = False
        if self._downloads:
            first = await self._download(doc_id, sink)
            if not first.try_other_way:
                return first.fetched
            unsupported = first.unsupported
        fetched = await self._get(doc_id, sink)
        if unsupported and fetched.failure is None:
            # remembered only once the other way has worked: a 404 may mean the document
            self._downloads = False
        return fetched

    async def _download(self, doc_id: str, sink: BinaryIO) -> _Download:
        """downloadEdoc: the bare bytes; it has no way to say what is wrong (4.3)."""

        async def consume(response: aiohttp.ClientResponse) -> _Download:
            spool = Spool(sink, self._settings.max_package_bytes)
            if response.status not in _OK:
                failure = self._judge.unread(response.status, await small_body(response))
                missing = response.status in _NO_SUCH_OPERATION
                return _Download(Fetched(failure=failure), missing, missing)
            async for piece in response.content.iter_any():
                if not spool.write(piece):
                    return _Download(spool.result())
            problem = spool.shape.problem()
            if not problem:
                return _Download(spool.result())
            failure = Deferred(problem)
            if (answer := wire.parse_answer(spool.shape.head)) is not None and not answer.ok:
                failure = self._judge.unread(response.status, spool.shape.head)
            empty = problem == "package.empty"
            other = empty or problem == "package.not_edxml"
            return _Download(Fetched(failure=failure), other, empty)

        return await self._ask(Operation.DOWNLOAD, _by_id(doc_id), consume)

    async def _get(self, doc_id: str, sink: BinaryIO) -> Fetched:
        """getEdoc: base64 inside JSON, decoded while it arrives."""

        async def consume(response: aiohttp.ClientResponse) -> Fetched:
            if response.status not in _OK:
                body = await small_body(response)
                return Fetched(failure=self._judge.unread(response.status, body))
            spool = Spool(sink, self._settings.max_package_bytes)
            decoder = Base64Stream(spool.take)
            scanner = AnswerScanner(on_text=decoder.feed)
            try:
                async for piece in response.content.iter_any():
                    scanner.feed(piece)
                    if spool.too_large:
                        return spool.result()
                scanner.close()
                answer = scanner.answer()
                if not answer.ok:
                    outcome = self._judge.verdict(answer)
                    return Fetched(failure=Deferred(outcome.code, outcome.detail))
                if not scanner.streamed:
                    return Fetched(failure=Deferred("answer.no_data"))
                decoder.close()
            except NotAnAnswer as error:
                return Fetched(failure=Deferred(error.code))
            problem = spool.shape.problem()
            return Fetched(failure=Deferred(problem)) if problem else spool.result()

        return await self._ask(Operation.GET, _by_id(doc_id), consume)

    async def acknowledge(self, axis_doc_id: str, deadline_seconds: float) -> Outcome:
        """updateStatus done. Repeating is harmless, so doubt needs no settling."""
        if not usable_id(axis_doc_id):
            return Deferred("item.bad_id", alarm=True)
        reply = _Reply()

        async def consume(response: aiohttp.ClientResponse) -> None:
            reply.status = response.status
            reply.body = await small_body(response)

        parameters = {"docId": axis_doc_id, "status": wire.DONE}
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._ask(Operation.UPDATE_STATUS, parameters, consume)
        except REMOTE_FAULTS as error:
            if not reply.status:
                return self._judge.failed(error, handed_over=True)
        outcome = self._judge.submitted(reply.status, reply.body, handed_over=True)
        # no id is expected here: its absence is no mark
        return type(outcome)("", "ok") if outcome.code == "ok.no_ref" else outcome

    async def count_waiting(self, kind: PackageKind, deadline_seconds: float) -> Count:
        """countReceiveEdoc or countReceiveStatus: cheap to poll."""
        document = kind is PackageKind.DOCUMENT
        operation = Operation.COUNT_DOCUMENTS if document else Operation.COUNT_STATUSES

        async def consume(response: aiohttp.ClientResponse) -> Count:
            body = await small_body(response)
            if response.status not in _OK or body is None:
                return Count(failure=self._judge.unread(response.status, body))
            scanner = AnswerScanner()
            try:
                scanner.feed(body)
                scanner.close()
                number = wire.text_of(scanner.fields.get("count"))
                if not scanner.answer().ok or not number.isdecimal():
                    return Count(failure=self._judge.unread(response.status, body))
            except NotAnAnswer as error:
                return Count(failure=Deferred(error.code))
            return Count(int(number[:9]))

        try:
            async with asyncio.timeout(deadline_seconds):
                return await self._ask(operation, {}, consume)
        except REMOTE_FAULTS as error:
            return Count(failure=self._judge.unanswered(error))

    async def read_directory(
        self, take: Callable[[DirectoryEntry], None], deadline_seconds: float
    ) -> Outcome | None:
        """The axis' agencies, one call of `take` each (about 111 000; memory does not grow).

        getAgenciesListQD20, else the older getAgenciesList. None: the list was read whole;
        after a failure what `take` got is incomplete.
        """
        started = False

        def line(other: str) -> Callable[[object], None]:
            def take_item(item: object) -> None:
                nonlocal started
                started = True
                if entry := directory_entry(item, other):
                    take(entry)

            return take_item

        newer = (Operation.AGENCIES_QD20, {"level": "1"}, line("code102"), deadline_seconds)
        failure = await self._read_list(*newer)
        if failure is None or started:
            return failure
        return await self._read_list(Operation.AGENCIES, {}, line("oldCode"), deadline_seconds)

    # --- the ground ------------------------------------------------------------------------

    async def _read_list(
        self,
        operation: Operation,
        parameters: Mapping[str, str],
        take: Callable[[object], None],
        deadline_seconds: float,
    ) -> Outcome | None:
        """Streams `data` of one list answer into `take`; None when it was read whole."""

        async def consume(response: aiohttp.ClientResponse) -> Outcome | None:
            if response.status not in _OK:
                body = await small_body(response)
                return self._judge.unread(response.status, body)
            scanner = AnswerScanner(on_item=take)
            size = 0
            try:
                async for piece in response.content.iter_any():
                    size += len(piece)
                    if size > self._settings.max_reply_bytes:
                        return Deferred("answer.too_large", alarm=True)
                    scanner.feed(piece)
                scanner.close()
                answer = scanner.answer()
            except NotAnAnswer as error:
                return Deferred(error.code)
            if not answer.ok:
                outcome = self._judge.verdict(answer)
                return Deferred(outcome.code, outcome.detail)
            # "data":null is how some servers write an empty list; no data at all is no list
            if not scanner.streamed and scanner.fields.get("data", "absent") is not None:
                return Deferred("answer.no_data")
            return None

        try:
            async with asyncio.timeout(deadline_seconds):
                headers = {"Accept-Encoding": "gzip, deflate"}
                return await self._ask(operation, parameters, consume, headers)
        except REMOTE_FAULTS as error:
            return self._judge.unanswered(error)

    async def _ask(
        self,
        operation: Operation,
        parameters: Mapping[str, str],
        consume: Callable[[aiohttp.ClientResponse], Awaitable[T]],
        extra: Mapping[str, str] | None = None,
    ) -> T:
        """One harmless question, repeated when the connection is reset before an answer began."""
        method = "GET" if operation is Operation.DOWNLOAD else "POST"
        body = b"{}" if operation in _WITH_BODY else None
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self._settings.inner_tries),
            wait=tenacity.wait_random(0, self._settings.inner_wait),
            retry=tenacity.retry_if_exception(_reset_before_answer),
            reraise=True,
        )

        async def once() -> T:
            headers = self._headers(operation, parameters)
            if extra:
                headers.update(extra)
            async with self._session().request(
                method,
                self._urls[operation],
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                return await consume(response)

        result: T = await retrying(once)
        return result

    def _headers(self, operation: Operation, parameters: Mapping[str, str]) -> dict[str, str]:
        return wire.request_headers(
            operation,
            parameters,
            system_id=self._settings.system_id,
            secret=self._settings.secret,
            now=self._clock.now(),
            user_agent=self._settings.user_agent,
        )


_WITH_BODY = frozenset(
    {
        Operation.GET,
        Operation.UPDATE_STATUS,
        Operation.COUNT_DOCUMENTS,
        Operation.COUNT_STATUSES,
    }
)


def _reset_before_answer(error: BaseException) -> bool:
    refused = isinstance(error, aiohttp.ClientConnectorError)
    reset = isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError)
    return reset and not refused


def _by_id(doc_id: str) -> dict[str, str]:
    return {"docId": doc_id, "filePath": wire.FILE_PATH}


@dataclass(slots=True)
class _Reply:
    """What is known of an answer when the deadline strikes in the middle of it."""

    status: int = 0
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Download:
    """`try_other_way`: what came was no package; `unsupported`: there may be no downloadEdoc."""

    fetched: Fetched
    try_other_way: bool = False
    unsupported: bool = False
