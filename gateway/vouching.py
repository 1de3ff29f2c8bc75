"""What is known of those who sign here and of those who stamp, kept for evidence of later years.

In:     the newest stamp and the certificates of our agencies; what the cache of revocation data
        holds of them.
Out:    a record `authority.judged` or `signer.judged`, once a day for each certificate, naming the
        path and the lists and answers behind the word; their bytes in the blob store.
Fails:  as the store does.
Never:  asks anybody (trusting.py does, for what is wanted here); judges a stamp: `ledger.stamp`
        did when it came, `evidence.check` does it again; stops an agency whose word is bad: the
        record and the warning are for people.
Next:   exporting.py, which puts them beside stamps and packages.

A certificate ends, and its authority's lists then forget it. Whoever must show in ten years that
it was good when it signed needs the data of those days (RFC 3161 4; EN 319 102-1 5.6).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import Untrusted
from gateway.ledger.timestamp import read_token
from gateway.model.trust import TrustWord
from gateway.ports import BlobStore
from gateway.scribe import Scribe
from gateway.signing.certificates import parse_certificate
from gateway.signing.chains import fingerprint
from gateway.signing.revocation import Wanted
from gateway.signing.trust import Judged, Relied, judge
from gateway.store import Store, Tx, evidence, leases, ledger, revocations
from gateway.store import blobs as blob_rows
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger

VOUCHER = "voucher"
LOOK_AGAIN = timedelta(minutes=1)
_TURN = timedelta(minutes=5)
_EVENTS = {
    evidence.AUTHORITY: Event.AUTHORITY_JUDGED,
    evidence.SIGNER: Event.SIGNER_JUDGED,
}
_DECIDED = frozenset({TrustWord.TRUSTED, TrustWord.REVOKED, TrustWord.EXPIRED})


class _Asked(NamedTuple):
    """A certificate of today; `others` may stand between it and the roots in `relied`."""

    role: str
    certificate: x509.Certificate
    others: tuple[x509.Certificate, ...]
    relied: Relied


class Vouching:
    """`stampers`: the roots of the timestamp authorities, and a look into the cache; `signers`:
    those above `own`, the certificates with which our agencies sign (DER).
    """

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        scribe: Scribe,
        *,
        stampers: Relied,
        signers: Relied,
        own: Iterable[bytes],
    ) -> None:
        self.store = store
        self.blobs = blobs
        self.scribe = scribe
        self.stampers = stampers
        parsed = (parse_certificate(der) for der in dict.fromkeys(own))
        self._own = [
            _Asked(evidence.SIGNER, one.parsed, (), signers)
            for one in parsed
            if one is not None and signers.anchors.roots
        ]
        self._again: datetime | None = None
        self._asked_about: dict[str, str] = {}  # certificate -> the day's name, asked once

    async def turn(self, *, learnt: bool = False) -> bool:
        """True: there is something to ask. Cheap when nothing is due. `learnt`: an answer came."""
        now = self.scribe.now()
        if self._again is not None and now < self._again and not learnt:
            return False
        stamper = await self._stamper()
        if stamper or not self.stampers.anchors.roots:  # the first stamp of all is not waited for
            self._again = now + LOOK_AGAIN
        asks = [await self._vouch(one, now) for one in (*stamper, *self._own)]
        return any(asks)

    async def _stamper(self) -> list[_Asked]:
        """Who made the newest stamp."""
        if not self.stampers.anchors.roots:
            return []
        token = await self.store.read(_newest_token)
        if token is None:
            return []
        try:
            read = read_token(token)
        except Untrusted:
            return []  # `ledger verify` says so; here there is nothing to keep
        return [_Asked(evidence.AUTHORITY, read.signer, read.certificates, self.stampers)]

    async def _vouch(self, one: _Asked, now: datetime) -> bool:
        """Keeps today's word, once it is known. True: somebody has to be asked for it first."""
        digest = fingerprint(one.certificate)
        name = evidence.judged_name(one.role, digest, now)
        if await self.store.read(partial(evidence.has_record, record_id=name)):
            return False
        judged = await asyncio.to_thread(_judge, one, now)
        if judged.wanted:
            await self.store.write(partial(_want, judged=judged))
        if judged.trust.word not in _DECIDED or not judged.trust.revocation:
            first = self._asked_about.get(digest) != name
            self._asked_about[digest] = name
            return first and bool(judged.wanted)
        for data in judged.kept:
            keep = partial(self.blobs.keep_bytes, data, hashlib.sha256(data).hexdigest())
            await asyncio.to_thread(keep)
        made = self.scribe.record(
            _EVENTS[one.role],
            now,
            {one.role: digest},
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
        if judged.trust.word is not TrustWord.TRUSTED:
            event = _EVENTS[one.role]
            get_logger().warning(
                event, certificate=digest, trust=judged.trust.word, advice=event.advice
            )
        return False


def _judge(one: _Asked, at: datetime) -> Judged:
    return judge(one.certificate, one.others, one.relied.anchors, one.relied.look_up, at)


def _newest_token(tx: Tx) -> bytes | None:
    newest = ledger.newest_checkpoint(tx)
    if newest is None:
        return None
    found = list(ledger.stamps(tx, newest.epoch, ledger.stamped_size(tx, newest.epoch) - 1))
    return found[-1].token if found else None


def _want(tx: Tx, judged: Judged) -> None:
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
