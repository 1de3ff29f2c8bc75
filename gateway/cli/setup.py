"""init and conf check: before a gateway runs.

In:     a folder; a configuration.
Out:    a gateway's folder with its keys; every mistake of a configuration at once.
Fails:  65 when the folder is not empty; 78 when the configuration has mistakes.
Never:  writes over anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.answers import (
    Command,
    conf_option,
    example,
    finding_line,
    json_option,
    say,
    say_json,
)
from gateway.cli.wrongly import Wrongly
from gateway.errors import Finding, Severity, Text

if TYPE_CHECKING:
    from gateway.config import Settings


@click.command(
    "init",
    cls=Command,
    epilog=example(
        "edoc-gateway init /srv/edoc --profile unit --agency H14",
        "edoc-gateway init sandbox --profile sandbox",
        "edoc-gateway init /srv/tinh --profile province --database postgresql:///edoc",
    ),
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option(
    "--profile",
    type=click.Choice(["sandbox", "unit", "province"]),
    default="unit",
    show_default=True,
    help="sandbox: agency keys without legal value, waits of seconds; unit: SQLite; province: "
    "PostgreSQL.",
)
@click.option("--agency", "agencies", multiple=True, help="An agency it speaks for; repeatable.")
@click.option("--name", default="", help="The ledger's name; default: the folder's.")
@click.option("--database", default="", help="postgresql://... ; default: SQLite in DIRECTORY.")
@json_option
def init(
    directory: str,
    profile: str,
    agencies: tuple[str, ...],
    name: str,
    database: str,
    as_json: bool,
    lang: str,
) -> None:
    """Make a gateway in DIRECTORY: conf, ledger key, database, one ops key (shown once)."""
    from gateway.cli.places import packaged_conf
    from gateway.wiring.founding import Wish, found

    if profile == "province" and not database.startswith("postgresql://"):
        raise Wrongly(
            "--profile province cần --database postgresql://...",
            "--profile province needs --database postgresql://...",
        )
    wish = Wish(
        directory=Path(directory), profile=profile, name=name, agencies=agencies, database=database
    )
    made = found(wish, packaged_conf())
    if as_json:
        say_json(
            {
                "directory": str(made.directory),
                "conf": str(made.conf),
                "name": made.name,
                "vkey": made.vkey,
                "ops_key": made.ops_key,
            }
        )
        return
    vi = lang == "vi"
    say(f"{'Cấu hình' if vi else 'Configuration':22} {made.conf}")
    say(f"{'Khóa công khai sổ cái' if vi else 'Ledger public key':22} {made.vkey}")
    words = "Khóa ops (chỉ hiện lần này)" if vi else "Ops key (shown only now)"
    say(f"{words}: {made.ops_key}")
    say()
    say("Tiếp theo:" if vi else "Next:")
    say(f"  export EDOC_GATEWAY_CONF={made.conf}")
    say("  edoc-gateway conf check")
    say("  edoc-gateway run all")


@click.group("conf", epilog=example("edoc-gateway conf check --conf /srv/edoc/conf"))
def conf() -> None:
    """The configuration of a gateway."""


@conf.command("check", cls=Command, epilog=example("edoc-gateway conf check --conf /srv/edoc/conf"))
@conf_option
@json_option
def check(conf: str | None, as_json: bool, lang: str) -> None:
    """Name every mistake at once, with file, line and key. Exit 78 when there is one."""
    from gateway import config
    from gateway.cli.places import named
    from gateway.errors import Misconfigured, errors_in
    from gateway.wiring.axes import check_profiles

    findings = config.check(named(conf)) + check_profiles(named(conf))
    wrong = errors_in(findings)
    if not wrong:
        findings += tuple(_gaps(config.load(named(conf))))
    if as_json:
        say_json({"ok": not wrong, "findings": [f.as_json(lang) for f in findings]})
    else:
        for finding in findings:
            say(finding_line(finding, lang))
        if not wrong:
            say("Cấu hình dùng được." if lang == "vi" else "The configuration can be used.")
    if wrong:
        from gateway.cli.answers import EXIT_CODES

        raise click.exceptions.Exit(EXIT_CODES[Misconfigured])


def _gaps(settings: Settings) -> Iterator[Finding]:
    """What a gateway can start without, and should not go into service without."""

    def gap(key: str, vi: str, en: str) -> Finding:
        return Finding(
            f"{settings.file}:1:{key}", "conf.incomplete", Severity.WARNING, Text(vi, en)
        )

    if not settings.local.agencies:
        yield gap(
            "local.agencies",
            "Chưa phục vụ cơ quan nào: không gửi, không nhận được văn bản",
            "no agency is served here: nothing can be sent or received",
        )
    if not settings.axis:
        yield gap(
            "axis",
            "Chưa có trục nào: văn bản chỉ đi giữa các cơ quan của chính gateway này",
            "no axis: documents go between this gateway's own agencies only",
        )
    elif not settings.route:
        yield gap(
            "route",
            "Chưa có tuyến nào: không văn bản nào lên trục",
            "no route: no document goes by an axis",
        )
    if not settings.stamp.authorities:
        yield gap(
            "stamp.authorities",
            "Chưa có dịch vụ dấu thời gian: không ai bên ngoài làm chứng cho thời gian",
            "no timestamp authority: nobody outside vouches for the time",
        )
