"""account: for the people who run a gateway; `ask`, by which they reach it.

In:     a configuration; while that gateway runs, its address and an ops key as well.
Out:    accounts; a new key, shown once.
Fails:  78 when neither the database is free nor an ops key is given.
Never:  writes into a SQLite database that a running gateway holds: then it asks through REST
        (architecture 6); on PostgreSQL it writes beside the running processes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.cli.answers import (
    Command,
    conf_option,
    example,
    json_option,
    say,
    say_json,
    table,
)
from gateway.errors import Misconfigured, Rejected, Text

if TYPE_CHECKING:
    from gateway.cli.client import Client
    from gateway.config import Settings
    from gateway.desk import Desk
    from gateway.wiring.process import Gateway

T = TypeVar("T")
BY = "cli"  # who did it, in the record; a person's name is not asked for and not kept
OPERATING = ("ops", "admin")


def ask(
    conf: str | None,
    lang: str,
    directly: Callable[[Desk], Awaitable[T]],
    by_rest: Callable[[Client], T],
) -> T:
    """Through the database when it is free, else through the gateway that holds it."""
    return ask_gateway(conf, lang, lambda gateway: directly(gateway.desk), by_rest)


def ask_gateway(
    conf: str | None,
    lang: str,
    directly: Callable[[Gateway], Awaitable[T]],
    by_rest: Callable[[Client], T],
) -> T:
    """As `ask`, for what the desk does not do."""
    from gateway.cli import client
    from gateway.cli.places import named
    from gateway.cli.places import settings as load

    if not conf:
        if not os.environ.get(client.URL):
            named(conf, or_asked=True)  # refuses: neither a configuration nor an address was given
        return by_rest(client.Client.from_environment(lang))
    settings = load(conf)
    try:
        return asyncio.run(_inside(settings, directly))
    except Misconfigured as problem:
        if problem.code != "store.locked":
            raise
    key = os.environ.get(client.KEY, "")
    if not key:
        raise Misconfigured(
            Text(
                f"Gateway đang chạy và giữ cơ sở dữ liệu: đặt {client.KEY} là khóa ops",
                f"the gateway is running and holds the database: set {client.KEY} to an ops key",
            ),
            code="client.no_key",
        )
    url = os.environ.get(client.URL, "")
    if not url and not settings.api.port:
        raise Misconfigured(
            Text(
                f"api.port là 0 (cổng bất kỳ): đặt {client.URL} là địa chỉ gateway đã in ra",
                f"api.port is 0, any free one: set {client.URL} to the address it told",
            ),
            code="client.no_address",
        )
    url = url or f"http://{settings.api.host}:{settings.api.port}"
    return by_rest(client.Client(url, key, lang))


async def _inside(settings: Settings, act: Callable[[Gateway], Awaitable[T]]) -> T:
    from gateway.wiring.process import open_gateway

    async with open_gateway(settings) as gateway:
        return await act(gateway)


# -- accounts --------------------------------------------------------------------------------------


@click.group("account", epilog=example("edoc-gateway account list --conf /srv/edoc/conf"))
def account() -> None:
    """Keys of unit systems, operators and auditors."""


@account.command(
    "add",
    cls=Command,
    epilog=example(
        "edoc-gateway account add qlvb-so-19 --agency H14.19 --conf /srv/edoc/conf",
        "edoc-gateway account add kiem-toan --role auditor",
    ),
)
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["unit", "ops", "admin", "auditor"]),
    default="unit",
    show_default=True,
)
@click.option("--agency", "agencies", multiple=True, help="A code the key speaks for; repeatable.")
@conf_option
@json_option
def add(
    name: str,
    role: str,
    agencies: tuple[str, ...],
    conf: str | None,
    as_json: bool,
    lang: str,
) -> None:
    """Make an account called NAME; its key is shown this once."""

    async def directly(desk: Desk) -> dict[str, Any]:
        from gateway.desk import Role, account_json

        made, key = await desk.add_account(BY, name=name, role=Role(role), agencies=agencies)
        return {**account_json(made), "key": key}

    def by_rest(gateway: Client) -> dict[str, Any]:
        body = {"name": name, "role": role, "agencies": list(agencies)}
        answer: dict[str, Any] = gateway.post("/v1/accounts", body)
        return answer

    made = ask(conf, lang, directly, by_rest)
    if as_json:
        say_json(made)
        return
    spoken = ", ".join(made["agencies"]) or "-"
    say(f"{made['id']}  {made['name']}  {made['role']}  {spoken}")
    words = "Khóa (chỉ hiện lần này)" if lang == "vi" else "Key (shown only now)"
    say(f"{words}: {made['key']}")


@account.command(
    "list", cls=Command, epilog=example("edoc-gateway account list --conf /srv/edoc/conf --json")
)
@conf_option
@json_option
def list_accounts(conf: str | None, as_json: bool, lang: str) -> None:
    """Who has a key, for which agencies, since when, until when."""

    async def directly(desk: Desk) -> dict[str, Any]:
        return {"accounts": await desk.list_accounts()}

    def by_rest(gateway: Client) -> dict[str, Any]:
        answer: dict[str, Any] = gateway.get("/v1/accounts")
        return answer

    found = ask(conf, lang, directly, by_rest)
    if as_json:
        say_json(found)
        return
    headings = ("Id", "Tên", "Vai trò", "Cơ quan", "Tạo lúc", "Thu hồi lúc") if lang == "vi" else (
        "Id", "Name", "Role", "Agencies", "Created", "Revoked"
    )  # fmt: skip
    rows = [
        (
            a["id"],
            a["name"],
            a["role"],
            ", ".join(a["agencies"]),
            a["created_at"],
            a["revoked_at"] or "",
        )
        for a in found["accounts"]
    ]
    table(headings, rows, "Không có" if lang == "vi" else "None")


@account.command(
    "revoke", cls=Command, epilog=example("edoc-gateway account revoke 5f0c9a... --conf DIR/conf")
)
@click.argument("account_id")
@click.option("--even-the-last", is_flag=True, help="Also when nobody could operate it any more.")
@conf_option
@json_option
def revoke(
    account_id: str, even_the_last: bool, conf: str | None, as_json: bool, lang: str
) -> None:
    """Refuse the key of ACCOUNT_ID from now on. There is no way back; make a new one.

    The last key of role ops or admin is kept, unless told otherwise: without one a running gateway
    takes no more orders, and must stand still for `account add` to make another.
    """

    def judge(accounts: Sequence[Mapping[str, Any]]) -> None:
        operating = [a["id"] for a in accounts if a["role"] in OPERATING and not a["revoked_at"]]
        if operating == [account_id] and not even_the_last:
            raise Rejected(
                Text(
                    "Đây là khóa vận hành cuối cùng: thêm khóa khác trước, hoặc --even-the-last",
                    "this is the last key that can operate the gateway: add another first, "
                    "or --even-the-last",
                ),
                code="account.last_ops",
            )

    async def directly(desk: Desk) -> None:
        judge(await desk.list_accounts())
        await desk.revoke_account(BY, account_id)

    def by_rest(gateway: Client) -> None:
        from gateway.cli.client import quoted

        judge(gateway.get("/v1/accounts")["accounts"])
        gateway.delete(f"/v1/accounts/{quoted(account_id)}")

    ask(conf, lang, directly, by_rest)
    if as_json:
        say_json({"id": account_id, "revoked": True})
    else:
        say(f"{'Đã thu hồi' if lang == 'vi' else 'Revoked'}: {account_id}")
