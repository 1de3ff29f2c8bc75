"""The keys of gateway.toml as frozen values: a field is a key, its class a table.

In:     nothing: `gateway.config` fills them in.
Out:    Written (what the file may say), Settings (what a process is built from).
Fails:  never.
Never:  reads a file, judges a value.

Each key stands in conf/gateway.toml with its default and its comment. A field's metadata `least`,
`most` bound it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NewType

from gateway.dispatch import BreakPolicy, Policy, retry
from gateway.dispatch.polling import Polling
from gateway.errors import Finding
from gateway.packing.profile import Profile
from gateway.routing import Directory, Route
from gateway.rules import RuleSet
from gateway.safexml import Limits
from gateway.signing import Policy as SigningPolicy

Seconds = NewType("Seconds", float)
_MIB = 1024 * 1024
# the names that every store takes; what would need an escape in a URL is refused
_BUCKET = re.compile(
    r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([\w-][\w.-]*(?:/[\w-][\w.-]*)*)?/?)?", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySection:
    name: str = "edoc-gateway"
    data: Path = Path("../data")
    language: Literal["vi", "en"] = "vi"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSection:
    host: str = "127.0.0.1"
    port: int = field(default=8080, metadata={"least": 0, "most": 65535})
    metadata_bytes: int = _MIB
    memory_upload_bytes: int = _MIB
    long_poll: Seconds = Seconds(60.0)
    item_lease: Seconds = Seconds(600.0)
    max_backlog: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSection:
    url: str = field(default="", repr=False)  # may hold a password


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobsSection:
    """Without `url` blobs lie in `folder`; with it in a bucket, and `folder` holds spool files."""

    folder: Path = Path()
    url: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret: str = field(default="", repr=False)
    secret_file: Path | None = None
    connect_timeout: Seconds = Seconds(5.0)
    timeout: Seconds = Seconds(30.0)
    ca_file: Path | None = None
    allow_http: str = ""

    def place(self) -> tuple[str, str] | None:
        """Bucket and prefix of `url`, `s3://BUCKET/PREFIX`; None: it is no such URL."""
        found = _BUCKET.fullmatch(self.url)
        return (found[1], found[2] or "") if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSection:
    origin: str = ""
    key: Path = Path("../keys/ledger.pem")
    witnesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSection:
    max_delay: Seconds = Seconds(600.0)
    pause: Seconds = field(default=Seconds(0.02), metadata={"least": 0})
    batch: int = field(default=250, metadata={"most": 250})


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    name: str
    url: str
    ca_file: Path | None = None
    policy: str = ""
    cost: int = field(default=0, metadata={"least": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class StampSection:
    interval: Seconds = Seconds(60.0)
    urgent_interval: Seconds = Seconds(5.0)
    deadline: Seconds = Seconds(180.0)
    max_delay: Seconds = Seconds(172_800.0)
    alarm_share: float = 0.025
    brake: Literal["hold", "refuse"] = "hold"
    authorities: tuple[Authority, ...] = ()

    def alarm_after(self) -> float:
        """Seconds without a stamp that are an alarm; 0: no authority is asked, nothing is late."""
        return self.max_delay * self.alarm_share if self.authorities else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSection:
    sync: Literal["kernel", "off"] = "kernel"
    max_drift: Seconds = Seconds(5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisSection:
    name: str
    endpoint: str
    system_id: str
    kind: Literal["vxp", "edoc_soap", "lgsp_rest"] = "vxp"
    username: str = ""
    password_file: Path | None = None
    secret: str = field(default="", repr=False)
    secret_file: Path | None = None
    service_type: str = "eDoc"
    max_connections: int = 8
    max_per_receiver: int = field(default=0, metadata={"least": 0})
    connect_timeout: Seconds = Seconds(10.0)
    keepalive: Seconds = Seconds(4.0)
    hash_form: Literal["unpadded", "padded"] = "unpadded"
    retry: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    repeat: Literal["again", "never"] = "again"
    ca_file: Path | None = None
    allow_http: str = ""
    signature: Literal["relay", "enveloped"] = "relay"
    profile: Path | None = None
    sign_key: Path | None = None
    sign_certificate: Path | None = None
    answer_certificates: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchSection:
    retry: str = retry.DEFAULT
    uncertain_wait: Seconds = Seconds(600.0)
    attempt_deadline: Seconds = Seconds(300.0)
    grace: Seconds = Seconds(60.0)
    hold_after_equal: int = 3
    break_after: int = 5
    probe_first: Seconds = Seconds(10.0)
    probe_longest: Seconds = Seconds(300.0)
    idle: Seconds = Seconds(1.0)
    sweep: Seconds = Seconds(1.0)

    def policy(self, repeat: Literal["again", "never"] = "again") -> Policy:
        """The schedule's policy; `repeat` is the axis' own (`[[axis]]`)."""
        return Policy(
            retry=retry.parse(self.retry),
            uncertain_wait_seconds=self.uncertain_wait,
            attempt_deadline_seconds=self.attempt_deadline,
            grace_seconds=self.grace,
            hold_after_equal=self.hold_after_equal,
            repeat=repeat,
        )

    def breaking(self) -> BreakPolicy:
        """When an axis is left alone, and when it is probed."""
        return BreakPolicy(
            after=self.break_after,
            first_seconds=self.probe_first,
            longest_seconds=self.probe_longest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectSection:
    fastest: Seconds = Seconds(1.0)
    interval: Seconds = Seconds(15.0)
    slowest: Seconds = Seconds(30.0)
    failing: Seconds = Seconds(300.0)
    list_deadline: Seconds = Seconds(60.0)
    fetch_deadline: Seconds = Seconds(300.0)
    at_once: int = 4
    hold_after: int = 5

    def polling(self) -> Polling:
        """How soon an axis is asked again."""
        return Polling(self.fastest, self.interval, self.slowest, self.failing)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileSection:
    at: str = "03:10"
    stuck_after: Seconds = Seconds(86_400.0)
    answer_within: Seconds = Seconds(432_000.0)
    deadline: Seconds = Seconds(30.0)
    at_once: int = field(default=4, metadata={"most": 64})


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyKey:
    """In a file (`path`), or on a token (`token`, `object`, `module`, `pin_file`)."""

    agency: str
    path: Path | None = None
    certificate: Path | None = None
    password_file: Path | None = None
    token: str = ""
    object: str = ""
    module: Path | None = None
    pin_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverCertificate:
    agency: str
    certificate: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionSection:
    max_bytes: int = 16 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSection:
    agencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSection:
    folder: Path = Path("trust")
    fetch: Literal["off", "on"] = "off"
    refresh: Seconds = Seconds(21_600.0)
    max_age: Seconds = Seconds(259_200.0)
    deadline: Seconds = Seconds(20.0)
    answer_bytes: int = 32 * _MIB
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningSection:
    countersign_weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsSection:
    master_key: str = "../keys/master.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesSection:
    rules: tuple[str, ...] = ("rules/*.toml",)
    agencies: tuple[str, ...] = ("agencies/*.toml",)
    profile: tuple[str, ...] = ("profile/*.toml",)
    algorithms: tuple[str, ...] = ("algorithms.toml",)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSection:
    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What gateway.toml may say; the names of the fields are the names of its tables."""

    gateway: GatewaySection = GatewaySection()
    local: LocalSection = LocalSection()
    api: ApiSection = ApiSection()
    database: DatabaseSection = DatabaseSection()
    blobs: BlobsSection = BlobsSection()
    ledger: LedgerSection = LedgerSection()
    seal: SealSection = SealSection()
    stamp: StampSection = StampSection()
    clock: ClockSection = ClockSection()
    axis: tuple[AxisSection, ...] = ()
    route: tuple[Route, ...] = ()
    dispatch: DispatchSection = DispatchSection()
    collect: CollectSection = CollectSection()
    reconcile: ReconcileSection = ReconcileSection()
    limits: Limits = field(default_factory=Limits)
    key: tuple[AgencyKey, ...] = ()
    receiver: tuple[ReceiverCertificate, ...] = ()
    encryption: EncryptionSection = EncryptionSection()
    signing: SigningSection = SigningSection()
    trust: TrustSection = TrustSection()
    secrets: SecretsSection = SecretsSection()
    tables: TablesSection = TablesSection()
    log: LogSection = LogSection()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Written):
    """Everything a process is built from. All paths are absolute, all durations seconds.

    `database.url`, `blobs.folder`, `ledger.origin` are filled in where the file leaves them empty.
    `secrets.master_key`: an absolute path, or `credential:NAME` for a systemd credential.
    """

    file: Path
    rules: RuleSet = field(repr=False)
    algorithms: SigningPolicy = field(repr=False)
    directory: Directory = field(repr=False)
    profile: Profile = field(repr=False)
    warnings: tuple[Finding, ...] = ()

    @property
    def routes(self) -> tuple[Route, ...]:
        return self.route

    @property
    def keys(self) -> tuple[AgencyKey, ...]:
        return self.key

    def reading_limits(self) -> Limits:
        return self.limits
