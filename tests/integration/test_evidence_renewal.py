"""Renewal: newer stamps speak for older ones, and nothing that was in a container is touched."""

from __future__ import annotations

import asyncio
import io
import subprocess
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.tsa import server as tsa_server
from adapters.tsa.authority import LocalAuthority
from gateway.cli.evidence import evidence as commands
from gateway.errors import Untrusted
from gateway.evidence import layout, manifest, renewal, trusted
from gateway.evidence.case import Kept
from gateway.evidence.check import Anchors
from gateway.refreshing import Refreshing
from gateway.wiring.process import authorities
from tests.integration.test_evidence import container, exported, judged, parts, wrong
from tests.integration.test_evidence_trust import STAMPING
from tests.support.houses import NOW, PDF, WallClock, metadata, town
from tests.support.pki import ec_key
from tests.support.trust_pki import HOUR, Layer, root

SO19, VPCP = "000.00.19.H14", "000.00.00.G22"
SPAN = {"not_before": NOW - timedelta(days=300), "not_after": NOW + timedelta(days=300)}


@dataclass(frozen=True)
class Made:
    """`old`: as exported; `once`, `twice`: renewed after more was sealed and stamped."""

    old: bytes
    once: bytes
    twice: bytes
    by_command: tuple[int, bytes]
    ledger: ec.EllipticCurvePrivateKey
    top: Layer
    stamping: x509.Certificate
    refused: str

    def anchors(self) -> Anchors:
        return Anchors({"so19.test": self.ledger.public_key()}, (self.top.certificate,))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return asyncio.run(_renewed(tmp_path_factory.mktemp("renewal")))


async def _renewed(folder: Path) -> Made:
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(town(folder, stamps=False))
        top = root("TSA root", 710, **SPAN)
        leaf = top.leaf("TSA", ec_key(711), extension=STAMPING, **SPAN)
        stamping = LocalAuthority(leaf.key, (leaf.certificate, top.certificate))
        tsa = await stack.enter_async_context(
            tsa_server.serve("127.0.0.1", 0, stamping, WallClock())
        )
        anchor = folder / "tsa.pem"
        anchor.write_bytes(top.pem)
        place.tsa = (tsa.url, anchor)
        await place.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
        house = place.house(
            "so19", ("H14.19",), {"vxp": "sys.h14"}, [{"axis": "vxp", "everyone": True}]
        )
        async with place.open(house, ()) as here:

            async def stamped() -> None:
                while await here.gateway.sealing.seal():
                    pass
                await here.gateway.stamping.stamp()

            answer = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF))
            await stamped()
            old = await exported(here, answer["id"])
            asked = authorities(house.settings())
            for one in asked:
                stack.push_async_callback(one.close)
            renewing = Refreshing(here.gateway.desk.exporting, asked, 5.0)

            async def again(data: bytes) -> bytes:
                out = io.BytesIO()
                await renewing.refresh(io.BytesIO(data), out)
                return out.getvalue()

            await here.submit(metadata(SO19, VPCP, number="13"), ("13.pdf", PDF))
            await stamped()
            once = await again(old)
            await here.submit(metadata(SO19, VPCP, number="14"), ("14.pdf", PDF))
            await stamped()
            twice = await again(once)
            with pytest.raises(Untrusted) as refused:
                await again(container({**parts(old), layout.MINUTES: b"nothing\n"}))
            file = folder / "12.asice"
            file.write_bytes(once)
            done = await asyncio.to_thread(_by_command, file, house.conf)
            return Made(
                old=old,
                once=once,
                twice=twice,
                by_command=done,
                ledger=here.gateway.outbound.scribe.key,
                top=top,
                stamping=leaf.certificate,
                refused=refused.value.code,
            )


def _by_command(file: Path, conf: Path) -> tuple[int, bytes]:
    out = file.with_name("new.asice")
    done = CliRunner().invoke(commands, ["refresh", str(file), "-o", str(out), "--conf", str(conf)])
    return done.exit_code, out.read_bytes() if out.exists() else done.output.encode()


def test_what_was_in_it_stays_byte_for_byte_and_in_its_place(made: Made) -> None:
    for before, after in ((made.old, made.once), (made.once, made.twice)):
        was, now = parts(before), parts(after)
        assert list(now)[: len(was)] == list(was)
        assert {name: now[name] for name in was} == was
        more = list(now)[len(was) :]
        assert [n.split("/")[0] for n in more] == [
            "renewals", "checkpoints", "stamps", "proofs", "META-INF", "META-INF"
        ]  # fmt: skip
    assert made.refused == "evidence.invalid"


def test_the_command_does_the_same(made: Made) -> None:
    code, data = made.by_command
    assert code == 0
    assert list(parts(data)) == list(parts(made.twice))
    assert judged(data, made.anchors()).verdict == "valid"


def test_renewed_evidence_is_valid_and_says_by_when_all_of_it_existed(made: Made) -> None:
    for data, times in ((made.old, 0), (made.once, 1), (made.twice, 2)):
        found = judged(data, made.anchors())
        assert (found.verdict, wrong(found)) == ("valid", [])
        assert sum("all parts before it existed by" in c.detail.en for c in found.checks) == times
        assert judged(data, Anchors()).verdict == "undecided"
        assert judged(data, replace(made.anchors(), authorities=())).verdict == "undecided"
    instants = [judged(d, made.anchors()).as_json("vi")["instants"] for d in (made.old, made.twice)]
    assert instants[0] == instants[1]


def test_openssl_accepts_the_stamp_over_the_list(made: Made, tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(made.top.pem)
    content = parts(made.twice)
    for number in ("001", "002"):
        token, data = tmp_path / "token.tst", tmp_path / "list.xml"
        token.write_bytes(content[f"META-INF/archive{number}.tst"])
        data.write_bytes(content[f"META-INF/ASiCArchiveManifest{number}.xml"])
        command = ["openssl", "ts", "-verify", "-token_in", "-in", token, "-data", data]
        done = subprocess.run([*command, "-CAfile", roots], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_each_part_of_a_renewal_changed_removed_or_exchanged_is_found(made: Made) -> None:
    first, content = parts(made.once), parts(made.twice)
    added = [n for n in content if n not in parts(made.old)]
    for name in added:
        data = bytearray(content[name])
        data[len(data) // 2] ^= 1
        found = judged(container({**content, name: bytes(data)}), made.anchors())
        assert found.verdict == "invalid", name
        if not name.startswith("META-INF/"):
            assert name in wrong(found)
        left = {n: d for n, d in content.items() if n != name}
        assert judged(container(left), made.anchors()).verdict == "invalid", name
    newer = [n for n in content if n not in first]
    for old, new in zip([n for n in added if n not in newer], newer, strict=True):
        forged = judged(container({**content, new: content[old]}), made.anchors())
        assert forged.verdict == "invalid", new


def test_a_part_that_is_older_than_a_renewal_is_held_by_it_too(made: Made) -> None:
    """Even somebody with the ledger's key cannot exchange what a later stamp covers."""
    content = parts(made.once)
    content[manifest.SIGNATURE] = content[manifest.SIGNATURE][:-1] + b"\0"
    assert manifest.SIGNATURE in wrong(judged(container(content), made.anchors()))


def test_blocks_that_are_none_are_not_on_the_list(made: Made) -> None:
    content = parts(made.once)
    strayed = {**content, "META-INF/archive002.tst": b"x"}
    assert wrong(judged(container(strayed), made.anchors())) == ["META-INF/archive002.tst"]
    assert renewal.split(["a", "b"]) == (("a", "b"), ())


@pytest.fixture
def known(made: Made) -> Callable[[timedelta], trusted.Carried]:
    def since(ago: timedelta) -> trusted.Carried:
        data = made.top.crl({made.stamping.serial_number: NOW + ago}, at=NOW + 100 * HOUR)
        kept = Kept("crl", "00" * 32)
        return trusted.Carried.of([(kept, data)])

    return since


def test_a_key_that_was_stolen_later_leaves_doubt_unless_a_newer_stamp_speaks_for_the_older(
    made: Made, known: Callable[[timedelta], trusted.Carried]
) -> None:
    token = next(d for n, d in parts(made.old).items() if n.startswith("stamps/"))
    at, roots = trusted.stamped_at(token), (made.top.certificate,)
    stolen = known(48 * HOUR)
    alone = stolen.authority(token, roots, at)
    assert alone is not None
    assert alone.holds is None
    renewed = stolen.authority(token, roots, at, NOW + 24 * HOUR)
    assert renewed is not None
    assert renewed.holds is True
    too_late = stolen.authority(token, roots, at, NOW + 72 * HOUR)
    assert too_late is not None
    assert too_late.holds is None
    revoked = known(-48 * HOUR).authority(token, roots, at, NOW + 24 * HOUR)
    assert revoked is not None
    assert revoked.holds is False
