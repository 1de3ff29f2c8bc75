"""The tree against known roots, against the text of RFC 9162, and against pymerkle."""

from __future__ import annotations

import hashlib

import pymerkle
import pytest

from gateway.errors import Broken
from gateway.ledger import merkle
from tests.support import rfc9162

# The eight leaves and their roots that the Certificate Transparency projects test with (RFC 6962)
CT_LEAVES = [
    bytes.fromhex(h)
    for h in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Tree:
    """Leaves and stored nodes, counting what is read."""

    def __init__(self, leaves):
        self.leaves = list(leaves)
        self.reads = []
        self.nodes = {}
        done = merkle.append(self.leaves, 0, self.read)
        self.keep(done)

    def keep(self, done):
        self.nodes |= {(n.level, n.idx): n.hash for n in done.nodes}

    def read(self, coordinates):
        self.reads.append(len(coordinates))
        return {(i, j): self.leaves[j] if i == 0 else self.nodes[i, j] for i, j in coordinates}


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


LEAVES = [leaf(str(i).encode()) for i in range(130)]


def test_the_known_roots_of_certificate_transparency_come_out():
    tree = Tree([leaf(data) for data in CT_LEAVES])
    assert [merkle.root(n, tree.read).hex() for n in range(9)] == CT_ROOTS


def test_the_known_audit_path_of_certificate_transparency_comes_out():
    tree = Tree([leaf(data) for data in CT_LEAVES])
    assert [h.hex() for h in merkle.inclusion_proof(0, 8, tree.read)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]


def test_roots_and_proofs_are_those_of_the_text_of_the_rfc():
    tree = Tree(LEAVES)
    for size in range(1, 71):
        leaves = LEAVES[:size]
        assert merkle.root(size, tree.read) == rfc9162.mth(leaves)
        for seq in range(size):
            assert list(merkle.inclusion_proof(seq, size, tree.read)) == rfc9162.path(seq, leaves)
        for old in range(1, size):
            proof = merkle.consistency_proof(old, size, tree.read)
            assert list(proof) == rfc9162.proof(old, leaves)


def test_roots_are_those_of_pymerkle():
    other = pymerkle.InmemoryTree(algorithm="sha256")
    for i in range(len(LEAVES)):
        other.append_entry(str(i).encode())
    tree = Tree(LEAVES)
    for size in (1, 2, 3, 63, 64, 65, 100, 127, 128, 129, 130):
        assert merkle.root(size, tree.read) == other.get_root(size)


def test_every_proof_verifies_and_no_proof_verifies_for_anything_else():
    tree = Tree(LEAVES)
    for size in (1, 2, 3, 5, 8, 13, 31, 32, 33, 70):
        root = merkle.root(size, tree.read)
        for seq in range(size):
            proof = merkle.inclusion_proof(seq, size, tree.read)
            assert merkle.verify_inclusion(LEAVES[seq], seq, size, proof, root)
            assert not merkle.verify_inclusion(LEAVES[seq + 1], seq, size, proof, root)
            assert not merkle.verify_inclusion(LEAVES[seq], seq, size, proof, LEAVES[0] + b"x")
            assert not merkle.verify_inclusion(LEAVES[seq], seq, size, (*proof, root), root)
            if size > 1:
                other = (seq + 1) % size
                assert not merkle.verify_inclusion(LEAVES[seq], other, size, proof, root)
                assert not merkle.verify_inclusion(LEAVES[seq], seq, size, proof[:-1], root)
        assert not merkle.verify_inclusion(LEAVES[0], size, size, (), root)
        assert not merkle.verify_inclusion(LEAVES[0], -1, size, (), root)


def test_consistency_proofs_hold_for_their_own_trees_only():
    tree = Tree(LEAVES)
    roots = [merkle.root(n, tree.read) for n in range(72)]
    for new in range(1, 71):
        for old in range(1, new + 1):
            proof = merkle.consistency_proof(old, new, tree.read)
            assert merkle.verify_consistency(old, roots[old], new, roots[new], proof)
            assert not merkle.verify_consistency(old, roots[old], new, roots[new + 1], proof)
            assert not merkle.verify_consistency(old, roots[71], new, roots[new], proof)
            longer = (*proof, roots[1])
            assert not merkle.verify_consistency(old, roots[old], new, roots[new], longer)
            if proof:
                shorter = proof[:-1]
                assert not merkle.verify_consistency(old, roots[old], new, roots[new], shorter)
                swapped = (bytes(32), *proof[1:])
                assert not merkle.verify_consistency(old, roots[old], new, roots[new], swapped)
        assert not merkle.verify_consistency(new + 1, roots[new + 1], new, roots[new], ())


def test_the_empty_tree_is_the_beginning_of_every_tree_and_needs_no_proof():
    tree = Tree(LEAVES)
    root = merkle.root(9, tree.read)
    assert merkle.consistency_proof(0, 9, tree.read) == ()
    assert merkle.verify_consistency(0, merkle.EMPTY_ROOT, 9, root, ())
    assert not merkle.verify_consistency(0, LEAVES[0], 9, root, ())
    assert not merkle.verify_consistency(0, merkle.EMPTY_ROOT, 9, root, (root,))


def test_a_tree_grown_in_batches_equals_the_tree_made_at_once():
    whole = Tree(LEAVES)
    for step in (1, 2, 3, 7, 16, 50):
        grown = Tree([])
        for start in range(0, len(LEAVES), step):
            batch = LEAVES[start : start + step]
            done = merkle.append(batch, start, grown.read)
            grown.leaves += batch
            assert not grown.nodes.keys() & {(n.level, n.idx) for n in done.nodes}
            grown.keep(done)
            assert done.size == len(grown.leaves)
            assert done.root == merkle.root(done.size, whole.read)
        assert grown.nodes == whole.nodes


def test_only_complete_inner_nodes_are_stored_and_their_number_is_known():
    for size in range(len(LEAVES)):
        tree = Tree(LEAVES[:size])
        assert len(tree.nodes) == size - size.bit_count()
        assert all(level >= 1 and (i + 1) << level <= size for level, i in tree.nodes)


def test_an_append_of_nothing_changes_nothing():
    tree = Tree(LEAVES[:13])
    done = merkle.append([], 13, tree.read)
    assert (done.nodes, done.size, done.root) == ((), 13, merkle.root(13, tree.read))
    assert merkle.append([], 0, tree.read).root == merkle.EMPTY_ROOT


def test_every_operation_reads_once_and_at_most_twice_the_height_of_the_tree():
    size = 100_003
    leaves = [i.to_bytes(32) for i in range(size)]
    tree = Tree(leaves)
    height = size.bit_length()
    calls = [
        lambda: merkle.append(LEAVES, size, tree.read),
        lambda: merkle.root(size, tree.read),
        *(lambda s=s: merkle.inclusion_proof(s, size, tree.read) for s in (0, 65_535, size - 1)),
        *(lambda o=o: merkle.consistency_proof(o, size, tree.read) for o in (1, 65_537, size - 1)),
    ]
    for call in calls:
        tree.reads.clear()
        call()
        assert len(tree.reads) == 1
        assert tree.reads[0] <= 2 * height


def test_a_tree_that_does_not_give_its_signed_root_is_never_extended():
    tree = Tree(LEAVES[:21])
    root = merkle.root(21, tree.read)
    assert merkle.append(LEAVES[21:30], 21, tree.read, root).size == 30
    tree.nodes[4, 0] = bytes(32)
    with pytest.raises(Broken) as caught:
        merkle.append(LEAVES[21:30], 21, tree.read, root)
    assert caught.value.code == "ledger.root_mismatch"


def test_a_missing_node_is_named_and_not_guessed():
    tree = Tree(LEAVES[:21])
    with pytest.raises(Broken, match=r"\(4, 0\)") as caught:
        merkle.root(21, lambda cs: {c: tree.read([c])[c] for c in cs if c != (4, 0)})
    assert caught.value.code == "ledger.node_missing"
    with pytest.raises(Broken):
        merkle.root(21, lambda cs: dict.fromkeys(cs, b"short"))


def test_proofs_outside_the_tree_are_refused():
    tree = Tree(LEAVES[:5])
    for seq, size in ((5, 5), (-1, 5), (0, 0)):
        with pytest.raises(ValueError, match="no entry"):
            merkle.inclusion_proof(seq, size, tree.read)
    with pytest.raises(ValueError, match="cannot follow"):
        merkle.consistency_proof(5, 4, tree.read)


def test_the_compact_range_gives_the_same_nodes_and_roots_as_the_tree():
    tree, growing, nodes = Tree(LEAVES), merkle.CompactRange(), {}
    for n, digest in enumerate(LEAVES):
        assert growing.root() == merkle.root(n, tree.read)
        nodes |= {(node.level, node.idx): node.hash for node in growing.push(digest)}
    assert (growing.size, nodes) == (len(LEAVES), tree.nodes)
