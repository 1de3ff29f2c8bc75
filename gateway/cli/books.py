"""ledger verify, ledger checkpoint: the proof that nobody changed the past.

(`witness` and `stamps` have files of their own.)

In:     a gateway's configuration; or a receipt that a unit kept.
Out:    what was checked and what is wrong; the newest signed checkpoint.
Fails:  65 when the ledger does not hold; with --receipt 0 in the tree, 1 promised but missing,
        2 not yet sealed (contract 2), 65 for what is no receipt of this ledger.
Never:  writes; needs the gateway to stand still.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.answers import (
    EXIT_CODES,
    Command,
    conf_option,
    counter,
    example,
    finding_line,
    json_option,
    say,
    say_json,
    told,
)
from gateway.cli.rehash import rehash
from gateway.cli.stamps import stamp, stamps
from gateway.cli.witness import begin_epoch, witness
from gateway.errors import Misconfigured, Text, Unknown, Untrusted

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.ledger.verify import LedgerReport
    from gateway.model.record import Checkpoint

_RECEIPTS = {
    0: Text("CÓ trong sổ cái", "FOUND in the ledger"),
    1: Text("ĐÃ HỨA nhưng KHÔNG còn nguyên trong sổ cái", "PROMISED, but MISSING from the ledger"),
    2: Text("chưa niêm phong, đang chờ", "not yet sealed, it waits"),
}


_TOLD = ("from", "agency", "document_id", "released_at")  # of a promised record, for people


@click.group("ledger", epilog=example("edoc-gateway ledger verify --conf /srv/edoc/conf"))
def ledger() -> None:
    """The ledger of this gateway."""


ledger.add_command(witness)
ledger.add_command(begin_epoch)
ledger.add_command(stamps)
ledger.add_command(stamp)
ledger.add_command(rehash)


@ledger.command(
    "verify",
    cls=Command,
    epilog=example(
        "edoc-gateway ledger verify --conf /srv/edoc/conf",
        "edoc-gateway ledger verify --receipt bien-nhan.json",
        "edoc-gateway ledger verify --vkey ledger.vkey   # the key you were given once",
    ),
)
@conf_option
@click.option(
    "--receipt",
    type=click.Path(exists=True, dir_okay=False),
    help="Only: is what this receipt promised still there? Exit 0 yes, 1 no, 2 not yet sealed.",
)
@click.option(
    "--vkey",
    type=click.Path(exists=True, dir_okay=False),
    help="The ledger's public key as you got it, instead of the key the gateway has now.",
)
@json_option
def verify(
    conf: str | None, receipt: str | None, vkey: str | None, as_json: bool, lang: str
) -> None:
    """Recompute the whole ledger: records, entries, tree, checkpoints, stamps, packages."""
    trusted = Path(vkey) if vkey else None
    settings = _readable(conf, trusted)
    if receipt is not None:
        raise click.exceptions.Exit(
            _look_for(settings, Path(receipt), trusted, lang, as_json=as_json)
        )
    report = _verify(settings, trusted, lang)
    if as_json:
        say_json(report_json(report, settings, lang))
    else:
        _say_report(report, lang)
    if not report.verified:
        raise click.exceptions.Exit(EXIT_CODES[Untrusted])


def _readable(conf: str | None, vkey: Path | None) -> Settings:
    """Whoever brings the key to trust need hold none of the gateway's private files."""
    from gateway.cli.places import settings as load

    settings = load(conf, files=False)
    if vkey is None and not settings.ledger.key.is_file():
        raise Misconfigured(
            Text(
                f"Không có tệp {settings.ledger.key}; với bản sao không có khóa riêng hãy dùng "
                "--vkey ledger.vkey",
                f"there is no file {settings.ledger.key}; for a copy without the private key give "
                "--vkey ledger.vkey",
            ),
            code="ledger.no_key_file",
        )
    return settings


def _verify(settings: Settings, vkey: Path | None, lang: str) -> LedgerReport:
    from gateway.audit.books import verify_books
    from gateway.wiring.books import open_books

    title = "Đã kiểm tra" if lang == "vi" else "Checked"
    with open_books(settings, vkey) as books, counter(title) as show:
        return verify_books(
            books.store,
            books.blobs,
            origin=settings.ledger.origin,
            public_key=books.public_key,
            anchors=books.anchors,
            stamp_max_delay=stamp_max_delay(settings),
            witnesses=books.witnesses,
            progress=show,
        )


def stamp_max_delay(settings: Settings) -> timedelta | None:
    """None: no timestamp authority is configured, so nothing is late."""
    return timedelta(seconds=settings.stamp.alarm_after()) if settings.stamp.authorities else None


def report_json(report: LedgerReport, settings: Settings, lang: str) -> dict[str, Any]:
    """`first_bad`: the first bad entry; `checkpoint`: the newest note that holds."""
    from gateway.promise import local_time

    bad = report.first_bad
    return {
        "gateway": settings.gateway.name,
        "origin": settings.ledger.origin,
        "verified": report.verified,
        "entries": report.entries,
        "pending": report.pending,
        "checkpoint": report.checkpoint.note if report.checkpoint else None,
        "stamped_until": local_time(report.stamped_until) if report.stamped_until else None,
        "stamped_size": report.stamped_size,
        "unstamped": report.unstamped,
        "first_bad": {"epoch": bad[0], "seq": bad[1]} if bad else None,
        "findings": [f.as_json(lang) for f in report.problems],
        "left_out": report.left_out,
    }


def _say_report(report: LedgerReport, lang: str) -> None:
    from gateway.promise import local_time

    vi = lang == "vi"
    verdict = Text("Sổ cái TOÀN VẸN", "The ledger HOLDS") if report.verified else Text(
        "Sổ cái KHÔNG toàn vẹn", "The ledger does NOT hold"
    )  # fmt: skip
    say(told(verdict, lang))
    size = report.checkpoint.size if report.checkpoint else 0
    say(f"  {'mục' if vi else 'entries':22} {report.entries:,}")
    say(f"  {'chờ niêm phong' if vi else 'waiting to be sealed':22} {report.pending:,}")
    say(f"  {'điểm kiểm soát ở' if vi else 'checkpoint at':22} {size:,}")
    stamped = local_time(report.stamped_until) if report.stamped_until else "-"
    say(
        f"  {'dấu thời gian đến' if vi else 'stamped until':22} {stamped} ({report.stamped_size:,})"
    )
    if report.unstamped:
        words = "mục chưa có dấu thời gian" if vi else "entries are not stamped yet"
        say(f"  {report.unstamped:,} {words}")
    for finding in report.problems:
        say(f"  {finding_line(finding, lang)}")
    if report.left_out:
        say(f"  … {report.left_out:,} {'lỗi nữa' if vi else 'more'}")


def _look_for(
    settings: Settings, path: Path, vkey: Path | None, lang: str, *, as_json: bool
) -> int:
    from gateway.audit.books import look_for
    from gateway.promise import local_time
    from gateway.wiring.books import open_books

    with open_books(settings, vkey) as books:
        verdict, promised = look_for(
            books.store,
            receipt_in(path.read_bytes()),
            origin=settings.ledger.origin,
            public_key=books.public_key,
        )
    code = int(verdict)
    record = promised.record
    # from the receipt itself: what was promised can be told even when nothing is left of it here
    facts = {k: v for k in _TOLD if isinstance(v := record.facts.get(k), str)}
    if as_json:
        say_json(
            {
                "verdict": verdict.name.lower(),
                "record": record.id,
                "event": record.event,
                "at": local_time(record.at),
                "about": dict(record.about),
                "facts": facts,
                "promised_at": local_time(promised.at),
                "origin": promised.origin,
            }
        )
    else:
        say(f"{told(_RECEIPTS[code], lang)}: {record.event} {record.id}")
        vi = lang == "vi"
        for name, value in facts.items():
            say(f"  {name:22} {value}")
        say(f"  {'xảy ra lúc' if vi else 'happened at':22} {local_time(record.at)}")
        promised_at = "hứa lúc" if vi else "promised at"
        say(f"  {promised_at:22} {local_time(promised.at)} ({promised.origin})")
    return code


def receipt_in(data: bytes) -> bytes:
    """The receipt itself, from a file as people keep it: reformatted by a tool, or still inside
    the answer it came with. What is signed are texts within, which no spelling of JSON changes.
    """
    from gateway.c14n import canonical_json

    try:
        value = json.loads(data)
        if isinstance(value, dict) and "receipt" in value:
            value = value["receipt"]
        return canonical_json(value)
    except (ValueError, TypeError, RecursionError):
        return data  # for the verifier to refuse, in its words


@ledger.command(
    "checkpoint",
    cls=Command,
    epilog=example("edoc-gateway ledger checkpoint --conf /srv/edoc/conf > checkpoint.txt"),
)
@conf_option
@click.option(
    "--vkey", type=click.Path(exists=True, dir_okay=False), help="As for `ledger verify`."
)
@click.option("--witnessed", is_flag=True, help="The newest that a witness has cosigned.")
@json_option
def checkpoint(
    conf: str | None, vkey: str | None, witnessed: bool, as_json: bool, lang: str
) -> None:
    """Print the newest signed checkpoint (C2SP tlog-checkpoint), to keep outside this house.

    Under it stand the lines of the witnesses that cosigned it.
    """
    del lang
    from gateway.ledger.cosignature import cosigned
    from gateway.promise import local_time
    from gateway.store import Tx, cosignatures
    from gateway.store import ledger as rows
    from gateway.wiring.books import open_books

    def look(tx: Tx) -> tuple[Checkpoint, list[cosignatures.CosignatureRow]] | None:
        newest = cosignatures.newest_witnessed(tx) if witnessed else rows.newest_checkpoint(tx)
        return None if newest is None else (newest, cosignatures.of(tx, newest.epoch, newest.size))

    trusted = Path(vkey) if vkey else None
    with open_books(_readable(conf, trusted), trusted) as books:
        found = books.store.read_sync(look)
    if found is None:
        none = Text("Sổ cái chưa có điểm kiểm soát", "the ledger has no checkpoint yet")
        never = Text("Chưa nhân chứng nào ký", "no witness has cosigned a checkpoint yet")
        raise Unknown(
            never if witnessed else none,
            code="ledger.unwitnessed" if witnessed else "ledger.empty",
        )
    newest, by = found
    note = cosigned(newest.note, tuple(row.line for row in by))
    if as_json:
        say_json(
            {
                "epoch": newest.epoch,
                "size": newest.size,
                "root": newest.root.hex(),
                "note": note,
                "vkey": books.vkey,
                "witnesses": [
                    {"name": row.witness, "signed_at": local_time(row.signed_at)} for row in by
                ],
            }
        )
    else:
        click.echo(note, nl=not note.endswith("\n"))
