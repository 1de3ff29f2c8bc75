"""The demo's last word, for people: one table for each document, and how to use a served sandbox.

In:     the result as JSON shows it; a running sandbox.
Out:    text and tables, in Vietnamese or English.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from gateway.errors import Text

if TYPE_CHECKING:
    from gateway.wiring.sandbox import Member, Sandbox

_SOURCES: Mapping[str, Text] = MappingProxyType(
    {
        "observed": Text("gateway thấy", "observed"),
        "stated": Text("đơn vị khai", "stated by the unit"),
        "reported": Text("nơi nhận báo, tròn giây", "the receiver says, whole seconds"),
        "assumed": Text("giả định", "assumed"),
    }
)
_OUTCOMES: Mapping[str, Text] = MappingProxyType(
    {
        "delivered": Text("trục đã nhận", "the axis has it"),
        "deferred": Text("chưa được, sẽ thử lại", "not now, later again"),
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
    }
)
# what became of each status in the sender's inbox: in --json, too long for a page
_QUIET = frozenset({"item.available", "item.fetched", "item.seen"})
# group, instant, words, and the record that proves it (of the receiver's ledger: group `received`)
_INSTANTS = (
    ("instants", "released_at", Text("Phát hành", "Released"), ""),
    ("instants", "accepted_at", Text("Gateway nhận", "Accepted"), "submission.accepted"),
    ("recipient", "on_axis_at", Text("Lên trục", "On the axis"), "attempt.ended"),
    ("received", "available_at", Text("Có ở gateway nơi nhận", "Available"), "item.available"),
    ("received", "fetched_at", Text("Nơi nhận tải về", "Fetched"), "item.fetched"),
    (
        "received",
        "entered_at",
        Text("Vào Hệ thống nơi nhận", "Entered the receiver's System"),
        "item.entered",
    ),
    (
        "recipient",
        "entered_at",
        Text("… như nơi gửi được báo", "... as the sender was told"),
        "recipient.moved",
    ),
)
_WIDTH = 110  # columns, where nobody's terminal says otherwise


def print_result(result: Mapping[str, Any], lang: str) -> None:
    wide = None if sys.stdout.isatty() else _WIDTH
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
    """Who and what above; then instants with their sources and proofs, states, every record."""
    vi = lang == "vi"
    to = ", ".join(f"{c} {n}" for c, n in zip(told["to"], told["to_names"], strict=False))
    files = ", ".join(f"{f['name']} ({f['size']:,} B)" for f in told["attachments"])
    day = _local(told["accepted_at"]).date()
    dated = f"Ngày {day:%d/%m/%Y}, giờ Việt Nam (UTC+7)" if vi else f"{day}, Viet Nam time (UTC+7)"
    title = (
        f"{'Văn bản' if vi else 'Document'} {number}: {told['subject']}\n"
        f"{told['document_id']}\n"
        f"{told['from']} {told['from_name']}  →  {to}\n{files}\n{dated}"
    )
    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for heading in (
        ("Việc", "Lúc", "Nguồn, kết quả", "Mục", "Dấu thời gian")
        if vi
        else ("What", "When", "Source, outcome", "Entry", "Stamped")
    ):
        made.add_column(heading, overflow="fold")
    stamps = _Stamps(day)
    for row in _instants(told, lang, stamps):
        made.add_row(*row)
    made.add_section()
    for one in told["recipients"]:
        states = " → ".join(one["states"])
        made.add_row(f"{'Trạng thái' if vi else 'States'} {one['agency']}", "", states, "", "")
    made.add_section()
    several = len(told["recipients"]) > 1
    for record in (r for r in told["records"] if r["event"] not in _QUIET):
        made.add_row(*_record(record, lang, stamps, several=several))
    vouched = "; ".join(f"[{n}] {name}" for n, name in enumerate(stamps.authorities, start=1))
    whose = (
        "sổ cái của nơi gửi; *: của nơi nhận" if vi else "the sender's ledger; *: the receiver's"
    )
    by = "Dấu thời gian do" if vi else "Stamped by"
    made.caption = f"{'Mục' if vi else 'Entry'}: {whose}\n{by} {vouched}"
    made.caption_justify = "left"
    return made


@dataclass(slots=True)
class _Stamps:
    """Times as the table shows them. `authorities`: who stamped, in the order of footnotes."""

    day: date
    authorities: list[str] = field(default_factory=list)

    def clock(self, at: str, *, whole: bool = False) -> str:
        """`20:18:40.123`; without fractions where nobody said any; another day is named."""
        moment = _local(at)
        other = "" if moment.date() == self.day else f"{moment:%d/%m} "
        return f"{other}{moment:%H:%M:%S}" + ("" if whole else f".{moment.microsecond // 1000:03d}")

    def of(self, record: Mapping[str, Any]) -> str:
        if not record["stamped_at"]:
            return ""
        by = record["stamped_by"]
        if by not in self.authorities:
            self.authorities.append(by)
        return f"{self.clock(record['stamped_at'])} [{self.authorities.index(by) + 1}]"


def _instants(
    told: Mapping[str, Any], lang: str, stamps: _Stamps
) -> Iterator[tuple[str, str, str, str, str]]:
    """Those of the document, then those of each receiver; who and by which road where it is not
    the only one.
    """
    recipients = told["recipients"]
    for number, one in enumerate(recipients):
        named = len(recipients) == 1
        values_of = {
            "instants": told["instants"],
            "recipient": one,
            "received": one["received"],
        }
        own = {
            "instants": told["records"],
            "recipient": [r for r in told["records"] if _concerns(r, one)],
            "received": one["received_records"],
        }
        for group, name, words, event in _INSTANTS:
            values = values_of[group]
            if not values.get(name) or (number and group == "instants"):
                continue
            if not named and group != "instants":
                named = True
                yield f"→ {one['agency']} ({one['axis']})", "", "", "", ""
            source = values["sources"][name]
            proof = _proof(own[group], event)
            yield (
                _in(words, lang),
                # a status has its time in whole seconds (QCVN 102:2016): no fraction was said
                stamps.clock(values[name], whole=source == "reported"),
                _in(_SOURCES[source], lang),
                f"{proof['seq']}{'*' if group == 'received' else ''}" if proof else "",
                stamps.of(proof) if proof else "",
            )


def _concerns(record: Mapping[str, Any], recipient: Mapping[str, Any]) -> bool:
    """Attempts go by an axis, reports come from a receiver."""
    if record["event"].startswith("attempt."):
        return bool(record.get("axis") == recipient["axis"])
    return bool(record.get("recipient") == recipient["agency"].upper())


def _proof(records: Sequence[Mapping[str, Any]], event: str) -> Mapping[str, Any] | None:
    """The record in which an instant was written down; of attempts the one that was delivered."""
    return next(
        (
            r
            for r in records
            if r["event"] == event and r.get("outcome", "delivered") == "delivered"
        ),
        None,
    )


def _record(
    record: Mapping[str, Any], lang: str, stamps: _Stamps, *, several: bool
) -> tuple[str, str, str, str, str]:
    event = record["event"]
    what = _in(_EVENTS[event], lang) if event in _EVENTS else event
    if event.startswith("attempt."):
        what = f"{what} {record.get('attempt', '')}"
        what += f" ({record['axis']})" if several and "axis" in record else ""
    said = ""
    if outcome := record.get("outcome"):
        said = f"{_in(_OUTCOMES[outcome], lang)} ({record['code']})"
    elif event == "recipient.moved":
        said = f"{record['code']} → {record['state']}"
        said += f" ({record['recipient']})" if several else ""
    return what, stamps.clock(record["at"]), said, str(record["seq"]), stamps.of(record)


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
        until = f"{_local(one['stamped_until']):%d/%m/%Y %H:%M:%S}" if one["stamped_until"] else "-"
        made.add_row(one["gateway"], str(one["entries"]), good if one["verified"] else bad, until)
    return made


def _local(at: str) -> datetime:
    from gateway.promise import VIETNAM

    return datetime.fromisoformat(at).astimezone(VIETNAM)


def _in(text: Text, lang: str) -> str:
    return text.vi if lang == "vi" else text.en


def serving_page(sandbox: Sandbox, prefixes: Sequence[tuple[Member, str]], lang: str) -> str:
    """Addresses, keys and first curl lines; the same that README.md shows."""
    vi = lang == "vi"
    folder = sandbox.folder
    lines = [
        "Sandbox đang chạy; Ctrl-C để dừng." if vi else "The sandbox is running; Ctrl-C ends it."
    ]
    for member, prefix in prefixes:
        lines += [
            "",
            f"{member.side.code} ({member.side.code102})  {member.url}  {member.url}/docs",
            f"  {'khóa đơn vị' if vi else 'unit key':12} ${prefix}_KEY  {member.unit_key}",
            f"  {'khóa ops' if vi else 'ops key':12} ${prefix}_OPS  {member.ops_key}",
            f"  conf         {member.conf}",
        ]
    axes = (sandbox.axis.url, sandbox.province.url)
    lines += [
        "",
        " ".join(("Trục mô phỏng" if vi else "Simulated axes", *axes)),
        "",
        "Ở một cửa sổ khác:" if vi else "In another terminal:",
        "",
        f"  cd {folder} && . ./env.sh",
        "",
        *(f"  {line}" for line in FIRST_LINES),
        "",
        "  # "
        + (
            "cũng vậy bằng dòng lệnh; người vận hành: --conf và khóa ops"
            if vi
            else "the same by the command line; operators give --conf and the ops key"
        ),
        '  EDOC_GATEWAY_URL="$G22_URL" EDOC_GATEWAY_KEY="$G22_KEY" edoc-gateway inbox',
        '  EDOC_GATEWAY_KEY="$H14_OPS" edoc-gateway queue list --conf "$H14_CONF"',
    ]
    return "\n".join(lines)


FIRST_LINES = (
    'curl -sS -H "Authorization: Bearer $H14_KEY" -H "Idempotency-Key: first-1" \\',
    '  -F "metadata=@metadata.json;type=application/json" \\',
    '  -F "file=@cong-van.pdf" -F "file=@phụ lục số liệu.xlsx" \\',
    '  "$H14_URL/v1/documents"; echo',
    'curl -sS -H "Authorization: Bearer $G22_KEY" "$G22_URL/v1/inbox?kind=document&wait=30"',
)
