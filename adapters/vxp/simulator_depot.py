"""The simulated axis' hall: packages come in, are read, rebuilt and laid out for receivers.

In: the body of a sendEdoc, streamed to disk, or bytes of a test. Out: a DocId, entries in the
store, files in the folder, lines of the two lists. What the axis would not take raises `Refusal`
with its ErrorCode, and nothing of it is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from adapters.vxp import wire
from adapters.vxp.rebuild import Contents, PackageRefused, read_package, write_rebuilt
from adapters.vxp.simulator_directory import Directory
from adapters.vxp.simulator_store import DONE, FAIL, Entry, ReceivedPackage, SimulatorStore
from gateway.model.package import PackageKind
from gateway.ports import Clock

_INLINE = 1024 * 1024  # larger packages are parsed and rebuilt in a thread
_TIMEZONE = ZoneInfo("Asia/Ho_Chi_Minh")
# The provincial axis' codes, probably derived from the national ones (vxp-protocol 8.3, 10)
BAD_FILE, BAD_ACCOUNT, NO_RECEIVER, NO_SENDER, FORMAT = "10", "15", "18", "19", "22"
OTHER = "-1"


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """`systems`: account id -> (secret, agency codes it stands for, in either written form).

    `dedupe`: a repeated sendEdoc (same system, hash-file, from, DocumentId) gets the first DocId;
    a scenario may switch it while the axis runs.
    `rebuild`: packages are rebuilt on the way. `zip_all`: PDF attachments come out zipped too.
    `download`: whether downloadEdoc exists (SDK 2.0.1). `relist_failed`: `fail` entries are
    offered again. `says_unknown`: getSentEdocList refuses a DocId that it does not know with an
    ErrorCode (False: its list is empty). Everything is kept in `folder` and found there by the
    next start.
    """

    systems: Mapping[str, tuple[str, tuple[str, ...]]]
    folder: Path
    port: int = 0
    host: str = "127.0.0.1"
    dedupe: bool = True
    rebuild: bool = True
    zip_all: bool = False
    download: bool = True
    relist_failed: bool = False
    says_unknown: bool = True
    max_package_bytes: int = 2 * 1024**3
    faults_file: Path | None = None


class Body(Protocol):
    """What a request brings, piece by piece."""

    def iter_any(self) -> AsyncIterator[bytes]: ...


class Refusal(Exception):
    """A protocol answer with an ErrorCode."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Depot:
    """Files and rows of one simulator."""

    def __init__(
        self,
        settings: SimulatorSettings,
        store: SimulatorStore,
        directory: Directory,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self.dedupe = settings.dedupe
        self._store = store
        self._directory = directory
        self._clock = clock
        self._files = settings.folder / "packages"
        self._files.mkdir(parents=True, exist_ok=True)

    async def receive(
        self,
        content: Body,
        *,
        claimed_hash: str,
        system_id: str,
        sender: str,
        message_type: PackageKind,
        copies: int = 1,
    ) -> str:
        """One sendEdoc whose headers were checked; the DocId its sender is told.

        `copies`: how many each receiving system gets; 0: its sender is told a DocId all the same.
        """
        if self._directory.owner(sender) != system_id:
            raise Refusal(NO_SENDER, "the sender is not an agency of this system")
        incoming = self._incoming_file()
        try:
            digest, size = await _store_body(content, incoming, claimed_hash)
            if not copies:
                return _new_doc_id()
            return await self._take(
                incoming, digest, size, system_id, sender, message_type, copies=copies
            )
        finally:
            _forget(incoming)

    async def deposit(self, data: bytes, system_id: str, sender: str) -> str:
        """The same for bytes at hand, whatever kind they are."""
        incoming = self._incoming_file()
        try:
            _write(incoming, data)
            digest = hashlib.sha256(data).hexdigest()
            return await self._take(incoming, digest, len(data), system_id, sender, None)
        finally:
            _forget(incoming)

    async def _take(
        self,
        incoming: Path,
        sha256: str,
        size: int,
        system_id: str,
        sender: str,
        message_type: PackageKind | None,
        *,
        copies: int = 1,
    ) -> str:
        doc_id = _new_doc_id()
        outgoing = self.outgoing_file(doc_id)
        try:
            if size > _INLINE:
                contents = await asyncio.to_thread(self._prepare, incoming, outgoing)
            else:
                contents = self._prepare(incoming, outgoing)
        except PackageRefused as refused:
            _forget(outgoing)
            raise Refusal(refused.code, str(refused)) from refused
        if message_type not in {None, contents.kind}:
            _forget(outgoing)
            raise Refusal(FORMAT, "messagetype and package disagree")
        key = f"{system_id}\n{sha256}\n{sender}\n{contents.document_id}"
        dedupe = key if self.dedupe else None
        if dedupe is not None and (first := self._store.known(dedupe)):
            _forget(outgoing)
            return first
        deliveries = self._deliveries(contents, copies)
        if not deliveries:
            _forget(outgoing)
            raise Refusal(NO_RECEIVER, "no receiver of the package is on this axis")
        _move(incoming, self.sent_file(doc_id))
        package = ReceivedPackage(
            doc_id,
            system_id,
            contents.kind,
            sender,
            contents.document_id,
            contents.title,
            contents.notation,
            sha256,
            size,
            contents.receivers,
            self.now_text(),
        )
        if not self._store.accept(package, dedupe, deliveries) and dedupe is not None:
            return self._store.known(dedupe)
        return doc_id

    def _prepare(self, incoming: Path, outgoing: Path) -> Contents:
        with incoming.open("rb") as source:
            contents = read_package(source, attachments=self._settings.rebuild)
            with contextlib.closing(contents):
                if self._settings.rebuild:
                    with outgoing.open("wb") as target:
                        write_rebuilt(
                            contents,
                            target,
                            at=f"{self._now():%Y/%m/%d %H:%M:%S}",
                            zip_all=self._settings.zip_all,
                        )
        return contents

    def _deliveries(self, contents: Contents, copies: int) -> dict[str, tuple[str, list[str]]]:
        """One entry, or `copies`, for each system that owns a receiver, under new docIds."""
        by_system: dict[str, list[str]] = {}
        for code in contents.receivers:
            if (system := self._directory.owner(code)) is not None:
                by_system.setdefault(system, []).append(code)
        return {
            str(_new_uuid()): (system, codes)
            for system, codes in by_system.items()
            for _ in range(copies)
        }

    def lay_out_again(self, doc_id: str) -> None:
        """A second copy for each receiving system of a package."""
        for entry in self._store.entries_of(doc_id):
            copy = (entry.system_id, entry.receivers)
            self._store.add_entry(str(_new_uuid()), doc_id, *copy, at=self.now_text())

    def sent_file(self, doc_id: str) -> Path:
        return self._files / f"{doc_id}.sent.edxml"

    def outgoing_file(self, doc_id: str) -> Path:
        return (
            self._files / f"{doc_id}.out.edxml"
            if self._settings.rebuild
            else self.sent_file(doc_id)
        )

    def _incoming_file(self) -> Path:
        return self._files / f"{secrets.token_hex(12)}.part"

    def _now(self) -> datetime:
        return self._clock.now().astimezone(_TIMEZONE)

    def now_text(self) -> str:
        """The form of the lists' times; the real axis' is unknown (vxp-protocol 10)."""
        return f"{self._now():%Y-%m-%d %H:%M:%S}"


async def _store_body(content: Body, path: Path, claimed: str) -> tuple[str, int]:
    """The body without the SDK's CRLF, its digest and size; refused unless hash-file fits."""
    digest = hashlib.sha256()
    kept = b""
    size = 0
    with path.open("wb") as file:
        async for piece in content.iter_any():
            text = kept + piece
            digest.update(text[:-2])
            kept = text[-2:]
            size += len(piece)
            file.write(piece)
        whole = digest.copy()
        whole.update(kept)
        if wire.same_file_hash(claimed, whole.hexdigest()):
            return whole.hexdigest(), size
        if kept == b"\r\n" and wire.same_file_hash(claimed, digest.hexdigest()):
            file.truncate(size - 2)
            return digest.hexdigest(), size - 2
    raise Refusal(BAD_FILE, "hash-file does not match the body")


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _move(path: Path, to: Path) -> None:
    path.rename(to)


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


def _new_doc_id() -> str:
    return secrets.token_hex(12)


def _new_uuid() -> uuid.UUID:
    return uuid.UUID(bytes=secrets.token_bytes(16), version=4)


def received_item(entry: Entry) -> dict[str, str]:
    """A line of getReceivedEdocList (vxp-protocol 3); no field null, none missing."""
    receivers = entry.receivers[0] if len(entry.receivers) == 1 else json.dumps(entry.receivers)
    return {
        "docId": entry.doc_id,
        "serviceType": "eDoc",
        "messageType": wire.MESSAGE_TYPE[entry.kind],
        "created_time": entry.created,
        "updated_time": entry.updated,
        "from": entry.sender,
        "to": receivers,
        "status": entry.status,
        "status_desc": entry.status_desc,
    }


def sent_item(package: ReceivedPackage, code: str, entry: Entry | None) -> dict[str, str]:
    """A line of getSentEdocList: one recipient of one package."""
    return {
        "senderDocId": package.doc_id,
        "receiverDocId": entry.doc_id if entry else "",
        "fromCode": package.sender,
        "toCode": code,
        "serviceType": "eDoc",
        "messageType": wire.MESSAGE_TYPE[package.kind],
        "title": package.title,
        "notation": package.notation,
        "sentTime": package.at,
        "receivedTime": entry.updated if entry else "",
        "sendStatus": DONE if entry else FAIL,
        "sendStatusDesc": "" if entry else "unknown agency",
        "receiveStatus": entry.status if entry else "",
        "receiveStatusDesc": entry.status_desc if entry else "",
    }
