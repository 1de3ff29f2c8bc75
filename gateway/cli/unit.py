"""send, inbox, confirm, status: what a unit's people do by hand against a running gateway.

In:     EDOC_GATEWAY_URL and EDOC_GATEWAY_KEY; files of the caller.
Out:    the gateway's answers, for people or as they came (`--json`).
Fails:  as the gateway says (client.py), with its code.
Never:  sends twice what was accepted once: a repeated `send` is the same request.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gateway.cli.answers import (
    Command,
    example,
    finding_line,
    json_option,
    say,
    say_json,
    table,
)
from gateway.cli.wrongly import Wrongly
from gateway.errors import Finding, Rejected, Severity, Text

ENVIRONMENT = ("export EDOC_GATEWAY_URL=http://127.0.0.1:8080", "export EDOC_GATEWAY_KEY=edoc_...")
_REPORTED = ("02", "03", "04", "05", "06", "15", "16")


@click.command(
    "send",
    cls=Command,
    epilog=example(
        *ENVIRONMENT,
        "edoc-gateway send metadata.json cong-van.pdf phu-luc.xlsx --receipt bien-nhan.json",
        "edoc-gateway send --package ready.edxml",
    ),
)
@click.argument("metadata", required=False, type=click.Path(exists=True, dir_okay=False))
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--package",
    type=click.Path(exists=True, dir_okay=False),
    help="Send this ready-made .edxml instead; its bytes are never changed.",
)
@click.option("--idempotency-key", help="Default: made from the content, so repeating is safe.")
@click.option("--receipt", type=click.Path(dir_okay=False), help="Keep the signed receipt here.")
@json_option
def send(
    metadata: str | None,
    files: tuple[str, ...],
    package: str | None,
    idempotency_key: str | None,
    receipt: str | None,
    as_json: bool,
    lang: str,
) -> None:
    """Hand a document in: METADATA (JSON) and FILES, or one ready-made package."""
    from gateway.cli import client

    if (package is None) == (metadata is None) or (package is not None and files):
        raise Wrongly(
            "cần METADATA và FILES, hoặc chỉ --package",
            "give METADATA and FILES, or --package alone",
        )
    gateway = client.Client.from_environment(lang)
    _must_take(receipt)
    if package is not None:
        made = Path(package)
        key = idempotency_key or client.repeatable_key(b"package", [("", made)])
        answer = gateway.send_package(made, key)
    else:
        raw = Path(str(metadata)).read_bytes()
        named = [(Path(f).name, Path(f)) for f in files]
        key = idempotency_key or client.repeatable_key(raw, named)
        answer = gateway.send_document(raw, named, key)
    if receipt is not None:
        keep_receipt(Path(receipt), answer["receipt"])
    if as_json:
        say_json(answer)
        return
    vi = lang == "vi"
    say(f"{'Đã nhận' if vi else 'Accepted'}: {answer['document_id']}")
    say(f"  id           {answer['id']}")
    say(f"  {'lúc         ' if vi else 'at          '} {answer['accepted_at']}")
    for transfer in answer["transfers"]:
        to = ", ".join(transfer["recipients"])
        say(f"  {transfer['axis']:12} {transfer['state']:9} → {to}")
    say_findings(answer["findings"], lang)


def _must_take(receipt: str | None) -> None:
    """A place where nothing can be written is better named before something was promised."""
    if receipt is not None:
        try:
            tempfile.TemporaryFile(dir=Path(receipt).parent).close()
        except OSError as error:
            raise OSError(error.errno, error.strerror, receipt) from error


def keep_receipt(path: Path, receipt: object) -> None:
    """Exactly the canonical bytes that were signed, in a new file; the same again is welcome."""
    from gateway.c14n import canonical_json

    data = canonical_json(receipt) + b"\n"  # type: ignore[arg-type]  # JSON as it came
    try:
        with path.open("xb") as out:
            out.write(data)
    except FileExistsError:
        if path.read_bytes() != data:
            raise Rejected(
                Text(f"{path} đã có, không ghi đè", f"{path} exists and is not written over"),
                code="file.exists",
            ) from None


def say_findings(findings: Sequence[Mapping[str, str]], lang: str) -> None:
    """Findings of an answer, whose words are in one language already."""
    for f in findings:
        words = Text(f["message"], f["message"])
        made = Finding(f["path"], f["code"], Severity(f["severity"]), words, f.get("rule", ""))
        say(f"  {finding_line(made, lang)}")


@click.command(
    "inbox",
    cls=Command,
    epilog=example(
        *ENVIRONMENT,
        "edoc-gateway inbox --kind document --wait 30",
        "edoc-gateway inbox 0198c0de-... -d den/",
    ),
)
@click.argument("item", required=False)
@click.option("--agency", default="", help="Only what is for this agency (either form of a code).")
@click.option("--kind", type=click.Choice(["document", "status", "report"]), help="One kind only.")
@click.option("--wait", default=0, type=click.IntRange(0, 60), help="Wait for one, in seconds.")
@click.option("--limit", default=50, type=click.IntRange(1, 200), show_default=True)
@click.option(
    "-d",
    "--directory",
    type=click.Path(file_okay=False),
    help="Fetch ITEM into this folder: its package and every attachment, digests compared.",
)
@json_option
def inbox(
    item: str | None,
    agency: str,
    kind: str | None,
    wait: int,
    limit: int,
    directory: str | None,
    as_json: bool,
    lang: str,
) -> None:
    """List what waits for your agencies; with ITEM show it, with -d fetch it."""
    from gateway.cli import client

    gateway = client.Client.from_environment(lang)
    if item is not None:
        found = gateway.get(f"/v1/inbox/{client.quoted(item)}")
        if directory is not None:
            found = {**found, "fetched": _fetch(gateway, found, Path(directory))}
        if as_json:
            say_json(found)
        else:
            _say_item(found, lang)
        return
    if directory is not None:
        raise Wrongly("-d cần ITEM để tải về", "-d needs the ITEM to fetch")
    answer = gateway.get("/v1/inbox", agency=agency, kind=kind, wait=wait or None, limit=limit)
    if as_json:
        say_json(answer)
        return
    vi = lang == "vi"
    headings = ("Mục", "Loại", "Từ", "Đến", "Văn bản", "Trích yếu") if vi else (
        "Item", "Kind", "From", "To", "Document", "Subject"
    )  # fmt: skip
    table(headings, [_item_row(i) for i in answer["items"]], "Trống" if vi else "Nothing waits")


def _say_item(item: Mapping[str, Any], lang: str) -> None:
    vi = lang == "vi"
    _, kind, sender, agency, document_id, subject = _item_row(item)
    say(f"{kind}  {document_id}  {' '.join(subject.split())}".rstrip())
    say(f"  {sender} → {agency}  {item['state']}")
    _say_act(item, vi)
    report = item.get("report", {})
    for name in ("reason", "next_step") if report else ():
        say(f"  {report[name]}")
    for name, at in item["instants"].items():
        if name != "sources" and at:
            say(f"  {name:14} {at} ({item['instants']['sources'][name]})")
    if "signature" in item:
        say(f"  {'chữ ký' if vi else 'signature':14} {item['signature'].get('verdict', 'none')}")
    for fact in item.get("attachments", ()):
        sealed = "  (đã mã hóa)" if vi else "  (encrypted)"
        mark = sealed if fact.get("encrypted") else ""
        say(f"  {fact['size']:>12,} B  {fact['name']}  {fact['actual_type']}{mark}")
    say_findings(item["findings"], lang)
    for path in item.get("fetched", ()):
        say(path)


_ACTS = {1: ("thu hồi", "recall"), 2: ("cập nhật", "update"), 3: ("thay thế", "replacement")}


def _act_word(kind: object, vi: bool) -> str:
    words = _ACTS.get(kind if isinstance(kind, int) else -1)
    return (words[0] if vi else words[1]) if words else str(kind)


def _say_act(shown: Mapping[str, Any], vi: bool) -> None:
    """What an act does, and what was said about a document: of an item, or of a document sent."""
    business = shown.get("business", {"type": shown.get("business_type", 0)})
    if business["type"]:
        reason = " ".join(business.get("reason", "").split())  # a stranger's words, on one line
        say(f"  {_act_word(business['type'], vi):14} {reason}".rstrip())
    about = business.get("about", shown.get("about", ()))
    for name in about if business["type"] else ():
        say(f"  {'về văn bản' if vi else 'about':14} {name}")
    for change in business.get("receivers", ()):
        say(f"  {'+' if change['change'] else '-'} {change['organ_id']}")
    for act in shown.get("acts", ()):
        word = _act_word(act.get("type", act.get("code")), vi)
        say(f"  {word:14} {act['id']}  {act.get('state', '')}".rstrip())


def _item_row(item: Mapping[str, Any]) -> tuple[str, ...]:
    status = item.get("status", {})
    what = f"{item['kind']} {status['code']}" if status else item["kind"]
    said = status.get("description", item.get("report", {}).get("what", ""))
    subject = item.get("header", {}).get("subject", said)
    return (item["id"], what, item["from"], item["agency"], item["document_id"], subject)


def _fetch(gateway: Any, item: Mapping[str, Any], directory: Path) -> list[str]:
    """Paths written. Names come from strangers: they are made safe, and never twice the same."""
    from gateway.cli.client import quoted
    from gateway.cli.files import free_names

    directory.mkdir(parents=True, exist_ok=True)
    base = f"/v1/inbox/{quoted(item['id'])}"
    attachments = item.get("attachments", [])
    names = free_names([a["name"] for a in attachments], taken=("package.edxml",))
    written = [directory / "package.edxml"]
    package = item.get("package", {"sha256": ""})  # a report has none: the gateway says so
    gateway.download(f"{base}/package", written[0], package["sha256"])
    for number, (fact, name) in enumerate(zip(attachments, names, strict=True)):
        if not fact["failed"]:
            target = directory / name
            gateway.download(f"{base}/attachments/{number}", target, fact["sha256"])
            written.append(target)
    return [str(path) for path in written]


@click.command(
    "confirm",
    cls=Command,
    epilog=example(*ENVIRONMENT, "edoc-gateway confirm 0198c0de-... --receipt bien-nhan-den.json"),
)
@click.argument("item")
@click.option("--receipt", type=click.Path(dir_okay=False), help="Keep the signed receipt here.")
@json_option
def confirm(item: str, receipt: str | None, as_json: bool, lang: str) -> None:
    """Say that ITEM entered your System: the legal moment of receiving. Repeating is harmless."""
    from gateway.cli import client

    gateway = client.Client.from_environment(lang)
    _must_take(receipt)
    answer = gateway.post(f"/v1/inbox/{client.quoted(item)}/confirm")
    if receipt is not None:
        keep_receipt(Path(receipt), answer["receipt"])
    if as_json:
        say_json(answer)
        return
    at = answer.get("entered_at") or ""
    say(f"{'Đã xác nhận' if lang == 'vi' else 'Confirmed'}: {item} {answer['state']} {at}".rstrip())


@click.command(
    "status",
    cls=Command,
    epilog=example(
        *ENVIRONMENT,
        "edoc-gateway status 0198c0de-...",
        'edoc-gateway status 0198c0de-... --report 06 --description "Đã hoàn thành"',
    ),
)
@click.argument("ref")
@click.option(
    "--report",
    type=click.Choice(_REPORTED),
    help="Report this status about inbox item REF to its sender (QCVN 102:2016).",
)
@click.option("--description", default="", help="Required with 02 and 16: the reason.")
@json_option
def status(ref: str, report: str | None, description: str, as_json: bool, lang: str) -> None:
    """Show what became of the document REF; with --report tell its sender how far REF is."""
    from gateway.cli import client

    gateway = client.Client.from_environment(lang)
    if report is not None:
        answer = gateway.post(
            f"/v1/inbox/{client.quoted(ref)}/status", {"code": report, "description": description}
        )
        if as_json:
            say_json(answer)
        else:
            say(f"{'Đã báo' if lang == 'vi' else 'Reported'}: {report} → {answer['transfer_id']}")
        return
    if "/" in ref:  # no id has one, and every document_id does
        raise Rejected(
            Text(
                f"{ref}: cần `id` mà lệnh send đã in, không phải document_id",
                f"{ref}: give the `id` that send printed, not the document_id",
            ),
            code="document.not_an_id",
        )
    found = gateway.get(f"/v1/documents/{client.quoted(ref)}")
    if as_json:
        say_json(found)
        return
    _say_document(found, lang)


def _say_document(found: Mapping[str, Any], lang: str) -> None:
    vi = lang == "vi"
    say(f"{found['document_id']}  {found['subject']}".rstrip())
    sources = found["instants"]["sources"]
    for name, words in (("released_at", "phát hành"), ("accepted_at", "gateway nhận")):
        at, source = found["instants"][name], sources[name]
        say(f"  {words if vi else name:14} {at} ({source})")
    _say_act(found, vi)
    headings = ("Nơi nhận", "Trục", "Chuyển", "Trạng thái", "Lên trục", "Vào Hệ thống") if vi else (
        "Receiver", "Axis", "Transfer", "State", "On axis", "Entered"
    )  # fmt: skip
    rows = [
        (
            r["agency"],
            t["axis"],
            t["state"],
            f"{r['state']} {r['status_code']}".strip(),
            r["on_axis_at"] or "",
            r["entered_at"] or "",
        )
        for t in found["transfers"]
        for r in t["recipients"]
    ]
    table(headings, rows, "")
