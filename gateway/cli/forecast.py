"""queue forecast: when the queues are empty, and what is too late by then.

In:     a configuration, or the address of a running gateway and an ops key.
Out:    one paragraph for each axis and a table of what passes its deadline, or JSON.
Fails:  as every command that asks at the desk (`operating.ask`).
Never:  changes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gateway.cli.answers import Command, conf_option, example, json_option, say, say_json, table
from gateway.cli.queue_acts import urgency

if TYPE_CHECKING:
    from gateway.cli.client import Client
    from gateway.desk import Desk

_PASSES = {"due_date": ("hạn xử lý", "due date"), "lifetime": ("hạn gửi", "lifetime")}


@click.command(
    "forecast",
    cls=Command,
    epilog=example(
        "edoc-gateway queue forecast --conf /srv/edoc/conf", "edoc-gateway queue forecast --json"
    ),
)
@conf_option
@json_option
def forecast(conf: str | None, as_json: bool, lang: str) -> None:
    """When each queue is empty at the present rate, and which documents are too late by then."""
    from gateway.cli.operating import ask

    async def directly(desk: Desk) -> dict[str, Any]:
        from gateway.forecasting import Forecasting

        return await Forecasting(desk).forecast(lang)

    def by_rest(gateway: Client) -> dict[str, Any]:
        answer: dict[str, Any] = gateway.get("/v1/queue/forecast")
        return answer

    found = ask(conf, lang, directly, by_rest)
    if as_json:
        say_json(found)
        return
    vi = lang == "vi"
    for axis in found["axes"]:
        say(f"{axis['axis']}: {axis['message']}")
    rows = [
        (
            axis["axis"],
            urgency(late["lane"], lang),
            late["document_id"],
            late["transfer_id"],
            _PASSES[late["passes"]][0 if vi else 1] + held,
            late["at"],
        )
        for axis in found["axes"]
        for which, held in (("passing", ""), ("held_passing", " (HELD)"))
        for late in axis[which]["first"]
    ]
    headings = ("Trục", "Độ khẩn", "Văn bản", "Lượt chuyển", "Qua", "Lúc") if vi else (
        "Axis", "Urgency", "Document", "Transfer", "Passes", "At"
    )  # fmt: skip
    if rows:
        table(headings, rows, "")
