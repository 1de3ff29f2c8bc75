"""ledger stamps, ledger stamp: where we stand without stamps, what they cost, one on request.

In:     a configuration, or the address and key of a running gateway (roles ops, admin, auditor).
Out:    level, gap and authorities; the stamp that covers a record.
Fails:  75 while nobody answers, another stamp is under way, or the record is not sealed.
Never:  asks an authority for what a stamp covers already.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.answers import Command, conf_option, example, json_option, say, say_json, table
from gateway.cli.operating import BY, ask_gateway
from gateway.errors import Text

if TYPE_CHECKING:
    from gateway.cli.client import Client
    from gateway.wiring.process import Gateway

PATH = "/v1/ledger/stamps"
POLL_SECONDS = 2.0
_LEVELS = {
    "normal": Text("bình thường", "normal"),
    "provisional": Text("tạm tính: chưa có dấu thời gian", "provisional: no stamp"),
    "brake": Text("PHANH: văn bản mới bị giữ hoặc từ chối", "BRAKE: new documents do not go"),
}
_NOBODY = Text(
    "chưa cấu hình nơi cấp dấu thời gian nào (stamp.authorities): không có dấu nào được xin",
    "no timestamp authority is configured (stamp.authorities): no stamp is asked for",
)


@click.command(
    "stamps", cls=Command, epilog=example("edoc-gateway ledger stamps --conf /srv/edoc/conf")
)
@conf_option
@json_option
def stamps(conf: str | None, as_json: bool, lang: str) -> None:
    """The level of timestamps, the open gap, and each authority with its count and cost."""

    async def directly(gateway: Gateway) -> dict[str, Any]:
        return await gateway.stampbook.shown()

    def by_rest(client: Client) -> dict[str, Any]:
        answer: dict[str, Any] = client.get(PATH)
        return answer

    found = ask_gateway(conf, lang, directly, by_rest)
    if as_json:
        say_json(found)
        return
    vi = lang == "vi"
    nobody = not any(authority["asked"] for authority in found["authorities"])
    if nobody:
        say(_NOBODY.vi if vi else _NOBODY.en)
    if not nobody or found["level"] != "normal":
        level = _LEVELS[found["level"]]
        say(level.vi if vi else level.en)
    covered, entries, at = found["stamped_entries"], found["entries"], found["stamped_at"] or "-"
    say(
        f"Dấu gần nhất: {at}, trên {covered} trong {entries} mục"
        if vi
        else f"Newest stamp: {at}, over {covered} of {entries} entries"
    )
    if found["gap_since"]:
        ends = found["brake_at"] or "-"
        say(
            f"Chưa có dấu từ: {found['gap_since']}; phanh lúc: {ends}"
            if vi
            else f"Without a stamp since: {found['gap_since']}; the brake comes at: {ends}"
        )
    headings = (
        ("Nơi cấp", "Được cấp", "Không được", "Chi phí", "Giá một dấu")
        if vi
        else ("Authority", "Granted", "Failed", "Cost", "Cost of one")
    )
    rows = [
        (a["name"], str(a["granted"]), str(a["failed"]), str(a["cost"]), str(a["cost_of_one"]))
        for a in found["authorities"]
    ]
    say(f"Từ ngày {found['from_day']}:" if vi else f"Since {found['from_day']}:")
    table(headings, rows, "Chưa cấu hình" if vi else "None is configured")


@click.command(
    "stamp",
    cls=Command,
    epilog=example("edoc-gateway ledger stamp 01939c1e-7a3b-7cde-8f00-0123456789ab"),
)
@click.argument("record")
@conf_option
@json_option
def stamp(record: str, conf: str | None, as_json: bool, lang: str) -> None:
    """Have RECORD (an id that a history shows) covered by a timestamp now. The order is recorded.

    An authority may bill it. Where a stamp covers the record already, none is asked.
    """

    async def directly(gateway: Gateway) -> dict[str, Any]:
        return await gateway.stampbook.order(BY, record)

    def by_rest(client: Client) -> dict[str, Any]:
        answer: dict[str, Any] = client.post(PATH, {"record": record})
        while answer["state"] != "stamped":  # asked again, the order that is under way is joined
            time.sleep(POLL_SECONDS)
            answer = client.post(PATH, {"record": record})
        return answer

    made = ask_gateway(conf, lang, directly, by_rest)
    if as_json:
        say_json(made)
        return
    say(
        f"Có dấu thời gian lúc {made['stamped_at']} ({made['authority']}), mục {made['seq']}"
        if lang == "vi"
        else f"Stamped at {made['stamped_at']} by {made['authority']}, entry {made['seq']}"
    )
