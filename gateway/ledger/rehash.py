"""The same tree under another hash function: for the day when SHA-256 is no longer enough.

In:     the name of a hash function; records' bytes in their order.
Out:    the root of RFC 9162's tree over them under that function, inclusion and consistency proofs.
Fails:  Rejected (`ledger.no_such_hash`); Untrusted (`rehash.malformed`) for facts of a record.
Never:  replaces the tree that is sealed: the old one goes on, and old proofs hold as they did.

A renewal of hash trees in the sense of RFC 4998 5.3: while SHA-256 still holds, the root of the
new tree is recorded in the old one, sealed and stamped (`ledger.rehashed`). Whoever trusts SHA-256
no more then proves a record into the new root, and that root by the newer stamps over it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.c14n import JsonValue
from gateway.errors import Rejected, Text, Untrusted
from gateway.ledger import merkle

REHASHED = "ledger.rehashed"

# name in records and on the command line -> hashlib's
ALGORITHMS: Mapping[str, str] = {
    "sha384": "sha384",
    "sha512": "sha512",
    "sha3-256": "sha3_256",
    "sha3-384": "sha3_384",
    "sha3-512": "sha3_512",
}
Bodies = Callable[[], Iterable[bytes]]


class Rehashed(NamedTuple):
    """What a record `ledger.rehashed` says: the root over the first `size` entries of the epoch,
    under another function and, for who compares, under SHA-256.
    """

    algorithm: str
    epoch: int
    size: int
    root: bytes
    sha256_root: bytes


def read_rehashed(facts: Mapping[str, JsonValue]) -> Rehashed:
    """Untrusted (`rehash.malformed`): facts of another form, or a function that is none."""
    name, epoch, size = (facts.get(key) for key in ("algorithm", "epoch", "size"))
    try:
        roots = [bytes.fromhex(str(facts.get(key))) for key in ("root", "sha256_root")]
        known = hashlib.new(ALGORITHMS[str(name)]).digest_size
    except (KeyError, ValueError) as error:
        raise _malformed() from error
    right = isinstance(epoch, int) and isinstance(size, int) and size > 0
    if not right or [len(root) for root in roots] != [known, 32]:
        raise _malformed()
    return Rehashed(str(name), int(str(epoch)), int(str(size)), *roots)


class Hashing:
    """RFC 9162 2.1.1 with another HASH: leaf = HASH(0x00 || record), node = HASH(0x01 || ...)."""

    def __init__(self, algorithm: str) -> None:
        if algorithm not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            raise Rejected(
                Text(
                    f"Không có hàm băm {algorithm[:40]!r}; có: {known}",
                    f"no hash function {algorithm[:40]!r}; there are: {known}",
                ),
                code="ledger.no_such_hash",
            )
        self.algorithm = algorithm
        self._name = ALGORITHMS[algorithm]

    def leaf(self, body: bytes) -> bytes:
        return hashlib.new(self._name, b"\x00" + body).digest()

    def node(self, left: bytes, right: bytes) -> bytes:
        return hashlib.new(self._name, b"\x01" + left + right).digest()

    def tree(self) -> merkle.CompactRange:
        return merkle.CompactRange(self.node)

    def inclusion(self, bodies: Bodies, seq: int, size: int) -> tuple[bytes, ...]:
        """The proof of entry `seq` in the tree of `size` entries. Reads all of them once."""
        return merkle.inclusion_proof(seq, size, self._reading(bodies, size), self.node)

    def inclusions(
        self, bodies: Bodies, seqs: Iterable[int], size: int
    ) -> dict[int, tuple[bytes, ...]]:
        """The same for several entries; all records are read once."""
        asked = sorted(set(seqs))
        wanted: list[merkle.Coordinate] = []

        def note(coordinates: Sequence[merkle.Coordinate]) -> dict[merkle.Coordinate, bytes]:
            wanted.extend(coordinates)
            return dict.fromkeys(coordinates, bytes(32))

        for seq in asked:
            merkle.inclusion_proof(seq, size, note, self.node)
        found = self._reading(bodies, size)(wanted)
        return {s: merkle.inclusion_proof(s, size, lambda _: found, self.node) for s in asked}

    def consistency(self, bodies: Bodies, old: int, new: int) -> tuple[bytes, ...]:
        return merkle.consistency_proof(old, new, self._reading(bodies, new), self.node)

    def includes(
        self, body: bytes, seq: int, size: int, proof: Sequence[bytes], root: bytes
    ) -> bool:
        return merkle.verify_inclusion(self.leaf(body), seq, size, proof, root, self.node)

    def continues(
        self, old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
    ) -> bool:
        """For 0 < old < new."""
        return 0 < old < new and merkle.verify_consistency(
            old, old_root, new, new_root, proof, self.node
        )

    def _reading(self, bodies: Bodies, size: int) -> merkle.ReadNodes:
        """Only the nodes that are asked for are kept, so memory stays flat."""

        def read(wanted: Sequence[merkle.Coordinate]) -> dict[merkle.Coordinate, bytes]:
            asked, found, tree = set(wanted), {}, self.tree()
            for number, body in zip(range(size), bodies(), strict=False):
                leaf = self.leaf(body)
                if (0, number) in asked:
                    found[0, number] = leaf
                for node in tree.push(leaf):
                    if (node.level, node.idx) in asked:
                        found[node.level, node.idx] = node.hash
            return found

        return read


def _malformed() -> Untrusted:
    return Untrusted(
        Text(
            "Không đúng dạng ghi nhận băm lại sổ cái", "this is no record of a ledger hashed anew"
        ),
        code="rehash.malformed",
    )
