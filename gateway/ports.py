"""The seams to strangers. An adapter is whatever passes the contract suite of its port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, NamedTuple, Protocol

from gateway.model.arrival import Incoming
from gateway.model.outcome import Outcome
from gateway.model.package import PackageKind


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall clock, aware UTC, microseconds. Never used for leases or due times."""


class Entropy(Protocol):
    def new_id(self) -> str:
        """A UUID, version 7: sorts by time."""

    def salt(self) -> str:
        """128 random bits, hex."""

    def fraction(self) -> float:
        """Uniform in [0, 1): jitter."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One attempt's cargo. `chunks()` gives the stored bytes afresh, in pieces of about 256 KiB.

    `still_mine()` is asked before the last chunk: False = the lease is lost, stop (Deferred).
    `again`: this is not the first attempt, so "it is there already" may be the earlier one's doing.
    `about`: for a status, the axis' id of the document that it reports on, "" when it came
    otherwise; told only where acknowledging reports the arrival.
    """

    transfer_id: str
    kind: PackageKind
    sender: str
    receivers: tuple[str, ...]
    sha256: str
    size: int
    chunks: Callable[[], AsyncIterator[bytes]]
    still_mine: Callable[[], Awaitable[bool]]
    again: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """One line of an axis' list of waiting packages. Ids are opaque; text is theirs."""

    axis_doc_id: str
    kind: PackageKind
    sender: str = ""
    receiver: str = ""
    listed_status: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that was read whole. `failure`: why it could not be (then `items` is empty)."""

    items: tuple[WaitingItem, ...] = ()
    failure: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """`failure` None: every byte was written to the sink and the transport said it was whole."""

    size: int = 0
    failure: Outcome | None = None


@dataclass(frozen=True, slots=True)
class SentItem:
    """One recipient's copy of a package we sent, in the axis' words.

    `remote_ref`: the package's id as the axis gave it to the sender; `receiver_ref`: the id under
    which this recipient sees it, "" when the axis names none. `passed_on`: the axis says that it
    did, or did not, lay the copy out for the recipient; `taken`: that the recipient's system has,
    or has not, taken it; None: its words say neither.
    """

    receiver: str
    remote_ref: str
    receiver_ref: str
    send_status: str
    receive_status: str
    detail: str = ""
    notation: str = ""
    passed_on: bool | None = None
    taken: bool | None = None


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What became of one package. Without `failure` the answer was read whole.

    `items` () and no `failure`: the axis answered, and knows nothing of such a package.
    """

    items: tuple[SentItem, ...] = ()
    failure: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many packages wait; `failure`: why that could not be learnt (then 0)."""

    waiting: int = 0
    failure: Outcome | None = None


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One line of the axis' agency list: `code` as listed, `other` = its other written form."""

    code: str
    name: str
    other: str = ""
    mail: str = ""


@dataclass(frozen=True, slots=True)
class AxisCapabilities:
    """What the axis can do. `repeat`: what to do with the same bytes after doubt (again|never).

    `follows_up`: it can be asked about a package by the id it gave; `counts`: it can say how many
    packages wait without listing them; `lists_agencies`: it can name who is on it. What it cannot
    be asked is never asked.
    `acknowledge_reports_arrival`: acknowledging tells the sender that the document arrived. Then
    nothing is acknowledged at pick-up, and `submit` of a status 01 with `about` is the
    acknowledgement of that document.
    """

    kinds: tuple[PackageKind, ...] = (PackageKind.DOCUMENT, PackageKind.STATUS)
    collects: bool = True
    follows_up: bool = False
    counts: bool = False
    lists_agencies: bool = False
    acknowledge_reports_arrival: bool = False
    repeat: str = "again"


class Axis(Protocol):
    """One axis, we being its client. Never raises for anything a remote does to us."""

    name: str
    capabilities: AxisCapabilities

    async def submit(self, parcel: Parcel, deadline_seconds: float) -> Outcome:
        """Send one package. Returns within `deadline_seconds`, whatever the remote does."""

    async def list_waiting(self, kind: PackageKind, deadline_seconds: float) -> Listing:
        """What waits for us. An unreadable list is a failure, never an empty one."""

    async def fetch(self, item: WaitingItem, sink: BinaryIO, deadline_seconds: float) -> Fetched:
        """Write the package's bytes to `sink` (rewound and truncated before each inner try)."""

    async def acknowledge(self, axis_doc_id: str, deadline_seconds: float) -> Outcome:
        """Tell the axis that we have it for good. Repeating is harmless."""

    async def follow_up(
        self, remote_ref: str, kind: PackageKind, deadline_seconds: float
    ) -> FollowUp:
        """What became of a package we sent. An answer that cannot be read is a failure, never
        "knows nothing"; so is every answer that only may mean that.
        """

    async def count_waiting(self, kind: PackageKind, deadline_seconds: float) -> Count:
        """How many packages of a kind wait for us."""

    async def read_directory(
        self, take: Callable[[DirectoryEntry], None], deadline_seconds: float
    ) -> Outcome | None:
        """The agencies on the axis, one call of `take` each. None: the list was read whole; after
        a failure what `take` got is incomplete.
        """

    async def close(self) -> None: ...


class Intake(Protocol):
    """Implemented by `inbound.receive`: raw bytes are durable and recorded when it returns."""

    async def receive(self, incoming: Incoming) -> str:
        """The arrival's id; the same (axis, axis_doc_id) again gives the first id again."""


class KeyHolder(Protocol):
    """Holds one private key. `sign` blocks: callers use a thread."""

    @property
    def key_id(self) -> str: ...

    @property
    def algorithm(self) -> str:
        """signing.RSA_SHA256 or signing.ECDSA_SHA256 (the XML-DSig URIs)."""

    @property
    def certificate(self) -> bytes:
        """DER."""

    def sign(self, message: bytes) -> bytes:
        """RSA: PKCS#1 v1.5 over SHA-256. ECDSA: r||s, 32 bytes each, as XML-DSig wants it."""


class KeyOpener(Protocol):
    """Holds one private RSA key and opens what was encrypted to it. `unwrap` blocks."""

    @property
    def certificate(self) -> bytes:
        """DER."""

    def unwrap(self, wrapped: bytes, digest: str, mask: str) -> bytes | None:
        """RSA-OAEP; `digest`, `mask`: sha1 | sha256 | sha384 | sha512. None: it does not open."""


@dataclass(frozen=True, slots=True)
class StampReply:
    """A token that was checked against the request: imprint, nonce, signature, certificate.

    `reading`: strict | tolerant, by which of the two checks it could be read to the end.
    """

    token: bytes
    gen_time: datetime
    policy: str
    serial: str
    authority: str
    reading: str


class TimestampAuthority(Protocol):
    name: str

    async def stamp(self, digest: bytes, deadline_seconds: float) -> StampReply:
        """Stamp a SHA-256 digest. Raises Unavailable (no answer) or Untrusted (a bad answer)."""

    async def close(self) -> None: ...


class SyncState(NamedTuple):
    """`synchronised` None: nobody knows. `error_seconds`: how far off it may be."""

    synchronised: bool | None
    error_seconds: float = 0.0


class SyncSource(Protocol):
    """What the system says of its own clock. Never blocks, never raises."""

    def state(self) -> SyncState: ...


class RevocationSource(Protocol):
    """Where authorities keep what they revoked. Called by the sweep, never while opening."""

    async def ask(self, url: str, question: bytes | None, deadline_seconds: float) -> bytes:
        """The certificate list at `url`, or the answer to an OCSPRequest (DER); unjudged.

        Returns or raises Unavailable (`revocation.*`) within `deadline_seconds`.
        """

    async def close(self) -> None: ...


class BlobStore(Protocol):
    """Content-addressed bytes. All calls but `peek` block: callers use a thread."""

    def spool(self) -> BinaryIO:
        """A private, unlinked file on the same disk: gone with the process."""

    def keep(self, spooled: BinaryIO, sha256: str) -> None:
        """Make a spooled file durable under its digest; keeping it twice is harmless."""

    def keep_bytes(self, data: bytes, sha256: str) -> None: ...

    def open(self, sha256: str) -> BinaryIO:
        """Raises Broken (`blob.missing`) when it is not there."""

    def peek(self, sha256: str, size: int) -> bytes | None:
        """The whole small blob if its bytes lie in memory; None: `open` it, in a thread.

        The one call that never waits for a disk or a network.
        """

    def delete(self, sha256: str) -> None: ...

    def delete_older(self, sha256: str, seconds: float) -> bool:
        """Delete unless it was kept (again) within `seconds`, decided at once; True: it is gone."""

    def digests(self) -> Sequence[tuple[str, float]]:
        """Every stored digest with the age of its file in seconds (for the sweep)."""
