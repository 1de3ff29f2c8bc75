"""`bien-ban.txt`: the minutes (biên bản) of one document's sending and receiving, for a person.

In:     a Case, the packages as they were read.
Out:    text, Vietnamese; the same case gives the same text, so a changed one is found.
Fails:  never.
Never:  says more than the records, the stamps and the package prove; guesses an instant.

Legal times: QĐ 28/2018/QĐ-TTg article 9; Luật Giao dịch điện tử 2023 articles 15 to 17. All times
are Vietnamese (+07:00, QĐ 28/2018/QĐ-TTg article 14.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import MappingProxyType

from gateway.evidence.case import Case, Judged, Told
from gateway.evidence.gaps import Proof, stretches
from gateway.evidence.words import sentence
from gateway.model.package import DocumentHeader, FileFact, SignatureVerdict, Trust
from gateway.model.record import Record

_VIETNAM = timezone(timedelta(hours=7))
_WIDTH = 78
_TRUST: Mapping[str, str] = MappingProxyType(
    {
        Trust.VALID.value: "hợp lệ",
        Trust.WEAK.value: "thuật toán yếu",
        Trust.FALSE.value: "SAI",
        Trust.NONE.value: "không có",
    }
)
_OTHER_TRUST = "không kết luận được"
_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "observed": "gateway ghi nhận",
        "reported": "nơi nhận báo",
        "stated": "đơn vị khai",
        "assumed": "giả định bằng lúc gateway nhận",
    }
)

_OF_ITEMS = ("item.available", "item.fetched", "item.entered")


@dataclass(frozen=True, slots=True)
class Seen:
    """A package of the case, as it reads. `header` None: a status, or nothing that can be read."""

    digest: str
    role: str
    size: int
    header: DocumentHeader | None
    files: tuple[FileFact, ...]
    verdict: SignatureVerdict

    @property
    def judged(self) -> Judged:
        verdict = self.verdict
        return Judged(verdict.value.value, verdict.header.value, verdict.files.value)


@dataclass(frozen=True, slots=True)
class Instant:
    """One legal instant. `who`: the agency it is about, "" for the document itself."""

    name: str
    who: str
    at: str
    source: str


def instants(case: Case) -> tuple[Instant, ...]:
    """released, accepted, on_axis, available, fetched, entered (architecture 4), as recorded."""
    found: list[Instant] = []
    documents: set[str] = set()  # transfers of documents; a status has no legal instants of its own
    for told in case.told:
        record, facts = told.record, told.record.facts
        at = record.at.isoformat(timespec="microseconds")
        if record.event == "submission.accepted":
            source = str(facts.get("released_source", ""))
            found.append(Instant("released", "", str(facts.get("released_at", "")), source))
            found.append(Instant("accepted", "", at, "observed"))
            documents |= _transfers(record)
        elif (
            record.event == "attempt.ended"
            and facts.get("outcome") == "delivered"
            and record.about.get("transfer") in documents
        ):
            found.append(Instant("on_axis", str(facts.get("axis", "")), at, "observed"))
        elif record.event == "recipient.moved" and facts.get("code") == "01":
            reported = str(facts.get("reported_at", ""))
            found.append(Instant("entered", str(facts.get("recipient", "")), reported, "reported"))
        elif record.event in _OF_ITEMS and facts.get("kind", "document") == "document":
            name = record.event.removeprefix("item.")
            found.append(Instant(name, str(facts.get("agency", "")), at, "observed"))
    return tuple(found)


def _transfers(record: Record) -> set[str]:
    named = record.facts.get("transfers")
    listed = named if isinstance(named, list) else []
    return {str(t["transfer"]) for t in listed if isinstance(t, Mapping) and "transfer" in t}


_INSTANT_NAMES = {
    "released": "Phát hành",
    "accepted": "Gateway nhận để gửi",
    "on_axis": "Lên trục",
    "available": "Có tại gateway nơi nhận",
    "fetched": "Nơi nhận tải về",
    "entered": "Vào Hệ thống nơi nhận",
}


def write(case: Case, packages: Sequence[Seen]) -> str:
    lines = [
        "BIÊN BẢN GỬI, NHẬN VĂN BẢN ĐIỆN TỬ".center(_WIDTH).rstrip(),
        "",
        f"Sổ cái: {case.origin}",
        f"Bằng chứng tính đến: {_moment(case.at)}",
        "Giờ trong biên bản là giờ Việt Nam (+07:00).",
    ]
    judged = {p.digest: p.judged for p in case.packages}
    for number, seen in enumerate((p for p in packages if p.header is not None), start=1):
        lines += ["", *_document(number, seen, judged.get(seen.digest) or seen.judged)]
    lines += ["", "THỜI ĐIỂM"]
    for instant in instants(case):
        name = _INSTANT_NAMES[instant.name]
        who = f" ({instant.who})" if instant.who else ""
        source = _SOURCES.get(instant.source, instant.source)
        lines.append(f"  {name}{who}: {_reported(instant.at)} — {source}")
    lines += [
        "",
        "DIỄN BIẾN: mỗi mục là một bản ghi; giờ đầu dòng theo đồng hồ của gateway, giờ vào sổ",
    ]
    lines += ["theo dấu thời gian của bên thứ ba, nằm trước và sau bản ghi"]
    for told in case.told:
        lines += _event(told)
    lines += ["", *_gaps(case)]
    lines += [
        "",
        "Biên bản này lập từ các bản ghi, dấu thời gian và gói tin kèm theo. Cách tự kiểm tra:",
        "tệp CHECK.txt (openssl và sha256sum), hoặc lệnh `edoc-gateway evidence verify`.",
    ]
    return "\n".join(lines) + "\n"


def _document(number: int, seen: Seen, judged: Judged) -> Iterator[str]:
    header = seen.header
    if header is None:
        return
    role = {"sent": "đã gửi", "received": "đã nhận"}.get(seen.role, seen.role)
    yield f"VĂN BẢN {number} (gói tin {role}, {seen.size} byte)"
    yield f"  SHA-256: {seen.digest}"
    yield f"  Cơ quan gửi: {_line(header.sender.name)} ({_line(header.sender.organ_id)})"
    for organ in header.to:
        yield f"  Nơi nhận: {_line(organ.name)} ({_line(organ.organ_id)})"
    yield f"  Mã văn bản: {_line(header.document_id)}"
    yield f"  Số, ký hiệu: {_line(header.code.number)}/{_line(header.code.notation)}"
    yield f"  Ngày ban hành: {_line(header.promulgation.date)}"
    yield f"  Trích yếu: {_line(header.subject)}"
    value, of_header, of_files = (_TRUST.get(word, _OTHER_TRUST) for word in judged)
    yield f"  Chữ ký trong gói tin: {value}; văn bản: {of_header}; các tệp: {of_files}"
    for index, fact in enumerate(seen.files, start=1):
        yield f"  Tệp {index}: {_line(fact.name)}, {fact.size} byte, SHA-256 {fact.sha256}"


def _event(told: Told) -> Iterator[str]:
    yield f"  {_moment(told.record.at)}  {_line(sentence(told.record).vi)}"
    place = f"mục {told.place.seq}" + (f", cây {told.place.epoch}" if told.place.epoch > 1 else "")
    bounds = []
    if told.not_before is not None:
        bounds.append(f"sau {_moment(told.not_before)}")
    if told.not_after is not None:
        bounds.append(f"trước {_moment(told.not_after)}")
    proved = ", ".join(bounds) if bounds else "chưa có dấu thời gian nào xác nhận"
    yield f"      {place}, vào sổ {proved}"


_PROOFS: Mapping[Proof, str] = MappingProxyType(
    {
        Proof.NORMAL: "",
        Proof.PROVISIONAL: "TẠM TÍNH cho tới dấu sau; ",
        Proof.OPEN: "CHƯA CÓ DẤU SAU, mới dựa vào đồng hồ của gateway; ",
    }
)


def _gaps(case: Case) -> Iterator[str]:
    """Between which stamps the records lie: both ends exactly, as the tokens say them."""
    yield "KHOẢNG GIỮA HAI DẤU THỜI GIAN: dấu sau làm chứng cho mọi mục trong khoảng"
    for one in stretches(case):
        tree = f", cây {one.epoch}" if one.epoch > 1 else ""
        last = "trở đi" if one.last is None else f"đến {one.last}"
        after = _moment(one.after) if one.after else "chưa có dấu"
        before = _moment(one.before) if one.before else "chưa có dấu"
        yield (
            f"  mục {one.first} {last}{tree}: {_PROOFS[one.proof]}sau {after}, trước {before}"
            f" ({one.records} bản ghi của văn bản này)"
        )


def _moment(at: datetime) -> str:
    return at.astimezone(_VIETNAM).strftime("%d/%m/%Y %H:%M:%S.%f")[:-3]


def _reported(text: str) -> str:
    """An instant of a record; what a receiver wrote in a form of its own stays as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return _line(text) or "—"
    return _moment(at) if at.tzinfo is not None else _line(text)


def _line(text: str) -> str:
    """One line, without what steers a terminal or hides: text of strangers."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
