"""reconcile: a day held against what an axis says of it.

In:     an axis and a day; a configuration, or the address and key of a running gateway. Or a
        signed report and the ledger's public key.
Out:    the report for people, as JSON, or as the signed file.
Fails:  0 all matched, 1 differences that want a person, 2 none but questions stayed open (never of
        the house itself, where there is nobody to ask); with --verify 0 genuine, 65 not.
Never:  calls silence a loss; shows a report that does not verify.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.answers import (
    Command,
    complain,
    conf_option,
    example,
    json_option,
    say,
    say_json,
    table,
    told,
)
from gateway.cli.wrongly import Wrongly
from gateway.errors import Text, Unavailable, Untrusted

if TYPE_CHECKING:
    from gateway.cli.client import Client
    from gateway.wiring.process import Gateway

POLL_SECONDS = 1.0
OPEN = 2  # the exit code while questions are open
_COUNTS: Mapping[str, Text] = {
    "transfers": Text("lượt chuyển", "transfers"),
    "matched": Text("khớp", "matched"),
    "asked": Text("câu hỏi đã gửi trục", "questions put to the axis"),
    "waiting": Text("trục báo chờ nhận", "listed as waiting for us"),
    "missing": Text("thiếu", "missing"),
    "doubled": Text("trùng", "doubled"),
    "stuck": Text("đứng lại", "stuck"),
    "never_answered": Text("không hồi âm", "never answered"),
    "foreign": Text("không phải của ta", "not ours"),
    "settled": Text("hết nghi ngờ", "settled"),
    "unanswered": Text("còn bỏ ngỏ, hỏi hay chưa", "left open, asked or not"),
    "left_out": Text("không liệt kê hết", "not listed here"),
}
_ALWAYS = ("transfers", "matched", "asked", "waiting")
_ENDS = {
    0: Text("Khớp.", "All matched."),
    1: Text("Có sai lệch cần người xử lý.", "There are differences for a person."),
    2: Text(
        "Không thấy sai lệch, nhưng trục chưa trả lời hết.",
        "No difference was seen, but the axis left questions open.",
    ),
}
_HOUSE = Text(
    "Đây là chính gateway này: không có trục nào để hỏi, và không thấy sai lệch.",
    "This axis is the house itself: there is nobody to ask, and no difference was seen.",
)
_KINDS = {
    "document": Text("văn bản", "documents"),
    "status": Text("trạng thái", "statuses"),
}
_ASKED = {
    "sent": Text("gói tin đã gửi", "a package we sent"),
    "waiting": Text("danh sách chờ nhận", "the list of what waits"),
    "count": Text("số gói tin chờ nhận", "how many wait"),
}
_WHY = {
    "no_id": Text(
        "không có mã của trục (mất cùng câu trả lời)",
        "no id of the axis (lost with its answer)",
    ),
    "not_asked": Text("thôi hỏi vì trục im lặng", "not asked: the axis was silent"),
    "not_able": Text("trục này không có câu hỏi đó", "this axis has no such question"),
}


@click.command(
    "reconcile",
    cls=Command,
    epilog=example(
        "edoc-gateway reconcile --axis vxp --day 2026-11-20",
        "edoc-gateway reconcile --axis vxp --day 2026-11-20 -o doi-soat.json",
        "edoc-gateway reconcile --verify doi-soat.json --vkey ledger.vkey",
    ),
)
@click.option("--axis", default="", help="Name of the axis, as in the configuration.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="A day of Vietnam.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write the signed report here."
)
@click.option(
    "--verify",
    "signed",
    type=click.Path(exists=True, dir_okay=False),
    help="Check a signed report instead, and show it. Offline; 0 genuine, 65 not.",
)
@click.option(
    "--vkey",
    type=click.Path(exists=True, dir_okay=False),
    help="With --verify: the ledger's public key as you got it; no gateway is needed.",
)
@conf_option
@json_option
def reconcile(
    axis: str,
    day: datetime | None,
    output: str | None,
    signed: str | None,
    vkey: str | None,
    conf: str | None,
    as_json: bool,
    lang: str,
) -> None:
    """Ask an axis about each document of a day, and sign what agrees and what does not.

    Ends with 0: all matched; 1: differences that want a person; 2: none seen, but the axis left
    questions open.
    """
    if signed is not None:
        report = _verified(Path(signed), vkey, conf)
        if as_json:
            say_json(report)
        else:
            _page(report, lang)
        return
    if not axis.strip() or day is None:
        raise Wrongly(
            "cần --axis và --day, hoặc --verify FILE", "give --axis and --day, or --verify FILE"
        )
    made = _asked(axis, day.date().isoformat(), conf, lang)
    if output is not None:
        _keep(Path(output), made["signed"])
    if as_json:
        say_json(made)
    else:
        _page(made["report"], lang)
    raise click.exceptions.Exit(_end(made["report"]))


def _end(report: Mapping[str, Any]) -> int:
    """What has nobody to ask leaves nothing open: what is within this house is known here."""
    from gateway.dispatch.report import exit_code

    code = exit_code(report["counts"])
    return 0 if code == OPEN and _is_house(report) else code


def _is_house(report: Mapping[str, Any]) -> bool:
    from gateway.routing.plan import LOOPBACK

    return bool(report["axis"] == LOOPBACK)


def _asked(axis: str, day: str, conf: str | None, lang: str) -> dict[str, Any]:
    from gateway.cli.operating import BY, ask_gateway

    async def directly(gateway: Gateway) -> dict[str, Any]:
        from datetime import date

        from gateway.shapes import reconciliation_json

        if axis in gateway.reconciling.axes:
            _say_asking(axis, day, gateway.reconciling.pace.silence, lang)
        made = await gateway.reconciling.make(axis, date.fromisoformat(day), BY)
        return reconciliation_json(made)

    def by_rest(client: Client) -> dict[str, Any]:
        answer: dict[str, Any] = client.post("/v1/reconciliations", {"axis": axis, "day": day})
        if answer["state"] == "running":
            from gateway.enquiring import Pace

            _say_asking(axis, day, Pace().silence, lang)
        while answer["state"] == "running":
            time.sleep(POLL_SECONDS)
            answer = client.get(f"/v1/reconciliations/{answer['id']}")
        if answer["state"] != "made":
            raise Unavailable(
                Text(
                    "Đối soát bị ngắt giữa chừng; gọi lại để chạy tiếp",
                    "the reconciliation was broken off; ask again and it goes on",
                ),
                code="reconciliation.broken_off",
            )
        return answer

    return ask_gateway(conf, lang, directly, by_rest)


def _say_asking(axis: str, day: str, silence: timedelta, lang: str) -> None:
    """To stderr, before minutes in which nothing is seen: stdout is the report alone."""
    minutes = math.ceil(silence / timedelta(minutes=1))
    complain(
        f"Đang hỏi trục {axis} về ngày {day}; nếu trục im lặng, có thể mất chừng {minutes} phút"
        if lang == "vi"
        else f"asking axis {axis} about {day}; should it be silent, this takes some {minutes} min"
    )


def _keep(path: Path, signed: Mapping[str, Any]) -> None:
    """The signed file in its canonical form, as it verifies."""
    from gateway.c14n import canonical_json

    path.write_bytes(canonical_json(dict(signed)) + b"\n")


def _verified(file: Path, vkey: str | None, conf: str | None) -> dict[str, Any]:
    """What a signed file says, once the ledger's key vouches for it."""
    from gateway.ledger.reconciliation import verify_report
    from gateway.wiring.books import ledger_key

    settings = None
    if vkey is None:
        from gateway.cli.places import settings as load

        settings = load(conf)
    name, key = ledger_key(settings, Path(vkey) if vkey else None)
    vouched = verify_report(_as_signed(file.read_bytes()), key)
    if vouched.origin != name:
        raise Untrusted(
            Text(
                f"Biên bản của sổ cái {vouched.origin}, không phải {name}",
                f"a report of the ledger {vouched.origin}, not of {name}",
            ),
            code="reconciliation.other_ledger",
        )
    return dict(vouched.report)


def _as_signed(kept: bytes) -> bytes:
    """The canonical form: people keep it as their JSON tool wrote it, or within an answer. What is
    signed are texts within, which no spelling of JSON changes.
    """
    from gateway.c14n import canonical_json

    try:
        value = json.loads(kept)
        if isinstance(value, dict) and "signed" in value:
            value = value["signed"]
        return canonical_json(value)
    except (ValueError, TypeError, RecursionError):
        return kept  # for the verifier to refuse, in its words


def _page(report: Mapping[str, Any], lang: str) -> None:
    counts = report["counts"]
    vi = lang == "vi"
    title = "Đối soát trục" if vi else "Reconciliation of axis"
    of_day = "ngày" if vi else "day"
    say(f"{title} {report['axis']}, {of_day} {report['day']} ({report['gateway']})")
    at = "lập lúc" if vi else "made at"
    say(f"  {report['id']}, {at} {report['made_at']}")
    for name, words in _COUNTS.items():
        if name in _ALWAYS or counts[name]:
            say(f"  {told(words, lang):28} {counts[name]:,}")
    _skipped(report.get("skipped"), report["axis"], lang)
    _differences(report["differences"], lang)
    end = _end(report)
    if _is_house(report):
        say(told(_HOUSE if end == 0 else _ENDS[end], lang))
        return
    _open(report["unanswered"], lang)
    say(told(_ENDS[end], lang))


def _skipped(days: Mapping[str, Any] | None, axis: str, lang: str) -> None:
    """Of a daily report: days before it that have none. Earlier versions did not say."""
    if not days:
        return
    first, last, count = days["from"], days["to"], days["days"]
    said = Text(
        f"{count} ngày trước đó chưa được đối soát: {first} đến {last}. "
        f"Đối soát từng ngày: edoc-gateway reconcile --axis {axis} --day {first}",
        f"{count} days before were not reconciled: {first} to {last}. "
        f"For each of them: edoc-gateway reconcile --axis {axis} --day {first}",
    )
    say(f"  ! {told(said, lang)}")


def _differences(found: list[Mapping[str, Any]], lang: str) -> None:
    if not found:
        return
    headings = (
        ("Loại", "Văn bản", "Nơi nhận", "Mã của trục", "Từ lúc", "Sai lệch")
        if lang == "vi"
        else ("Kind", "Document", "Receiver", "Ids of the axis", "Since", "Difference")
    )
    rows = [
        (
            told(_COUNTS[one["kind"]], lang) if one["kind"] in _COUNTS else one["kind"],
            one["document_id"] or one["transfer"],
            one["receiver"],
            ", ".join(one["axis_ids"]),
            one["since"][:16].replace("T", " "),
            _words(one, lang),
        )
        for one in found
    ]
    table(headings, rows, "")


def _words(one: Mapping[str, Any], lang: str) -> str:
    """In words, where this version knows them; reports may come from a later one."""
    from gateway.dispatch.reconcile import WORDS, What
    from gateway.dispatch.report import is_known

    words = told(WORDS[What(one["what"])][1], lang) if is_known(one["what"]) else one["what"]
    return f"{words} ({one['state']})" if one["state"] else words


def _open(questions: list[Mapping[str, Any]], lang: str) -> None:
    for one in questions:
        asked = told(_ASKED[one["asked"]], lang) if one["asked"] in _ASKED else one["asked"]
        why = told(_WHY[one["why"]], lang) if one["why"] in _WHY else one["why"]
        about = _about(one["about"], lang)
        say(f"  ? {asked}{f' ({about})' if about else ''}: {why} x {one['times']}")


def _about(named: list[str], lang: str) -> str:
    """The first ids of documents that a question was about, or each kind of package once."""
    once = list(dict.fromkeys(named))
    words = [told(_KINDS[one], lang) if one in _KINDS else one for one in once]
    return ", ".join(words[:3]) + (" …" if len(words) > 3 else "")
