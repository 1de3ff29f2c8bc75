"""Proofs as text: C2SP tlog-proof v1, and consistency proofs in the same form.

    c2sp.org/tlog-proof@v1          or      edoc-gateway consistency v1
    index <entry>                           old <size of the earlier tree>
    <hash, base64>                          <hash, base64>
    ...                                     ...
    <empty line>                            <empty line>
    <the checkpoint, a signed note>         <the checkpoint of the later tree>

In: numbers, hashes, a note. Out: text, and back. Fails with `Untrusted` (`proof.malformed`) on
reading. It never verifies a proof or a signature: merkle.py and checkpoint.py do.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import NamedTuple

from gateway.errors import Text, Untrusted
from gateway.ledger.note import MAX_BYTES, decode_base64

INCLUSION = "c2sp.org/tlog-proof@v1"
CONSISTENCY = "edoc-gateway consistency v1"
_MOST_HASHES = 128  # twice the height of the highest tree that sizes can name
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class Proof(NamedTuple):
    """`number`: the entry that is proved, or the size of the earlier tree."""

    number: int
    hashes: tuple[bytes, ...]
    note: str


def proof_text(
    number: int, hashes: Sequence[bytes], note: str, *, consistency: bool = False
) -> str:
    head, word = (CONSISTENCY, "old") if consistency else (INCLUSION, "index")
    lines = "".join(f"{base64.b64encode(h).decode()}\n" for h in hashes)
    return f"{head}\n{word} {number}\n{lines}\n{note}"


def read_proof(text: str, *, consistency: bool = False) -> Proof:
    """The inverse of `proof_text`. Untrusted (`proof.malformed`)."""
    if len(text) > 2 * MAX_BYTES:
        raise _malformed()
    proof, gap, note = text.partition("\n\n")
    head, *rest = proof.split("\n")
    wanted, word = (CONSISTENCY, "old") if consistency else (INCLUSION, "index")
    if not gap or head != wanted or not rest or len(rest) - 1 > _MOST_HASHES:
        raise _malformed()
    name, _, number = rest[0].partition(" ")
    hashes = tuple(decode_base64(line) for line in rest[1:])
    if name != word or not _NUMBER.fullmatch(number) or any(len(h) != 32 for h in hashes):
        raise _malformed()
    return Proof(int(number), hashes, note)


def _malformed() -> Untrusted:
    return Untrusted(
        Text("Không đúng dạng chứng minh của sổ cái", "this is not a proof of a ledger"),
        code="proof.malformed",
    )
