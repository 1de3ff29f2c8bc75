"""A route that encrypts: ciphertext on the axis, a valid signature over it, the file at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from adapters.keys import files
from gateway import config
from gateway.acting import Acting
from gateway.ciphering.decrypt import Opened, decrypt
from gateway.enciphering import IN_MEMORY
from gateway.errors import Conflict, Rejected
from gateway.store import documents
from gateway.store.documents import DocumentRow
from tests.support import pki
from tests.support.houses import NOW, PDF, Running, attachment, metadata, town

SO19, SO20, VPCP = "000.00.19.H14", "000.00.20.H14", "000.00.00.G22"
ROUTES = [
    {"axis": "vxp", "agency": "G22", "encrypt": True},
    {"axis": "vxp", "everyone": True},
]
LEAF = pki.cast().root.leaf(
    "000.00.00.G22 (test)",
    pki.rsa_key(1),
    not_before=NOW - timedelta(days=1),
    not_after=NOW + timedelta(days=300),
)
BIG = b"%PDF-1.7\n" + bytes(range(256)) * (3 * IN_MEMORY // 256)
Story = Callable[[Running, Running], Awaitable[None]]


def live(folder: Path, story: Story, more: str = "", certificate: bool = True) -> None:
    async def run() -> None:
        async with town(folder, stamps=False) as made:
            await made.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP, SO20)})
            ours = made.house("so19", ("H14.19",), {"vxp": "sys.h14"}, ROUTES)
            theirs = made.house("vpcp", ("G22", "H14.20"), {"vxp": "sys.g22"}, ROUTES[1:])
            if certificate:
                (folder / "g22.pem").write_bytes(LEAF.pem)
                with ours.conf.open("a", encoding="utf-8") as conf:
                    conf.write(f'[[receiver]]\nagency = "G22"\ncertificate = "{folder}/g22.pem"\n')
                    conf.write(more)
            async with made.open(ours) as here, made.open(theirs) as there:
                await story(here, there)

    asyncio.run(run())


def opened(folder: Path, data: bytes) -> Opened:
    key = folder / "g22.key"
    if not key.exists():
        key.touch(0o600)
        key.write_bytes(LEAF.key_pem() + LEAF.pem)
    holder = files.load(key, now=NOW).holder
    certificate = x509.load_der_x509_certificate(holder.certificate)
    found = decrypt(data, certificate, holder.unwrap, max_bytes=16 * 1024 * 1024)
    assert isinstance(found, Opened)
    return found


async def served(there: Running, agency: str, item: dict[str, Any], number: int) -> bytes:
    _, stored = await there.gateway.desk.item_attachment(
        await there.account(agency), item["id"], number
    )
    with stored.source as source:
        return source.read()


def test_files_go_encrypted_to_whom_the_route_says_and_plain_to_others(tmp_path: Path) -> None:
    async def story(here: Running, there: Running) -> None:
        said = metadata(SO19, VPCP, SO20)
        papers = (("12.pdf", PDF), ("phụ lục.pdf", BIG))
        answer = await here.submit(said, *papers)
        assert [t["axis"] for t in answer["transfers"]] == ["vxp", "vxp"]
        assert await here.submit(said, *papers) == answer, "known by the plain files"
        (sealed,) = await there.inbox(VPCP)
        (plain,) = await there.inbox(SO20)
        assert [a["name"] for a in sealed["attachments"]] == ["12.pdf.xenc", "phụ lục.pdf.xenc"]
        assert {a["encrypted"] for a in sealed["attachments"]} == {"xmlenc"}
        assert {a["encrypted"] for a in plain["attachments"]} == {""}
        assert sealed["signature"]["verdict"] == plain["signature"]["verdict"] == "valid"
        for number, (name, data) in enumerate(papers):
            carried = await served(there, VPCP, sealed, number)
            assert data[:9] not in carried
            assert opened(tmp_path, carried) == Opened(data, name, "application/pdf")
            assert await served(there, SO20, plain, number) == data
        who = await here.account(SO19)
        history = await here.gateway.desk.history(who, answer["id"])
        record = history[0]["record"]
        shown = {t["to"][0]: t.get("encrypted", False) for t in record["facts"]["transfers"]}
        assert shown == {VPCP: True, SO20: False}

    live(tmp_path, story)


def test_every_reason_against_encrypting_is_told_at_once(tmp_path: Path) -> None:
    async def story(here: Running, there: Running) -> None:
        with pytest.raises(Rejected) as refused:
            await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), ("lớn.pdf", bytes(5000)))
        told = {(f.path, f.code) for f in refused.value.findings}
        assert ("files[1]", "encryption.too_large") in told
        who = await here.account(SO19)
        assert (await there.inbox(VPCP, wait=0)) == []
        assert who

    live(tmp_path, story, "[encryption]\nmax_bytes = 4096\n")


def test_a_receiver_without_a_certificate_refuses_the_whole(tmp_path: Path) -> None:
    async def story(here: Running, there: Running) -> None:
        del there
        with pytest.raises(Rejected) as refused:
            await here.submit(metadata(SO19, SO20, VPCP), ("12.pdf", PDF))
        assert [(f.path, f.code) for f in refused.value.findings] == [
            ("to[1].organ_id", "encryption.no_certificate")
        ]

    live(tmp_path, story, certificate=False)


def test_a_ready_made_package_is_refused_on_such_a_route(tmp_path: Path) -> None:
    async def story(here: Running, there: Running) -> None:
        del there
        plan = here.gateway.outbound.routing.whole_package_axis([VPCP], NOW.date())
        assert [f.code for f in plan.findings] == ["encryption.ready_made"]
        plan = here.gateway.outbound.routing.whole_package_axis([SO20], NOW.date())
        assert [r.axis for r in plan.routes] == ["vxp"]

    live(tmp_path, story)


def test_conf_says_whose_certificate_it_is(tmp_path: Path) -> None:
    for name in ("rules", "agencies", "profile", "algorithms.toml"):
        (tmp_path / name).symlink_to(Path(__file__).parents[2] / "conf" / name)
    file = tmp_path / "gateway.toml"
    (tmp_path / "g22.pem").write_bytes(LEAF.pem)
    one = '[[receiver]]\nagency = "G22"\ncertificate = "g22.pem"\n'

    def mistakes(text: str) -> list[str]:
        file.write_text(text, "utf-8")
        found = config.check(file)
        return [f.path.rpartition(":")[2] for f in found if ":receiver" in f.path]

    assert mistakes(one) == []
    assert mistakes(one + one.replace("G22", "000.00.00.G22")) == ["receiver[1].agency"]
    assert mistakes(one.replace("G22", "X99")) == ["receiver[0].agency"]
    assert mistakes(one.replace("g22.pem", "none.pem")) == ["receiver[0].certificate"]


def test_the_file_of_an_attachment_is_read_more_than_once(tmp_path: Path) -> None:
    """The same bytes each time, for a file that lies in a spool and for one in memory."""

    async def story(here: Running, there: Running) -> None:
        del there
        from gateway.model.package import DocumentHeader, Organ
        from gateway.model.submission import AxisRoute, Submission

        submission = Submission(
            DocumentHeader(Organ(SO19), (Organ(VPCP),), "x"),
            files=(attachment("a.pdf", BIG), attachment("b.pdf", PDF)),
        )
        route = AxisRoute("vxp", (VPCP,), encrypt=True)
        outbound = here.gateway.outbound
        with outbound.encryption.files(submission, route, outbound.blobs.spool) as made:
            for file in made:
                with file.open() as first:
                    once = first.read()
                with file.open() as second:
                    assert second.read(10) == once[:10]
                    assert second.read() == once[10:]
                assert len(once) == file.size

    live(tmp_path, story)


def test_an_act_takes_the_files_that_went_plain_and_asks_for_those_that_went_encrypted(
    tmp_path: Path,
) -> None:
    async def story(here: Running, there: Running) -> None:
        del there
        both = await here.submit(metadata(SO19, VPCP, SO20), ("12.pdf", PDF))
        sealed = await here.submit(metadata(SO19, VPCP, number="13"), ("13.pdf", PDF))
        acting = Acting(here.gateway.outbound, here.gateway.desk.limits)
        (file,) = await acting.files_again(await stored(here, both["id"]))
        assert (file.name, file.size) == ("12.pdf", len(PDF))
        with pytest.raises(Conflict) as refused:
            await acting.files_again(await stored(here, sealed["id"]))
        assert refused.value.code == "attachment.encrypted"

    live(tmp_path, story)


async def stored(here: Running, ref: str) -> DocumentRow:
    row = await here.gateway.store.read(lambda tx: documents.by_id(tx, ref))
    assert row is not None
    return row
