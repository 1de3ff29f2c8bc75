"""evidence export, refresh, verify: the proof of one document, made here and judged anywhere.

In:     a gateway's configuration and a document, or a container to renew; or a container and a
        folder of anchors.
Out:    a container; what was checked, with its result and the rule relied on.
Fails:  `export` as the families do. `verify`: 0 valid, 1 invalid, 2 cannot be decided (contract 2);
        what cannot be opened as a file ends as the families do.
Never:  `verify` opens a database, a socket or a configuration.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.answers import Command, conf_option, example, json_option, say, say_json, told
from gateway.errors import Misconfigured, Text

if TYPE_CHECKING:
    from gateway.evidence.check import Anchors, Verdict

_VERDICTS = {
    "valid": (0, Text("Bằng chứng HỢP LỆ", "The evidence is VALID")),
    "invalid": (1, Text("Bằng chứng KHÔNG hợp lệ", "The evidence is NOT valid")),
    "undecided": (2, Text("CHƯA kết luận được", "It CANNOT be decided")),
}
_RESULTS = {"ok": Text("đúng", "ok"), "bad": Text("SAI", "WRONG"), "open": Text("chưa rõ", "open")}


@click.group(
    "evidence", epilog=example("edoc-gateway evidence verify van-ban.asice --anchors anchors")
)
def evidence() -> None:
    """The proof of one document, for somebody who trusts nobody."""


@evidence.command(
    "export",
    cls=Command,
    epilog=example("edoc-gateway evidence export 0198c0de-... -o van-ban.asice"),
)
@click.argument("document")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False))
@conf_option
@json_option
def export(document: str, output: str, conf: str | None, as_json: bool, lang: str) -> None:
    """One document that was sent, or one inbox item (its id), as a file that proves itself."""
    from gateway.cli.files import new_file
    from gateway.cli.places import settings
    from gateway.wiring.books import open_exporting

    with open_exporting(settings(conf, files=False)) as exporting, new_file(Path(output)) as out:
        with asyncio.run(exporting.export(document)) as made:
            shutil.copyfileobj(made, out, 1024 * 1024)
        size = out.tell()
    if as_json:
        say_json({"document": document, "file": output, "size": size})
    else:
        words = Text(f"Đã ghi {output}, {size:,} byte", f"Written: {output}, {size:,} bytes")
        say(told(words, lang))


@evidence.command(
    "refresh",
    cls=Command,
    epilog=example("edoc-gateway evidence refresh van-ban.asice -o van-ban-moi.asice"),
)
@click.argument("container", type=click.Path(exists=True, dir_okay=False))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False))
@conf_option
@json_option
def refresh(container: str, output: str, conf: str | None, as_json: bool, lang: str) -> None:
    """Renew an exported container by newer stamps; nothing that was in it is changed."""
    from gateway.cli.files import new_file
    from gateway.cli.places import settings
    from gateway.wiring.refreshing import renewed

    with Path(container).open("rb") as source, new_file(Path(output)) as out:
        fresh = asyncio.run(renewed(settings(conf, files=False), source, out))
        size = out.tell()
    if as_json:
        heads = [f"{head.epoch}-{head.size}" for head in fresh.heads]
        say_json({"container": container, "file": output, "size": size, "checkpoints": heads})
    else:
        words = Text(f"Đã gia hạn vào {output}", f"Renewed into {output}")
        say(told(words, lang))


@evidence.command(
    "verify",
    cls=Command,
    epilog=example(
        "edoc-gateway evidence verify van-ban.asice --anchors anchors",
        "edoc-gateway evidence verify van-ban.asice --anchors anchors --lang en --json",
    ),
)
@click.argument("container", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--anchors",
    type=click.Path(exists=True, file_okay=False),
    help="Folder with what you trust: *.vkey of ledgers, *.pem of roots (timestamps, signers).",
)
@json_option
def verify(container: str, anchors: str | None, as_json: bool, lang: str) -> None:
    """Judge a container offline: 0 valid, 1 invalid, 2 cannot be decided."""
    from gateway.evidence.check import verify as judge

    trusted = anchors_in(Path(anchors) if anchors else None)
    with Path(container).open("rb") as source:
        found = judge(source, trusted)
    code, words = _VERDICTS[found.verdict]
    if as_json:
        say_json(found.as_json(lang))
    else:
        say(told(words, lang))
        _say_checks(found, lang)
    if code:
        raise click.exceptions.Exit(code)


def _say_checks(found: Verdict, lang: str) -> None:
    order = {"bad": 0, "open": 1, "ok": 2}
    for check in sorted(found.checks, key=lambda c: order[c.result]):
        detail = told(check.detail, lang)
        say(f"  {told(_RESULTS[check.result], lang):8} {check.what}: {detail} [{check.rule}]")


def anchors_in(folder: Path | None) -> Anchors:
    """Ledger keys (C2SP vkey) and certificates (PEM). Misconfigured, naming the file."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from gateway.evidence.check import Anchors
    from gateway.ledger.keys import parse_vkey

    if folder is None:
        return Anchors()
    ledgers: dict[str, tuple[EllipticCurvePublicKey, ...]] = {}
    for path in sorted(folder.glob("*.vkey")):
        try:
            name, key = parse_vkey(path.read_text("utf-8", "replace"))
        except Misconfigured as error:
            raise _unusable(path, error.text) from error
        ledgers[name] = (*ledgers.get(name, ()), key)
    authorities: list[x509.Certificate] = []
    for path in sorted(folder.glob("*.pem")):
        try:
            authorities += x509.load_pem_x509_certificates(path.read_bytes())
        except ValueError as error:
            words = Text("không phải chứng thư PEM", "holds no PEM certificate")
            raise _unusable(path, words) from error
    return Anchors({**ledgers}, tuple(authorities), tuple(authorities))


def _unusable(path: Path, text: Text) -> Misconfigured:
    return Misconfigured(Text(f"{path}: {text.vi}", f"{path}: {text.en}"), code="evidence.anchor")
