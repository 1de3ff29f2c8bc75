"""`reconcile` as an operator and an auditor call it: what is told, what is kept, how it ends."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

from gateway.cli import reconcile
from gateway.ledger.keys import vkey
from gateway.store.tables import Role
from tests.support.commands import call, run
from tests.support.houses import town
from tests.support.reconciled import SYSTEMS, a_day, houses


async def operator(day, role=Role.OPS):
    """The environment of a person who has a key of the running gateway."""
    gateway = day.province.gateway
    _, key = await gateway.desk.add_account("test", name=role.value, role=role, agencies=[])
    return {"EDOC_GATEWAY_URL": gateway.url, "EDOC_GATEWAY_KEY": key}


def test_an_operator_asks_a_running_gateway_and_keeps_the_signed_report(tmp_path):
    async def scene():
        async with a_day(tmp_path, stuck_after="1h") as day:
            env = await operator(day)
            _, ref = await day.send("12")
            kept = tmp_path / "doi-soat.json"
            asked = ("reconcile", "--axis", "vxp", "--day", day.today.isoformat())

            def ask(*more):
                return asyncio.to_thread(run, *asked, *more, env=env)

            good = await ask("-o", kept, "--lang", "vi")
            assert (good.code, good.err) == (0, "")
            assert "Đối soát trục vxp" in good.out
            assert "Khớp." in good.out
            scribe = day.province.gateway.scribe
            key = tmp_path / "ledger.vkey"
            key.write_text(vkey(scribe.origin, scribe.key.public_key()) + "\n")
            checked = await asyncio.to_thread(
                run, "reconcile", "--verify", kept, "--vkey", key, "--json"
            )
            assert checked.code == 0
            assert checked.json()["counts"]["matched"] == 1

            day.axis.lose(ref)
            lost = await ask("--lang", "en")
            assert lost.code == 1
            assert "does not know it now" in lost.out
            assert "000.00.19.H14,2026/11/20,12/UBND-VX" in lost.out
            assert "There are differences for a person." in lost.out

            await day.axis.refuse_connections()
            silent = await ask("--json")
            assert silent.code == 2
            assert silent.json()["report"]["counts"]["wanting"] == 0
            told = (await ask("--lang", "en")).out.splitlines()
            (count,) = [line for line in told if "how many wait" in line]
            assert count == "  ? how many wait (documents, statuses): connect.refused x 4"
            assert any("questions put to the axis" in line for line in told)
            assert any("left open, asked or not" in line for line in told)
            await day.axis.accept_connections()

    asyncio.run(scene())


def test_one_changed_byte_of_a_kept_report_is_found(tmp_path, capsys):
    async def scene():
        async with a_day(tmp_path) as day:
            report = await day.report()
            one = await day.province.gateway.reconciling.one(report.made.id)
            scribe = day.province.gateway.scribe
            return one["signed"], vkey(scribe.origin, scribe.key.public_key())

    signed, text = asyncio.run(scene())
    key, kept = tmp_path / "ledger.vkey", tmp_path / "kept.json"
    key.write_text(text)
    file = json.dumps(signed, sort_keys=True, separators=(",", ":"))
    kept.write_text(file)
    check = ("reconcile", "--verify", kept, "--vkey", key, "--lang", "en")
    assert call(capsys, *check).code == 0
    for before, after in (('missing\\":0', 'missing\\":1'), ("a", "b")):
        assert before in file
        kept.write_text(file.replace(before, after, 1))
        wrong = call(capsys, *check)
        assert (wrong.code, wrong.out) == (65, "")
    other = tmp_path / "other.vkey"
    other.write_text(text.replace("province.test", "elsewhere.test"))
    kept.write_text(file)
    assert call(capsys, *check[:4], other).code == 65


def test_with_the_gateway_standing_still_the_command_asks_the_axis_itself(tmp_path):
    async def scene():
        async with town(tmp_path, stamps=False) as made:
            await made.axis("vxp", SYSTEMS)
            house, _ = houses(made)
            day = (house_day() - timedelta(days=1)).isoformat()
            asked = ("reconcile", "--axis", "vxp", "--day", day, "--conf", house.conf)
            ran = await asyncio.to_thread(run, *asked, "--json")
            assert ran.code == 0, ran.err
            assert ran.json()["report"]["by"] == "cli"
            assert "asking axis vxp about" in ran.err or "Đang hỏi trục vxp" in ran.err
            itself = ("--axis", "loopback", "--day", day, "--conf", house.conf, "--lang", "en")
            ran = await asyncio.to_thread(run, "reconcile", *itself)
            assert ran.code == 0, ran.err
            assert "the house itself" in ran.out
            unknown = await asyncio.to_thread(
                run, "reconcile", "--axis", "none", "--day", day, "--conf", house.conf
            )
            assert unknown.code == 65
            assert "axis.unknown" in unknown.err
            early = ("--axis", "vxp", "--day", "0001-01-01", "--conf", house.conf, "--lang", "en")
            ran = await asyncio.to_thread(run, "reconcile", *early)
            assert ran.code == 65
            assert "0001-01-01 is before this gateway" in ran.err

    asyncio.run(scene())


def house_day():
    from gateway.dispatch.reconcile import VIETNAM
    from tests.support.houses import NOW

    return NOW.astimezone(VIETNAM).date()


def test_ids_and_words_of_questions_are_shown_as_they_are_written(capsys):
    questions = [
        {"asked": "sent", "why": "no_id", "times": 4, "about": ["văn-bản-1", "b", "c", "d"]},
        {"asked": "count", "why": "answer.silence", "times": 3, "about": ["document"] * 3},
        {"asked": "waiting", "why": "not_able", "times": 1, "about": []},
    ]
    reconcile._open(questions, "vi")
    assert capsys.readouterr().out.splitlines() == [
        "  ? gói tin đã gửi (văn-bản-1, b, c …): không có mã của trục (mất cùng câu trả lời) x 4",
        "  ? số gói tin chờ nhận (văn bản): answer.silence x 3",
        "  ? danh sách chờ nhận: trục này không có câu hỏi đó x 1",
    ]


def test_a_command_that_names_no_day_was_called_wrongly(capsys):
    assert call(capsys, "reconcile", "--axis", "vxp").code == 64
    assert call(capsys, "reconcile", "--axis", "vxp", "--day", "yesterday").code == 64
