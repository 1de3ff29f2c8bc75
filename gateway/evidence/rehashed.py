"""The records of a case in the tree of another hash function, where the ledger was hashed anew.

    edoc-gateway rehashed v1
    <hash function>
    index <entry>
    <hash, base64>                  from the leaf up, RFC 9162 2.1.3.1 under that function
    ...

In:     a record `ledger.rehashed` in its place, proofs into the root that it names.
Out:    their text, and back; whether each record of the case that the root covers is proved.
Fails:  Untrusted (`evidence.rehashed`, `proof.malformed`, `rehash.malformed`).
Never:  replaces the proofs under SHA-256: who trusts that function needs no others.

Such a root is recorded, sealed and stamped while SHA-256 still holds. Whoever trusts it no more
takes the newer stamps over that entry, which speak of a root that his function reaches.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from gateway.errors import Text, Untrusted
from gateway.evidence.case import Case, Place, Reproved
from gateway.ledger.note import decode_base64
from gateway.ledger.records import parse_record
from gateway.ledger.rehash import REHASHED, Hashing, Rehashed, read_rehashed

HEAD = "edoc-gateway rehashed v1"
_MOST_HASHES = 64


def proof_text(algorithm: str, seq: int, proof: tuple[bytes, ...]) -> str:
    hashes = "".join(f"{base64.b64encode(h).decode()}\n" for h in proof)
    return f"{HEAD}\n{algorithm}\nindex {seq}\n{hashes}"


def read_text(text: str, algorithm: str, seq: int) -> tuple[bytes, ...]:
    """The hashes. Untrusted: it is of another entry or function, or no such text."""
    head, name, index, *hashes = [*text.split("\n"), "", "", ""][: _MOST_HASHES + 6]
    while hashes and not hashes[-1]:
        hashes.pop()
    proof = tuple(decode_base64(one) for one in hashes)
    if (head, name, index) != (HEAD, algorithm, f"index {seq}") or (
        proof_text(algorithm, seq, proof) != text
    ):
        raise _untrusted("chứng minh của mục hay hàm băm khác", "a proof of something else")
    return proof


def told(one: Reproved) -> Rehashed:
    record = parse_record(one.sealed.body)
    if record.event != REHASHED:
        raise _untrusted("không phải bản ghi băm lại", "no record of a ledger hashed anew")
    return read_rehashed(record.facts)


def covered(case: Case, root: Rehashed) -> tuple[Place, ...]:
    """The records of the case that this root is over."""
    places = sorted(r.place for r in case.records)
    return tuple(p for p in places if p.epoch == root.epoch and p.seq < root.size)


def judge(case: Case) -> Iterator[tuple[Reproved, Rehashed]]:
    """Each root with its record, once every record that it covers is proved. Untrusted if not."""
    bodies = {record.place: record.body for record in case.records}
    for one in case.rehashed:
        root = told(one)
        hashing = Hashing(root.algorithm)
        if tuple(sorted(one.proofs)) != covered(case, root):
            raise _untrusted("thiếu chứng minh của một bản ghi", "a record has no proof")
        for place, proof in one.proofs.items():
            if not hashing.includes(bodies[place], place.seq, root.size, proof, root.root):
                raise _untrusted(
                    f"bản ghi {place.epoch}-{place.seq} không nằm trong cây {root.algorithm}",
                    f"record {place.epoch}-{place.seq} is not in the {root.algorithm} tree",
                )
        yield one, root


def _untrusted(vi: str, en: str) -> Untrusted:
    return Untrusted(Text(vi, en), code="evidence.rehashed")
