"""A provincial REST v1 axis, we being its client: the port Axis over HTTP.

In:     parcels to send, items to fetch.
Out:    outcomes, lists, packages in a sink.
Fails:  never for a remote's fault: it is an outcome within the deadline. What raises is ours: a
        damaged blob (`Broken`), a full disk (`Unavailable`), cancellation.
Never:  puts a secret into an address, an outcome or a log; sends a body without its length;
        follows a redirect; sends a package again by itself, but once after 401, which says that
        it was not taken.
Source: vxp-protocol 8.3; architecture 4 "Doubt".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO, TypeVar
from zoneinfo import ZoneInfo

import aiohttp
from yarl import URL

from adapters.cargo import Cargo
from adapters.lgsp_rest.form import MultipartForm
from adapters.lgsp_rest.login import Login, NotLoggedIn
from adapters.lgsp_rest.outcomes import Judge, table_of
from adapters.lgsp_rest.settings import RestSettings, header_safe
from adapters.lgsp_rest.words import DocumentReader, answer_of, parsed, text_of
from adapters.remote import REMOTE_FAULTS, SessionHolder, small_body, tls_context
from adapters.streams import Base64Stream, NotAnAnswer, Spool
from gateway.model.outcome import Deferred, Outcome, Refused
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

__all__ = ["RestAxis", "RestSettings"]

_OK = frozenset({200, 201})
_LONGEST_ID = 255
_TIMEZONE = ZoneInfo("Asia/Ho_Chi_Minh")

T = TypeVar("T")


@dataclass(slots=True)
class _Reply:
    """What is known of an answer when the deadline strikes in the middle of it."""

    status: int = 0
    body: bytes | None = None


class RestAxis:
    """One account on one REST axis. One per process; safe for many concurrent calls."""

    def __init__(self, settings: RestSettings, clock: Clock) -> None:
        """Raises Misconfigured for certificates that cannot be read; opens no connection."""
        self.name = settings.name
        self.capabilities = AxisCapabilities(lists_agencies=True, repeat=settings.repeat)
        self._settings = settings
        self._profile = settings.profile
        self._clock = clock
        self._judge = Judge(
            table_of(settings.profile.codes, settings.retry_codes, settings.never_codes),
            {"secret": settings.secret, "password": settings.password},
        )
        self._base = settings.endpoint.rstrip("/")
        https = self._base.startswith("https")
        self._tls = tls_context(settings.name, settings.ca_file) if https else None
        self._sessions = SessionHolder(self._tls, settings)
        self._session = self._sessions.get
        self._login = Login(settings, self._judge, clock, self._session)

    def __repr__(self) -> str:
        return f"RestAxis({self.name!r})"

    async def close(self) -> None:
        await self._sessions.close()

    # --- sending ---------------------------------------------------------------------------

    async def submit(self, parcel: Parcel, deadline_seconds: float) -> Outcome:
        """sendEdoc, once. Raises Broken `blob.damaged` when the stored bytes are not `sha256`."""
        cargo: Cargo | None = None
        reply = _Reply()
        failure: BaseException = TimeoutError()
        try:
            async with asyncio.timeout(deadline_seconds):
                for last in (False, True):
                    token = await self._login.token()
                    cargo, reply = self._cargo(parcel), _Reply()
                    await self._send(cargo, token, reply)
                    if reply.status != 401 or last:
                        break
                    self._login.drop(token)
        except NotLoggedIn as error:
            return error.outcome
        except REMOTE_FAULTS as error:
            failure = error
        finally:
            if cargo is not None:
                await cargo.stop()
        if cargo is None:
            return self._judge.failed(failure, handed_over=False)
        if (ours := cargo.withheld()) is not None:
            return ours
        if reply.status:
            return self._judge.submitted(reply.status, reply.body, handed_over=cargo.handed_over)
        return self._judge.failed(failure, handed_over=cargo.handed_over)

    def _cargo(self, parcel: Parcel) -> Cargo:
        form = MultipartForm(parcel, self._kind(parcel.kind), self._profile.words)
        return Cargo(parcel, form.content_type, form, form.size)

    async def _send(self, cargo: Cargo, token: str, reply: _Reply) -> None:
        try:
            async with self._session().post(
                self._url(self._profile.paths.send),
                data=cargo,
                headers=self._headers(token),
                allow_redirects=False,
            ) as response:
                reply.status = response.status
                reply.body = await small_body(response)
            cargo.settled = True
        finally:
            await cargo.stop()

    async def follow_up(
        self, remote_ref: str, kind: PackageKind, deadline_seconds: float
    ) -> FollowUp:
        """REST v1 has no such question: `capabilities.follows_up` is False."""
        del remote_ref, kind, deadline_seconds
        return FollowUp(failure=Refused("rest.nothing_to_ask"))

    # --- receiving -------------------------------------------------------------------------

    async def list_waiting(self, kind: PackageKind, deadline_seconds: float) -> Listing:
        """syncReceivedEdocList. A list that is not read whole is a failure.

        Whether it still names what was acknowledged is not known: a line whose status says so is
        left out. Lines without a usable docId are left out while others are there; when nothing
        else is left they are a failure with alarm, so that they cannot stay unseen.
        """
        today = self._clock.now().astimezone(_TIMEZONE).date()
        begun = today - timedelta(days=self._profile.list_days)
        query = {
            "messageType": self._kind(kind),
            "fromDate": f"{begun:%Y/%m/%d}",
            # a day more: whose midnight counts is not known
            "toDate": f"{today + timedelta(days=1):%Y/%m/%d}",
        }
        lines = await self._list(self._profile.paths.list, query, deadline_seconds)
        if isinstance(lines, Deferred):
            return Listing(failure=lines)
        items: dict[str, WaitingItem] = {}
        unusable = 0
        for line in lines:
            fields = line if isinstance(line, dict) else {}
            doc_id = text_of(fields.get("docId"))
            status = text_of(fields.get("status"))
            if not _usable(doc_id):
                unusable += 1
            elif status.lower() != self._profile.words.done:
                said = self._said_kind(text_of(fields.get("messageType"))) or kind
                sender, receiver = text_of(fields.get("from")), text_of(fields.get("to"))
                items.setdefault(doc_id, WaitingItem(doc_id, said, sender, receiver, status))
        if unusable and not items:
            words = f"{unusable} lines without docId"
            return Listing(failure=Deferred("list.unusable_ids", words, alarm=True))
        return Listing(tuple(items.values()))

    async def fetch(self, item: WaitingItem, sink: BinaryIO, deadline_seconds: float) -> Fetched:
        """getEdoc: `data.edxml`, decoded while it arrives. Raises Unavailable for a full sink.

        It is XML, or base64 of XML. A package whose files lie beside it (`attachments`) and not in
        it is not taken (`package.files_apart`, alarm): it could not be verified as it was sent.
        """
        if not _usable(item.axis_doc_id):
            return Fetched(failure=Deferred("item.bad_id", alarm=True))

        async def consume(response: aiohttp.ClientResponse) -> Fetched:
            if response.status not in _OK:
                body = await small_body(response)
                return Fetched(failure=self._judge.unread(response.status, body))
            return await self._package(response, sink)

        query = {"docId": item.axis_doc_id}
        got = await self._asked("GET", self._profile.paths.get, query, consume, deadline_seconds)
        return Fetched(failure=got) if isinstance(got, Deferred) else got

    async def _package(self, response: aiohttp.ClientResponse, sink: BinaryIO) -> Fetched:
        spool = Spool(sink, self._settings.max_package_bytes)
        text = _PackageText(spool)
        reader = DocumentReader(text.take)
        try:
            async for piece in response.content.iter_any():
                reader.feed(piece)
                if spool.too_large:
                    return spool.result()
            reader.close()
            answer = reader.answer()
            if not self._judge.good(answer):
                return Fetched(failure=self._judge.told(answer))
            if not reader.streamed:
                return Fetched(failure=Deferred("answer.no_data"))
            text.close()
        except NotAnAnswer as error:
            return Fetched(failure=Deferred(error.code))
        if problem := spool.shape.problem():
            return Fetched(failure=Deferred(problem))
        if ("data", "attachments") in reader.filled and not text.holds_files:
            return Fetched(failure=Deferred("package.files_apart", alarm=True))
        return spool.result()

    async def acknowledge(self, axis_doc_id: str, deadline_seconds: float) -> Outcome:
        """updateStatus done. Repeating is harmless, so doubt needs no settling."""
        if not _usable(axis_doc_id):
            return Deferred("item.bad_id", alarm=True)
        reply = _Reply()

        async def consume(response: aiohttp.ClientResponse) -> None:
            reply.status = response.status
            reply.body = await small_body(response)

        fields = {"docId": axis_doc_id, "status": self._profile.words.done}
        path = self._profile.paths.status
        failed = await self._asked("POST", path, {}, consume, deadline_seconds, fields)
        if isinstance(failed, Deferred) and not reply.status:
            return failed
        outcome = self._judge.submitted(reply.status, reply.body, handed_over=True)
        # no id is expected here: its absence is no mark
        return type(outcome)("", "ok") if outcome.code == "ok.no_ref" else outcome

    async def count_waiting(self, kind: PackageKind, deadline_seconds: float) -> Count:
        """REST v1 has no such question: `capabilities.counts` is False."""
        del kind, deadline_seconds
        return Count()

    async def read_directory(
        self, take: Callable[[DirectoryEntry], None], deadline_seconds: float
    ) -> Outcome | None:
        """getAgenciesList; the names of its fields are not known, so several are tried."""
        lines = await self._list(self._profile.paths.agencies, {}, deadline_seconds)
        if isinstance(lines, Deferred):
            return lines
        for line in lines:
            if isinstance(line, dict) and (code := _first(line, "code", "organId", "agencyCode")):
                other = _first(line, "code102", "oldCode")
                name = _first(line, "name", "organName", "agencyName")
                take(DirectoryEntry(code, name, other, _first(line, "mail", "email")))
        return None

    # --- the ground ------------------------------------------------------------------------

    async def _list(
        self, path: str, query: Mapping[str, str], deadline_seconds: float
    ) -> list[object] | Deferred:
        """`data` of a list answer, or the bare list; a failure when it was not read whole."""

        async def consume(response: aiohttp.ClientResponse) -> list[object] | Deferred:
            body = await small_body(response, self._settings.max_reply_bytes)
            if response.status not in _OK or body is None:
                return self._judge.unread(response.status, body)
            value = parsed(body)
            if isinstance(value, list):
                return value
            if not isinstance(value, dict) or not self._judge.good(answer_of(value)):
                return self._judge.unread(response.status, body)
            # "data":null is how some servers write an empty list; no data at all is no list
            data = value.get("data", "absent")
            return data if isinstance(data, list) else _nothing(data)

        return await self._asked("GET", path, query, consume, deadline_seconds)

    async def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        consume: Callable[[aiohttp.ClientResponse], Awaitable[T]],
        deadline_seconds: float,
        fields: Mapping[str, str] | None = None,
    ) -> T | Deferred:
        """One harmless question; once more with a new token when the first is refused."""
        url = self._url(path).with_query(dict(query))
        try:
            async with asyncio.timeout(deadline_seconds):
                for last in (False, True):
                    token = await self._login.token()
                    async with self._session().request(
                        method,
                        url,
                        json=fields,
                        headers=self._headers(token),
                        allow_redirects=False,
                    ) as response:
                        if response.status != 401 or last:
                            return await consume(response)
                    self._login.drop(token)
        except NotLoggedIn as error:
            return error.outcome
        except REMOTE_FAULTS as error:
            return self._judge.unanswered(error)
        return Deferred("http.401", alarm=True)

    def _headers(self, token: str) -> dict[str, str]:
        words = self._profile.words
        return {
            "Authorization": f"Bearer {token}",
            words.system_header: self._settings.system_id,
            words.secret_header: self._settings.secret,
            "Accept": "application/json",
        }

    def _url(self, path: str) -> URL:
        return URL(f"{self._base}/{path}")

    def _kind(self, kind: PackageKind) -> str:
        words = self._profile.words
        return words.document if kind is PackageKind.DOCUMENT else words.status

    def _said_kind(self, word: str) -> PackageKind | None:
        words = self._profile.words
        kinds = {words.document: PackageKind.DOCUMENT, words.status: PackageKind.STATUS}
        return kinds.get(word.lower())


class _PackageText:
    """`data.edxml` on its way into the spool: XML as it stands, or base64 of it."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._base64: Base64Stream | None = None
        self._begun = False
        self._seam = b""
        self.holds_files = False

    def take(self, piece: bytes) -> None:
        if not self._begun:
            piece = piece.lstrip(b" \t\r\n")
            if not piece:
                return
            self._begun = True
            if not piece.startswith((b"<", b"\xef\xbb\xbf")):
                self._base64 = Base64Stream(self._write)
        if self._base64 is None:
            self._write(piece)
        else:
            self._base64.feed(piece)

    def close(self) -> None:
        if self._base64 is not None:
            self._base64.close()

    def _write(self, data: bytes) -> None:
        seen = self._seam + data
        # the element that holds the files of a package (QCVN 102, 2.3)
        self.holds_files = self.holds_files or b"ContentTransferEncoded" in seen
        self._seam = seen[-32:]
        self._spool.write(data)


def _usable(doc_id: str) -> bool:
    return len(doc_id) <= _LONGEST_ID and header_safe(doc_id)


def _first(line: Mapping[str, object], *names: str) -> str:
    found = (text_of(line.get(name)) for name in names)
    return next((text for text in found if text), "")


def _nothing(data: object) -> list[object] | Deferred:
    return [] if data is None else Deferred("answer.no_data")
