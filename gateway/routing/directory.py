"""The directory of agencies: one agency, two written forms, several periods.

In:     parsed conf/agencies/*.toml; the codes of the agencies that this gateway serves.
Out:    agencies by either form and any padding; canonical keys; who is local; who is closed.
Fails:  Misconfigured with every mistake at once, each path `FILE:agency[N].key`.
Never:  derives one form of a code from the other for truth: the pair is data, the formulas only
        help to find what is written differently (standards 2.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

import msgspec

from gateway.errors import Finding, Misconfigured, Rejected, Severity, Text
from gateway.model.agency import Agency, AgencyCode, AgencyState


class _Entry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One `[[agency]]` of a file. Without `source`, the file's own holds."""

    code: str
    name: str
    code102: str = ""
    parents: tuple[str, ...] = ()
    state: AgencyState = AgencyState.ACTIVE
    valid_from: date | None = None
    valid_to: date | None = None
    successors: tuple[str, ...] = ()
    predecessors: tuple[str, ...] = ()
    source: str = ""


def load_agencies(tables: Mapping[str, Mapping[str, object]]) -> tuple[Agency, ...]:
    """`tables`: for each file its parsed TOML: `source` (text) and the array `agency`."""
    agencies: list[Agency] = []
    findings: list[Finding] = []
    for name, table in tables.items():
        source = table.get("source", "")
        findings.extend(
            _mistake(f"{name}:{key}", f"unknown key `{key}`")
            for key in table
            if key not in ("source", "agency")
        )
        entries = table.get("agency", [])
        for number, raw in enumerate(entries if isinstance(entries, list) else [entries]):
            path = f"{name}:agency[{number}]"
            try:
                entry = msgspec.convert(raw, _Entry)
            except msgspec.ValidationError as error:
                findings.append(_mistake(path, str(error)))
                continue
            findings.extend(_bad_codes(path, entry))
            if entry.valid_from and entry.valid_to and entry.valid_to < entry.valid_from:
                findings.append(_mistake(f"{path}.valid_to", "the period ends before it begins"))
            fields = msgspec.structs.asdict(entry) | {"source": entry.source or str(source)}
            agencies.append(Agency(**fields))
    if findings:
        raise _misconfigured(findings)
    return tuple(agencies)


class Directory:
    """Immutable once made. `local`: codes, in either form, of the agencies served here."""

    def __init__(self, agencies: Iterable[Agency], local: Iterable[str] = ()) -> None:
        self._exact: dict[str, list[Agency]] = {}
        self._loose: dict[str, list[Agency]] = {}
        findings: list[Finding] = []
        for agency in _with_predecessors(tuple(agencies)):
            findings.extend(self._enter(agency))
        self._agencies = tuple(
            sorted({id(a): a for found in self._exact.values() for a in found}.values(), key=_order)
        )
        self._local: dict[str, Agency] = {}
        for number, code in enumerate(local):
            served = self.find(code)
            if served is None:
                path = f"local.agencies[{number}]"
                findings.append(_mistake(path, *not_in_directory(code)))
            else:
                self._local[served.code.upper()] = served
        if findings:
            raise _misconfigured(findings)

    def __iter__(self) -> Iterator[Agency]:
        """Every entry, by code and then by the beginning of its period."""
        return iter(self._agencies)

    def __len__(self) -> int:
        return len(self._agencies)

    def find(self, code: str, day: date | None = None) -> Agency | None:
        """The agency behind a code in either written form, whatever its padding and case.

        Of several periods: the one that holds `day`; without a day, or when none does, the latest.
        """
        text = code.strip().upper()
        found = self._exact.get(text)
        if found is None:
            parsed = _parsed(text)
            found = self._loose.get(parsed.match_key(), []) if parsed else []
            if len({agency.code for agency in found}) != 1:
                return None  # nobody, or two agencies whose codes differ in padding only
        if day is not None:
            for agency in found:
                if agency.valid_on(day):
                    return agency
        return found[-1]

    def key_of(self, code: str) -> str:
        """One key for one agency, however its code is written; for any text at all.

        Known agencies: their code of decision 20/2020. Others: the form-independent key of the
        code; text that is no code: itself, trimmed, in upper case.
        """
        agency = self.find(code)
        if agency is not None:
            return agency.code.upper()
        parsed = _parsed(code.strip())
        return parsed.match_key() if parsed else code.strip().upper()

    def is_local(self, code: str) -> bool:
        return self.key_of(code) in self._local

    def local_agencies(self) -> tuple[Agency, ...]:
        """The agencies served here, in the order of the configuration."""
        return tuple(self._local.values())

    def local_among(self, codes: Sequence[str]) -> tuple[str, ...]:
        """Those of the codes that name agencies served here: as written, each agency once."""
        first: dict[str, str] = {}
        for code in codes:
            key = self.key_of(code)
            if key in self._local:
                first.setdefault(key, code.strip())
        return tuple(first.values())

    def ancestors(self, agency: Agency) -> tuple[str, ...]:
        """Keys of the agency and of everything above it, nearest first; safe against cycles."""
        seen: dict[str, None] = {}
        todo = [agency.code]
        while todo:
            key = self.key_of(todo.pop(0))
            if key in seen:
                continue
            seen[key] = None
            above = self.find(key)
            todo.extend(above.parents if above else ())
        return tuple(seen)

    def standing(self, code: str, day: date, path: str) -> tuple[Finding, ...]:
        """Why this code may not send or receive on this day; () when it may.

        Codes: `agency.unknown`, `agency.closed` (successors named), `agency.not_yet`. Nothing is
        redirected: the sender's System decides who the document is for now (standards 2.5).
        """
        agency = self.find(code, day)
        shown = code.strip()[:60]
        if agency is None:
            text = Text(
                f"Không có cơ quan nào mang mã {shown!r} trong danh mục.",
                f"No agency in the directory has the code {shown!r}.",
            )
            return (Finding(path, "agency.unknown", Severity.ERROR, text),)
        if agency.valid_on(day) and (agency.state is AgencyState.ACTIVE or agency.valid_to):
            return ()
        rule = "QĐ 28/2018/QĐ-TTg, Điều 19.1"
        if agency.valid_from is not None and day < agency.valid_from:
            text = Text(
                f"Mã {shown} chỉ có hiệu lực từ {agency.valid_from.isoformat()}.",
                f"The code {shown} is valid only from {agency.valid_from.isoformat()}.",
            )
            return (Finding(path, "agency.not_yet", Severity.ERROR, text, rule),)
        heirs = "; ".join(self._named(heir) for heir in agency.successors)
        vi, en = (f" Cơ quan kế thừa: {heirs}.", f" Successor: {heirs}.") if heirs else ("", "")
        since = f" ({agency.valid_to.isoformat()})" if agency.valid_to else ""
        text = Text(f"Mã {shown} đã đóng{since}.{vi}", f"The code {shown} is closed{since}.{en}")
        return (Finding(path, "agency.closed", Severity.ERROR, text, rule),)

    def _named(self, code: str) -> str:
        agency = self.find(code)
        return f"{code} ({agency.name})" if agency else code

    def _enter(self, agency: Agency) -> Iterator[Finding]:
        for code in {c.text: c for c in agency.codes()}.values():
            found = self._exact.setdefault(code.text, [])
            if any(_clash(other, agency) for other in found):
                yield _mistake(code.text, f"`{code}` stands twice in the directory")
            found.append(agency)
            found.sort(key=_order)
            loose = self._loose.setdefault(code.match_key(), [])
            if not any(other is agency for other in loose):
                loose.append(agency)
                loose.sort(key=_order)


def agency_json(agency: Agency) -> dict[str, object]:
    """The shape of `agencies show CODE --json` (contract 5)."""
    return {
        "code": agency.code,
        "code102": agency.code102,
        "name": agency.name,
        "state": agency.state.value,
        "valid_from": agency.valid_from.isoformat() if agency.valid_from else None,
        "valid_to": agency.valid_to.isoformat() if agency.valid_to else None,
        "parents": list(agency.parents),
        "successors": list(agency.successors),
        "predecessors": list(agency.predecessors),
        "source": agency.source,
    }


def _with_predecessors(agencies: tuple[Agency, ...]) -> Iterator[Agency]:
    """Who names a successor is that one's predecessor, whether or not the data says it twice."""
    before: dict[str, list[str]] = {}
    for agency in agencies:
        for heir in agency.successors:
            before.setdefault(heir.upper(), []).append(agency.code)
    for agency in agencies:
        known = (*agency.predecessors, *before.get(agency.code.upper(), ()))
        yield replace(agency, predecessors=tuple(dict.fromkeys(known)))


def _order(agency: Agency) -> tuple[str, date]:
    return agency.code, agency.valid_from or date.min


def _clash(one: Agency, two: Agency) -> bool:
    """The same code for two agencies, or for one agency in periods that overlap."""
    one_ends, two_ends = one.valid_to or date.max, two.valid_to or date.max
    one_begins, two_begins = one.valid_from or date.min, two.valid_from or date.min
    return one.code != two.code or (one_begins <= two_ends and two_begins <= one_ends)


def _bad_codes(path: str, entry: _Entry) -> Iterator[Finding]:
    for key, codes in (
        ("code", (entry.code,)),
        ("code102", (entry.code102,) if entry.code102 else ()),
        ("parents", entry.parents),
        ("successors", entry.successors),
        ("predecessors", entry.predecessors),
    ):
        for code in codes:
            if _parsed(code) is None:
                yield _mistake(f"{path}.{key}", f"`{code[:60]}` is not an agency code")


def _parsed(code: str) -> AgencyCode | None:
    try:
        return AgencyCode(code)
    except Rejected:
        return None


def not_in_directory(code: str) -> Text:
    """Of a code as somebody wrote it."""
    vi = f"không có cơ quan `{code[:60]}` trong danh mục"
    return Text(vi, f"`{code[:60]}` is not in the directory")


def _mistake(path: str, detail: str, en: str = "") -> Finding:
    """`detail`: where the words are the same in both languages, or the Vietnamese ones."""
    text = Text(f"Danh mục cơ quan không hợp lệ: {detail}", f"agency directory: {en or detail}")
    return Finding(path, "conf.agencies_invalid", Severity.ERROR, text)


def _misconfigured(findings: Sequence[Finding]) -> Misconfigured:
    return Misconfigured(
        Text("Danh mục cơ quan có lỗi.", "The directory of agencies has mistakes."),
        code="conf.agencies_invalid",
        findings=tuple(findings),
    )
