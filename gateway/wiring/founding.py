"""A new gateway's folder: conf, keys, database, the first key of its operators.

In:     a folder that does not exist yet or is empty, a profile, who it speaks for.
Out:    DIR/conf (what may be edited), DIR/keys (0600), DIR/data (database, blobs); `Founded`.
Fails:  Rejected (`init.not_empty`); Misconfigured with every finding about what was asked for.
Never:  writes over anything; leaves half a gateway: it is built beside DIR and renamed at the end.

    DIR/conf/gateway.toml    only what differs from the defaults; beside it copies of rules/,
                             agencies/ and algorithms.toml
    DIR/keys/ledger.pem      signs receipts and checkpoints; its public half: ledger.vkey
    DIR/keys/master.key      seals the secrets that stand in gateway.toml
    DIR/data                 database and packages: what a backup must hold, with DIR/keys
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.keys.ledger import make_ledger_key
from adapters.keys.make import make_agency_key
from adapters.keys.private import write_public
from adapters.keys.vault import SecretVault
from gateway import config
from gateway.errors import Finding, Misconfigured, Rejected, Severity, Text
from gateway.ledger import keys as ledger_keys
from gateway.routing import Directory, load_agencies, not_in_directory
from gateway.store.migrations import migrate
from gateway.store.tables import Role
from gateway.wiring.process import SystemClock, open_gateway
from gateway.wiring.trust import TRUST_FOLDERS

PROFILES = ("sandbox", "unit", "province")
BY = "init"  # who added the first accounts, in their records
SAMPLES = "sample-*.toml"
SANDBOX_AGENCY = "H14.19"

# every wait in seconds, so that a person can watch what takes hours in service
SANDBOX_PACE: Mapping[str, Mapping[str, Any]] = {
    "seal": {"max_delay": "60s"},
    "clock": {"sync": "off"},
    "stamp": {"interval": "1s", "urgent_interval": "1s", "deadline": "5s"},
    "dispatch": {
        "retry": "200ms, 400ms, 800ms, 1600ms then every 2s for 10m, jitter full",
        "uncertain_wait": "1s",
        "attempt_deadline": "10s",
        "grace": "5s",
        "idle": "200ms",
        "sweep": "500ms",
        "probe_first": "500ms",
        "probe_longest": "2s",
    },
    "collect": {
        "fastest": "100ms",
        "interval": "300ms",
        "slowest": "500ms",
        "failing": "2s",
        "list_deadline": "5s",
        "fetch_deadline": "10s",
    },
}

POINTERS = """
# What follows is not needed to start. defaults.toml beside this file holds every key with its
# default and a comment; docs/configuration.md explains what to choose.
#
# [local]                           # agencies this gateway speaks for (conf/agencies knows them)
# agencies = ["H14.19"]
#
# [[key]]                           # signs packages of this agency
# agency = "H14.19"
# path = "../keys/agency.p12"
# password_file = "../keys/agency.password"
#
# [[axis]]                          # the national axis, as its operator registered you
# name = "vxp"
# endpoint = "https://..."
# system_id = "..."
# secret_file = "../keys/vxp.secret"
#
# [[route]]                         # which agencies that axis reaches
# axis = "vxp"
# everyone = true
#
# [database]                        # several machines: PostgreSQL, and a bucket that they share
# url = "postgresql://edoc@db.example.vn/edoc"
#
# [blobs]
# url = "s3://edoc/gateway-a"
# endpoint = "https://s3.example.vn"
# access_key = "..."
# secret_file = "../keys/blobs.secret"
#
# [[stamp.authorities]]             # RFC 3161: who vouches for time
# name = "..."
# url = "https://..."
# ca_file = "trust/tsa-ca.pem"
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What `init` was asked for. `conf`: tables that go into gateway.toml beside the usual ones.

    `units`: (name of the account, codes it speaks for) for keys of unit systems, sandbox only.
    """

    directory: Path
    profile: str = "unit"
    name: str = ""
    agencies: tuple[str, ...] = ()
    database: str = ""
    conf: Mapping[str, Any] = field(default_factory=dict)
    sealed: Mapping[str, str] = field(default_factory=dict)
    units: Sequence[tuple[str, tuple[str, ...]]] = ()


@dataclass(frozen=True, slots=True)
class Founded:
    """Keys are shown this once; only their hashes were stored."""

    directory: Path
    conf: Path
    name: str
    vkey: str
    ops_key: str = field(repr=False)
    unit_keys: tuple[str, ...] = field(repr=False, default=())


def found(wish: Wish, packaged: Path) -> Founded:
    """Make the gateway of `wish`. `packaged`: the program's own conf/ (rules, agencies).

    Blocks for about a second; never call it inside an event loop.
    """
    target = wish.directory.absolute()
    _must_be_empty(target)
    _must_be_known(wish, packaged)
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f".{target.name[:100]}.founding-{secrets.token_hex(4)}")
    with _private_files():
        try:
            vkey = _build(wish, building, packaged)
            ops_key, unit_keys = asyncio.run(_first_keys(building / "conf", wish.units))
            try:
                building.rename(target)  # onto an empty folder, or none
            except OSError:
                raise not_empty(target) from None
        finally:
            shutil.rmtree(building, ignore_errors=True)
    name = _name(wish)
    return Founded(target, target / "conf" / config.FILE_NAME, name, vkey, ops_key, unit_keys)


def _build(wish: Wish, folder: Path, packaged: Path) -> str:
    conf, keys, data = folder / "conf", folder / "keys", folder / "data"
    trust = conf / "trust"
    dated = (conf / name for name in ("rules", "agencies", "profile", "soap", "axes"))
    trusted = (trust, *(trust / name for name in TRUST_FOLDERS))
    for one in (folder, conf, keys, data, *dated, *trusted):
        one.mkdir(mode=0o700)
    sandbox = wish.profile == "sandbox"
    for kind in ("rules", "agencies", "profile", "soap", "axes"):
        for file in sorted((packaged / kind).glob("*.toml")):
            if sandbox or not file.match(SAMPLES):
                shutil.copyfile(file, conf / kind / file.name)
    shutil.copyfile(packaged / "algorithms.toml", conf / "algorithms.toml")
    shutil.copyfile(packaged / config.FILE_NAME, conf / "defaults.toml")
    ledger_key = make_ledger_key(keys / "ledger.pem")
    vault = SecretVault.create(keys / "master.key")
    now = SystemClock().now()
    agencies = wish.agencies or ((SANDBOX_AGENCY,) if sandbox else ())
    if sandbox:
        for code in agencies:
            make_agency_key(keys, code, now)
    tables = _tables(wish, agencies, {n: vault.seal(s.encode(), n) for n, s in wish.sealed.items()})
    text = _toml(tables)
    (conf / config.FILE_NAME).write_text(_HEAD + text + ("" if sandbox else POINTERS), "utf-8")
    settings = config.load(conf)
    settings.blobs.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    migrate(settings.database.url)
    vkey = ledger_keys.vkey(settings.ledger.origin, ledger_key)
    write_public(keys / "ledger.vkey", f"{vkey}\n".encode())
    return vkey


_HEAD = (
    "# Made by `edoc-gateway init`: only what differs from the defaults.\n"
    "# `edoc-gateway conf check --conf <this folder>` names every mistake with its line.\n\n"
)


def _tables(wish: Wish, agencies: Sequence[str], sealed: Mapping[str, str]) -> dict[str, Any]:
    sandbox = wish.profile == "sandbox"
    tables: dict[str, Any] = {"gateway": {"name": _name(wish)}}
    if agencies:
        tables["local"] = {"agencies": list(agencies)}
    if wish.database:
        tables["database"] = {"url": wish.database}
    if sandbox:
        tables.update({name: dict(table) for name, table in SANDBOX_PACE.items()})
        tables["key"] = [
            {
                "agency": code,
                "path": f"../keys/{code}.key.pem",
                "certificate": f"../keys/{code}.cert.pem",
            }
            for code in agencies
        ]
    for name, value in wish.conf.items():
        if isinstance(value, Mapping):
            tables[name] = {**tables.get(name, {}), **value}
        else:
            tables[name] = [
                {**one, "secret": sealed[f"axis/{one['name']}"]}
                if name == "axis" and f"axis/{one['name']}" in sealed
                else one
                for one in value
            ]
    return tables


async def _first_keys(
    conf: Path, units: Sequence[tuple[str, tuple[str, ...]]]
) -> tuple[str, tuple[str, ...]]:
    async with open_gateway(config.load(conf)) as gateway:
        _, ops_key = await gateway.desk.add_account(BY, name="ops", role=Role.OPS, agencies=())
        unit_keys = []
        for name, codes in units:
            _, key = await gateway.desk.add_account(BY, name=name, role=Role.UNIT, agencies=codes)
            unit_keys.append(key)
    return ops_key, tuple(unit_keys)


def _name(wish: Wish) -> str:
    """The ledger's origin: a line without blanks or plus (C2SP signed note)."""
    plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in wish.directory.absolute().name)
    return wish.name or plain.strip("-") or "edoc-gateway"


def _must_be_empty(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise not_empty(target)
    if target.is_dir() and any(target.iterdir()):
        raise not_empty(target)


def _must_be_known(wish: Wish, packaged: Path) -> None:
    """Before anything is made, so that nobody is told of a folder that is gone again."""
    tables = {
        file.name: tomllib.loads(file.read_text("utf-8"))
        for file in sorted((packaged / "agencies").glob("*.toml"))
        if wish.profile == "sandbox" or not file.match(SAMPLES)
    }
    directory = Directory(load_agencies(tables))
    findings = tuple(
        Finding("--agency", "init.agency_unknown", Severity.ERROR, not_in_directory(code[:60]))
        for code in wish.agencies
        if directory.find(code) is None
    )
    if findings:
        raise Misconfigured(
            Text(
                f"Danh mục đi kèm ({', '.join(tables)}) không có cơ quan đã nêu; hãy init không "
                "kèm mã đó, thêm cơ quan vào conf/agencies rồi ghi mã vào local.agencies",
                f"the directory that goes with it ({', '.join(tables)}) does not have every agency "
                "named; init without it, add it to conf/agencies, then to local.agencies",
            ),
            code="init.agency_unknown",
            findings=findings,
        )


def not_empty(target: Path) -> Rejected:
    return Rejected(
        Text(f"{target} không trống; chọn thư mục khác", f"{target} is not empty; choose another"),
        code="init.not_empty",
    )


@contextmanager
def _private_files() -> Iterator[None]:
    """Everything made here is for its owner alone, libraries' files included."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _toml(tables: Mapping[str, Any]) -> str:
    """Tables, arrays of tables, and in them text, numbers, booleans and lists of text."""
    lines: list[str] = []
    for name, value in tables.items():
        if isinstance(value, Mapping):
            nested = {k: v for k, v in value.items() if _is_tables(v)}
            _put(lines, f"[{name}]", {k: v for k, v in value.items() if k not in nested})
            for inner, rows in nested.items():
                for row in rows:
                    _put(lines, f"[[{name}.{inner}]]", row)
        else:
            for row in value:
                _put(lines, f"[[{name}]]", row)
    return "\n".join(lines)


def _is_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _put(lines: list[str], heading: str, values: Mapping[str, Any]) -> None:
    if values:
        # a JSON value is a TOML value for all that stands in these tables
        body = (f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in values.items())
        lines.extend((heading, *body, ""))
