"""quarantine: what arrived and waits for a person, and what that person decides.

In:     a configuration; while that gateway runs, its address and an ops key as well.
Out:    arrivals with their findings, never their content; a decision, recorded with its reason.
Fails:  as `operating.ask` does; as the gateway says.
Never:  decides anything by itself; tells a sender what no agency said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.answers import Command, conf_option, example, json_option, say, say_json, table
from gateway.cli.operating import BY, ask

if TYPE_CHECKING:
    from gateway.cli.client import Client
    from gateway.desk import Desk

reason_option = click.option("--reason", required=True, help="Why; kept apart, and erasable.")


@click.group("quarantine", epilog=example("edoc-gateway quarantine list --conf /srv/edoc/conf"))
def quarantine() -> None:
    """Arrivals that wait for a person, and packages that could not be fetched."""


@quarantine.command(
    "list", cls=Command, epilog=example("edoc-gateway quarantine list --conf /srv/edoc/conf")
)
@click.option("--limit", default=50, type=click.IntRange(1, 200), show_default=True)
@conf_option
@json_option
def list_waiting(limit: int, conf: str | None, as_json: bool, lang: str) -> None:
    """What waits, oldest first: arrivals with their findings, and held fetches."""

    async def directly(desk: Desk) -> dict[str, Any]:
        return await desk.quarantine(limit, lang)

    def by_rest(gateway: Client) -> dict[str, Any]:
        answer: dict[str, Any] = gateway.get("/v1/quarantine", limit=limit)
        return answer

    found = ask(conf, lang, directly, by_rest)
    if as_json:
        say_json(found)
        return
    vietnamese = lang == "vi"
    headings = (
        ("Gói tin đến", "Trạng thái", "Trục", "Bên gửi", "Văn bản", "Phát hiện")
        if vietnamese
        else ("Arrival", "State", "Axis", "From", "Document", "Findings")
    )
    rows = [
        (a["id"], a["state"], a["axis"], a["from"], a["document_id"], ", ".join(_wrong(a)))
        for a in found["arrivals"]
    ]
    table(headings, rows, "Không có gì chờ" if vietnamese else "Nothing waits")
    if found["fetches"]:
        named = (
            ("Trục", "Mã trên trục", "Lỗi cuối", "Lần")
            if vietnamese
            else ("Axis", "Its docId", "Last failure", "Tries")
        )
        held = [
            (f["axis"], f["axis_doc_id"], f["last_code"], str(f["tries"])) for f in found["fetches"]
        ]
        table(named, held, "")


def _wrong(arrival: Mapping[str, Any]) -> list[str]:
    return sorted({f["code"] for f in arrival["findings"] if f["severity"] == "error"})


@quarantine.command(
    "show", cls=Command, epilog=example("edoc-gateway quarantine show 0198c0de-... --json")
)
@click.argument("arrival_id")
@conf_option
@json_option
def show(arrival_id: str, conf: str | None, as_json: bool, lang: str) -> None:
    """One arrival, and every finding about it."""

    async def directly(desk: Desk) -> dict[str, Any]:
        from gateway.releasing import Releasing

        return await Releasing(desk).one(arrival_id, lang)

    def by_rest(gateway: Client) -> dict[str, Any]:
        answer: dict[str, Any] = gateway.get(_path(arrival_id))
        return answer

    _say(ask(conf, lang, directly, by_rest), as_json)


@quarantine.command(
    "open",
    cls=Command,
    epilog=example('edoc-gateway quarantine open 0198c0de-... --reason "asked the sender"'),
)
@click.argument("arrival_id")
@reason_option
@conf_option
@json_option
def let_in(arrival_id: str, reason: str, conf: str | None, as_json: bool, lang: str) -> None:
    """Let ARRIVAL_ID into the inboxes, against what was found; the finding stays with it.

    Never what could not be read, killed its process, or is marked secret.
    """

    async def directly(desk: Desk) -> dict[str, Any]:
        from gateway.releasing import Releasing

        return await Releasing(desk).let_in(BY, arrival_id, reason=reason, language=lang)

    def by_rest(gateway: Client) -> dict[str, Any]:
        answer: dict[str, Any] = gateway.post(f"{_path(arrival_id)}/open", {"reason": reason})
        return answer

    _say(ask(conf, lang, directly, by_rest), as_json)


@quarantine.command(
    "return",
    cls=Command,
    epilog=example('edoc-gateway quarantine return 0198c0de-... --reason "not for us" --tell'),
)
@click.argument("arrival_id")
@reason_option
@click.option("--tell", is_flag=True, help="Status 02 in the receivers' name: they said so.")
@conf_option
@json_option
def send_back(
    arrival_id: str, reason: str, tell: bool, conf: str | None, as_json: bool, lang: str
) -> None:
    """Close ARRIVAL_ID without letting it in; with --tell its sender is sent status 02.

    Where 02 would mean another document to the sender (a conflict, a false From), it is refused:
    tell the sender by other means, and return it without --tell.
    """

    async def directly(desk: Desk) -> dict[str, Any]:
        from gateway.releasing import Releasing

        return await Releasing(desk).send_back(
            BY, arrival_id, reason=reason, tell_sender=tell, language=lang
        )

    def by_rest(gateway: Client) -> dict[str, Any]:
        body = {"reason": reason, "tell_sender": tell}
        answer: dict[str, Any] = gateway.post(f"{_path(arrival_id)}/return", body)
        return answer

    _say(ask(conf, lang, directly, by_rest), as_json)


def _path(arrival_id: str) -> str:
    from gateway.cli.client import quoted

    return f"/v1/quarantine/{quoted(arrival_id)}"


def _say(arrival: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(arrival)
        return
    say(f"{arrival['id']}  {arrival['state']}  {arrival['kind']}  {arrival['axis']}")
    say(f"  {arrival['from']}  {arrival['document_id']}  {arrival['received_at']}".rstrip())
    say(f"  {arrival['raw']['size']:,} B  sha256 {arrival['raw']['sha256']}")
    for one in arrival["findings"]:
        say(f"  {one['severity']}  {one['code']}  {one['message']}")
    for transfer in arrival.get("transfers", ()):
        say(f"  02  {transfer}")
