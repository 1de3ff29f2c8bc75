"""What a person does at the queue: hold, release, retry, withdraw, replay. The group: `queue`.

In:     a transfer or a period, a reason; the database when it is free, else REST.
Out:    where the transfer stands now, and what can be done next; of a period what is, or was, made.
Fails:  65 when the state forbids an act, 64 for a command called wrongly, 75 while somebody else
        replays a period.
Never:  sends bytes a second time unless it was told so (`--yes-again`, `--force` with a reason).

Each act is recorded with who did it (`console`, or the account of the key), and its reason by a
salted digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.answers import (
    Command,
    conf_option,
    example,
    json_option,
    parsed,
    say,
    say_json,
    table,
    told,
)
from gateway.cli.operating import ask
from gateway.cli.wrongly import Wrongly
from gateway.errors import Text

if TYPE_CHECKING:
    from gateway.cli.client import Client
    from gateway.desk import Desk
    from gateway.promise import Order
    from gateway.replaying import Replaying
    from gateway.store.documents import Answered

BY = "console"  # who acted, in the record; a person's name is not asked for and not kept
FIELDS: Mapping[str, Text] = MappingProxyType(
    {
        "transfer_id": Text("lượt chuyển", "transfer"),
        "document_id": Text("văn bản", "document"),
        "state": Text("trạng thái", "state"),
        "axis": Text("trục", "axis"),
        "recipients": Text("nơi nhận", "receivers"),
        "lane": Text("độ khẩn", "urgency"),
        "attempts": Text("số lần gửi", "attempts"),
        "due_at": Text("lần tới", "due"),
        "last_outcome": Text("kết quả cuối", "last outcome"),
        "doubt": Text("có thể đã tới trục", "may be on the axis"),
        "hold_cause": Text("lý do giữ lại", "why it is held"),
        "kind": Text("loại", "kind"),
        "last_detail": Text("chi tiết cuối", "last detail"),
        "replay_of": Text("gửi lại của", "replay of"),
        "can": Text("làm được", "what can be done"),
        "axis_doc_id": Text("mã trên trục", "docId"),
        "remote_ref": Text("mã của trục", "the axis' number"),
        "package": Text("gói tin", "package"),
    }
)
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
BOOLS = {True: Text("có", "yes"), False: Text("không", "no")}
WHOSE = {
    "unit": Text("đơn vị", "the unit"),
    "peer": Text("phía bên kia", "the other side"),
    "ours": Text("phía gateway", "ours"),
}


def urgency(lane: int, lang: str) -> str:
    """A lane by the word that stands on the paper; one of a later version by its number."""
    from gateway.dispatch.lanes import URGENCY

    return told(URGENCY[lane], lang) if 0 <= lane < len(URGENCY) else str(lane)


def say_fields(found: Mapping[str, Any], lang: str) -> None:
    """One line a member, in the words of people; what is empty has none."""
    for name, value in found.items():
        words = told(FIELDS[name], lang) if name in FIELDS else name
        if name == "lane":
            shown = urgency(value, lang)
        elif isinstance(value, bool):
            shown = told(BOOLS[value], lang)
        elif isinstance(value, list):
            shown = ", ".join(value)
        elif isinstance(value, Mapping):
            shown = f"{value['size']:,} B sha256 {value['sha256']}"
        else:
            shown = "" if value is None else str(value)
        if shown:
            say(f"  {words:20} {shown}")


_REASON = click.option("--reason", default="", help="Kept outside the ledger, which has a digest.")
_WHY = click.option("--reason", required=True, help="Kept outside the ledger, which has a digest.")


def _order(lang: str, *said: object) -> Order:
    from gateway.promise import Order

    return Order(BY, hashlib.sha256(repr(said).encode()).hexdigest(), None, lang)


def _must_name(axis: str | None) -> None:
    """An empty name is a variable of somebody's script that was not set, not all axes."""
    if axis is not None and not axis.strip():
        raise Wrongly("--axis cần tên một trục", "--axis needs the name of an axis")


def _replaying(desk: Desk) -> Replaying:
    from gateway.operating import Operating
    from gateway.replaying import Replaying

    return Replaying(Operating(desk.outbound, desk.inbound.settling))


def path_of(transfer_id: str, act: str = "") -> str:
    """The address of a transfer, or of an act on it. What can be no id of one is told as an id
    that nothing has, as the desk does: REST knows no such address.
    """
    if not _ID.fullmatch(transfer_id):
        from gateway.operating import no_transfer

        raise no_transfer()
    return f"/v1/queue/{transfer_id}/{act}".rstrip("/")


def _act(
    conf: str | None,
    lang: str,
    as_json: bool,
    path: str,
    body: Mapping[str, Any],
    directly: Callable[[Replaying], Awaitable[Answered]],
) -> None:
    """One act, at the desk or through REST (`path`), and what it says afterwards."""

    async def at_the_desk(desk: Desk) -> dict[str, Any]:
        return parsed((await directly(_replaying(desk))).answer)

    def by_rest(gateway: Client) -> dict[str, Any]:
        answer: dict[str, Any] = gateway.post(path, dict(body))
        return answer

    found = ask(conf, lang, at_the_desk, by_rest)
    if as_json:
        say_json(found)
        return
    say_fields(found, lang)


@click.command(
    "hold",
    cls=Command,
    epilog=example('edoc-gateway queue hold 0198c0de-... --reason "..." --conf DIR/conf'),
)
@click.argument("transfer_id")
@_REASON
@conf_option
@json_option
def hold(transfer_id: str, reason: str, conf: str | None, as_json: bool, lang: str) -> None:
    """Send nothing more of TRANSFER_ID until it is released. Its sender reads that it waits."""

    async def directly(at: Replaying) -> Answered:
        order = _order(lang, "hold", transfer_id)
        return await at.operating.hold(order, transfer_id, reason=reason)

    _act(conf, lang, as_json, path_of(transfer_id, "hold"), {"reason": reason}, directly)


@click.command(
    "release",
    cls=Command,
    epilog=example(
        "edoc-gateway queue release 0198c0de-... --conf DIR/conf",
        'edoc-gateway queue release 0198c0de-... --yes-again --reason "..."',
        "edoc-gateway queue release DOCID --axis vxp",
    ),
)
@click.argument("transfer_id")
@click.option("--axis", help="TRANSFER_ID is the docId of a held fetch of this axis.")
@click.option(
    "--yes-again", "again", is_flag=True, help="Also when the axis may have these bytes already."
)
@_REASON
@conf_option
@json_option
def release(
    transfer_id: str,
    axis: str | None,
    again: bool,
    reason: str,
    conf: str | None,
    as_json: bool,
    lang: str,
) -> None:
    """Let TRANSFER_ID go on; its lifetime counts anew.

    When an earlier attempt may have delivered it, the same bytes go again: ask the axis or the
    receiver first, then say --yes-again.
    """
    _must_name(axis)
    if axis and again:
        raise Wrongly(
            "--yes-again dùng cho một lượt chuyển, --axis cho một lần tải về",
            "--yes-again belongs to a transfer, --axis to a fetch",
        )
    if axis:
        of = axis
        _act(
            conf,
            lang,
            as_json,
            "/v1/quarantine/fetches/release",
            {"axis": of, "axis_doc_id": transfer_id, "reason": reason},
            lambda at: at.operating.release_fetch(
                _order(lang, "release", of, transfer_id), of, transfer_id, reason=reason
            ),
        )
        return

    async def directly(at: Replaying) -> Answered:
        order = _order(lang, "release", transfer_id)
        return await at.operating.release(order, transfer_id, again=again, reason=reason)

    body = {"again": again, "reason": reason}
    _act(conf, lang, as_json, path_of(transfer_id, "release"), body, directly)


@click.command(
    "retry",
    cls=Command,
    epilog=example(
        "edoc-gateway queue retry 0198c0de-... --conf DIR/conf",
        'edoc-gateway queue retry 0198c0de-... --force --reason "..."',
    ),
)
@click.argument("transfer_id")
@click.option("--force", is_flag=True, help="Also while bytes may be on their way; needs --reason.")
@_REASON
@conf_option
@json_option
def retry(
    transfer_id: str, force: bool, reason: str, conf: str | None, as_json: bool, lang: str
) -> None:
    """Try TRANSFER_ID now instead of when it is due.

    After an attempt without a verdict this waits for the attempt's deadline and a grace: its
    bytes may still be on their way.
    """

    async def directly(at: Replaying) -> Answered:
        order = _order(lang, "retry", transfer_id)
        return await at.operating.retry(order, transfer_id, force=force, reason=reason)

    body = {"force": force, "reason": reason}
    _act(conf, lang, as_json, path_of(transfer_id, "retry"), body, directly)


@click.command(
    "withdraw",
    cls=Command,
    epilog=example('edoc-gateway queue withdraw 0198c0de-... --reason "..." --conf DIR/conf'),
)
@click.argument("transfer_id")
@_WHY
@conf_option
@json_option
def withdraw(transfer_id: str, reason: str, conf: str | None, as_json: bool, lang: str) -> None:
    """Take TRANSFER_ID back before any attempt can have delivered it. Its sender is told."""

    async def directly(at: Replaying) -> Answered:
        order = _order(lang, "withdraw", transfer_id)
        return await at.operating.withdraw(order, transfer_id, reason=reason)

    _act(conf, lang, as_json, path_of(transfer_id, "withdraw"), {"reason": reason}, directly)


# -- replay ----------------------------------------------------------------------------------------


@click.command(
    "replay",
    cls=Command,
    epilog=example(
        'edoc-gateway queue replay 0198c0de-... --reason "..." --conf DIR/conf',
        "edoc-gateway queue replay --from 2026-11-20T00:00 --preview",
        "edoc-gateway queue replay --from 2026-11-20T00:00 --to 2026-11-20T06:00 "
        '--cause peer --rate 60 --reason "..."',
    ),
)
@click.argument("transfer_id", required=False)
@click.option("--from", "start", default="", help="Everything that died from then on; +07:00.")
@click.option("--to", "end", default="", help="Until then; a preview may leave it out.")
@click.option("--cause", type=click.Choice(["unit", "peer", "ours"]), help="Only these.")
@click.option("--axis", help="Only of this axis.")
@click.option("--rate", default=60, show_default=True, help="Replays a minute at most.")
@click.option("--preview", is_flag=True, help="Count and name them, send nothing.")
@click.option(
    "--yes-again",
    "again",
    is_flag=True,
    help="Also when the axis has it, or its sender recalled it.",
)
@_REASON
@conf_option
@json_option
def replay(
    transfer_id: str | None,
    start: str,
    end: str,
    cause: str | None,
    axis: str | None,
    rate: int,
    preview: bool,
    again: bool,
    reason: str,
    conf: str | None,
    as_json: bool,
    lang: str,
) -> None:
    """Send again what died: TRANSFER_ID, or all that ended between --from and --to.

    A replay is a new transfer with the same bytes. A period may be asked for again at any time:
    nothing is replayed twice, and the rate holds. What its sender has recalled, replaced or asked
    back since is counted and left alone.
    """
    _must_name(axis)
    if (transfer_id is None) == (not start):
        raise Wrongly(
            "cần TRANSFER_ID, hoặc một khoảng thời gian với --from",
            "give TRANSFER_ID, or a period with --from",
        )
    if transfer_id is not None:
        if end or cause or axis or preview:
            raise Wrongly(
                "--to, --cause, --axis và --preview đi cùng --from",
                "--to, --cause, --axis and --preview belong to --from",
            )
        one = transfer_id

        async def directly(at: Replaying) -> Answered:
            order = _order(lang, "replay", one)
            return await at.one(order, one, again=again, reason=reason)

        body = {"again": again, "reason": reason}
        _act(conf, lang, as_json, path_of(one, "replay"), body, directly)
        return
    if again:
        raise Wrongly(
            "--yes-again dùng cho một TRANSFER_ID",
            "--yes-again belongs to one TRANSFER_ID",
        )
    asked = {
        "from": start,
        "to": end,
        "cause": cause or "",
        "axis": axis or "",
        "rate": rate,
        "preview": preview,
        "reason": reason,
    }
    found = _replay_period(asked, conf, lang)
    if as_json:
        say_json(found)
    elif preview:
        _say_preview(found, asked, lang)
    else:
        words = "Đã tạo {} lượt gửi lại" if lang == "vi" else "{} replays made"
        say(words.format(f"{found['count']:,}"))
        if found["last_due_at"]:
            last = "lượt cuối lúc" if lang == "vi" else "the last is due at"
            say(f"  {last} {found['last_due_at']}")
        _say_left(found, lang)


def _replay_period(asked: Mapping[str, Any], conf: str | None, lang: str) -> dict[str, Any]:
    async def directly(desk: Desk) -> dict[str, Any]:
        from gateway.replaying import period_of

        replaying = _replaying(desk)
        period = period_of(
            asked["from"],
            asked["to"],
            now=await replaying.now(),
            axes=replaying.axes,
            whose=asked["cause"],
            axis=asked["axis"],
            rate=asked["rate"],
            preview=asked["preview"],
            reason=asked["reason"],
        )
        if asked["preview"]:
            return await replaying.preview(period)
        order = _order(lang, "replay", *asked.items())
        return parsed((await replaying.run(order, period, reason=asked["reason"])).answer)

    def by_rest(gateway: Client) -> dict[str, Any]:
        answer: dict[str, Any] = gateway.post("/v1/queue/replay", dict(asked))
        return answer

    return ask(conf, lang, directly, by_rest)


def _say_left(found: Mapping[str, Any], lang: str) -> None:
    """What stays as it is; the ids, so that one of them can be sent by itself all the same."""
    left = found["recalled"]
    if left["count"]:
        text = Text(
            f"{left['count']:,} lượt không gửi lại vì đơn vị gửi đã thu hồi, thay thế hoặc đề nghị "
            "lấy lại văn bản:",
            f"{left['count']:,} left alone, since recalled, replaced or asked back by the sender:",
        )
        say(told(text, lang))
        say("  " + " ".join(left["transfer_ids"]))
    if held := found["held"]["count"]:
        text = Text(
            f"{held:,} lượt của khoảng này đang HELD, không thuộc phần gửi lại: `queue dead` nêu "
            "từng lượt, hỏi trục hoặc nơi nhận rồi release",
            f"{held:,} of this period are HELD, which is no matter of a replay: `queue dead` names "
            "them; ask the axis or the receiver, then release",
        )
        say(told(text, lang))


def _say_preview(found: Mapping[str, Any], asked: Mapping[str, Any], lang: str) -> None:
    headings = ("Do", "Số lượt", "Lượt chuyển") if lang == "vi" else ("Cause", "Count", "Transfers")
    rows = [
        (told(WHOSE[whose], lang), str(one["count"]), " ".join(one["transfer_ids"]))
        for whose, one in found["by_cause"].items()
    ]
    table(headings, rows, "Không có gì để gửi lại" if lang == "vi" else "Nothing to replay")
    _say_left(found, lang)
    if not found["count"]:
        return
    minutes = "phút" if lang == "vi" else "minutes"
    say(f"{found['count']:,} / {asked['rate']} = {found['minutes']:,} {minutes}")
    narrowed = "".join(f" --{k} {asked[k]}" for k in ("cause", "axis") if asked[k])
    say(
        f"$ edoc-gateway queue replay --from {found['from']} --to {found['to']}{narrowed} "
        f'--rate {asked["rate"]} --reason "..."'
    )
