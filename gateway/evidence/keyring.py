"""Which key of the ledger counts for what: the changes of key that lead from one to the next.

In:     a case whose handovers are entries of the tree, and those that renewals added.
Out:    Ring: the key in force at each head; whether a key of the reader's own is one of the chain.
Fails:  Untrusted (`evidence.handover`): an entry that is no change of key of this ledger or not in
        its tree, a link that is missing. `succession.*` where the signatures do not hold.
Never:  believes a key because it is in the container: somebody's own key must be in the chain.

A change of key is signed by the key that goes, which vouches for the one that comes, and by that
one, which signs the first head that holds the entry (docs/ledger-format.md, 11). So whoever holds
any key of the chain has all of them; from that head on only the new one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import Text, Untrusted
from gateway.evidence.case import Case, Head, Place, Sealed
from gateway.ledger import merkle
from gateway.ledger.checkpoint import parse_head
from gateway.ledger.note import split_note
from gateway.ledger.records import leaf_hash, parse_record
from gateway.ledger.succession import KEY_CHANGED, Handover, read_handover

Key = ec.EllipticCurvePublicKey


class Link(NamedTuple):
    place: Place
    change: Handover


class Ring(NamedTuple):
    """`links` in the order of the tree; `signer`: whose signature is under the list of parts."""

    signer: Key
    links: tuple[Link, ...] = ()

    @property
    def keys(self) -> tuple[Key, ...]:
        """From the first to the last."""
        first = self.links[0].change.old if self.links else self.signer
        return (first, *(link.change.new for link in self.links))

    def at(self, head: Place) -> Key:
        """In force where a tree of this epoch has `head.seq` entries."""
        return self.keys[sum(link.place < head for link in self.links)]


def read(case: Case, signer: Key, added: Iterable[tuple[Sealed, Sequence[Head]]] = ()) -> Ring:
    """`signer`: the key under the list of parts. `added`: changes of key that renewals put behind
    the list, each with the heads that it may be proved by.
    """
    links = [_link(case.origin, sealed, case.heads) for sealed in case.handovers]
    known = len(links)
    links += [_link(case.origin, sealed, heads) for sealed, heads in added]
    for one, two in pairwise(links):
        if one.change.new != two.change.old or not one.place < two.place:
            raise _untrusted(
                f"thiếu lần đổi khóa giữa mục {_named(one.place)} và mục {_named(two.place)}",
                f"a change of key is missing between entries {_named(one.place)} and "
                f"{_named(two.place)}",
            )
    ring = Ring(signer, tuple(links))
    if ring.keys[known] != signer:
        raise _untrusted(
            "thiếu lần đổi khóa dẫn tới khóa đã ký danh mục",
            "a change of key is missing before the key that signed the list",
        )
    return ring


def _link(origin: str, sealed: Sealed, heads: Sequence[Head]) -> Link:
    record = parse_record(sealed.body)
    head = next(h for h in heads if h.place == (sealed.place.epoch, sealed.size))
    root = parse_head(split_note(head.note)[0]).root
    leaf = leaf_hash(sealed.body)
    proved = merkle.verify_inclusion(leaf, sealed.place.seq, sealed.size, sealed.proof, root)
    if record.event != KEY_CHANGED or not proved:
        raise _untrusted(
            f"mục {_named(sealed.place)} không phải là lần đổi khóa nằm trong cây",
            f"entry {_named(sealed.place)} is no change of key in the tree",
        )
    return Link(sealed.place, read_handover(record.facts, origin))


def _named(place: Place) -> str:
    return f"{place.epoch}-{place.seq}"


def _untrusted(vi: str, en: str) -> Untrusted:
    return Untrusted(Text(vi, en), code="evidence.handover")
