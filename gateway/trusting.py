"""What is known of revocations, kept fresh: the corridor behind the word on a certificate.

In:     places that stand in certificates of a trusted path; answers of authorities (by the port
        `RevocationSource`); arrivals whose word was `unknown_revocation`.
Out:    a look into the cache for those who open packages; records `arrival.rejudged`.
Fails:  as the store does. An authority that is silent or wrong is a failure in its row, no more.
Never:  asks anybody while a package is accepted or opened: `refresh` belongs to `workers/sweep`.
        Lets an answer in that its issuer did not sign, or an older one take a younger one's place.
Next:   signing/trust.py judges; store/revocations.py remembers.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from gateway.errors import Unavailable
from gateway.model.package import SignatureVerdict, Trust
from gateway.model.trust import CertificateTrust, TrustWord
from gateway.ports import BlobStore, RevocationSource
from gateway.scribe import Scribe
from gateway.shapes import kept_findings
from gateway.signing.certificates import parse_certificate
from gateway.signing.chains import fingerprint
from gateway.signing.revocation import Evidence, Kind, Wanted, question, usable
from gateway.signing.trust import Anchors, Judged, Relied, judge_der
from gateway.store import Store, Tx, ledger, revocations
from gateway.store.ledger import NewRecord
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.vouching import Vouching, place_of, refer

CHANNEL = "revocation"
AT_ONCE = 4
REJUDGED_AT_ONCE = 50
MOST_CACHED = 64 * 1024 * 1024  # bytes of evidence kept parsed in this process
NOTE_AGAIN = timedelta(days=1)  # how exactly it is known when a place was wanted last
FORGOTTEN_AFTER = timedelta(days=60)
FIRST_PAUSE = timedelta(minutes=1)
SOONEST = timedelta(minutes=5)
# It cannot be used now, and is the issuer's word all the same: it may prove a revocation.
_KEPT_WHY = frozenset({"", "stale", "after_expiry", "not_known"})


@dataclass(frozen=True, slots=True)
class AskPace:
    """`refresh`: between two questions to one place; `deadline`: seconds for one question."""

    refresh: timedelta = timedelta(hours=6)
    deadline: float = 20.0


@dataclass(slots=True)
class _Shelf:
    """Evidence that was parsed and whose signature was checked, by place and fetch; bounded."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    held: OrderedDict[tuple[str, datetime | None], Evidence] = field(default_factory=OrderedDict)
    size: int = 0

    def get(self, key: tuple[str, datetime | None]) -> Evidence | None:
        with self.lock:
            found = self.held.get(key)
            if found is not None:
                self.held.move_to_end(key)
            return found

    def put(self, key: tuple[str, datetime | None], evidence: Evidence) -> None:
        with self.lock:
            if key in self.held:
                return
            self.held[key] = evidence
            self.size += len(evidence.data)
            while self.size > MOST_CACHED and len(self.held) > 1:
                _, gone = self.held.popitem(last=False)
                self.size -= len(gone.data)


class Trusting:
    """`source` None: nobody is asked (`trust.fetch = "off"`); the cache serves what it has."""

    def __init__(
        self,
        *,
        store: Store,
        blobs: BlobStore,
        scribe: Scribe,
        anchors: Anchors,
        source: RevocationSource | None = None,
        pace: AskPace | None = None,
        countersign_weak: bool = False,
        stampers: Anchors | None = None,
        own: Iterable[bytes] = (),
    ) -> None:
        """`own`: certificates (DER) with which our agencies sign."""
        self.store = store
        self.blobs = blobs
        self.scribe = scribe
        self.source = source
        self.pace = pace or AskPace()
        self.countersign_weak = countersign_weak
        self.relied = Relied(anchors, self.look_up)
        self._shelf = _Shelf()
        self.vouching = Vouching(
            store,
            blobs,
            scribe,
            stampers=Relied(stampers or Anchors(), self.look_up),
            signers=self.relied,
            own=own,
        )

    # -- while opening: memory and database, no network --------------------------------------------

    def look_up(self, wanted: Sequence[Wanted]) -> list[tuple[Wanted, Evidence]]:
        """What the cache holds of these places. Blocks: callers open packages in a thread."""
        ids = {place_of(w).id: w for w in wanted}
        held = self.store.read_sync(partial(revocations.held, ids=list(ids)))
        found = []
        for place_id, one in held.items():
            if not one.sha256:
                continue
            key = (place_id, one.fetched_at)
            evidence = self._shelf.get(key)
            if evidence is None:
                data = self.store.read_sync(
                    partial(revocations.data, place=place_id, sha256=one.sha256)
                )
                if data is None:
                    continue  # another answer came this very moment; the next arrival sees it
                evidence = Evidence(ids[place_id].kind, data, one.fetched_at)
                self._shelf.put(key, evidence)
            found.append((ids[place_id], evidence))
        return found

    def note(
        self,
        tx: Tx,
        arrival_id: str,
        *,
        judged: Judged | None,
        certificates: Sequence[bytes],
        received_at: datetime,
    ) -> None:
        """In the commit of an opening: evidence that its record names, where to ask from now on,

        and who waits for an answer. `certificates`: DER of those in the block, in their order.
        """
        if judged is None:
            return
        refer(tx, judged)
        now = tx.now()
        places = [place_of(w) for w in judged.wanted]
        held = revocations.held(tx, [p.id for p in places])
        fresh = {h.id for h in held.values() if now - h.wanted_at < NOTE_AGAIN}
        if len(fresh) < len(places):
            revocations.want(tx, [p for p in places if p.id not in fresh], now)
            tx.notify(CHANNEL)
        trust = judged.trust
        if not judged.wanted or trust.word is not TrustWord.UNKNOWN_REVOCATION:
            return
        signer = next((c for c in certificates if _digest(c) == trust.path[0].sha256), None)
        if signer is not None:
            others = [base64.b64encode(c).decode() for c in certificates if c != signer]
            waits = revocations.Waiting(arrival_id, signer, others, received_at)
            revocations.wait(tx, waits, now)

    def countersigned(
        self, verdict: SignatureVerdict | None, raw_sha256: str, arrival_id: str, at: datetime
    ) -> tuple[dict[str, Any], list[NewRecord]]:
        """For a weak signature: our statement about it, and its record; else ({}, []).

        The record names the package's bytes, what the signature was and what we found; the
        statement is a receipt for it under the ledger's key. So whoever must show later that these
        bytes were here, unchanged since, need not rest on SHA-1.
        """
        if not self.countersign_weak or verdict is None:
            return {}, []
        if Trust.WEAK not in (verdict.value, verdict.header, verdict.files):
            return {}, []
        made = self.scribe.record(
            Event.ARRIVAL_COUNTERSIGNED,
            at,
            {"arrival": arrival_id},
            {
                "raw_blob": raw_sha256,
                "profile": verdict.profile,
                "algorithm": verdict.algorithm[:200],
                "value": verdict.value.value,
                "header": verdict.header.value,
                "files": verdict.files.value,
                "key": verdict.certificate.get("key", ""),
                "certificate_sha256": verdict.certificate.get("sha256", ""),
                "certificate": verdict.trust.for_record() if verdict.trust else {},
            },
            arrival_id=arrival_id,
        )
        return {"countersigned": self.scribe.receipt(made).decode()}, [made]

    # -- in the sweep: asking, and judging again ---------------------------------------------------

    async def refresh(self) -> bool:
        """One round. True: there may be more to do at once."""
        asked, learnt = 0, False
        if self.source is not None:
            claims = await self.store.write(self._claim)
            asked = len(claims)
            news = await asyncio.gather(*(self._ask(self.source, due) for due in claims))
            learnt = any(news)
            if learnt:
                await self.store.write(lambda tx: revocations.wake(tx, tx.now()))
        more = await self.vouching.turn(learnt=learnt)
        judged = await self.rejudge()
        return more or asked == AT_ONCE or judged == REJUDGED_AT_ONCE

    def _claim(self, tx: Tx) -> list[revocations.Due]:
        now = tx.now()
        revocations.forget(tx, now - FORGOTTEN_AFTER)
        until = now + timedelta(seconds=self.pace.deadline) + FIRST_PAUSE
        return revocations.claim(tx, most=AT_ONCE, now=now, until=until)

    async def _ask(self, source: RevocationSource, due: revocations.Due) -> bool:
        """True: something new was learnt."""
        certificate, issuer = parse_certificate(due.certificate), parse_certificate(due.issuer)
        if certificate is None or issuer is None:
            await self._failed(due, "revocation.row")
            return False
        kind = Kind(due.kind)
        place = Wanted(kind, due.url, "", certificate.parsed, issuer.parsed)
        asked = question(certificate.parsed, issuer.parsed) if kind is Kind.OCSP else None
        try:
            data = await source.ask(due.url, asked, self.pace.deadline)
        except Unavailable as problem:
            await self._failed(due, problem.code)
            return False
        at = self.scribe.now()
        evidence = Evidence(kind, data, at)
        policy = self.relied.anchors.policy
        fact = await asyncio.to_thread(usable, place, evidence, now=at, policy=policy)
        if fact.this_update is None or fact.why not in _KEPT_WHY:
            await self._failed(due, f"revocation.{fact.why}")
            return False
        if due.this_update is not None and fact.this_update < due.this_update:
            await self._failed(due, "revocation.older")
            return False
        answer = revocations.Answer(data, evidence.sha256, fact.this_update, fact.next_update)
        ahead = self.pace.refresh
        if fact.next_update is not None:
            ahead = min(ahead, max(fact.next_update - at, SOONEST))

        def commit(tx: Tx) -> None:
            revocations.answered(tx, due.id, answer, at=at, again=tx.now() + ahead)

        await self.store.write(commit)
        return True

    async def _failed(self, due: revocations.Due, code: str) -> None:
        host = urlsplit(due.url).hostname or ""
        log = get_logger()
        log.warning(Event.REVOCATION_FAILED, code=code, host=host, failures=due.failures + 1)
        pause = min(self.pace.refresh, FIRST_PAUSE * 2 ** min(due.failures, 16))

        def commit(tx: Tx) -> None:
            revocations.failed(tx, due.id, code=code, again=tx.now() + pause)

        await self.store.write(commit)

    async def rejudge(self) -> int:
        """Arrivals whose revocation was unknown, judged again at the instant of their receiving."""

        def due(tx: Tx) -> list[revocations.Waiting]:
            return revocations.waiting(tx, most=REJUDGED_AT_ONCE, now=tx.now())

        waiting = await self.store.read(due)
        for one in waiting:
            others = [base64.b64decode(text) for text in one.others]
            judged = await asyncio.to_thread(
                judge_der, one.certificate, others, self.relied, one.received_at
            )
            if judged is None or judged.trust.word is TrustWord.UNKNOWN_REVOCATION:
                await self.store.write(partial(self._later, waiting=one))
            else:
                at = self.scribe.now()
                await asyncio.to_thread(self._keep, judged)
                enter = partial(self._rejudged, waiting=one, judged=judged, at=at)
                await self.store.write(enter)
        return len(waiting)

    def _later(self, tx: Tx, waiting: revocations.Waiting) -> None:
        now = tx.now()
        if now - waiting.received_at > FORGOTTEN_AFTER:
            revocations.done(tx, waiting.arrival_id)  # the word stays what it was
        else:
            revocations.later(tx, waiting.arrival_id, now + self.pace.refresh)

    def _keep(self, judged: Judged) -> None:
        for data in judged.kept:
            self.blobs.keep_bytes(data, hashlib.sha256(data).hexdigest())

    def _rejudged(self, tx: Tx, waiting: revocations.Waiting, judged: Judged, at: datetime) -> None:
        """The rows that show a verdict, and the record of its change: one commit."""
        trust = judged.trust
        kept = revocations.findings_of(tx, waiting.arrival_id)
        if kept is None or not revocations.done(tx, waiting.arrival_id):
            return
        verdict, findings, raw_sha256 = kept
        told = kept_findings(trust.findings)
        new = _with_trust(verdict, trust)
        revocations.rejudge(tx, waiting.arrival_id, new, _instead(findings, told))
        for item_id, content in revocations.items_of(tx, waiting.arrival_id):
            changed = {
                **content,
                "signature": _with_trust(content.get("signature", {}), trust),
                "findings": _instead(content.get("findings", ()), told),
            }
            revocations.rejudge_item(tx, item_id, changed)
        made = self.scribe.record(
            Event.ARRIVAL_REJUDGED,
            at,
            {"arrival": waiting.arrival_id},
            {"raw_blob": raw_sha256, "certificate": trust.for_record()},
            arrival_id=waiting.arrival_id,
        )
        refer(tx, judged)
        ledger.append(tx, [made])
        tx.notify("inbox")


def _digest(der: bytes) -> str:
    found = parse_certificate(der)
    return "" if found is None else fingerprint(found.parsed)


def _with_trust(verdict: Mapping[str, Any], trust: CertificateTrust) -> dict[str, Any]:
    return {**verdict, "certificate": {**verdict.get("certificate", {}), **trust.as_json()}}


def _instead(
    findings: Sequence[Mapping[str, Any]], told: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The findings with those about the certificate replaced."""
    return [*(f for f in findings if not f["code"].startswith("certificate.")), *told]
