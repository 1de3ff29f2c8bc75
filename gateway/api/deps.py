"""What the wiring gives this door, and what a handler is given for one request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from gateway.acts import Acts
from gateway.courtesy import Courtesy
from gateway.desk import Account, Desk
from gateway.errors import Finding
from gateway.ledger.cosignature import Witness
from gateway.operating import Operating
from gateway.ports import BlobStore
from gateway.proving import Proving
from gateway.reconciling import Reconciling
from gateway.replaying import Replaying
from gateway.stampbook import Stampbook
from gateway.telemetry.metrics import Metrics

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Sizes in bytes, waits in seconds. Each refusal names its limit by these names."""

    body_bytes: int = 2048 * MIB
    metadata_bytes: int = MIB
    memory_upload_bytes: int = MIB  # files of one request stay in memory up to this
    json_bytes: int = 64 * 1024  # every JSON body but `metadata`
    attachments: int = 20_000
    page: int = 200
    wait_seconds: float = 60.0  # of a long poll
    idle_seconds: float = 60.0  # a body that stands still for longer is given up


@dataclass(frozen=True, slots=True)
class ApiDeps:
    """Everything the door needs. `readiness` answers why not; () = ready, warnings allowed.

    Errors among the findings of `readiness` mean 503; `path` names the part of the gateway.
    """

    desk: Desk
    blobs: BlobStore
    readiness: Callable[[], Awaitable[Sequence[Finding]]]
    metrics: Metrics
    reconciling: Reconciling
    stampbook: Stampbook
    witnesses: tuple[Witness, ...] = ()
    limits: ApiLimits = field(default_factory=ApiLimits)
    courtesy: Courtesy = field(default_factory=Courtesy)


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request. `language`: vi or en, by Accept-Language."""

    request: web.Request
    deps: ApiDeps
    who: Account
    language: str

    @property
    def desk(self) -> Desk:
        return self.deps.desk

    @property
    def acts(self) -> Acts:
        return Acts(self.deps.desk)

    @property
    def proving(self) -> Proving:
        return Proving(self.deps.desk, self.deps.witnesses)

    @property
    def operating(self) -> Operating:
        return Operating(self.deps.desk.outbound, self.deps.desk.inbound.settling)

    @property
    def replaying(self) -> Replaying:
        return Replaying(self.operating)


Handler = Callable[[Call], Awaitable[web.StreamResponse]]
DEPS = web.AppKey("deps", ApiDeps)
