"""A ledger that was hashed anew: `ledger verify` recomputes, evidence carries the proofs."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.audit.rehashed import recomputed
from gateway.c14n import JsonValue
from gateway.errors import Finding, Untrusted
from gateway.evidence import layout, rehashed
from gateway.evidence.check import Anchors, Result
from gateway.ledger.keys import public_pem
from gateway.ledger.rehash import read_rehashed
from gateway.rehashing import Rehashing
from gateway.store import ledger
from gateway.telemetry.events import Event
from tests.integration.test_evidence import exported, judged, parts, relisted
from tests.support.houses import PDF, metadata, town

SO19, SO20 = "000.00.19.H14", "000.00.20.H14"
NAME = "so19.test"


@dataclass(frozen=True)
class Made:
    """`early`, `late`: of documents from before and after the root; `found`: by the audit, first
    of the ledger as it is, then once it stated a root of its own invention.
    """

    early: bytes
    late: bytes
    key: ec.EllipticCurvePrivateKey
    authority: Path
    found: tuple[list[Finding], list[Finding]]

    def anchors(self) -> Anchors:
        roots = x509.load_pem_x509_certificates(self.authority.read_bytes())
        return Anchors({NAME: self.key.public_key()}, tuple(roots))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return asyncio.run(_story(tmp_path_factory.mktemp("rehashed")))


async def _story(folder: Path) -> Made:
    async with town(folder, stamps=True) as place:
        house = place.house("so19", ("H14.19", "H14.20"), {}, [])
        async with place.open(house, ("api",)) as here:
            gateway, scribe = here.gateway, here.gateway.scribe

            async def stamped() -> None:
                while await gateway.sealing.seal():
                    pass
                await gateway.stamping.stamp()

            async def sent(number: str) -> str:
                meta = metadata(SO19, SO20, number=number)
                answer = await here.submit(meta, (f"{number}.pdf", PDF), key=number)
                await stamped()
                return str(answer["id"])

            async def record(facts: dict[str, JsonValue]) -> None:
                one = scribe.record(Event.LEDGER_REHASHED, scribe.now(), {}, facts)
                await gateway.store.write(partial(ledger.append, records=[one]))
                await stamped()

            early = await sent("1")
            rehashing = Rehashing(gateway.store, scribe)
            first = await rehashing.run("sha3-256")
            await stamped()
            await rehashing.run("sha512")
            await stamped()
            late = await sent("2")
            files = [await exported(here, ref) for ref in (early, late)]
            good = await gateway.store.read(lambda tx: list(recomputed(tx)))
            wrong: dict[str, JsonValue] = {
                "algorithm": "sha3-256",
                "epoch": 1,
                "size": first.size,
                "root": first.root.hex(),
                "sha256_root": "00" * 32,
            }
            await record(wrong)
            await record({**wrong, "root": "11" * 32, "size": first.size - 1})
            await record({**wrong, "size": 10_000})
            await record({**wrong, "algorithm": "md5"})
            bad = await gateway.store.read(lambda tx: list(recomputed(tx)))
            assert place.tsa is not None
            authority = folder / "authority.pem"
            authority.write_bytes(place.tsa[1].read_bytes())
            return Made(files[0], files[1], scribe.key, authority, (good, bad))


def test_recorded_roots_are_those_of_the_records(made: Made) -> None:
    good, bad = made.found
    assert good == []
    assert {f.code for f in bad} == {"ledger.rehash_changed"}
    said = sorted(f.text.en for f in bad)
    assert [text.split(" of the first ")[0] for text in said] == [
        "the SHA-256 root",
        "the SHA-256 root",
        "the sha3-256 root",
        "there are no 10000 entries in epoch 1",
        "this is no record of a ledger hashed anew",
    ]
    assert len({f.path for f in bad}) == 4, "each entry is named"


def test_evidence_proves_its_records_under_both(made: Made) -> None:
    found = judged(made.early, made.anchors())
    assert found.verdict == "valid", [c for c in found.checks if c.result != Result.OK]
    told = [c.detail.en for c in found.checks if c.rule.startswith("RFC 4998")]
    assert [text.partition(" records")[2] for text in told] == [
        " are in the sha3-256 tree too",
        " are in the sha512 tree too",
    ]
    assert found.case is not None
    assert all(len(one.proofs) == len(found.case.records) for one in found.case.rehashed)
    late = judged(made.late, made.anchors())
    assert (late.verdict, late.case and late.case.rehashed) == ("valid", ())


def test_each_proof_that_is_changed_or_gone_is_found(made: Made) -> None:
    content = parts(made.early)
    name = next(n for n in content if n.startswith("proofs/rehashed-"))
    lines = content[name].decode().split("\n")
    other = content[next(n for n in reversed(content) if n.startswith("proofs/rehashed-"))]
    told = json.loads(content[layout.CASE])
    less = json.loads(content[layout.CASE])
    gone = less["rehashed"][0][3].pop()
    e, seq = less["rehashed"][0][:2]
    lost = f"proofs/rehashed-{e}-{seq}/{gone[0]}-{gone[1]}.proof"
    for spoiled in (
        {**content, name: "\n".join([*lines[:3], *lines[4:]]).encode()},
        {**content, name: "\n".join([*lines[:3], lines[3][::-1], *lines[4:]]).encode()},
        {**content, name: other},
        {**{n: d for n, d in content.items() if n != lost}, layout.CASE: json.dumps(less).encode()},
        {**content, layout.CASE: json.dumps({**told, "rehashed": 7}).encode()},
    ):
        found = judged(relisted(spoiled, made.key, NAME), made.anchors())
        assert found.verdict == "invalid"


def test_openssl_alone_takes_the_other_function(made: Made, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(made.early)) as file:
        file.extractall(tmp_path / "x")
    key = tmp_path / "ledger.pem"
    key.write_text(public_pem(made.key.public_key()))
    done = subprocess.run(
        ["/bin/sh", "CHECK.txt"],
        cwd=tmp_path / "x",
        env={"PATH": os.environ["PATH"], "LEDGER": str(key), "ANCHORS": str(made.authority)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    records = len(json.loads(parts(made.early)[layout.CASE])["records"])
    for name in ("sha3-256", "sha512"):
        lines = [line for line in done.stdout.splitlines() if line.endswith(name)]
        assert len(lines) == records
        assert all(line.startswith("OK   9 record") for line in lines)


def test_facts_and_proofs_in_another_form_are_refused() -> None:
    facts: dict[str, JsonValue] = {
        "algorithm": "sha384",
        "epoch": 1,
        "size": 3,
        "root": "00" * 48,
        "sha256_root": "00" * 32,
    }
    assert read_rehashed(facts).root == bytes(48)
    changes: list[dict[str, JsonValue]] = [
        {"algorithm": "sha1"},
        {"epoch": "x"},
        {"size": 0},
        {"root": "00" * 32},
        {"root": None},
        {"sha256_root": "zz"},
    ]
    for change in changes:
        with pytest.raises(Untrusted):
            read_rehashed({**facts, **change})
    text = rehashed.proof_text("sha384", 5, (bytes(48), bytes(48)))
    assert rehashed.read_text(text, "sha384", 5) == (bytes(48), bytes(48))
    assert rehashed.read_text(rehashed.proof_text("sha512", 0, ()), "sha512", 0) == ()
    for other in (text + "\n", text[:-1], text.replace("index 5", "index 05"), "", text * 40):
        with pytest.raises(Untrusted):
            rehashed.read_text(other, "sha384", 5)
