"""A note of four lines that vouches for one digest: receipts and reports of reconciliation.

    <what it is, such as "edoc-gateway receipt v1">
    <origin>
    <a digest of 32 bytes, base64>
    <when it was signed, RFC 3339 UTC, six digits>

In: the words, origin, digest, time, key; or a note, and the keys that may have signed it. Out: the
note; or origin, digest and time. Fails with `Untrusted`: `note.*`, or what the caller says of a
note that is no such statement. It never decides what the digest is of.

The ledger's key signs all of them. They cannot be confused with each other nor with a checkpoint:
each first line holds a blank, which no origin may, and is a line of its own.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import Text, Untrusted
from gateway.ledger.keys import key_id
from gateway.ledger.note import decode_base64, sign_note, split_note, verify_note
from gateway.ledger.records import instant_text, parse_instant

Keys = ec.EllipticCurvePublicKey | Sequence[ec.EllipticCurvePublicKey]


def make_statement(
    what: str, origin: str, digest: bytes, at: datetime, key: ec.EllipticCurvePrivateKey
) -> str:
    """The same inputs give the same note (RFC 6979)."""
    encoded = base64.b64encode(digest).decode()
    return sign_note(f"{what}\n{origin}\n{encoded}\n{instant_text(at)}\n", origin, key)


def read_statement(
    note: str, what: str, keys: Keys, malformed: Callable[[], Untrusted]
) -> tuple[str, bytes, datetime]:
    """Origin, digest and time, from a note by one of the keys; `malformed`: what else to say."""
    text, lines = split_note(note)
    fields = text.removesuffix("\n").split("\n")
    if len(fields) != 4 or fields[0] != what:
        raise malformed()
    _, origin, encoded, at = fields
    ids = {blob[:4] for name, blob in lines if name == origin}
    allowed = [keys] if isinstance(keys, ec.EllipticCurvePublicKey) else keys
    key = next((k for k in allowed if key_id(k) in ids), None)
    if key is None:
        raise Untrusted(
            Text("Không do khóa của sổ cái này ký", "it was not signed by this ledger's key"),
            code="note.unsigned",
        )
    verify_note(note, origin, key)
    digest = decode_base64(encoded)
    try:
        when = parse_instant(at)
    except ValueError as error:
        raise malformed() from error
    if len(digest) != 32 or re.search(r"\s", origin):
        raise malformed()
    return origin, digest, when
