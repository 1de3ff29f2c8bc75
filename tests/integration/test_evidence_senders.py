"""Evidence of a document that we sent carries what is known of the certificate that signed it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from sqlalchemy import select

from gateway.evidence import layout
from gateway.evidence.check import Anchors, Verdict
from gateway.store.tables import record
from tests.integration.test_evidence import container, exported, judged, parts, wrong
from tests.integration.test_trust import SO19, SPAN, VPCP, Authority, authority, swept
from tests.support.houses import NOW, PDF, House, Running, metadata, town
from tests.support.pki import Leaf, ec_key
from tests.support.revocation_server import revocation_server
from tests.support.trust_pki import HOUR

ROUTES = [{"axis": "vxp", "everyone": True}]


@dataclass(frozen=True)
class Made:
    """The same document: before anything was known of its signer, and after. `events`: of then."""

    before: bytes
    after: bytes
    again: bytes
    authority: Path
    signers: x509.Certificate
    signer: x509.Certificate
    events: list[str]

    def anchors(self, *signers: x509.Certificate) -> Anchors:
        stamps = x509.load_pem_x509_certificates(self.authority.read_bytes())
        ledger = load_pem_public_key(parts(self.after)[layout.KEY])
        return Anchors({"so19.test": ledger}, tuple(stamps), signers)  # type: ignore[dict-item]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return asyncio.run(_export(tmp_path_factory.mktemp("good"), revoked=False))


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return asyncio.run(_export(tmp_path_factory.mktemp("bad"), revoked=True))


async def _export(folder: Path, *, revoked: bool) -> Made:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(revocation_server())
        place = await stack.enter_async_context(town(folder, stamps=True))
        await place.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
        who = authority(server)
        signer = who.issuing.leaf(SO19, ec_key(603), lists=[f"{server.url}/issuing.crl"], **SPAN)
        who.publish({signer.certificate.serial_number: NOW - 2 * HOUR} if revoked else {})
        changes = {"trust": {"fetch": "on"}}
        house = place.house("so19", ("H14.19",), {"vxp": "sys.h14"}, ROUTES, changes=changes)
        _certify(house, signer, who)
        assert place.tsa is not None
        async with place.open(house, ()) as here:
            return await _story(here, who, signer, place.tsa[1])


def _certify(house: House, signer: Leaf, who: Authority) -> None:
    """The agency's key and certificate come from this authority, which the gateway trusts."""
    (of_agency,) = house.settings().key
    private = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    Path(of_agency.path).write_bytes(private)
    Path(of_agency.certificate).write_bytes(signer.certificate.public_bytes(Encoding.PEM))
    for kind, layer in (("roots", who.root), ("intermediates", who.issuing)):
        into = house.conf.parent / "trust" / kind
        into.mkdir(parents=True)
        (into / "made.pem").write_bytes(layer.pem)


async def _story(here: Running, who: Authority, signer: Leaf, stamps: Path) -> Made:
    answer = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF))
    await _sealed(here)
    before = await exported(here, answer["id"])
    await swept(here)
    await swept(here)
    await _sealed(here)
    after, again = [await exported(here, answer["id"]) for _ in range(2)]
    asked = select(record.c.event).where(record.c.event == "signer.judged")
    events = await here.gateway.store.read(lambda tx: list(tx.scalars(asked)))
    return Made(before, after, again, stamps, who.root.certificate, signer.certificate, [*events])


async def _sealed(here: Running) -> None:
    while await here.gateway.sealing.seal():
        pass
    await here.gateway.stamping.stamp()


def of_signer(found: Verdict) -> list[tuple[str, str]]:
    """What was said of the certificate beside the package."""
    return [(c.result.value, c.detail.en) for c in found.checks if c.what.startswith("signatures/")]


def carried(content: Iterable[str], kind: str) -> set[str]:
    return {n for n in content if n.startswith("trust/") and n.endswith(kind)}


def test_the_data_of_those_days_go_with_the_package(good: Made) -> None:
    more = set(parts(good.after)) - set(parts(good.before))
    assert len(carried(more, ".der")) == 3, "the signer, who issued it, the root"
    assert len(carried(more, ".crl")) == 2
    digest = hashlib.sha256(good.signer.public_bytes(Encoding.DER)).hexdigest()
    assert f"trust/{digest}.der" in more
    assert good.after == good.again
    found = judged(good.after, good.anchors(good.signers))
    assert (found.verdict, wrong(found)) == ("valid", [])
    assert any(r == "ok" and text.endswith(": trusted") for r, text in of_signer(found))


def test_once_a_day_it_is_recorded(good: Made, bad: Made) -> None:
    assert (good.events, bad.events) == (["signer.judged"], ["signer.judged"])


def test_without_data_or_root_nothing_is_claimed_and_the_receiver_judges(good: Made) -> None:
    for evidence, roots in ((good.before, (good.signers,)), (good.after, ())):
        found = judged(evidence, good.anchors(*roots))
        assert found.verdict == "valid"
        assert any("its receiver judges it" in text for _, text in of_signer(found))


def test_what_a_revoked_certificate_signed_convinces_nobody(bad: Made) -> None:
    found = judged(bad.after, bad.anchors(bad.signers))
    assert found.verdict == "invalid"
    assert any(r == "bad" and text.endswith(": revoked") for r, text in of_signer(found))


def test_the_data_about_a_signer_cannot_be_changed(good: Made) -> None:
    content = parts(good.after)
    for name in sorted(carried(content, ".crl") - set(parts(good.before))):
        changed = bytearray(content[name])
        changed[-1] ^= 1
        found = judged(container({**content, name: bytes(changed)}), good.anchors(good.signers))
        assert wrong(found) == [name]
