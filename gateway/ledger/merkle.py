"""The Merkle tree of RFC 9162 over entries, kept as its complete subtrees only.

In: leaf hashes, sizes, and a function that reads stored nodes. Out: new nodes, roots, proofs,
verdicts. A node has a coordinate (level, index): it covers the entries from `index * 2**level` up
to, not including, `(index + 1) * 2**level`, and exists once that range is complete; it is never
rewritten. Level 0 is the leaf hash itself: it lives in the row of its entry and is never returned
as a new node, but may be asked for by a read. A tree of n entries has n - popcount(n) stored nodes.
The first entry has seq 0.

Every function reads at most once, and at most about 2 log2(n) nodes: one query. Fails with Broken
(`ledger.node_missing`, `ledger.root_mismatch`) when the store contradicts itself. It never writes,
and never hashes a record: that is `records.leaf_hash`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import count, repeat
from typing import NamedTuple

from gateway.errors import Broken, Text

Coordinate = tuple[int, int]
ReadNodes = Callable[[Sequence[Coordinate]], Mapping[Coordinate, bytes]]
NodeHash = Callable[[bytes, bytes], bytes]
_LENGTHS = frozenset({32, 48, 64})  # of SHA-256, and of what may come after it (rehash.py)
EMPTY_ROOT = hashlib.sha256().digest()  # RFC 9162 2.1.1: MTH({}) = HASH()


class Node(NamedTuple):
    """A complete subtree of 2**level entries."""

    level: int
    idx: int
    hash: bytes


class Appended(NamedTuple):
    """What to store after an append: `nodes` (level >= 1, all new), and the tree it makes."""

    nodes: tuple[Node, ...]
    size: int
    root: bytes


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162 2.1.1: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def peaks(size: int) -> tuple[Coordinate, ...]:
    """The complete subtrees that make up a tree of `size` entries, from the left (largest)."""
    return tuple(
        (level, (size >> level) - 1)
        for level in range(size.bit_length() - 1, -1, -1)
        if size >> level & 1
    )


def append(
    leaves: Sequence[bytes],
    size: int,
    read_nodes: ReadNodes,
    expected_root: bytes | None = None,
) -> Appended:
    """Add leaf hashes to a tree of `size` entries. One read, of at most log2(size) + 1 nodes.

    With `expected_root` (the root of the last checkpoint) the tree is verified before it is
    extended: Broken (`ledger.root_mismatch`) when the stored nodes do not give that root.
    """
    old = peaks(size)
    edge = _read(read_nodes, old)
    if expected_root is not None and _fold([edge[c] for c in old]) != expected_root:
        raise Broken(
            Text(
                f"Gốc của cây {size} mục không khớp với điểm kiểm soát đã ký",
                f"the root of the tree of {size} entries is not the one in its signed checkpoint",
            ),
            code="ledger.root_mismatch",
        )
    grown = CompactRange(size=size, peaks=[edge[c] for c in old])
    new = grown.extend(leaves)
    return Appended(tuple(new), grown.size, grown.root())


def root(size: int, read_nodes: ReadNodes) -> bytes:
    """MTH(D[size]) (RFC 9162 2.1.1) from stored nodes; of an empty tree SHA-256 of nothing."""
    coordinates = peaks(size)
    found = _read(read_nodes, coordinates)
    return _fold([found[c] for c in coordinates])


def inclusion_proof(
    seq: int, size: int, read_nodes: ReadNodes, node: NodeHash = node_hash
) -> tuple[bytes, ...]:
    """RFC 9162 2.1.3.1: PATH(seq, D[size]), from the leaf up. ValueError unless seq < size."""
    if not 0 <= seq < size:
        raise ValueError(f"no entry {seq} in a tree of {size}")
    # the highest bit in which they differ: `seq` stands in the complete subtree of 2**level entries
    level = (seq ^ size).bit_length() - 1
    beside = _beside(level, size)
    wanted = [(below, seq >> below ^ 1) for below in range(level)]  # its neighbours on the way up
    for covering in beside:
        wanted += covering
    found = read_nodes(wanted) if wanted else {}
    hashes = list(map(found.get, wanted, repeat(b"")))
    if not _LENGTHS.issuperset(map(len, hashes)):
        _complete(found, wanted)
    at = level
    for covering in beside:  # at most one of them is more than a stored node
        end = at + len(covering)
        hashes[at:end] = (_fold(hashes[at:end], node),)
        at += 1
    return tuple(hashes)


def consistency_proof(
    old: int, new: int, read_nodes: ReadNodes, node: NodeHash = node_hash
) -> tuple[bytes, ...]:
    """RFC 9162 2.1.4.1: PROOF(old, D[new]). Empty for old = 0 and for old = new."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} cannot follow one of {old}")
    return _hashes(_subproof(old, new) if 0 < old < new else (), read_nodes, node)


def verify_inclusion(
    leaf: bytes,
    seq: int,
    size: int,
    proof: Sequence[bytes],
    root_hash: bytes,
    node: NodeHash = node_hash,
) -> bool:
    """RFC 9162 2.1.3.2. False for any proof that does not lead from `leaf` to `root_hash`."""
    if not 0 <= seq < size:
        return False
    fn, sn, r = seq, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root_hash


def verify_consistency(
    old: int,
    old_root: bytes,
    new: int,
    new_root: bytes,
    proof: Sequence[bytes],
    node: NodeHash = node_hash,
) -> bool:
    """RFC 9162 2.1.4.2: the tree of `new` entries begins with the tree of `old` entries.

    Outside the RFC's 0 < old < new: the empty tree is consistent with every tree, a tree with
    itself; both only by an empty proof.
    """
    if old == 0:
        return new >= 0 and not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    if not 0 < old < new or not proof:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root


class CompactRange:
    """A growing tree of which only the peaks are kept: log2(n) hashes, whatever n is."""

    __slots__ = ("_node", "_peaks", "size")

    def __init__(
        self, node: NodeHash = node_hash, size: int = 0, peaks: Sequence[bytes] = ()
    ) -> None:
        self._node = node
        self.size = size
        self._peaks = list(peaks)  # of the set bits of `size`, largest first

    def push(self, leaf: bytes) -> tuple[Node, ...]:
        """Add one leaf hash; the inner nodes (level >= 1) that became complete, lowest first."""
        new: list[Node] = []
        digest, level, index = leaf, 0, self.size
        while index & 1:
            digest = self._node(self._peaks.pop(), digest)
            level, index = level + 1, index >> 1
            new.append(Node(level, index, digest))
        self._peaks.append(digest)
        self.size += 1
        return tuple(new)

    def extend(self, leaves: Sequence[bytes]) -> list[Node]:
        """Add many leaf hashes; the inner nodes that became complete, level by level."""
        new: list[Node] = []
        right_edge: list[bytes] = []  # the peaks among the new nodes, smallest first
        start, row, level = self.size, list(leaves), 0
        while row:  # the nodes that are new at this level, the first at `start`
            if start & 1:  # its left sibling is the smallest peak of the old tree
                start -= 1
                row.insert(0, self._peaks.pop())
            if len(row) & 1:
                right_edge.append(row[-1])
            row = list(map(self._node, row[::2], row[1::2]))
            start, level = start >> 1, level + 1
            new.extend(map(Node, repeat(level), count(start), row))
        self._peaks.extend(reversed(right_edge))
        self.size += len(leaves)
        return new

    def root(self) -> bytes:
        return _fold(self._peaks, self._node)


_Covering = tuple[Coordinate, ...]  # one hash of a proof, as the stored nodes that fold into it


@lru_cache(maxsize=256)
def _beside(level: int, size: int) -> tuple[_Covering, ...]:
    """The end of PATH(m, D[n]), the same for every m of the peak at `level`: what stands beside it.

    The recursion of the RFC, unrolled from the root down, as far as that complete subtree.
    """
    steps: list[_Covering] = []
    begin, end = 0, size
    first = size >> level + 1 << level + 1  # of the peak's entries
    while end - begin > 1 << level:
        split = begin + _split(end - begin)
        if first < split:
            steps.append(_cover(split, end))
            end = split
        else:
            steps.append(_cover(begin, split))
            begin = split
    return tuple(reversed(steps))


def _subproof(old: int, new: int) -> list[_Covering]:
    """SUBPROOF(m, D[n], true) as coordinates, unrolled likewise."""
    steps: list[_Covering] = []
    begin, end = 0, new
    while end > old:
        split = begin + _split(end - begin)
        if old <= split:
            steps.append(_cover(split, end))
            end = split
        else:
            steps.append(_cover(begin, split))
            begin = split
    if begin:  # the RFC's b = false: the verifier cannot know this part of the old tree
        steps.append(_cover(begin, end))
    return steps[::-1]


def _split(count: int) -> int:
    """The largest power of two smaller than `count` (count >= 2)."""
    return 1 << (count - 1).bit_length() - 1


def _cover(begin: int, end: int) -> _Covering:
    """D[begin:end] as complete subtrees, left to right; `begin` aligned as the RFC splits."""
    count = end - begin
    if count & (count - 1) == 0:  # one complete subtree: nearly every hash of nearly every proof
        level = count.bit_length() - 1
        return ((level, begin >> level),)
    return tuple((level, (begin >> level) + index) for level, index in peaks(end - begin))


def _hashes(steps: Sequence[_Covering], read_nodes: ReadNodes, node: NodeHash) -> tuple[bytes, ...]:
    wanted = [c for covering in steps for c in covering]
    found = read_nodes(wanted) if wanted else {}
    if len(wanted) == len(steps):  # each hash is a stored one: looked up once
        hashes = tuple(map(found.get, wanted, repeat(b"")))
        if all(len(h) in _LENGTHS for h in hashes):
            return hashes
    _complete(found, wanted)
    return tuple(_fold([found[c] for c in covering], node) for covering in steps)


def _fold(hashes: Sequence[bytes], node: NodeHash = node_hash) -> bytes:
    """Peaks from the left, bagged from the right: MTH of an incomplete tree."""
    if not hashes:
        return EMPTY_ROOT
    digest = hashes[-1]
    for left in reversed(hashes[:-1]):
        digest = node(left, digest)
    return digest


def _read(read_nodes: ReadNodes, coordinates: Sequence[Coordinate]) -> Mapping[Coordinate, bytes]:
    if not coordinates:
        return {}
    found = read_nodes(coordinates)
    _complete(found, coordinates)
    return found


def _complete(found: Mapping[Coordinate, bytes], coordinates: Sequence[Coordinate]) -> None:
    """Raises Broken (`ledger.node_missing`) for what was asked and is not there."""
    for coordinate in coordinates:
        if len(found.get(coordinate, b"")) not in _LENGTHS:
            level, index = coordinate
            raise Broken(
                Text(
                    f"Thiếu nút ({level}, {index}) của cây sổ cái",
                    f"node ({level}, {index}) of the ledger's tree is missing",
                ),
                code="ledger.node_missing",
            )
