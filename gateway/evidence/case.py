"""What one document's evidence consists of, before it is a file and after it was read.

In:     the records about a document with their places in the tree; heads and stamps of the tree.
Out:    Case: what stands in the container; Plan: which heads and proofs the records need.
Fails:  never.
Never:  decides whether anything is true.

Between which instants a record came into being: behind a stamped head that does not contain it,
and before a stamped head that does. So each record needs two heads (the newest before, the first
after), its inclusion in the second, and a consistency proof that ties both together: the tree of
the first is the beginning of the tree of the second, and the record is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from gateway.ledger.records import parse_record
from gateway.model.record import Record


class Place(NamedTuple):
    """An entry of the tree, or (as a head) the number of entries before it."""

    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """A record in its place. `proof`: to the head of `size` entries, from the leaf up."""

    place: Place
    body: bytes
    size: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint; `token`: the stamp over it (DER), b"" where none came yet."""

    epoch: int
    size: int
    note: str
    token: bytes = b""
    stamped_at: datetime | None = None

    @property
    def place(self) -> Place:
        return Place(self.epoch, self.size)


@dataclass(frozen=True, slots=True)
class Step:
    """The head of `new` entries continues that of `old` entries (RFC 9162 2.1.4)."""

    epoch: int
    old: int
    new: int
    proof: tuple[bytes, ...]


class Judged(NamedTuple):
    """What the gateway made of a signature when the evidence was exported (model Trust words)."""

    value: str
    header: str
    files: str


@dataclass(frozen=True, slots=True)
class Carried:
    """A package: `digest` (hex) is what records call it; `role`: sent | received | status.

    `judged` None: not judged yet. It is kept, because what counts as weak changes with the years.
    """

    digest: str
    role: str
    judged: Judged | None = None


class Kept(NamedTuple):
    """Bytes behind a word on a certificate. `kind`: der | crl | ocsp; `digest`: SHA-256, hex."""

    kind: str
    digest: str


class Reproved(NamedTuple):
    """A root of the tree under another hash function, in the record that states it; `proofs`: into
    that root, of each record of the case that it covers.
    """

    sealed: Sealed
    proofs: Mapping[Place, tuple[bytes, ...]]


@dataclass(frozen=True)
class Case:
    """`subject`: {"document": id} or {"item": id}, as the gateway calls it. `receipts`: as given.

    `trust`: certificates and revocation data as of then. `handovers`: all changes of the ledger's
    key, each proved by the first head that holds it.
    `at`: the instant that this evidence speaks of: its last stamp around a record of its own, else
    its last record.
    """

    origin: str
    vkey: str
    subject: Mapping[str, str]
    records: tuple[Sealed, ...]
    heads: tuple[Head, ...]
    steps: tuple[Step, ...]
    packages: tuple[Carried, ...]
    receipts: tuple[bytes, ...] = ()
    trust: tuple[Kept, ...] = ()
    handovers: tuple[Sealed, ...] = ()
    rehashed: tuple[Reproved, ...] = ()

    @property
    def entries(self) -> tuple[Sealed, ...]:
        """All records that it holds: what the ledger says of itself, then those of the case."""
        return (*self.handovers, *(one.sealed for one in self.rehashed), *self.records)

    @cached_property
    def told(self) -> tuple[Told, ...]:
        """The records in their order, read. Untrusted (`record.unreadable`)."""
        bounds = {record.place: self.bounds(record.place) for record in self.records}
        return tuple(
            Told(parse_record(r.body), r.place, *bounds[r.place])
            for r in sorted(self.records, key=lambda r: r.place)
        )

    @cached_property
    def at(self) -> datetime:
        around = (at for told in self.told for at in (told.not_before, told.not_after))
        stamps = [at for at in around if at is not None]
        return max(stamps) if stamps else max(t.record.at for t in self.told)

    def bounds(self, place: Place) -> tuple[datetime | None, datetime | None]:
        """Not before, not after: the stamps of the heads around an entry. None: no stamp there."""
        stamped = [h for h in self.heads if h.epoch == place.epoch and h.stamped_at is not None]
        before = max((h for h in stamped if h.size <= place.seq), key=_size, default=None)
        after = min((h for h in stamped if h.size > place.seq), key=_size, default=None)
        return (before.stamped_at if before else None), (after.stamped_at if after else None)


class Told(NamedTuple):
    record: Record
    place: Place
    not_before: datetime | None
    not_after: datetime | None


class Plan(NamedTuple):
    """`covers`: for each place the size of the head that its proof leads to."""

    covers: Mapping[Place, int]
    heads: tuple[Place, ...]
    steps: tuple[tuple[int, int, int], ...]


def plan(
    places: Iterable[Place],
    stamped: Sequence[Place],
    newest: Iterable[Place],
    more: Iterable[Place] = (),
) -> Plan:
    """The heads that these places need, out of those with a stamp and the newest of each epoch.

    An entry that no stamp covers yet is proved into the newest of its epoch, where that contains
    it. `more`: heads that are wanted for something else, tied to the others.
    """
    last = {head.epoch: head.seq for head in newest}
    by_epoch: dict[int, list[int]] = {}
    for head in stamped:
        by_epoch.setdefault(head.epoch, []).append(head.seq)
    covers: dict[Place, int] = {}
    heads: set[Place] = set(more)
    for place in places:
        sizes = by_epoch.get(place.epoch, [])
        before = max((size for size in sizes if size <= place.seq), default=None)
        after = min((size for size in sizes if size > place.seq), default=None)
        if after is None and last.get(place.epoch, 0) > place.seq:
            after = last[place.epoch]
        if after is None:
            continue
        covers[place] = after
        heads.add(Place(place.epoch, after))
        if before:
            heads.add(Place(place.epoch, before))
    ordered = sorted(heads)
    steps = tuple(
        (one.epoch, one.seq, two.seq) for one, two in pairwise(ordered) if one.epoch == two.epoch
    )
    return Plan(covers, tuple(ordered), steps)


def _size(head: Head) -> int:
    return head.size
