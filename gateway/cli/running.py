"""run, simulate, demo: what stays until it is told to stop.

In:     a configuration; jobs; ports.
Out:    a process that serves, and tells systemd when it is ready.
Fails:  78 when it may not start, 70 when a worker broke: then it must not be restarted into it.
Never:  drops work on SIGTERM or Ctrl-C: attempts under way may end first; the second one insists.
"""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.answers import Command, conf_option, example, json_option
from gateway.cli.wrongly import Wrongly
from gateway.errors import GatewayError, Misconfigured, Text

if TYPE_CHECKING:
    from gateway.config import Settings

JOBS = ("all", "api", "seal", "stamp", "deliver", "collect", "open", "sweep")


class _Service(Command):
    """A file that fails inside a running gateway is not the caller's: the trace is wanted."""

    files_are_the_callers = False


@click.command(
    "run",
    cls=_Service,
    epilog=example(
        "edoc-gateway run all --conf /srv/edoc/conf",
        "edoc-gateway run deliver        # one job of a gateway on PostgreSQL",
        "edoc-gateway run deliver --metrics 127.0.0.1:9303",
    ),
)
@click.argument("job", type=click.Choice(JOBS), default="all")
@click.option(
    "--metrics",
    "figures",
    callback=lambda _ctx, _option, value: _address(value),
    metavar="HOST:PORT",
    help="Serve /metrics, /healthz and /readyz there; `api` serves them at its own address.",
)
@conf_option
def run(job: str, figures: tuple[str, int] | None, conf: str | None, lang: str) -> None:
    """Run the gateway, or one JOB of it (PostgreSQL only). Logs are JSON lines on stdout."""
    del lang
    from gateway.cli.places import settings as load
    from gateway.courtesy import behind_the_door, take_turns
    from gateway.store import sqlite_path
    from gateway.telemetry import logs

    settings = load(conf)
    if job != "all" and sqlite_path(settings.database.url) is not None:
        raise Misconfigured(
            Text(
                f"Với SQLite chỉ có `run all`; `run {job}` cần PostgreSQL (database.url)",
                f"on SQLite there is only `run all`; `run {job}` needs PostgreSQL (database.url)",
            ),
            code="run.sqlite_all_only",
        )
    logs.configure(settings.log.level)
    take_turns()
    if job not in ("all", "api"):
        behind_the_door()
    with _port():
        try:
            asyncio.run(_run(settings, job, figures))
        except BaseExceptionGroup as several:
            raise first_error(several) from several


@contextmanager
def _port() -> Iterator[None]:
    """Misconfigured (`run.address`) instead of a trace when the address cannot be listened on."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
            raise
        if error.filename is not None:
            raise
        why = error.strerror or str(error)
        raise Misconfigured(
            Text(f"Không mở được địa chỉ để lắng nghe: {why}", f"cannot listen: {why}"),
            code="run.address",
        ) from error


def _address(value: str | None) -> tuple[str, int] | None:
    """`HOST:PORT` -> both; an IPv6 address stands in brackets."""
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise Wrongly(
            "--metrics cần HOST:PORT, ví dụ 127.0.0.1:9303",
            "--metrics needs HOST:PORT, such as 127.0.0.1:9303",
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


async def _run(settings: Settings, job: str, figures: tuple[str, int] | None) -> None:
    from gateway.cli.notify import notify
    from gateway.wiring.process import open_gateway

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopping.set()
        notify("STOPPING=1")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    async with open_gateway(settings) as gateway:
        await gateway.run(
            (job,),
            stopping,
            lambda: notify("READY=1", f"STATUS={gateway.url or gateway.figures or job}"),
            figures,
        )


def first_error(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error of ours inside a group, which names who must act; else the first of all."""
    ours = several.subgroup(GatewayError)
    inner: BaseException = ours if ours is not None else several
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner


@click.group("simulate", epilog=example("edoc-gateway simulate vxp --port 9001"))
def simulate() -> None:
    """Stand-ins for what a gateway talks to, for trying things out."""


@simulate.command(
    "vxp",
    cls=Command,
    epilog=example(
        "edoc-gateway simulate vxp --port 9001",
        "edoc-gateway simulate vxp --port 9001 --faults scenario.toml   # edit it while it runs",
    ),
)
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False),
    help="A scenario (TOML or JSON): seed, dedupe, [[fault]] kind, operation, rate, times; "
    "[[phase]] requests; [systems.ID] secret, codes. All kinds: docs/simulator.md.",
)
def vxp(port: int, faults: str | None, lang: str) -> None:
    """The national axis: faithful answers, packages rebuilt on the way, faults on demand."""
    del lang
    from gateway.wiring.offline import simulate_vxp

    with _port():
        simulate_vxp(port, faults)


@simulate.command(
    "edoc-soap",
    cls=Command,
    epilog=example(
        "edoc-gateway simulate edoc-soap --port 9002",
        "edoc-gateway simulate edoc-soap --port 9002 --faults scenario.toml   # edit it meanwhile",
    ),
)
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False),
    help="A scenario (TOML or JSON), as for vxp; operations are SendDocument and so on.",
)
def edoc_soap(port: int, faults: str | None, lang: str) -> None:
    """A provincial axis over SOAP: Reports instead of faults, files as parts, its checks."""
    del lang
    from gateway.wiring.offline import simulate_edoc_soap

    with _port():
        simulate_edoc_soap(port, faults)


@simulate.command(
    "rest", cls=Command, epilog=example("edoc-gateway simulate rest --port 9002 --faults day.toml")
)
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False),
    help="A scenario as for `simulate vxp`, read at the start. Its kinds: docs/simulator.md.",
)
def rest(port: int, faults: str | None, lang: str) -> None:
    """A provincial axis (REST v1): tokens that end, its error codes, faults on demand."""
    del lang
    from gateway.wiring.offline import simulate_rest

    with _port():
        simulate_rest(port, faults)


@click.command(
    "demo",
    cls=Command,
    epilog=example(
        "edoc-gateway demo",
        "edoc-gateway demo --json > demo.json",
        "edoc-gateway demo --serve        # the sandbox stays until Ctrl-C",
    ),
)
@click.option("--serve", is_flag=True, help="Leave the sandbox running; print how to use it.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False),
    help="Make the sandbox here (a new or empty folder), and leave it there.",
)
@click.option("--keep", is_flag=True, help="Leave the sandbox's folder; --json does so too.")
@json_option
def demo(serve: bool, directory: str | None, keep: bool, as_json: bool, lang: str) -> None:
    """Three agencies exchange documents over two simulated axes; their ledgers are verified.

    Everything lives in a temporary folder, and nothing is left running. Exit 0 only when every
    step held.
    """
    from gateway.cli import demo as story

    code = story.main(
        Path(directory) if directory else None,
        lang=lang,
        serve=serve,
        keep=keep or as_json,
        as_json=as_json,
    )
    raise click.exceptions.Exit(code)
