"""The demo's last word, for people: one table for each document, and how to use a served sandbox.

In:     the result as JSON shows it; a running sandbox.
Out:    text and tables, in Vietnamese or English.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from gateway.errors import Text

if TYPE_CHECKING:
    from gateway.wiring.sandbox import Sandbox

_SOURCES: Mapping[str, Text] = MappingProxyType(
    {
        "observed": Text("gateway thấy", "observed"),
        "stated": Text("đơn vị khai", "stated by the unit"),
        "reported": Text("nơi nhận báo", "reported by the receiver"),
        "assumed": Text("giả định", "assumed"),
    }
)
_OUTCOMES: Mapping[str, Text] = MappingProxyType(
    {
        "delivered": Text("trục đã nhận", "the axis has it"),
        "deferred": Text("chưa gửi được, sẽ thử lại", "not now, will be tried again"),
        "refused": Text("trục từ chối hẳn", "refused for good"),
        "uncertain": Text("KHÔNG RÕ, gửi lại đúng các byte đó", "UNCERTAIN, the same bytes again"),
    }
)
_EVENTS: Mapping[str, Text] = MappingProxyType(
    {
        "submission.accepted": Text("Nhận văn bản, cấp biên nhận", "Accepted, receipt signed"),
        "attempt.started": Text("Bắt đầu gửi, lần", "Attempt begins, no."),
        "attempt.ended": Text("Kết thúc gửi, lần", "Attempt ends, no."),
        "recipient.moved": Text("Nơi nhận báo trạng thái", "The receiver reports"),
        "item.available": Text("Trạng thái về hộp đến nơi gửi", "Status in the sender's inbox"),
        "item.fetched": Text("Nơi gửi đã lấy", "Fetched by the sender"),
        "item.seen": Text("Nơi gửi đã xem trạng thái", "Seen by the sender"),
    }
)
_INSTANTS = (
    ("instants", "released_at", Text("Phát hành", "Released")),
    ("instants", "accepted_at", Text("Gateway nhận", "Accepted by the gateway")),
    ("recipient", "on_axis_at", Text("Lên trục", "On the axis")),
    ("received", "available_at", Text("Có ở gateway nơi nhận", "Available to the receiver")),
    ("received", "fetched_at", Text("Nơi nhận tải về", "Fetched by the receiver")),
    ("received", "entered_at", Text("Vào Hệ thống nơi nhận", "Entered the receiver's System")),
    ("recipient", "entered_at", Text("… như nơi gửi được báo", "... as the sender was told")),
)


def print_result(result: Mapping[str, Any], lang: str) -> None:
    wide = None if sys.stdout.isatty() else 130
    console = Console(width=wide, markup=False, highlight=False)
    for number, told in enumerate(result["documents"], start=1):
        console.print()
        console.print(_document(number, told, lang))
    console.print()
    console.print(_ledgers(result["ledgers"], lang))
    vi = lang == "vi"
    for problem in result["problems"]:
        console.print(f"{'KHÔNG ĐẠT' if vi else 'DID NOT HOLD'}: {problem}")
    if result["ok"]:
        console.print("Mọi bước đều đạt." if vi else "Every step held.")


def _document(number: int, told: Mapping[str, Any], lang: str) -> Table:
    """Who and what above; then instants with their sources, states, and every record."""
    vi = lang == "vi"
    to = ", ".join(f"{c} {n}" for c, n in zip(told["to"], told["to_names"], strict=False))
    files = ", ".join(f"{f['name']} ({f['size']:,} B)" for f in told["attachments"])
    title = (
        f"{'Văn bản' if vi else 'Document'} {number}: {told['subject']}\n"
        f"{told['document_id']}\n"
        f"{told['from']} {told['from_name']}  →  {to}\n{files}"
    )
    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for heading in (
        ("Việc", "Lúc", "Nguồn, kết quả", "Mục sổ cái", "Dấu thời gian")
        if vi
        else ("What", "When", "Source, outcome", "Entry", "Stamped")
    ):
        made.add_column(heading, overflow="fold")
    recipient = told["recipients"][0]
    groups = {"instants": told["instants"], "recipient": recipient, "received": told["received"]}
    for group, name, words in _INSTANTS:
        values = groups[group]
        if values.get(name):
            source = _SOURCES[values["sources"][name]]
            made.add_row(_in(words, lang), _clock(values[name]), _in(source, lang), "", "")
    made.add_section()
    for one in told["recipients"]:
        states = " → ".join(one["states"])
        made.add_row(f"{'Trạng thái' if vi else 'States'} {one['agency']}", "", states, "", "")
    made.add_section()
    authorities: list[str] = []
    for record in told["records"]:
        made.add_row(*_record(record, lang, authorities))
    vouched = "; ".join(f"[{n}] {name}" for n, name in enumerate(authorities, start=1))
    made.caption = f"{'Dấu thời gian do' if vi else 'Stamped by'} {vouched}"
    made.caption_justify = "left"
    return made


def _record(
    record: Mapping[str, Any], lang: str, authorities: list[str]
) -> tuple[str, str, str, str, str]:
    """`authorities`: who stamped so far, in the order of their footnotes; grows."""
    event = record["event"]
    what = _in(_EVENTS[event], lang) if event in _EVENTS else event
    if event.startswith("attempt."):
        what = f"{what} {record.get('attempt', '')}"
    said = ""
    if outcome := record.get("outcome"):
        said = f"{_in(_OUTCOMES[outcome], lang)} ({record['code']})"
    elif event == "recipient.moved":
        said = f"{record['code']} → {record['state']}"
    elif record.get("status_code"):
        said = record["status_code"]
    stamp = ""
    if record["stamped_at"]:
        by = record["stamped_by"]
        if by not in authorities:
            authorities.append(by)
        stamp = f"{_clock(record['stamped_at'])} [{authorities.index(by) + 1}]"
    return what, _clock(record["at"]), said, str(record["seq"]), stamp


def _ledgers(ledgers: Sequence[Mapping[str, Any]], lang: str) -> Table:
    vi = lang == "vi"
    made = Table(box=box.SIMPLE_HEAD)
    for heading in (
        ("Sổ cái", "Số mục", "Kết luận", "Có dấu thời gian đến")
        if vi
        else ("Ledger", "Entries", "Verdict", "Stamped until")
    ):
        made.add_column(heading)
    for one in ledgers:
        good, bad = ("toàn vẹn", "KHÔNG toàn vẹn") if vi else ("holds", "does NOT hold")
        until = _clock(one["stamped_until"]) if one["stamped_until"] else "-"
        made.add_row(one["gateway"], str(one["entries"]), good if one["verified"] else bad, until)
    return made


def _clock(at: str) -> str:
    from gateway.promise import VIETNAM

    moment = datetime.fromisoformat(at).astimezone(VIETNAM)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def _in(text: Text, lang: str) -> str:
    return text.vi if lang == "vi" else text.en


def serving_page(sandbox: Sandbox, lang: str) -> str:
    """Addresses, keys and first curl lines; the same that README.md shows."""
    vi = lang == "vi"
    folder = sandbox.folder
    lines = [
        "Sandbox đang chạy; Ctrl-C để dừng." if vi else "The sandbox is running; Ctrl-C ends it."
    ]
    for member, prefix in ((sandbox.department, "H14"), (sandbox.ministry, "G22")):
        lines += [
            "",
            f"{member.side.code} ({member.side.code102})  {member.url}  {member.url}/docs",
            f"  {'khóa đơn vị' if vi else 'unit key':12} ${prefix}_KEY  {member.unit_key}",
            f"  {'khóa ops' if vi else 'ops key':12} ${prefix}_OPS  {member.ops_key}",
            f"  conf         {member.conf}",
        ]
    lines += [
        "",
        f"{'Trục mô phỏng' if vi else 'Simulated axis'}  {sandbox.axis.url}",
        "",
        "Ở một cửa sổ khác:" if vi else "In another terminal:",
        "",
        f"  cd {folder} && . ./env.sh",
        "",
        *(f"  {line}" for line in FIRST_LINES),
    ]
    return "\n".join(lines)


FIRST_LINES = (
    'curl -sS -H "Authorization: Bearer $H14_KEY" -H "Idempotency-Key: first-1" \\',
    '  -F "metadata=@metadata.json;type=application/json" -F "file=@cong-van.pdf" \\',
    '  "$H14_URL/v1/documents"',
    'curl -sS -H "Authorization: Bearer $G22_KEY" "$G22_URL/v1/inbox?kind=document&wait=30"',
)
