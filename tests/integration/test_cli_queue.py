"""`queue` as somebody types it at three in the morning: while the gateway runs, and while not."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.store import Tx, open_store
from gateway.store.tables import Role, record
from tests.support.api import FARAWAY, PDF, SENDER, Door, door, letter
from tests.support.commands import Ran, call
from tests.support.queues import queued_transfers, walked

LOGGED = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} \[")


class Typist:
    """Types `edoc-gateway queue ...` about the gateway in `folder`."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.conf = folder / "door" / "conf"
        self.database = folder / "door" / "data" / "gateway.sqlite"
        self._capsys = capsys

    def types(self, *words: str, lang: str = "en") -> Ran:
        """What the command says; a gateway in this process logs beside it."""
        return self._types("queue", *words, "--conf", str(self.conf), "--lang", lang)

    def unit(self, *words: str) -> Ran:
        return self._types(*words, "--lang", "en")

    def _types(self, *words: str) -> Ran:
        ran = call(self._capsys, *words)
        said = [line for line in ran.out.splitlines() if not LOGGED.match(line)]
        return Ran(ran.code, "\n".join(said), ran.err)

    def json(self, *words: str) -> Any:
        ran = self.types(*words, "--json")
        assert ran.code == 0, ran.out + ran.err
        return ran.json()


def send(at: Door, number: int) -> str:
    made = at.submit(letter(FARAWAY, number=str(number)), ("a.pdf", PDF)).json()
    return str(made["transfers"][0]["transfer_id"])


def a_night(typist: Typist, ids: list[str], put: Any, now: Any) -> None:
    """Hold, look, free, withdraw, replay; with the mistakes that a tired person makes."""
    one, other, third, fourth = ids
    held = typist.types("hold", one, "--reason", "Chờ xác nhận")
    assert held.code == 0
    assert "HELD" in held.out
    assert "release, withdraw" in held.out
    twice = typist.types("hold", one)
    assert twice.code == 65
    assert "HELD" in twice.err
    assert "release, withdraw" in twice.err
    assert "the transfer is HELD" in twice.err
    assert twice.err.count("transfer.state_forbids") == 1, "it is said once"
    assert typist.types("release", "none").code == 65
    for words in (("show", "văn bản"), ("hold", "văn bản"), ("retry", "a/../b")):
        nowhere = typist.types(*words)
        assert (nowhere.code, "transfer.unknown" in nowhere.err) == (65, True), words
    no_axis = typist.types("release", "none", "--axis", "nosuch")
    assert (no_axis.code, "axis.unknown" in no_axis.err) == (65, True)
    assert typist.types("release", "none", "--axis", "").code == 64
    no_fetch = typist.types("release", "none", "--axis", "vxp")
    assert (no_fetch.code, "fetch.unknown" in no_fetch.err) == (65, True)
    assert typist.types("release", "none", "--axis", "vxp", "--yes-again").code == 64

    put(one, doubt=True)
    again = typist.types("release", one)
    assert again.code == 65
    assert "--yes-again" in again.err
    assert typist.json("release", one, "--yes-again")["state"] == "ACCEPTED"
    assert typist.types("withdraw", one).code == 64, "a reason is a must"
    doubt = typist.types("withdraw", one, "--reason", "x")
    assert (doubt.code, "transfer.in_doubt" in doubt.err) == (65, True)
    gone = typist.json("withdraw", other, "--reason", "Đơn vị đề nghị")
    assert gone["state"] == "WITHDRAWN"

    put(third, state="UNCERTAIN", doubt=True, due_at=now() + timedelta(hours=1))
    early = typist.types("retry", third)
    assert (early.code, "--force" in early.err or "force" in early.err) == (65, True)
    assert typist.types("retry", third, "--force").code == 65
    forced = typist.json("retry", third, "--force", "--reason", "Trục báo chưa nhận")
    assert forced["state"] == "UNCERTAIN"

    since = now()
    put(third, state="REFUSED", doubt=False, last_code="vxp.22")
    put(fourth, state="EXPIRED", last_code="connect.refused")
    dead = typist.types("dead")
    assert dead.code == 0
    assert f"edoc-gateway queue replay {third}" in dead.out
    assert "the other side" in dead.out
    vietnamese = typist.types("dead", "--cause", "unit", lang="vi").out
    assert "đơn vị" in vietnamese
    assert fourth not in vietnamese
    assert {d["id"] for d in typist.json("dead")["dead"]} == {third, fourth}
    assert typist.types("dead", "--cause", "moon").code == 64
    assert typist.types("dead", "--cursor", "bm8").code == 65

    made = typist.json("replay", third, "--reason", "Trục đã sửa")
    assert made["replay_of"] == third
    shown = typist.types("show", made["transfer_id"]).out
    assert third in shown
    assert "hold, withdraw" in shown
    assert "ordinary (thường)" in shown
    second = typist.types("replay", third, "--reason", "Trục đã sửa")
    assert (second.code, made["transfer_id"] in second.err) == (65, True)

    for words in (
        (),
        (third, "--from", "2026-11-20"),
        (third, "--preview"),
        ("--from", "2026-11-20", "--yes-again"),
    ):
        assert typist.types("replay", *words).code == 64
    for period in (("--from", "soon"), ("--from", "2026-11-20", "--to", "2199-01-01")):
        wrong = typist.types("replay", *period, "--reason", "x")
        assert (wrong.code, "replay.period" in wrong.err) == (65, True)
    missing = typist.types("replay", "--from", "2026-11-20", "--axis", "nosuch")
    assert missing.code == 65
    for path in ("to:", "reason:", "axis:"):
        assert path in missing.err
    nowhere = typist.types("replay", "--from", "2026-11-20", "--axis", "nosuch", "--preview")
    assert (nowhere.code, "axis.unknown" in nowhere.err) == (65, True)
    preview = typist.types("replay", "--from", since.isoformat(), "--preview")
    assert preview.code == 0
    assert fourth in preview.out
    command = next(x for x in preview.out.splitlines() if x.startswith("$ edoc-gateway queue "))
    words = command.removeprefix("$ edoc-gateway queue ").replace('"..."', "Trục").split()
    assert typist.json(*words)["count"] == 1, "the command that the preview prints"
    assert typist.json(*words)["count"] == 0
    nothing = typist.types("replay", "--from", since.isoformat(), "--preview")
    assert "Nothing to replay" in nothing.out
    assert "Nothing waits" in typist.types("dead").out


def test_a_night_while_the_gateway_runs(tmp_path: Path, capsys, monkeypatch) -> None:
    with door(tmp_path) as at:
        monkeypatch.setenv("EDOC_GATEWAY_URL", at.url)
        monkeypatch.setenv("EDOC_GATEWAY_KEY", at.key(Role.OPS))
        ids = [send(at, n) for n in range(4)]

        def put(transfer_id: str, **values: Any) -> None:
            def change(tx: Tx) -> None:
                walked(tx, transfer_id, **values)

            at.run(at.gateway.store.write(change))  # type: ignore[arg-type]  # a coroutine

        def now() -> Any:
            return at.run(at.gateway.store.read(lambda tx: tx.now()))  # type: ignore[arg-type]

        typist = Typist(tmp_path, capsys)
        a_night(typist, ids, put, now)

        monkeypatch.setenv("EDOC_GATEWAY_KEY", at.key(SENDER))
        told = typist.unit("inbox", "--kind", "report")
        assert told.code == 0
        assert "those who run the gateway withdrew it" in told.out
        items = at.get("/v1/inbox?kind=report", SENDER).json()["items"]
        item = next(i["id"] for i in items if i["report"]["transfer_id"] == ids[1])
        shown = typist.unit("inbox", item).out
        assert "ask those who run the gateway why" in shown
        none = typist.unit("inbox", item, "-d", str(tmp_path / "out"))
        assert (none.code, "item.no_package" in none.err) == (65, True)
        assert list((tmp_path / "out").iterdir()) == []
        assert typist.unit("confirm", item).code == 0
        assert "withdrew" not in typist.unit("inbox", "--kind", "report").out


def test_a_night_while_it_stands_still(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.delenv("EDOC_GATEWAY_URL", raising=False)
    monkeypatch.delenv("EDOC_GATEWAY_KEY", raising=False)
    with door(tmp_path) as at:
        ids = [send(at, n) for n in range(4)]
    typist = Typist(tmp_path, capsys)

    def ask(fn: Any, *, writing: bool = False) -> Any:
        store = open_store(f"sqlite:///{typist.database}")
        try:
            return store.write_sync(fn) if writing else store.read_sync(fn)
        finally:
            store.close_sync()

    def put(transfer_id: str, **values: Any) -> None:
        def change(tx: Tx) -> None:
            walked(tx, transfer_id, **values)

        ask(change, writing=True)

    a_night(typist, ids, put, lambda: ask(lambda tx: tx.now()))
    bodies = ask(lambda tx: tx.scalars(select(record.c.body)))
    held = [b for b in bodies if b'"transfer.held"' in bytes(b)]
    assert len(held) == 1
    assert b'"account":"console"' in bytes(held[0])


def test_what_its_sender_recalled_is_counted_and_not_sent(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    with door(tmp_path) as at:
        monkeypatch.setenv("EDOC_GATEWAY_URL", at.url)
        monkeypatch.setenv("EDOC_GATEWAY_KEY", at.key(Role.OPS))

        def fill(tx: Tx) -> Any:
            queued_transfers(tx, 2)
            for name in ("t0", "t1"):
                walked(tx, name, "EXPIRED", due_at=None)
            queued_transfers(tx, 1, first=2, about=["doc-1"], business_type=1)
            queued_transfers(tx, 1, first=3)
            walked(tx, "t3", "HELD", due_at=None, hold_cause="lifetime_in_doubt")
            return tx.now()

        now = at.run(at.gateway.store.write(fill))  # type: ignore[arg-type]  # a coroutine
        period = ("--from", (now - timedelta(hours=1)).isoformat())
        typist = Typist(tmp_path, capsys)
        seen = typist.types("replay", *period, "--preview")
        assert (
            "1 left alone, since recalled, replaced or asked back by the sender:\n  t1" in seen.out
        )
        assert "1 / 60" in seen.out
        assert "1 of this period are HELD" in seen.out
        assert "1 lượt không gửi lại" in typist.types("replay", *period, "--preview", lang="vi").out
        to = at.run(at.gateway.store.read(lambda tx: tx.now()))  # type: ignore[arg-type]
        made = typist.types("replay", *period, "--to", to.isoformat(), "--reason", "x")
        assert made.out.splitlines()[0] == "1 replays made"
        assert "1 left alone" in made.out
        assert "1 of this period are HELD" in made.out
        refused = typist.types("replay", "t1", "--reason", "x")
        assert (refused.code, "transfer.recalled" in refused.err) == (65, True)
        sent = typist.json("replay", "t1", "--reason", "Nơi nhận cần", "--yes-again")
        assert sent["replay_of"] == "t1"
