"""The tree under another hash function, held against a plain reading of RFC 9162."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from gateway.errors import Rejected
from gateway.ledger import merkle
from gateway.ledger.records import leaf_hash
from gateway.ledger.rehash import ALGORITHMS, Hashing

BODIES = [f"record {n}".encode() for n in range(23)]


def mth(name: str, bodies: Sequence[bytes]) -> bytes:
    """RFC 9162 2.1.1, word for word."""
    if len(bodies) == 1:
        return hashlib.new(name, b"\0" + bodies[0]).digest()
    split = 1 << (len(bodies) - 1).bit_length() - 1
    left, right = mth(name, bodies[:split]), mth(name, bodies[split:])
    return hashlib.new(name, b"\1" + left + right).digest()


def root(hashing: Hashing, bodies: Sequence[bytes]) -> bytes:
    tree = hashing.tree()
    for body in bodies:
        tree.push(hashing.leaf(body))
    return tree.root()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_root_and_proofs_are_those_of_the_rfc_under_that_function(algorithm: str) -> None:
    hashing = Hashing(algorithm)
    for size in (1, 2, 3, 7, 8, 22, 23):
        made = root(hashing, BODIES[:size])
        assert made == mth(ALGORITHMS[algorithm], BODIES[:size])
        for seq in range(size):
            proof = hashing.inclusion(lambda: BODIES, seq, size)
            assert hashing.includes(BODIES[seq], seq, size, proof, made)
            assert not hashing.includes(b"other", seq, size, proof, made)
    whole = root(hashing, BODIES)
    for old in range(1, 23):
        proof = hashing.consistency(lambda: BODIES, old, 23)
        before = root(hashing, BODIES[:old])
        assert hashing.continues(old, before, 23, whole, proof)
        assert not hashing.continues(old, whole, 23, whole, proof)


def test_a_proof_of_one_function_proves_nothing_under_another() -> None:
    new, other = Hashing("sha3-256"), Hashing("sha384")
    proof = new.inclusion(lambda: BODIES, 5, 23)
    assert not other.includes(BODIES[5], 5, 23, proof, root(new, BODIES))
    sha256 = merkle.verify_inclusion(leaf_hash(BODIES[5]), 5, 23, proof, root(new, BODIES))
    assert not sha256


def test_an_unknown_function_is_refused_by_name() -> None:
    with pytest.raises(Rejected) as refused:
        Hashing("md5")
    assert "md5" in refused.value.text.en
