"""Configuration: conf/*.toml -> frozen Settings; an unknown key is a refusal to start.

In:     the path of gateway.toml, or of the folder that holds it.
Out:    Settings: values with their defaults, the rules, the directory of agencies, the routes.
Fails:  Misconfigured with *every* mistake at once, each path `FILE:LINE:key`.
Never:  reads a key or a secret (wiring does); takes a value from the environment; guesses a unit.
Next:   wiring builds a process from Settings.

Every key stands in conf/gateway.toml with its default, and docs/configuration.md explains it (a
test holds the three together). Durations are text ("20ms", "10m") and become seconds; sizes end in
`_bytes` and may be text ("64KiB"). Relative paths start at the folder of gateway.toml.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from gateway.config.clear import LEAST_REASON, is_loopback, reason_of
from gateway.config.lines import key_lines
from gateway.config.sections import (
    AgencyKey,
    Authority,
    AxisSection,
    BlobsSection,
    CollectSection,
    DatabaseSection,
    DispatchSection,
    ReceiverCertificate,
    ReconcileSection,
    Seconds,
    SecretsSection,
    Settings,
    Written,
)
from gateway.config.words import needed, not_toml, of_machine
from gateway.dispatch import parse_retry
from gateway.errors import Finding, Misconfigured, Severity, Text, errors_in
from gateway.ledger.cosignature import parse_witness_vkey
from gateway.model.agency import Agency
from gateway.packing.profile import load_profile
from gateway.routing import LOOPBACK, Directory, RoutingTable, load_agencies
from gateway.rules import load_rules
from gateway.signing.algorithms import load_policy

__all__ = [
    "FILE_NAME",
    "AgencyKey",
    "Authority",
    "AxisSection",
    "BlobsSection",
    "CollectSection",
    "DatabaseSection",
    "DispatchSection",
    "ReceiverCertificate",
    "ReconcileSection",
    "Seconds",
    "SecretsSection",
    "Settings",
    "Written",
    "check",
    "load",
]

FILE_NAME = "gateway.toml"
CREDENTIAL = "credential:"
Where: TypeAlias = Sequence[str | int]  # ("axis", 0, "name")
Made = TypeVar("Made")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"": 1, "B": 1, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)")
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)?", re.IGNORECASE)


# --- the two questions


def load(path: str | Path, *, files: bool = True) -> Settings:
    """Settings, or Misconfigured (`conf.invalid`) with every mistake of every file.

    `files=False`: key and secret files need not be there yet (`init` makes them).
    """
    findings: list[Finding] = []
    settings = _judged(Path(path), findings, files=files)
    if settings is None or errors_in(findings):
        raise Misconfigured(
            Text(f"Cấu hình có lỗi: {path}", f"The configuration has mistakes: {path}"),
            code="conf.invalid",
            findings=tuple(findings),
        )
    return settings


def check(path: str | Path) -> tuple[Finding, ...]:
    """Every mistake and every warning; () when there is nothing to say (`conf check`)."""
    findings: list[Finding] = []
    _judged(Path(path), findings, files=True)
    return tuple(findings)


def axes_in(path: str | Path) -> tuple[AxisSection, ...]:
    """The axes as far as they can be read, whatever else is wrong."""
    file = (Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)).absolute()
    source, table = _parse(file, [])
    written: Written = _section(Written, table, (), source)
    return written.axis


def check_file(
    file: Path, mistakes: Callable[[Mapping[str, Any]], Iterable[tuple[str, Text]]], rule: str
) -> tuple[Finding, ...]:
    """What is wrong with a file that only an adapter understands, with file, line and key.

    `mistakes`: dotted key and words, of its table; `rule`: where its keys are explained.
    """
    findings: list[Finding] = []
    source, table = _parse(file, findings)
    if not findings:
        for key, text in mistakes(table):
            one = Finding("", "conf.profile_invalid", Severity.ERROR, text, rule)
            source.note(_undotted(key), one)
    return tuple(findings)


def _judged(path: Path, findings: list[Finding], *, files: bool) -> Settings | None:
    """Settings as far as they go; `findings` gets every mistake and warning."""
    file = (path / FILE_NAME if path.is_dir() else path).absolute()
    source, table = _parse(file, findings)
    written: Written = _section(Written, table, (), source)
    if not table and findings:
        return None
    folder = file.parent
    data = written.gateway.data
    url = written.database.url or f"sqlite:///{data / 'gateway.sqlite'}"
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = f"sqlite:///{folder / url.removeprefix('sqlite:///')}"
    secrets = written.secrets
    if not secrets.master_key.startswith(CREDENTIAL):
        secrets = SecretsSection(master_key=str(_resolved(folder, secrets.master_key)))
    rules = _loaded(load_rules, "rules", written.tables.rules, source)
    algorithms = _loaded(load_policy, "algorithms", written.tables.algorithms, source)
    agencies = _loaded(load_agencies, "agencies", written.tables.agencies, source)
    profile = _loaded(load_profile, "profile", written.tables.profile, source)
    directory = None if agencies is None else _directory(agencies, written.local.agencies, source)
    _check_values(written, url, source)
    _check_axes(written, source)
    _check_blobs(written, source)
    if directory is not None:
        _check_routes(written, directory, source)
    if files:
        _check_files(written, secrets, source)
    if rules is None or directory is None or profile is None or algorithms is None:
        return None
    values = {f.name: getattr(written, f.name) for f in dataclasses.fields(written)}
    blobs = written.blobs.folder
    return Settings(
        **values
        | {
            "file": file,
            "database": DatabaseSection(url=url),
            # left empty it is the folder of the configuration itself, which nobody can mean
            "blobs": dataclasses.replace(
                written.blobs, folder=data / "blobs" if blobs == folder else blobs
            ),
            "ledger": dataclasses.replace(
                written.ledger, origin=written.ledger.origin or written.gateway.name
            ),
            "secrets": secrets,
            "rules": rules,
            "algorithms": algorithms,
            "directory": directory,
            "profile": profile,
            "warnings": tuple(f for f in findings if f.severity is not Severity.ERROR),
        }
    )


# --- reading: text -> sections, all mistakes kept

_WRONG: Any = object()  # a value that was refused; the mistake is noted, reading goes on


class _Source:
    """One TOML file, where its keys stand, and the mistakes found so far, one for each key."""

    def __init__(self, file: Path, text: str, findings: list[Finding]) -> None:
        self.file = file
        self.findings = findings
        self._text = text

    @functools.cached_property
    def _lines(self) -> dict[tuple[str | int, ...], int]:
        """Looked for at the first finding: a good configuration, which is read often, has none."""
        return dict(key_lines(self._text))

    def say(
        self, path: Where, code: str, vi: str, en: str, severity: Severity = Severity.ERROR
    ) -> None:
        self.note(path, Finding("", code, severity, Text(vi, en)))

    def note(self, path: Where, finding: Finding) -> None:
        """Keep a finding at `FILE:LINE:key`; of a key that is not written, the table's line."""
        known = tuple(path)
        while known and known not in self._lines:
            known = known[:-1]
        told = f"{self.file}:{self._lines.get(known, 1)}:{_dotted(path)}"
        if told not in {f.path for f in self.findings}:
            self.findings.append(dataclasses.replace(finding, path=told))

    def refuse(self, path: Where, vi: str, en: str) -> Any:
        self.say(path, "conf.value", f"Giá trị không hợp lệ: cần {vi}", f"wrong value: need {en}")
        return _WRONG


def _parse(path: Path, findings: list[Finding]) -> tuple[_Source, Any]:
    """The file and its table; an unreadable one is a finding and gives an empty table."""
    source, data = _Source(path, "", findings), b""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
        source = _Source(path, text, findings)
        return source, tomllib.loads(text)
    except OSError as error:
        why = of_machine(error)
        source.say((), "conf.unreadable", f"Không đọc được tệp: {why.vi}", f"cannot read: {why.en}")
    except ValueError as error:  # no TOML, or no UTF-8
        line, told = not_toml(data, error)
        findings.append(Finding(f"{path}:{line}:", "conf.syntax", Severity.ERROR, told))
    return source, {}


def _section(cls: Any, table: Any, path: tuple[str | int, ...], source: _Source) -> Any:
    """An instance of the dataclass: what is wrong or missing stands in for by its default."""
    if not isinstance(table, dict):
        return source.refuse(path, f"bảng [{_dotted(path)}]", f"a table [{_dotted(path)}]")
    hints = get_type_hints(cls)
    known = {f.name: f for f in dataclasses.fields(cls)}
    for key in [key for key in table if key not in known]:
        near = difflib.get_close_matches(key, known, n=1)
        vi, en = (f"; có phải {near[0]}?", f"; {near[0]}?") if near else ("", "")
        vi, en = f"Không có khóa {key!r}{vi}", f"there is no key {key!r}{en}"
        source.say((*path, key), "conf.unknown_key", vi, en)
    values: dict[str, Any] = {}
    for name, described in known.items():
        here, made = (*path, name), described.default_factory
        value = _WRONG
        if name in table:
            value = _value(hints[name], table[name], here, source, described.metadata)
        elif described.default is dataclasses.MISSING and made is dataclasses.MISSING:
            source.say(here, "conf.missing_key", f"Thiếu khóa {name!r}", f"{name!r} is missing")
        if value is _WRONG:
            value = described.default if made is dataclasses.MISSING else made()
            if value is dataclasses.MISSING:
                value = Path() if hints[name] is Path else ""
            value = _default(value, source.file.parent)
        values[name] = value
    return cls(**values)


def _default(value: Any, folder: Path) -> Any:
    """A default as the file would have given it: paths start at the file's folder."""
    if isinstance(value, Path):
        return _resolved(folder, str(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        paths = {k: _resolved(folder, str(v)) for k, v in changes.items() if isinstance(v, Path)}
        return dataclasses.replace(value, **paths) if paths else value
    return value


def _value(
    hint: Any, raw: Any, path: tuple[str | int, ...], source: _Source, bounds: Mapping[str, Any]
) -> Any:
    """The value in its type, or _WRONG after a finding."""
    if dataclasses.is_dataclass(hint):
        return _section(hint, raw, path, source)
    if get_origin(hint) is tuple and dataclasses.is_dataclass(get_args(hint)[0]):
        if not isinstance(raw, list):
            return source.refuse(path, f"[[{_dotted(path)}]]", f"[[{_dotted(path)}]]")
        items = [_section(get_args(hint)[0], one, (*path, n), source) for n, one in enumerate(raw)]
        return tuple(item for item in items if item is not _WRONG)
    if hint is Path or hint == Path | None:
        if not isinstance(raw, str):
            return source.refuse(path, "đường dẫn", "a path")
        return None if hint is not Path and not raw else _resolved(source.file.parent, raw)
    if hint is Seconds:
        return _duration(raw, path, source, bounds)
    if hint is int:
        return _integer(raw, path, source, bounds)
    try:
        return msgspec.convert(raw, hint)
    except msgspec.ValidationError:
        return source.refuse(path, *needed(hint))


def _duration(raw: Any, path: Where, source: _Source, bounds: Mapping[str, Any]) -> Any:
    match = _DURATION.fullmatch(raw) if isinstance(raw, str) else None
    if match is None:
        return source.refuse(path, 'thời lượng như "20ms", "10m"', 'a duration as "20ms", "10m"')
    seconds = round(float(match[1]) * _UNITS[match[2]], 6)
    if seconds == 0 and "least" not in bounds:
        return source.refuse(path, "lớn hơn 0", "above 0")
    return Seconds(seconds)


def _integer(raw: Any, path: Where, source: _Source, bounds: Mapping[str, Any]) -> Any:
    size = str(path[-1]).endswith("_bytes")
    number: int | None = raw if isinstance(raw, int) and not isinstance(raw, bool) else None
    if size and isinstance(raw, str) and (match := _SIZE.fullmatch(raw)):
        number = int(match[1]) * _SIZES[(match[2] or "").upper()]
    least, most = bounds.get("least", 1), bounds.get("most")
    if number is None and size:
        return source.refuse(path, 'kích thước như "64KiB"', 'a size as "64KiB"')
    if number is None or number < least or (most is not None and number > most):
        upper = f" – {most}" if most is not None else ""
        return source.refuse(path, f"số nguyên ≥ {least}{upper}", f"an integer ≥ {least}{upper}")
    return number


# --- what several keys decide together


def _check_values(written: Written, url: str, source: _Source) -> None:
    dispatch, seal = written.dispatch, written.seal
    try:
        parse_retry(dispatch.retry)
    except Misconfigured as wrong:
        source.say(("dispatch", "retry"), wrong.code, wrong.text.vi, wrong.text.en)
    if dispatch.probe_first > dispatch.probe_longest:
        vi, en = "probe_first phải ≤ probe_longest", "probe_first must be <= probe_longest"
        source.say(("dispatch", "probe_first"), "conf.value", vi, en)
    reconcile = written.reconcile
    if not re.fullmatch(r"(([01]\d|2[0-3]):[0-5]\d)?", reconcile.at):
        vi, en = 'giờ như "03:10", hoặc trống', 'a time of day as "03:10", or nothing'
        source.refuse(("reconcile", "at"), vi, en)
    if reconcile.stuck_after > reconcile.answer_within:
        vi = "stuck_after phải ≤ answer_within"
        en = "stuck_after must be <= answer_within"
        source.say(("reconcile", "stuck_after"), "conf.value", vi, en)
    if seal.pause >= seal.max_delay:
        en = "pause must be shorter than max_delay"
        source.say(("seal", "pause"), "conf.value", "pause phải ngắn hơn max_delay", en)
    if not url.startswith(("sqlite:///", "postgresql://")):
        en = "must begin with sqlite:/// or postgresql://"
        vi = "Phải bắt đầu bằng sqlite:/// hoặc postgresql://"
        source.say(("database", "url"), "conf.value", vi, en)
    origin = written.ledger.origin or written.gateway.name
    if not re.fullmatch(r"[^\s+]+", origin):
        # C2SP tlog-checkpoint: the origin is a line, and as key name has no blank and no plus
        vi, en = "Không được trống, có dấu cách hoặc dấu +", "no blanks, no plus, not empty"
        source.say(("ledger", "origin"), "conf.value", vi, en)
    for number, vkey in enumerate(written.ledger.witnesses):
        try:
            parse_witness_vkey(vkey)
        except Misconfigured as wrong:
            text = wrong.text
            source.say(("ledger", "witnesses", number), "conf.value", text.vi, text.en)
    trust = written.trust
    if trust.refresh >= trust.max_age:
        vi, en = "refresh phải ngắn hơn max_age", "refresh must be shorter than max_age"
        source.say(("trust", "refresh"), "conf.value", vi, en)
    if not 0 < written.stamp.alarm_share < 1:
        source.refuse(("stamp", "alarm_share"), "giữa 0 và 1", "between 0 and 1")
    for number, authority in enumerate(written.stamp.authorities):
        if urlsplit(authority.url).scheme not in ("http", "https"):
            here = ("stamp", "authorities", number, "url")
            source.say(here, "conf.value", "Phải là URL http(s)", "must be an http(s) URL")


def _check_axes(written: Written, source: _Source) -> None:
    names: set[str] = set()
    for number, axis in enumerate(written.axis):
        path = ("axis", number)
        if axis.name in names or axis.name in ("", LOOPBACK):
            vi, en = "Tên trục trùng, trống hoặc dành riêng", "name is taken, empty or reserved"
            source.say((*path, "name"), "conf.value", vi, en)
        names.add(axis.name)
        _check_secret(axis, path, source)
        _check_login(axis, path, source)
        if both := set(axis.retry) & set(axis.never):
            code = min(both)
            vi, en = f"Mã {code} có trong cả retry và never", f"{code} is in retry and in never"
            source.say((*path, "retry"), "conf.value", vi, en)
        _check_endpoint(axis, path, source)
        for key in ("sign_key", "sign_certificate", "answer_certificates"):
            if axis.kind != "edoc_soap" and getattr(axis, key) is not None:
                vi, en = "Chỉ dùng với kind edoc_soap", "is for an axis of kind edoc_soap"
                source.say((*path, key), "conf.value", vi, en)
    for number, route in enumerate(written.route):
        for key, wanted in (("axis", (route.axis,)), ("also", route.also)):
            for name in wanted:
                if name not in names and name != LOOPBACK:  # loopback: the table's own finding
                    vi, en = f"Không có trục {name!r}", f"there is no axis {name!r}"
                    source.say(("route", number, key), "conf.value", vi, en)


def _check_login(axis: AxisSection, path: Where, source: _Source) -> None:
    """Keys of one protocol that another knows nothing of, or that it cannot do without."""
    rest = axis.kind == "lgsp_rest"
    for key in ("username", "password_file"):
        if bool(getattr(axis, key)) != rest:
            vi, en = f"Trục lgsp_rest cần {key}", f"an axis of kind lgsp_rest needs {key}"
            if not rest:
                vi, en = f"{key} chỉ dùng cho lgsp_rest", f"{key} is for kind lgsp_rest only"
            source.say((*path, key), "conf.value", vi, en)
    if axis.profile is not None and axis.kind == "vxp":
        vi = "profile chỉ dùng cho edoc_soap và lgsp_rest"
        en = "profile is for the kinds edoc_soap and lgsp_rest only"
        source.say((*path, "profile"), "conf.value", vi, en)


def _check_secret(one: AxisSection | BlobsSection, path: Where, source: _Source) -> None:
    here = (*path, "secret")
    if bool(one.secret) == (one.secret_file is not None):
        vi, en = "Cần đúng một: secret, secret_file", "give exactly one: secret, secret_file"
        source.say(here, "conf.value", vi, en)
    if one.secret and not one.secret.startswith("v1."):
        vi = "secret phải là chuỗi đã mã hóa (v1.…); bí mật dạng rõ để trong secret_file"
        en = "secret must be a sealed token (v1.…); a plain secret belongs into secret_file"
        source.say(here, "conf.value", vi, en)


def _check_blobs(written: Written, source: _Source) -> None:
    blobs = written.blobs
    if not blobs.url:
        for key in ("endpoint", "access_key", "secret", "secret_file", "ca_file", "allow_http"):
            if getattr(blobs, key):
                vi, en = "Chỉ dùng cùng với blobs.url", "is for a bucket: give blobs.url, or none"
                source.say(("blobs", key), "conf.value", vi, en)
        return
    if blobs.place() is None:
        vi, en = "Phải là s3://BUCKET/TIỀN_TỐ", "must be s3://BUCKET or s3://BUCKET/PREFIX"
        source.say(("blobs", "url"), "conf.value", vi, en)
    if not blobs.access_key:
        vi, en = "Thiếu tên truy cập kho đối tượng", "a bucket needs the name of its account"
        source.say(("blobs", "access_key"), "conf.value", vi, en)
    _check_secret(blobs, ("blobs",), source)
    if blobs.endpoint:
        _check_endpoint(blobs, ("blobs",), source)


def _check_endpoint(one: AxisSection | BlobsSection, path: Where, source: _Source) -> None:
    here = (*path, "endpoint")
    try:
        parts = urlsplit(one.endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        source.say(here, "conf.value", "Phải là URL http(s)", "must be an http(s) URL")
    elif parts.username is not None or parts.query or parts.fragment:
        vi, en = "Không được có tài khoản, tham số hay mảnh", "no user, query or fragment"
        source.say(here, "conf.value", vi, en)
    elif parts.scheme == "http" and not is_loopback(host):
        # QĐ 28/2018 article 13: links to an axis are encrypted and authenticated
        if reason := reason_of(one):
            vi = f"Kết nối không mã hóa được cho phép vì: {reason}"
            en = f"unencrypted by the operator's decision: {reason}"
            source.say(here, "conf.http", vi, en, Severity.WARNING)
        else:
            vi = (
                "http không mã hóa chỉ dùng trong máy; nếu buộc phải dùng, ghi lý do "
                f"({LEAST_REASON} ký tự trở lên) vào allow_http; lý do được ghi vào sổ cái"
            )
            en = (
                "plain http is for this machine only; if it must be, give the reason in allow_http "
                f"({LEAST_REASON} characters or more); it is recorded in the ledger"
            )
            source.say(here, "conf.http", vi, en)


def _check_routes(written: Written, directory: Directory, source: _Source) -> None:
    try:
        RoutingTable(directory, written.route)
    except Misconfigured as wrong:
        _move(wrong.findings, source)
    owners: dict[str, int] = {}
    for number, key in enumerate(written.key):
        here = ("key", number, "agency")
        if directory.find(key.agency) is None:
            vi = f"Danh mục không có cơ quan {key.agency!r}"
            source.say(here, "conf.value", vi, f"no agency {key.agency!r} in the directory")
        if owners.setdefault(directory.key_of(key.agency), number) != number:
            vi, en = "Cơ quan này đã có khóa", "this agency has a key already"
            source.say(here, "conf.value", vi, en)
    _check_tokens(written, source)
    _check_receivers(written, directory, source)
    for number, code in enumerate(written.local.agencies):
        if directory.key_of(code) not in owners and directory.find(code) is not None:
            vi = f"Cơ quan {code} chưa có khóa ký: không gửi được văn bản do gateway đóng gói"
            en = f"agency {code} has no key: documents packed by the gateway cannot be signed"
            local = ("local", "agencies", number)
            source.say(local, "conf.agency_without_key", vi, en, Severity.WARNING)


def _check_receivers(written: Written, directory: Directory, source: _Source) -> None:
    """Whose certificate it is; what a route that encrypts lacks is said to whoever sends there."""
    known: set[str] = set()
    for number, one in enumerate(written.receiver):
        here = ("receiver", number, "agency")
        if directory.find(one.agency) is None:
            vi = f"Danh mục không có cơ quan {one.agency!r}"
            source.say(here, "conf.value", vi, f"no agency {one.agency!r} in the directory")
        elif directory.key_of(one.agency) in known:
            vi, en = "Cơ quan này đã có chứng thư số", "this agency has a certificate already"
            source.say(here, "conf.value", vi, en)
        known.add(directory.key_of(one.agency))


def _check_tokens(written: Written, source: _Source) -> None:
    """A key lies in a file or on a token; keys of one token share its process and its PIN."""
    pins: dict[tuple[Path | None, str], Path | None] = {}
    for number, key in enumerate(written.key):
        path = ("key", number)
        if (key.path is None) == (not key.token):
            vi, en = "Cần đúng một: path, token", "give exactly one: path, token"
            source.say((*path, "path"), "conf.value", vi, en)
        on_token = {"object": key.object, "module": key.module, "pin_file": key.pin_file}
        for name, value in on_token.items():
            if bool(value) != bool(key.token):
                vi, en = f"Khóa trong token cần {name}", f"a key on a token needs {name}"
                if not key.token:
                    vi, en = f"{name} chỉ dùng với token", f"{name} belongs to a key on a token"
                source.say((*path, name), "conf.value", vi, en)
        if key.token and key.password_file is not None:
            vi, en = "Token dùng pin_file, không dùng password_file", "a token has a pin_file"
            source.say((*path, "password_file"), "conf.value", vi, en)
        if key.token and pins.setdefault((key.module, key.token), key.pin_file) != key.pin_file:
            vi, en = "Các khóa trên một token dùng chung pin_file", "one token has one pin_file"
            source.say((*path, "pin_file"), "conf.value", vi, en)


def _check_files(written: Written, secrets: SecretsSection, source: _Source) -> None:
    private: list[tuple[Where, Path | None]] = [(("ledger", "key"), written.ledger.key)]
    public: list[tuple[Where, Path | None]] = []
    for number, axis in enumerate(written.axis):
        private.append((("axis", number, "secret_file"), axis.secret_file))
        private.append((("axis", number, "password_file"), axis.password_file))
        public.append((("axis", number, "ca_file"), axis.ca_file))
        public.append((("axis", number, "profile"), axis.profile))
        public.append((("axis", number, "sign_certificate"), axis.sign_certificate))
        public.append((("axis", number, "answer_certificates"), axis.answer_certificates))
        private.append((("axis", number, "sign_key"), axis.sign_key))
    for number, key in enumerate(written.key):
        private.append((("key", number, "path"), key.path))
        private.append((("key", number, "password_file"), key.password_file))
        private.append((("key", number, "pin_file"), key.pin_file))
        public.append((("key", number, "module"), key.module))
        public.append((("key", number, "certificate"), key.certificate))
    for number, receiver in enumerate(written.receiver):
        public.append((("receiver", number, "certificate"), receiver.certificate))
    for number, authority in enumerate(written.stamp.authorities):
        public.append((("stamp", "authorities", number, "ca_file"), authority.ca_file))
    folder = written.trust.folder
    if folder != source.file.parent / "trust" and not folder.is_dir():
        vi, en = f"Không có thư mục {folder}", f"there is no folder {folder}"
        source.say(("trust", "folder"), "conf.file", vi, en)
    private.append((("blobs", "secret_file"), written.blobs.secret_file))
    public.append((("blobs", "ca_file"), written.blobs.ca_file))
    needs_master = bool(written.blobs.secret) or any(axis.secret for axis in written.axis)
    master = Path(secrets.master_key)  # made by `init`: private even while nothing needs it
    if not secrets.master_key.startswith(CREDENTIAL) and (needs_master or master.is_file()):
        private.append((("secrets", "master_key"), master))
    credentials = os.environ.get("CREDENTIALS_DIRECTORY", "")
    for path, file in (*private, *public):
        if file is not None and not file.is_file():
            source.say(path, "conf.file", f"Không có tệp {file}", f"there is no file {file}")
    for path, file in private:
        if file is None or not file.is_file() or str(file.parent) == credentials:
            continue
        if file.stat().st_mode & 0o077:
            vi, en = f"Người khác đọc được {file}: chmod 600", f"others can read {file}: chmod 600"
            source.say(path, "conf.file", vi, en)


def _loaded(
    make: Callable[[dict[str, Any]], Made], key: str, patterns: Iterable[str], source: _Source
) -> Made | None:
    """What a room makes of the files that the patterns name; its findings get file and line."""
    before = len(source.findings)
    read = dict(_tables(key, patterns, source))
    if len(source.findings) > before:
        return None  # judged without a part of it, the whole would only seem to be wrong
    try:
        return make({str(file): table for file, (_, table) in read.items()})
    except Misconfigured as wrong:
        _move(wrong.findings, source, [one for one, _ in read.values()])
        return None


def _directory(
    agencies: Sequence[Agency], local: Sequence[str], source: _Source
) -> Directory | None:
    for served in (local, ()):  # a wrong local agency must not hide the mistakes of routes
        try:
            return Directory(agencies, served)
        except Misconfigured as wrong:
            _move(wrong.findings, source)
    return None


def _tables(
    key: str, patterns: Iterable[str], source: _Source
) -> Iterator[tuple[Path, tuple[_Source, Any]]]:
    """The parsed files that the patterns name; a pattern that names none is a mistake."""
    for number, pattern in enumerate(patterns):
        absolute = Path(pattern).is_absolute()
        files = [Path(pattern)] if absolute else sorted(source.file.parent.glob(pattern))
        if not files:
            here = ("tables", key, number)
            source.say(here, "conf.file", f"Không có tệp {pattern!r}", f"no file {pattern!r}")
        for file in files:
            yield file, _parse(file, source.findings)


def _move(findings: Iterable[Finding], source: _Source, read: Iterable[_Source] = ()) -> None:
    """A room's findings, kept with the file and line where the operator will look."""
    sources = {str(one.file): one for one in read}
    for finding in findings:
        file, _, key = finding.path.rpartition(":")
        sources.get(file, source).note(_undotted(key or finding.path), finding)


# --- small things


def _resolved(folder: Path, value: str) -> Path:
    """From the file's folder; `credential:NAME` is what systemd gave this very process."""
    if value.startswith(CREDENTIAL):
        given = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/run/credentials"))
        return given / value.removeprefix(CREDENTIAL)
    return Path(os.path.normpath(folder / value))


def _dotted(path: Where) -> str:
    """("axis", 0, "name") -> `axis[0].name`"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _undotted(text: str) -> tuple[str | int, ...]:
    parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", text)
    return tuple(int(number) if number else name for number, name in parts)
