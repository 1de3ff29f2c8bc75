"""What the command line says and how it ends: languages, errors with their findings, exit codes.

In:     results and errors of the five families; the wish of the caller (`--lang`, `--json`).
Out:    text for people, JSON for programs, and the exit code of architecture 9.
Fails:  never for an error it knows; what it does not know is a crash with its trace, as it should.
Never:  shows a secret, decides anything.

Exit codes: 0 done; 64 the command was called wrongly; 65, 70, 75, 78 by family, below; 130
interrupted. `ledger verify --receipt` answers 0, 1, 2 (contract 2), which no family uses.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeGuard

import click

from gateway.errors import (
    Broken,
    Finding,
    GatewayError,
    Misconfigured,
    Rejected,
    Severity,
    Text,
    Unavailable,
    Untrusted,
)

USAGE, INTERRUPTED = 64, 130
EXIT_CODES: Mapping[type[GatewayError], int] = {
    Rejected: 65,
    Untrusted: 65,
    Broken: 70,
    Unavailable: 75,
    Misconfigured: 78,
}
# C0 but line feed and tab, DEL, C1; the marks that change the direction of writing; what breaks a
# line or cannot be seen (soft hyphen, zero width, tags); halves of characters, which no terminal
# can be sent; and more marks over one letter than any language here needs
_STEERING = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e"
    "\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff\\U000e0000-\\U000e007f]"
    "|(?<=[\\u0300-\\u036f]{3})[\\u0300-\\u036f]"
)
_SEVERITY = {
    Severity.ERROR: Text("lỗi", "error"),
    Severity.WARNING: Text("cảnh báo", "warning"),
    Severity.NOTE: Text("ghi chú", "note"),
}


def exit_code(problem: GatewayError) -> int:
    """By family; a class of its own inside a family ends as the family does."""
    return next((code for kind, code in EXIT_CODES.items() if isinstance(problem, kind)), 70)


def language(environ: Mapping[str, str] = os.environ) -> str:
    """`en` when the terminal says English; else Vietnamese, the language of those who work here."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if spoken := environ.get(name, ""):
            return "en" if spoken.lower().startswith("en") else "vi"
    return "vi"


def told(text: Text, lang: str) -> str:
    return text.vi if lang == "vi" else text.en


class Command(click.Command):
    """A command with `--lang`, and the one place where an error becomes words and a code."""

    files_are_the_callers = True

    def __init__(self, *args: Any, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.params.append(
            click.Option(
                ["--lang"],
                type=click.Choice(["vi", "en"]),
                default=language,
                show_default="en when LANG says English, else vi",
                help="Language of what is said to people.",
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GatewayError as problem:
            fail(problem, ctx.params["lang"], as_json=bool(ctx.params.get("as_json")))
        except OSError as problem:
            told_of = file_problem(problem) if self.files_are_the_callers else None
            if told_of is None:
                raise
            fail(told_of, ctx.params["lang"], as_json=bool(ctx.params.get("as_json")))


def file_problem(problem: OSError) -> GatewayError | None:
    """What the machine said about a file of the caller, as an error of ours; None: of no file.

    Rejected (`file.unusable`), or Unavailable (`file.no_space`), which room on the disk mends.
    """
    full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
    if not full and (problem.filename is None or problem.errno is None):
        return None
    names = " → ".join(os.fsdecode(n) for n in (problem.filename, problem.filename2) if _is_path(n))
    if full:
        what = names or problem.strerror or str(problem)
        text = Text(f"Hết chỗ trên đĩa: {what}", f"no space left: {what}")
        return Unavailable(text, code="file.no_space")
    from gateway.config.words import of_machine

    why = of_machine(problem)
    return Rejected(
        Text(
            f"Không dùng được tệp: {names}: {why.vi}", f"the file cannot be used: {names}: {why.en}"
        ),
        code="file.unusable",
    )


def _is_path(name: object) -> TypeGuard[str | bytes]:
    return isinstance(name, str | bytes)


def example(*lines: str) -> str:
    """The epilog of `--help`: lines to copy, kept as they are."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


json_option = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
conf_option = click.option(
    "--conf",
    type=click.Path(),
    envvar="EDOC_GATEWAY_CONF",
    show_envvar=True,
    help="The gateway's configuration: gateway.toml, or the folder that holds it.",
)


def plain(text: str) -> str:
    """Without what steers a terminal or turns writing around: texts come from strangers.

    Such characters are shown by their code, so that nobody is deceived and nothing is hidden.
    """
    return _STEERING.sub(_by_code, text)


def _by_code(found: re.Match[str]) -> str:
    """As JSON escapes it, so that what `say_json` writes stays JSON: `\\u202e`, two beyond that."""
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def say(line: str = "") -> None:
    click.echo(plain(line))


def say_json(value: Any) -> None:
    """One object in the order given; Vietnamese readable, what steers a terminal escaped."""
    click.echo(plain(json.dumps(value, ensure_ascii=False, indent=2)))


def parsed(answer: str) -> dict[str, Any]:
    """A kept answer, as a program reads it."""
    value: dict[str, Any] = json.loads(answer)
    return value


def complain(line: str) -> None:
    click.echo(plain(line), err=True)


def finding_line(finding: Finding, lang: str) -> str:
    """`to[0].organ_id: error: words [agency.unknown] (QCVN 102:2016/BTTTT)`, in one line."""
    severity = told(_SEVERITY[finding.severity], lang)
    where = f"{finding.path}: " if finding.path else ""
    rule = f" ({finding.rule})" if finding.rule else ""
    line = f"{where}{severity}: {told(finding.text, lang)} [{finding.code}]{rule}"
    return " ".join(line.split())  # a stranger's line break would forge a finding


def fail(problem: GatewayError, lang: str, *, as_json: bool) -> NoReturn:
    """Say what is wrong, every finding of it, errors first, and end with the family's code.

    JSON has every finding, also one that says the same as the whole.
    """
    if as_json:
        say_json(error_json(problem, lang))
    else:
        complain(f"edoc-gateway: {told(problem.text, lang)} [{problem.code}]")
        worst_first = list(Severity)
        for finding in sorted(problem.findings, key=lambda f: worst_first.index(f.severity)):
            if (finding.code, finding.text) == (problem.code, problem.text):
                continue  # it was said in the line above
            complain(f"  {finding_line(finding, lang)}")
    raise click.exceptions.Exit(exit_code(problem))


def error_json(problem: GatewayError, lang: str) -> dict[str, Any]:
    return {
        "ok": False,
        "code": problem.code,
        "message": told(problem.text, lang),
        "findings": [f.as_json(lang) for f in problem.findings],
    }


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """Columns for people; `empty` when there are no rows."""
    if not rows:
        say(empty)
        return
    from rich.console import Console
    from rich.table import Table

    made = Table(box=None, pad_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(plain(" ".join(cell.split())) for cell in row))
    wide = None if sys.stdout.isatty() else 200  # a pipe has no width of its own
    Console(width=wide, markup=False, highlight=False).print(made)


@contextmanager
def counter(title: str) -> Iterator[Callable[[int], None]]:
    """Shows a running count on a person's terminal and wipes it; silent anywhere else."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return

    def show(done: int) -> None:
        click.echo(f"\r{title}: {done:,}", nl=False, err=True)

    try:
        yield show
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)
