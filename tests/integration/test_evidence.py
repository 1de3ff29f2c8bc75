"""Evidence of one document, from two whole gateways to somebody who has nothing but anchors."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.cli.evidence import evidence as commands
from gateway.evidence import cades, layout, manifest, zipped
from gateway.evidence.check import Anchors, Result, Verdict, verify
from gateway.ledger.keys import load_public, public_pem
from tests.support.houses import PDF, Running, metadata, town

SO19, VPCP = "000.00.19.H14", "000.00.00.G22"
ROUTES = [{"axis": "vxp", "everyone": True}]
OTHER_KEY = ec.derive_private_key(7, ec.SECP256R1())


@dataclass(frozen=True)
class Exported:
    """`sent`, `received`: of one document, by either gateway; `other`: another document's."""

    sent: bytes
    received: bytes
    other: bytes
    again: bytes
    ledgers: Mapping[str, ec.EllipticCurvePublicKey]
    authority: Path
    keys: Mapping[str, ec.EllipticCurvePrivateKey]

    def anchors(self) -> Anchors:
        roots = x509.load_pem_x509_certificates(self.authority.read_bytes())
        return Anchors(dict(self.ledgers), tuple(roots))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return asyncio.run(_export(tmp_path_factory.mktemp("evidence")))


async def _export(folder: Path) -> Exported:
    async with town(folder, stamps=True) as place:
        await place.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
        ours = place.house("so19", ("H14.19",), {"vxp": "sys.h14"}, ROUTES)
        theirs = place.house("vpcp", ("G22",), {"vxp": "sys.g22"}, ROUTES)
        async with place.open(ours) as here, place.open(theirs) as there:
            answer = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF))
            (item,) = await there.inbox(VPCP)
            await there.gateway.desk.confirm(await there.account(VPCP), item["id"])
            await here.until(SO19, answer["id"], arrived)
            other = await here.submit(metadata(SO19, VPCP, number="13"), ("13.pdf", PDF))
            await here.stamped(SO19, answer["id"])
            await here.stamped(SO19, other["id"])
            await stamped_item(there, item["id"])
            assert place.tsa is not None
            authority = folder / "authority.pem"
            shutil.copyfile(place.tsa[1], authority)
            keys = {
                side.gateway.outbound.scribe.origin: side.gateway.outbound.scribe.key
                for side in (here, there)
            }
            return Exported(
                sent=await exported(here, answer["id"]),
                received=await exported(there, item["id"]),
                other=await exported(here, other["id"]),
                again=await exported(here, answer["id"]),
                ledgers={name: key.public_key() for name, key in keys.items()},
                authority=authority,
                keys=keys,
            )


def arrived(shown: Mapping[str, object]) -> bool:
    return '"status_code": "01"' in json.dumps(shown)


async def stamped_item(side: Running, item_id: str) -> None:
    """Until the evidence of an item speaks of no record without a stamp."""
    listener = side.gateway.store.listener("test")
    exporting = side.gateway.desk.exporting
    async with asyncio.timeout(30):
        while True:
            case = await side.gateway.store.read(lambda tx: exporting.case(tx, item_id))
            if all(told.not_after for told in case.told):
                return
            await listener.wait(0.05)


async def exported(side: Running, ref: str) -> bytes:
    with await side.gateway.desk.exporting.export(ref) as made:
        return made.read()


def judged(data: bytes, anchors: Anchors) -> Verdict:
    return verify(io.BytesIO(data), anchors)


def wrong(found: Verdict) -> list[str]:
    return [check.what for check in found.checks if check.result is Result.BAD]


def parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {i.filename: file.read(i) for i in file.infolist() if i.filename != "mimetype"}


def container(content: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    zipped.write((zipped.Part(name, [data]) for name, data in content.items()), out)
    return out.getvalue()


def relisted(content: Mapping[str, bytes], key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """With a new list over the content as it is now, signed by `key`."""
    kept = {n: d for n, d in content.items() if not n.startswith("META-INF/")}
    listing = manifest.write(
        [manifest.Listed(n, layout.media(n), hashlib.sha256(d).digest()) for n, d in kept.items()]
    )
    at = cades.verify(
        content[manifest.SIGNATURE], content[manifest.MANIFEST], load_public(content[layout.KEY])
    )
    signature = cades.sign(listing, name, key, at)
    return container({**kept, manifest.MANIFEST: listing, manifest.SIGNATURE: signature})


def test_both_ends_prove_the_document_to_a_stranger(made: Exported) -> None:
    for data in (made.sent, made.received, made.other):
        found = judged(data, made.anchors())
        assert (found.verdict, wrong(found)) == ("valid", [])
    assert made.again == made.sent, "the same ledger gives the same bytes"
    shown = judged(made.sent, made.anchors()).as_json("vi")
    assert shown["document"]["from"] == SO19
    assert shown["instants"]["accepted_at"]["source"] == "observed"
    assert shown["instants"][f"entered_at {VPCP}"]["source"] == "reported"
    received = judged(made.received, made.anchors()).as_json("en")["instants"]
    assert received[f"entered_at {VPCP}"]["source"] == "observed"


def test_without_anchors_nothing_is_decided_and_nothing_is_wrong(made: Exported) -> None:
    found = judged(made.sent, Anchors())
    assert (found.verdict, wrong(found)) == ("undecided", [])
    ours = replace(made.anchors(), authorities=())
    assert judged(made.sent, ours).verdict == "undecided"
    assert judged(made.sent, replace(made.anchors(), ledgers={})).verdict == "undecided"


def test_another_ledgers_key_convicts(made: Exported) -> None:
    strangers = {"so19.test": OTHER_KEY.public_key()}
    found = judged(made.sent, replace(made.anchors(), ledgers=strangers))
    assert (found.verdict, wrong(found)) == ("invalid", ["ledger"])


def test_every_part_that_changes_is_named(made: Exported) -> None:
    content = parts(made.sent)
    for name, data in content.items():
        for place in sorted({0, len(data) // 2, len(data) - 1}):
            changed = bytearray(data)
            changed[place] ^= 1
            found = judged(container({**content, name: bytes(changed)}), made.anchors())
            assert found.verdict == "invalid", (name, place)
            if not name.startswith("META-INF/"):
                assert wrong(found) == [name]


def test_that_a_signers_certificate_is_left_to_the_receiver_is_said(made: Exported) -> None:
    found = judged(made.sent, made.anchors())
    told = [c.what for c in found.checks if "its receiver judges it" in c.detail.en]
    assert told == [name for name in parts(made.sent) if name.endswith("certificate.der")]
    assert told


def test_every_part_that_is_missing_added_or_moved_is_found(made: Exported) -> None:
    content = parts(made.sent)
    for name in content:
        left = {n: d for n, d in content.items() if n != name}
        assert judged(container(left), made.anchors()).verdict == "invalid", name
    more = {"records/9-9.json": b"{}", **content}
    assert wrong(judged(container(more), made.anchors())) == ["records/9-9.json"]
    turned = dict(reversed(content.items()))
    assert wrong(judged(container(turned), made.anchors())) == ["container"]


def test_parts_of_another_document_are_found_even_under_a_list_of_their_own(
    made: Exported,
) -> None:
    """Somebody with another key makes the list fit; or the ledger's own key does, by mistake."""
    content, others = parts(made.sent), parts(made.other)
    for key in (OTHER_KEY, made.keys["so19.test"]):
        for name, data in content.items():
            if name in others and others[name] != data and not name.startswith("META-INF/"):
                forged = relisted({**content, name: others[name]}, key, "so19.test")
                assert judged(forged, made.anchors()).verdict == "invalid", name
        package = next(n for n in content if n.startswith("packages/"))
        theirs = next(n for n in others if n.startswith("packages/"))
        forged = relisted({**content, package: others[theirs]}, key, "so19.test")
        assert package in wrong(judged(forged, made.anchors())) or key is OTHER_KEY


def test_a_record_may_not_be_left_out_by_somebody_without_the_key(made: Exported) -> None:
    content = parts(made.sent)
    told = json.loads(content[layout.CASE])
    last = told["records"].pop()
    left = {
        n: d
        for n, d in content.items()
        if n not in (f"records/{last[0]}-{last[1]}.json", f"proofs/{last[0]}-{last[1]}.proof")
    }
    left[layout.CASE] = json.dumps(told).encode()
    forged = relisted(left, OTHER_KEY, "so19.test")
    assert manifest.SIGNATURE in wrong(judged(forged, made.anchors()))


def test_what_is_no_container_is_not_valid_and_does_no_harm(made: Exported) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mimetype", zipped.MEDIA_TYPE)
        file.writestr("x.txt", b"0" * 10_000_000)
    for rubbish in (b"", b"PK", b"%PDF-1.7", made.sent[: len(made.sent) // 2], packed.getvalue()):
        found = judged(rubbish, made.anchors())
        assert (found.verdict, wrong(found)) == ("invalid", ["container"])


@pytest.fixture
def unpacked(made: Exported, tmp_path: Path) -> Callable[[bytes], Path]:
    def unpack(data: bytes) -> Path:
        folder = tmp_path / "unpacked"
        shutil.rmtree(folder, ignore_errors=True)
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            file.extractall(folder)
        return folder

    return unpack


def by_hand(made: Exported, folder: Path, ledger: str) -> subprocess.CompletedProcess[str]:
    key = folder.parent / "ledger.pem"
    key.write_text(public_pem(made.ledgers[ledger]))
    return subprocess.run(
        ["/bin/sh", "CHECK.txt"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LEDGER": str(key), "ANCHORS": str(made.authority)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_openssl_and_sha256sum_alone_come_to_the_same(
    made: Exported, unpacked: Callable[[bytes], Path]
) -> None:
    for data, ledger in ((made.sent, "so19.test"), (made.received, "vpcp.test")):
        done = by_hand(made, unpacked(data), ledger)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert all(line.startswith("OK ") for line in lines)
        told = json.loads(parts(data)[layout.CASE])
        assert sum("5 record" in line for line in lines) == len(told["records"])
        assert any("8 file" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("records/", "5 record"),
        ("checkpoints/", "3 checkpoint"),
        ("stamps/", "4 stamp"),
        ("packages/", "7 package"),
        ("value.bin", "8 signature"),
        ("files/", "8 file"),
        (manifest.MANIFEST, "2 list"),
    ],
)
def test_by_hand_too_each_change_shows(
    made: Exported, unpacked: Callable[[bytes], Path], name: str, says: str
) -> None:
    folder = unpacked(made.sent)
    path = next(p for p in sorted(folder.rglob("*")) if p.is_file() and name in f"{p}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    done = by_hand(made, folder, "so19.test")
    assert done.returncode == 1
    assert any(line.startswith("SAI") and says in line for line in done.stdout.splitlines())


def test_the_command_says_it_by_its_exit_code(made: Exported, tmp_path: Path) -> None:
    file = tmp_path / "12.asice"
    file.write_bytes(made.sent)
    anchors = tmp_path / "anchors"
    anchors.mkdir()

    def run(*more: str) -> tuple[int, str]:
        done = CliRunner().invoke(commands, ["verify", str(file), *more, "--lang", "en"])
        return done.exit_code, done.output

    assert run()[0] == 2
    assert run("--anchors", str(anchors))[0] == 2
    shutil.copyfile(made.authority, anchors / "tsa.pem")
    content = parts(made.sent)
    (anchors / "so19.vkey").write_bytes(content[layout.VKEY])
    code, said = run("--anchors", str(anchors), "--json")
    assert (code, json.loads(said)["verdict"]) == (0, "valid")
    file.write_bytes(container({**content, layout.MINUTES: b"nothing happened\n"}))
    code, said = run("--anchors", str(anchors))
    assert code == 1
    assert "NOT valid" in said
    assert f"WRONG    {layout.MINUTES}" in said


def test_verifying_takes_neither_network_nor_database(made: Exported, tmp_path: Path) -> None:
    """In a process of its own, where a socket or a database driver is an error."""
    file = tmp_path / "12.asice"
    file.write_bytes(made.sent)
    script = (
        "import sys, socket\n"
        "def no(*a, **k): raise SystemExit(9)\n"
        "socket.socket.connect = no; socket.getaddrinfo = no\n"
        "from gateway.cli import cli\n"
        f"code = cli.main(['evidence', 'verify', {str(file)!r}], standalone_mode=False)\n"
        "no = {'sqlalchemy', 'aiohttp', 'zeep', 'fpdf', 'PIL', 'gateway.store'}\n"
        "assert not no & set(sys.modules)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (2, b"")
