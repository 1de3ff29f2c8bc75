"""Evidence carries what words on certificates rest on: of the signer, of who stamped."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from adapters.tsa import server as tsa_server
from adapters.tsa.authority import LocalAuthority
from gateway.evidence import layout
from gateway.evidence.check import Anchors, Verdict
from gateway.ledger.keys import load_public
from tests.integration.test_evidence import container, exported, judged, parts, relisted, wrong
from tests.integration.test_trust import SO19, SPAN, Authority, arrive, authority, package
from tests.support.houses import NOW, Running, WallClock, town
from tests.support.pki import ec_key
from tests.support.revocation_server import revocation_server
from tests.support.trust_pki import HOUR, Layer, root

STAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])


@dataclass(frozen=True)
class Made:
    """`late`: the same item, after the stamping certificate was listed as revoked."""

    item: bytes
    again: bytes
    ledger: ec.EllipticCurvePrivateKey
    stamps: x509.Certificate
    signers: x509.Certificate
    revoked: bytes

    def anchors(self) -> Anchors:
        ledgers = {"so19.test": self.ledger.public_key()}
        return Anchors(ledgers, (self.stamps,), (self.signers,))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return asyncio.run(_export(tmp_path_factory.mktemp("trusted")))


async def _export(folder: Path) -> Made:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(revocation_server())
        place = await stack.enter_async_context(town(folder, stamps=False))
        await place.axis("vxp", {"sys.h14": (SO19,)})
        who = authority(server)
        del server.lists["/issuing.crl"]  # of the signer an answer speaks, not a list
        top = root("TSA root", 700, **SPAN)
        leaf = top.leaf(
            "TSA", ec_key(701), lists=[f"{server.url}/tsa.crl"], extension=STAMPING, **SPAN
        )
        server.lists["/tsa.crl"] = top.crl(at=NOW - HOUR)
        stamping = LocalAuthority(leaf.key, (leaf.certificate, top.certificate))
        tsa = await stack.enter_async_context(
            tsa_server.serve("127.0.0.1", 0, stamping, WallClock())
        )
        anchor = folder / "tsa.pem"
        anchor.write_bytes(top.pem)
        place.tsa = (tsa.url, anchor)
        house = place.house(
            "so19",
            ("H14.19",),
            {"vxp": "sys.h14"},
            [{"axis": "vxp", "everyone": True}],
            changes={"trust": {"fetch": "on"}},
        )
        for kind, layer in (("roots", who.root), ("intermediates", who.issuing)):
            into = house.conf.parent / "trust" / kind
            into.mkdir(parents=True)
            (into / "made.pem").write_bytes(layer.pem)
        async with place.open(house, ()) as here:
            return await _story(here, who, top, leaf.certificate)


async def _story(here: Running, who: Authority, top: Layer, leaf: x509.Certificate) -> Made:
    await arrive(here, package(who.signer, "12"), "d1")
    await _swept(here)
    await _sealed(here)
    (item,) = await here.inbox(SO19)
    await _swept(here)  # the authority of that stamp is asked about, and the answer kept
    await _sealed(here)
    scribe = here.gateway.outbound.scribe
    revoked = top.crl({leaf.serial_number: NOW - HOUR}, at=NOW - timedelta(minutes=30))
    return Made(
        item=await exported(here, item["id"]),
        again=await exported(here, item["id"]),
        ledger=scribe.key,
        stamps=top.certificate,
        signers=who.root.certificate,
        revoked=revoked,
    )


async def _swept(here: Running) -> None:
    while await here.gateway.inbound.trusting.refresh():
        pass


async def _sealed(here: Running) -> None:
    while await here.gateway.sealing.seal():
        pass
    await here.gateway.stamping.stamp()


def said(found: Verdict, rule: str = "RFC 5280") -> list[tuple[str, str]]:
    return [(c.result.value, c.detail.en) for c in found.checks if c.rule.startswith(rule)]


def trust_parts(content: Mapping[str, bytes], kind: str) -> list[str]:
    return [n for n in content if n.startswith("trust/") and n.endswith(kind)]


def test_the_container_carries_paths_lists_and_answers_and_judges_by_them(made: Made) -> None:
    content = parts(made.item)
    assert len(trust_parts(content, ".der")) == 5, "three of the signer, two of the authority"
    assert len(trust_parts(content, ".crl")) == 2
    assert len(trust_parts(content, ".ocsp")) == 1
    for name in trust_parts(content, ""):
        assert hashlib.sha256(content[name]).hexdigest() in name
    found = judged(made.item, made.anchors())
    assert (found.verdict, wrong(found)) == ("valid", [])
    told = [text for result, text in said(found) if result == "ok"]
    assert any("the signer's certificate at" in text and "trusted" in text for text in told)
    assert "not revoked at the time of the stamp" in told
    assert made.item == made.again


def test_without_the_signers_root_it_cannot_be_decided(made: Made) -> None:
    found = judged(made.item, replace(made.anchors(), signers=()))
    assert found.verdict == "undecided"
    assert any("not among the anchors" in text for result, text in said(found) if result == "open")


def test_each_of_them_changed_removed_or_exchanged_is_found(made: Made) -> None:
    content = parts(made.item)
    names = trust_parts(content, "")
    for name in names:
        changed = bytearray(content[name])
        changed[-1] ^= 1
        assert wrong(judged(container({**content, name: bytes(changed)}), made.anchors())) == [name]
        left = {n: d for n, d in content.items() if n != name}
        assert wrong(judged(container(left), made.anchors())) == [name]
        other = next(n for n in names if n != name)
        forged = relisted({**content, name: content[other]}, made.ledger, "so19.test")
        assert name in wrong(judged(forged, made.anchors())), "even under the ledger's own list"


def test_what_a_record_names_may_not_be_left_out(made: Made) -> None:
    content = parts(made.item)
    answer = trust_parts(content, ".ocsp")[0]
    told = json.loads(content[layout.CASE])
    told["trust"] = [one for one in told["trust"] if one[0] != "ocsp"]
    left = {n: d for n, d in content.items() if n != answer}
    left[layout.CASE] = json.dumps(told).encode()
    forged = relisted(left, made.ledger, "so19.test")
    assert answer in wrong(judged(forged, made.anchors()))


def _with_list(made: Made, data: bytes) -> bytes:
    """The list about the authority exchanged for `data`, and everything made to fit."""
    content = parts(made.item)
    told = json.loads(content[layout.CASE])
    issuer = made.stamps.subject
    old = next(
        n
        for n in trust_parts(content, ".crl")
        if x509.load_der_x509_crl(content[n]).issuer == issuer
    )
    digest = hashlib.sha256(data).hexdigest()
    gone = old.removeprefix("trust/").removesuffix(".crl")
    told["trust"] = [["crl", digest] if one[1] == gone else one for one in told["trust"]]
    fitted = {
        (f"trust/{digest}.crl" if n == old else n): (data if n == old else d)
        for n, d in content.items()
    }
    fitted[layout.CASE] = json.dumps(told).encode()
    assert load_public(content[layout.KEY]) == made.ledger.public_key()
    return relisted(fitted, made.ledger, "so19.test")


def test_an_authority_that_was_revoked_before_the_stamp_convicts(made: Made) -> None:
    found = judged(_with_list(made, made.revoked), made.anchors())
    assert found.verdict == "invalid"
    assert any(w.startswith("stamps/") for w in wrong(found))
    assert any("was revoked on" in text for result, text in said(found) if result == "bad")
