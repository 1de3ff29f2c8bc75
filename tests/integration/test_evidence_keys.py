"""Evidence across changes of the ledger's key and into a new tree: any key of the chain will do."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.cli.evidence import evidence as commands
from gateway.evidence import layout
from gateway.evidence.check import Anchors, Result, Verdict
from gateway.ledger.keys import public_pem, vkey
from gateway.refreshing import Refreshing
from gateway.renewing import Renewing
from gateway.wiring.process import authorities
from tests.integration.test_evidence import container, judged, parts, relisted, wrong
from tests.support.houses import PDF, Running, metadata, town

SO19, SO20 = "000.00.19.H14", "000.00.20.H14"
NAME = "so19.test"
KEYS = tuple(ec.derive_private_key(40 + n, ec.SECP256R1()) for n in range(3))
STRANGER = ec.derive_private_key(50, ec.SECP256R1())


@dataclass(frozen=True)
class Made:
    """`early`: exported before any change of key, `renewed` after two; `files`: after all three,
    of a document from before them, from between them, and from the new tree.
    """

    early: bytes
    renewed: bytes
    files: tuple[bytes, ...]
    keys: tuple[ec.EllipticCurvePrivateKey, ...]
    authority: Path

    def anchors(self, *keys: ec.EllipticCurvePrivateKey) -> Anchors:
        roots = x509.load_pem_x509_certificates(self.authority.read_bytes())
        return Anchors({NAME: tuple(k.public_key() for k in keys)}, tuple(roots))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return asyncio.run(_story(tmp_path_factory.mktemp("keys")))


async def _story(folder: Path) -> Made:
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(town(folder, stamps=True))
        house = place.house("so19", ("H14.19", "H14.20"), {}, [])
        here = await stack.enter_async_context(place.open(house, ("api",)))
        gateway, scribe = here.gateway, here.gateway.scribe
        first = scribe.key
        renewing = Renewing(gateway.store, scribe)
        assert gateway.desk.exporting is not None

        async def sent(number: str) -> str:
            meta = metadata(SO19, SO20, number=number)
            answer = await here.submit(meta, (f"{number}.pdf", PDF), key=number)
            await stamped(here)
            return str(answer["id"])

        async def changed(key: ec.EllipticCurvePrivateKey) -> None:
            await renewing.change_key(key)
            scribe.key = key
            await stamped(here)

        async def exported(ref: str) -> bytes:
            exporting = replace(gateway.desk.exporting, key=scribe.key)
            with await exporting.export(ref) as file:
                return file.read()

        documents = [await sent("1")]
        early = await exported(documents[0])
        await changed(KEYS[0])
        documents.append(await sent("2"))
        await changed(KEYS[1])
        await sent("3")
        asked = authorities(house.settings())
        for one in asked:
            stack.push_async_callback(one.close)
        out = io.BytesIO()
        exporting = replace(gateway.desk.exporting, key=scribe.key)
        await Refreshing(exporting, asked, 5.0).refresh(io.BytesIO(early), out)
        await renewing.begin_epoch([])
        await stamped(here)
        await changed(KEYS[2])
        documents.append(await sent("4"))
        assert place.tsa is not None
        authority = folder / "authority.pem"
        authority.write_bytes(place.tsa[1].read_bytes())
        return Made(
            early=early,
            renewed=out.getvalue(),
            files=tuple([await exported(ref) for ref in documents]),
            keys=(first, *KEYS),
            authority=authority,
        )


async def stamped(here: Running) -> None:
    while await here.gateway.sealing.seal():
        pass
    await here.gateway.stamping.stamp()


def said(found: Verdict) -> list[str]:
    return [check.detail.en for check in found.checks if check.result is Result.BAD]


def test_any_key_of_the_chain_is_enough(made: Made) -> None:
    for file in made.files:
        for key in made.keys:
            found = judged(file, made.anchors(key))
            assert found.verdict == "valid", [c for c in found.checks if c.result != Result.OK]
            assert "3 changes of key follow" in " ".join(c.detail.en for c in found.checks)
        assert judged(file, made.anchors()).verdict == "undecided"
        assert judged(file, made.anchors(STRANGER, made.keys[1])).verdict == "valid"


def test_a_key_that_no_change_of_key_leads_to_is_said(made: Made) -> None:
    for file in (*made.files, made.early, made.renewed):
        found = judged(file, made.anchors(STRANGER))
        assert (found.verdict, wrong(found)) == ("invalid", ["ledger"])
        assert "no change of key in the file leads from one to the other" in said(found)[0]


def test_a_container_from_before_is_renewed_with_the_changes_since(made: Made) -> None:
    old, new = parts(made.early), parts(made.renewed)
    assert all(new[name] == data for name, data in old.items())
    assert judged(made.early, made.anchors(made.keys[0])).verdict == "valid"
    assert judged(made.early, made.anchors(made.keys[1])).verdict == "invalid"
    for key in made.keys[:3]:
        found = judged(made.renewed, made.anchors(key))
        assert found.verdict == "valid", said(found)
    gone = {n: d for n, d in new.items() if n not in old and n.startswith("records/")}
    assert len(gone) == 2
    for name in gone:
        left = {n: d for n, d in new.items() if n != name}
        assert judged(container(left), made.anchors(made.keys[0])).verdict == "invalid"


def without(content: dict[str, bytes], *numbers: int) -> dict[str, bytes]:
    """The container without some of its changes of key, and nothing of it says so."""
    told = json.loads(content[layout.CASE])
    gone = [told["handovers"][number] for number in numbers]
    told["handovers"] = [one for one in told["handovers"] if one not in gone]
    names = {f"records/{e}-{seq}.json" for e, seq, _ in gone}
    names |= {f"proofs/{e}-{seq}.proof" for e, seq, _ in gone}
    left = {n: d for n, d in content.items() if n not in names}
    return {**left, layout.CASE: json.dumps(told).encode()}


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ((0,), "no change of key in the file leads from one to the other"),
        ((1,), "a change of key is missing between entries "),
        ((2,), "a change of key is missing before the key that signed the list"),
        ((0, 1, 2), "no change of key in the file leads from one to the other"),
    ],
)
def test_a_link_that_is_missing_is_named(made: Made, gone: tuple[int, ...], says: str) -> None:
    """Even the ledger's own newest key leaves it out."""
    file = relisted(without(parts(made.files[0]), *gone), made.keys[-1], NAME)
    found = judged(file, made.anchors(made.keys[0]))
    assert found.verdict == "invalid"
    assert any(says in text for text in said(found)), said(found)


def test_a_link_that_was_changed_or_exchanged_is_named(made: Made) -> None:
    content = parts(made.files[1])
    first, second = (
        f"records/{e}-{seq}.json" for e, seq, _ in json.loads(content[layout.CASE])["handovers"][:2]
    )
    for name, data in (
        (first, content[first].replace(b'"note":"edoc', b'"note":"edok')),
        (first, content[second]),
        (first, content[next(n for n in content if n.startswith("records/") and n > second)]),
    ):
        file = relisted({**content, name: data}, made.keys[-1], NAME)
        found = judged(file, made.anchors(made.keys[0]))
        assert found.verdict == "invalid"
        assert any("is no change of key in the tree" in text for text in said(found)), said(found)


def test_a_retired_key_signs_nothing_more(made: Made) -> None:
    """Whoever kept it makes a list of his own: it is not the key that the chain ends with."""
    old = made.keys[1]
    content = parts(relisted(parts(made.files[1]), old, NAME))
    content[layout.VKEY] = vkey(NAME, old).encode() + b"\n"
    content[layout.KEY] = public_pem(old.public_key()).encode()
    found = judged(relisted(content, old, NAME), made.anchors(made.keys[0]))
    assert found.verdict == "invalid"
    assert any("before the key that signed the list" in text for text in said(found))


@pytest.fixture
def by_hand(made: Made, tmp_path: Path) -> Callable[[bytes, ec.EllipticCurvePrivateKey], str]:
    def run(data: bytes, key: ec.EllipticCurvePrivateKey) -> str:
        folder = tmp_path / hashlib.sha256(data).hexdigest()
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            file.extractall(folder)
        pem = tmp_path / "ledger.pem"
        pem.write_text(public_pem(key.public_key()))
        done = subprocess.run(
            ["/bin/sh", "CHECK.txt"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "LEDGER": str(pem), "ANCHORS": str(made.authority)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == ("SAI" in done.stdout)
        assert done.returncode or done.stderr == ""
        return done.stdout

    return run


def test_openssl_alone_follows_the_keys(
    made: Made, by_hand: Callable[[bytes, ec.EllipticCurvePrivateKey], str]
) -> None:
    for file, key in ((made.files[0], made.keys[0]), (made.files[2], made.keys[2])):
        out = by_hand(file, key)
        assert "SAI" not in out, out
        assert out.count("0 key ") == 3
    assert "SAI  0 your key" in by_hand(made.files[0], STRANGER)
    content = parts(made.files[0])
    name = next(n for n in content if n.startswith("records/") and b"key_changed" in content[n])
    wrong_note = content[name].replace(b"key change v1", b"key change v2")
    out = by_hand(container({**content, name: wrong_note}), made.keys[0])
    assert "SAI  0 key " in out


def test_the_folder_of_anchors_may_hold_several_keys_of_one_ledger(
    made: Made, tmp_path: Path
) -> None:
    file, anchors = tmp_path / "1.asice", tmp_path / "anchors"
    file.write_bytes(made.files[0])
    anchors.mkdir()
    (anchors / "tsa.pem").write_bytes(made.authority.read_bytes())
    asked = ["verify", str(file), "--anchors", str(anchors), "--lang", "en"]
    (anchors / "z.vkey").write_text(vkey(NAME, STRANGER))
    assert CliRunner().invoke(commands, asked).exit_code == 1
    (anchors / "a.vkey").write_text(vkey(NAME, made.keys[0]))
    assert CliRunner().invoke(commands, asked).exit_code == 0
