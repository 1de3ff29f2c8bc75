"""A new key, a new tree: the two entries by which a ledger says that it goes on otherwise.

    edoc-gateway key change v1        the handover: a note of four lines (statement.py), signed by
    <origin>                          the old key, which so vouches for the new one, and by the
    <SHA-256 of the new key's SPKI>   new one, whose holder so takes it
    <when, RFC 3339 UTC>

In: keys, origin, time; or the facts of a record `ledger.key_changed`, and a key that is trusted.
Out: those facts; or the keys that hang together with the trusted one. Fails with `Untrusted`
(`succession.malformed`, `succession.forged`, `note.*`). It never decides from which entry on a key
counts: verify.py does, by where the record stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.c14n import JsonValue
from gateway.errors import Misconfigured, Text, Untrusted
from gateway.ledger.cosignature import cosigned
from gateway.ledger.keys import parse_vkey, spki, vkey
from gateway.ledger.note import sign_note, split_note
from gateway.ledger.statement import make_statement, read_statement

KEY_CHANGED = "ledger.key_changed"
EPOCH_BEGUN = "ledger.epoch_begun"
DOMAIN = "edoc-gateway key change v1"


class Handover(NamedTuple):
    """From one key to the next, both having signed."""

    old: ec.EllipticCurvePublicKey
    new: ec.EllipticCurvePublicKey
    at: datetime


def hand_over(
    origin: str,
    old: ec.EllipticCurvePrivateKey,
    new: ec.EllipticCurvePrivateKey,
    at: datetime,
) -> dict[str, JsonValue]:
    """The facts of a record `ledger.key_changed`."""
    digest = hashlib.sha256(spki(new.public_key())).digest()
    note = make_statement(DOMAIN, origin, digest, at, old)
    line = sign_note(split_note(note)[0], origin, new).rpartition("\n\n")[2].removesuffix("\n")
    return {
        "old": vkey(origin, old),
        "new": vkey(origin, new),
        "note": cosigned(note, (line,)),
    }


def read_handover(facts: Mapping[str, JsonValue], origin: str) -> Handover:
    """What those facts prove: form, both signatures, and that they speak of these keys."""
    try:
        names, pair = zip(*(parse_vkey(str(facts.get(n, ""))) for n in ("old", "new")), strict=True)
    except Misconfigured as error:
        raise _malformed() from error
    old, new = pair
    note = str(facts.get("note", ""))
    said, digest, at = read_statement(note, DOMAIN, old, _malformed)
    taken = read_statement(note, DOMAIN, new, _malformed)
    right = digest == hashlib.sha256(spki(new)).digest() and taken == (said, digest, at)
    if not right or {said, *names} != {origin} or spki(old) == spki(new):
        raise Untrusted(
            Text(
                "Việc đổi khóa nói về khóa khác hay sổ cái khác",
                "the change of key speaks of other keys or of another ledger",
            ),
            code="succession.forged",
        )
    return Handover(old, new, at)


def hang_together(
    trusted: ec.EllipticCurvePublicKey, handovers: Iterable[Handover]
) -> tuple[ec.EllipticCurvePublicKey, ...]:
    """All keys that a chain of handovers connects with the trusted one, which stands first.

    Forward the old key vouches for the new. Backward the new one does: it took over, and signs a
    tree in which the handover stands.
    """
    known, rest = [trusted], list(handovers)
    found = True
    while found:
        found = False
        for one in list(rest):
            if (one.old in known) != (one.new in known):
                known.append(one.new if one.old in known else one.old)
                rest.remove(one)
                found = True
    return tuple(known)


def _malformed() -> Untrusted:
    return Untrusted(
        Text("Không đúng dạng ghi nhận đổi khóa", "this is no change of key"),
        code="succession.malformed",
    )
