"""What is known of the authorities that stamp: kept while they answer, for evidence of later years.

In:     the newest stamp; what the cache of revocation data holds of its authority.
Out:    a record `authority.judged`, once a day for each certificate that stamps, naming the path
        and the lists and answers behind the word; their bytes in the blob store.
Fails:  as the store does.
Never:  asks anybody (trusting.py does, for what is wanted here); judges a stamp: `ledger.stamp`
        did when it came, `evidence.check` does it again.
Next:   exporting.py, which puts them beside the stamps.

An authority's certificate ends, and its lists then forget it. Whoever must show in ten years that
it was good when it stamped needs the data of those days (RFC 3161 4; EN 319 102-1 5.6).
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime, timedelta
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import Untrusted
from gateway.ledger.timestamp import read_token
from gateway.model.trust import TrustWord
from gateway.ports import BlobStore
from gateway.scribe import Scribe
from gateway.signing.chains import fingerprint
from gateway.signing.revocation import Wanted
from gateway.signing.trust import Judged, Relied, judge
from gateway.store import Store, Tx, evidence, leases, ledger, revocations
from gateway.store import blobs as blob_rows
from gateway.telemetry.events import Event

VOUCHER = "voucher"
LOOK_AGAIN = timedelta(minutes=1)
_TURN = timedelta(minutes=5)
_DECIDED = frozenset({TrustWord.TRUSTED, TrustWord.REVOKED, TrustWord.EXPIRED})


class Vouching:
    """`relied`: the roots of the timestamp authorities, and a look into the cache."""

    def __init__(self, store: Store, blobs: BlobStore, scribe: Scribe, relied: Relied) -> None:
        self.store = store
        self.blobs = blobs
        self.scribe = scribe
        self.relied = relied
        self._again: datetime | None = None
        self._asked_about = ""

    async def turn(self, *, learnt: bool = False) -> bool:
        """True: there is something to ask. Cheap when nothing is due. `learnt`: an answer came."""
        now = self.scribe.now()
        waits = self._again is not None and now < self._again
        if not self.relied.anchors.roots or (waits and not learnt):
            return False
        token = await self.store.read(_newest_token)
        if token is None:
            return False
        self._again = now + LOOK_AGAIN
        try:
            read = read_token(token)
        except Untrusted:
            return False  # `ledger verify` says so; here there is nothing to keep
        signer = read.signer
        name = evidence.authority_name(fingerprint(signer), now)
        if await self.store.read(partial(evidence.has_record, record_id=name)):
            return False
        judged = await asyncio.to_thread(self._judge, signer, read.certificates, now)
        await self.store.write(partial(_want, judged=judged))
        if judged.trust.word not in _DECIDED or not judged.trust.revocation:
            first, self._asked_about = self._asked_about != name, name
            return first and bool(judged.wanted)
        for data in judged.kept:
            keep = partial(self.blobs.keep_bytes, data, hashlib.sha256(data).hexdigest())
            await asyncio.to_thread(keep)
        made = self.scribe.record(
            Event.AUTHORITY_JUDGED,
            now,
            {"authority": fingerprint(signer)},
            {"certificate": judged.trust.for_record()},
            record_id=name,
        )
        owner = self.scribe.entropy.new_id()

        def commit(tx: Tx) -> None:
            at = tx.now()
            if leases.take(tx, VOUCHER, owner, now=at, until=at + _TURN) is None:
                return
            if not evidence.has_record(tx, name):
                refer(tx, judged)
                ledger.append(tx, [made])
            leases.give_back(tx, VOUCHER, owner)

        await self.store.write(commit)
        return False

    def _judge(
        self, signer: x509.Certificate, others: tuple[x509.Certificate, ...], at: datetime
    ) -> Judged:
        return judge(signer, others, self.relied.anchors, self.relied.look_up, at)


def _newest_token(tx: Tx) -> bytes | None:
    newest = ledger.newest_checkpoint(tx)
    if newest is None:
        return None
    found = list(ledger.stamps(tx, newest.epoch, ledger.stamped_size(tx, newest.epoch) - 1))
    return found[-1].token if found else None


def _want(tx: Tx, judged: Judged) -> None:
    if judged.wanted:
        revocations.want(tx, [place_of(w) for w in judged.wanted], tx.now())


def refer(tx: Tx, judged: Judged) -> None:
    """The record of this commit rests on these bytes."""
    kept = [(hashlib.sha256(data).hexdigest(), len(data)) for data in judged.kept]
    blob_rows.refer(tx, kept)


def place_of(wanted: Wanted) -> revocations.Place:
    """A list is its issuer's, whoever's certificate named it; an answer is about one certificate.

    So no authority can make the list of another one be judged, and dropped, as its own.
    """
    about = wanted.about or fingerprint(wanted.issuer)
    return revocations.Place(
        wanted.kind.value,
        wanted.url,
        about,
        wanted.certificate.public_bytes(Encoding.DER),
        wanted.issuer.public_bytes(Encoding.DER),
    )
