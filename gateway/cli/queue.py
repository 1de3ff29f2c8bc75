"""queue: transfers on their way, and what waits for a person. What one does about it: `queue_acts`.

In:     a configuration; while that gateway runs, its address and an ops key as well.
Out:    transfers and dead letters, for people or as JSON.
Fails:  78 when neither the database is free nor an ops key is given.
Never:  writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.answers import (
    Command,
    conf_option,
    example,
    json_option,
    say,
    say_json,
    table,
    told,
)
from gateway.cli.forecast import forecast
from gateway.cli.operating import ask
from gateway.cli.queue_acts import (
    WHOSE,
    hold,
    path_of,
    release,
    replay,
    retry,
    say_fields,
    withdraw,
)
from gateway.cli.wrongly import Wrongly
from gateway.errors import Text

if TYPE_CHECKING:
    from gateway.cli.client import Client
    from gateway.desk import Desk

ENDS = ("ON_AXIS", "WITHDRAWN", "REROUTED")


@click.group("queue", epilog=example("edoc-gateway queue list --conf /srv/edoc/conf"))
def queue() -> None:
    """Transfers on their way, and those that wait for a person."""


# -- looking ---------------------------------------------------------------------------------------


@click.command(
    "list",
    cls=Command,
    epilog=example(
        "edoc-gateway queue list --conf /srv/edoc/conf",
        "edoc-gateway queue list --state HELD --state UNCERTAIN --json",
    ),
)
@click.option("--state", "states", multiple=True, help="Default: all that are not at their end.")
@click.option("--limit", default=50, type=click.IntRange(1, 200), show_default=True)
@click.option("--cursor", default="", help="From the answer before, for the next page.")
@conf_option
@json_option
def list_queue(
    states: tuple[str, ...],
    limit: int,
    cursor: str,
    conf: str | None,
    as_json: bool,
    lang: str,
) -> None:
    """What is on its way, most urgent first."""
    from gateway.model.transfer import TransferState

    known = [s.value for s in TransferState]
    asked = [s.upper() for s in states] or [s for s in known if s not in ENDS]
    if wrong := [s for s in asked if s not in known]:
        raise Wrongly(
            f"không có trạng thái: {', '.join(wrong)}; có: {', '.join(known)}",
            f"no such state: {', '.join(wrong)}; there are {', '.join(known)}",
        )

    async def directly(desk: Desk) -> dict[str, Any]:
        rows, after = await desk.queue(states=asked, cursor=cursor, limit=limit)
        return {"transfers": rows, "cursor": after}

    def by_rest(gateway: Client) -> dict[str, Any]:
        answer: dict[str, Any] = gateway.get(
            "/v1/queue", state=",".join(asked), cursor=cursor, limit=limit
        )
        return answer

    found = ask(conf, lang, directly, by_rest)
    if as_json:
        say_json(found)
        return
    headings = (
        ("Lượt chuyển", "Văn bản", "Trạng thái", "Trục", "Nơi nhận", "Lần", "Lần tới", "Kết quả")
        if lang == "vi"
        else ("Transfer", "Document", "State", "Axis", "Receivers", "Tries", "Due", "Last outcome")
    )
    rows = [_row(t) for t in found["transfers"]]
    table(headings, rows, "Hàng đợi trống" if lang == "vi" else "The queue is empty")
    if found["cursor"]:
        say(f"--cursor {found['cursor']}")


def _row(transfer: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        transfer["transfer_id"],
        transfer["document_id"],
        transfer["state"],
        transfer["axis"],
        ", ".join(transfer["recipients"]),
        str(transfer["attempts"]),
        transfer["due_at"] or "",
        transfer["last_outcome"],
    )


@click.command(
    "show", cls=Command, epilog=example("edoc-gateway queue show 0198c0de-... --conf DIR/conf")
)
@click.argument("transfer_id")
@conf_option
@json_option
def show(transfer_id: str, conf: str | None, as_json: bool, lang: str) -> None:
    """One transfer with all its attempts, for somebody who must decide."""

    async def directly(desk: Desk) -> dict[str, Any]:
        return await desk.queued(transfer_id)

    def by_rest(gateway: Client) -> dict[str, Any]:
        answer: dict[str, Any] = gateway.get(path_of(transfer_id))
        return answer

    found = ask(conf, lang, directly, by_rest)
    if as_json:
        say_json(found)
        return
    say_fields({k: v for k, v in found.items() if k != "attempt_list"}, lang)
    headings = ("Lần", "Bắt đầu", "Kết thúc", "Kết quả", "Mã", "Chi tiết") if lang == "vi" else (
        "No.", "Started", "Ended", "Outcome", "Code", "Detail"
    )  # fmt: skip
    rows = [
        (
            str(a["number"]),
            a["started_at"],
            a["ended_at"] or "",
            a["outcome"],
            a["code"],
            a["detail"],
        )
        for a in found["attempt_list"]
    ]
    table(headings, rows, "Chưa gửi lần nào" if lang == "vi" else "No attempt yet")


# -- the dead --------------------------------------------------------------------------------------


@click.command(
    "dead",
    cls=Command,
    epilog=example(
        "edoc-gateway queue dead --conf /srv/edoc/conf",
        "edoc-gateway queue dead --cause peer --json",
    ),
)
@click.option("--cause", type=click.Choice(["unit", "peer", "ours"]), help="Only these.")
@click.option("--limit", default=50, type=click.IntRange(1, 200), show_default=True)
@click.option("--cursor", default="", help="From the answer before, for the next page.")
@conf_option
@json_option
def dead(
    cause: str | None, limit: int, cursor: str, conf: str | None, as_json: bool, lang: str
) -> None:
    """What ended without delivery or waits for a person: whose fault, why, and what to do."""

    async def directly(desk: Desk) -> dict[str, Any]:
        from gateway import deadletters
        from gateway.dispatch.causes import Whose

        letters, after = await deadletters.page(
            desk.store,
            whose=Whose(cause) if cause else None,
            cursor=cursor,
            limit=limit,
            language=lang,
        )
        return {"dead": letters, "cursor": after}

    def by_rest(gateway: Client) -> dict[str, Any]:
        answer: dict[str, Any] = gateway.get(
            "/v1/queue/dead", cause=cause, cursor=cursor, limit=limit
        )
        return answer

    found = ask(conf, lang, directly, by_rest)
    if as_json:
        say_json(found)
        return
    if not found["dead"]:
        say("Không có gì chờ người xử lý" if lang == "vi" else "Nothing waits for a person")
    for letter in found["dead"]:
        _say_letter(letter, lang)
    if found["cursor"]:
        say(f"--cursor {found['cursor']}")


IN_DOUBT = Text("có thể đã tới trục", "an attempt may have delivered it")


def _say_letter(letter: Mapping[str, Any], lang: str) -> None:
    why = letter["hold_cause"] or letter["code"]
    say(f"{letter['state']} {letter['kind']} {letter['id']} ({letter['axis']}, {letter['since']})")
    said: tuple[tuple[Text, str], ...] = (
        (Text("văn bản", "document"), letter["document_id"]),
        (Text("nơi gửi", "from"), letter["from"]),
        (Text("nơi nhận", "to"), ", ".join(letter["recipients"])),
        (Text("do", "cause"), f"{told(WHOSE[letter['cause']], lang)}: {letter['reason']}"),
        (Text("mã", "code"), why),
        (Text("chú ý", "mind"), told(IN_DOUBT, lang) if letter["doubt"] else ""),
        (Text("làm gì", "next"), letter["next_step"]),
    )
    for words, value in said:
        if value:
            say(f"  {told(words, lang):10} {value}")
    for command in letter["commands"]:
        say(f"  $ {command}")
    say()


# a command of another file joins here
for _command in (list_queue, show, forecast, dead, hold, release, retry, withdraw, replay):
    queue.add_command(_command)
