"""Faults, and the plan that decides which of them a request meets.

In:     faults from a test, a scenario or a control request; then the operation of each request.
Out:    what this request meets: any companions (latency, skew), then at most one other fault.
Fails:  ValueError for a fault that makes no sense.
Never:  asks a clock or a random source: what request number k of operation o meets by chance
        depends on the seed, on o and on k alone, whatever else went on beside it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

# kind -> whether the operation is carried out (stored, marked) before the fault shows
KINDS: Mapping[str, bool] = {
    "http": False,  # an HTTP status without protocol JSON: `status`
    "error": False,  # a protocol answer with another ErrorCode: `code`
    "hang": False,  # silence until the simulator closes
    "hang_after": True,
    "drop_before": False,  # the connection dies before the body is read
    "drop_after": True,  # ... after everything was done, without an answer
    "garbage": True,  # 200, JSON that does not parse
    "html": False,  # 200, a page of somebody's proxy
    "truncated": True,  # an answer that stops in the middle; a package cut by the transport
    "cut": True,  # a package cut inside a well-formed transport: short body, short base64
    "latency": True,  # `seconds` (up to `upto`), then as if nothing had happened
    "slow": True,  # bodies trickle: the answer's, and that of a package coming in
    "duplicate": True,  # two copies are delivered; each line of a list stands there twice
    "reorder": True,  # the lines of a list in another order
    "lie": False,  # success is said, and nothing was done
    "skew": True,  # the axis' own clock is `seconds` off for this request
    "die": False,  # every connection breaks, nobody listens for `seconds`, then it is back
    "maintenance": False,  # for `seconds` everybody is answered 503 with a page
    "refuse": False,  # the listener is closed while this stands in the fault file (files only)
}
COMPANIONS = frozenset({"latency", "skew"})  # they come on top of another fault
_ALIASES: Mapping[str, tuple[str, int]] = {
    str(status): ("http", status) for status in (202, 302, 400, 401, 403, 404, 429, 500, 502, 503)
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`operation` "*" is every one; `times` None lasts until cleared.

    `after` overrides whether the operation is carried out first. `rate`: the share of requests
    that meet it, in (0, 1]; it goes by chance, so it has no `times`. `first` and `last` (included)
    are numbers of requests of one operation, from 1; after `every` requests they start again.
    `draw`: what chance said for the request that met it, set by `Faults.take`.
    """

    kind: str
    operation: str = "*"
    times: int | None = None
    status: int = 500
    code: str = "-1"
    seconds: float = 0.0
    after: bool | None = None
    rate: float = 1.0
    upto: float = 0.0
    first: int = 1
    last: int | None = None
    every: int | None = None
    draw: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if self.kind in _ALIASES:
            kind, status = _ALIASES[self.kind]
            object.__setattr__(self, "kind", kind)
            object.__setattr__(self, "status", status)
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault: {self.kind}")
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate is a share above 0 and up to 1, not {self.rate}")
        if self.rate < 1 and self.times is not None:
            raise ValueError("a fault has a rate or a number of times, not both")
        if self.first < 1 or (self.last is not None and self.last < self.first):
            raise ValueError(f"requests {self.first} to {self.last}: there are none")
        if self.every is not None and self.every < max(self.first, self.last or 1):
            raise ValueError(f"every {self.every} requests: it ends before the fault does")
        if self.kind != "skew" and self.seconds < 0:
            raise ValueError(f"{self.kind} of {self.seconds} seconds")
        if self.upto and (self.kind != "latency" or self.upto < self.seconds):
            raise ValueError("upto is the longest latency, and not shorter than seconds")

    @property
    def carried_out(self) -> bool:
        """Whether the axis has done its work although the client cannot know."""
        # HTTP 202 is what a queue in front of the axis says: it has the package
        usual = self.status == 202 if self.kind == "http" else KINDS[self.kind]
        return usual if self.after is None else self.after

    def concerns(self, operation: str) -> bool:
        return self.operation in {"*", operation}

    def stands_at(self, number: int) -> bool:
        """Whether request `number` of an operation is one of those it may happen to."""
        if self.every is not None:
            number = (number - 1) % self.every + 1
        return self.first <= number and (self.last is None or number <= self.last)


@dataclass(slots=True)
class _Planned:
    """A fault of the plan. `place` tells it from its equals when chance is asked."""

    fault: Fault
    place: int
    left: int | None


@dataclass(slots=True)
class Faults:
    """The plan. First in, first out among the faults that concern an operation.

    `met`: how often each "operation kind" was met since the plan was last replaced.
    """

    seed: int = 0
    met: Counter[str] = field(default_factory=Counter)
    _plan: list[_Planned] = field(default_factory=list)
    _numbers: Counter[str] = field(default_factory=Counter)
    _places: int = 0

    def add(
        self,
        kind: str,
        operation: str = "*",
        *,
        times: int | None = None,
        status: int = 500,
        code: str = "-1",
        seconds: float = 0.0,
        after: bool | None = None,
        rate: float = 1.0,
    ) -> None:
        self._put(Fault(kind, operation, times, status, code, seconds, after, rate))

    def replace(self, faults: Iterable[Fault], *, seed: int = 0) -> None:
        """Another plan; requests are counted from 1 again."""
        self.seed = seed
        self.met.clear()
        self._plan.clear()
        self._numbers.clear()
        self._places = 0
        for fault in faults:
            self._put(fault)

    def clear(self, operation: str = "*") -> None:
        """Forget the faults of one operation, or all."""
        if operation == "*":
            self._plan.clear()
        else:
            self._plan[:] = [p for p in self._plan if p.fault.operation != operation]

    @property
    def plan(self) -> tuple[Fault, ...]:
        return tuple(replace(p.fault, times=p.left) for p in self._plan)

    @property
    def refusing(self) -> bool:
        return any(p.fault.kind == "refuse" for p in self._plan)

    def take(self, operation: str) -> list[Fault]:
        """What this request meets: companions first, then at most one other fault."""
        self._numbers[operation] += 1
        number = self._numbers[operation]
        companions: list[Fault] = []
        others: list[Fault] = []
        for planned in self._plan:
            fault = planned.fault
            if not fault.concerns(operation) or not fault.stands_at(number):
                continue
            companion = fault.kind in COMPANIONS
            if fault.kind == "refuse" or (others and not companion):
                continue
            chance, draw = self._drawn(planned.place, operation, number)
            if chance >= fault.rate:
                continue
            if planned.left is not None:
                planned.left -= 1
            (companions if companion else others).append(_as_met(fault, draw))
        met = companions + others
        self._plan[:] = [p for p in self._plan if p.left is None or p.left > 0]
        self.met.update(f"{operation} {fault.kind}" for fault in met)
        return met

    def _put(self, fault: Fault) -> None:
        self._plan.append(_Planned(fault, self._places, fault.times))
        self._places += 1

    def _drawn(self, place: int, operation: str, number: int) -> tuple[float, int]:
        """Chance for one fault and one request: a fraction in [0, 1), and 64 bits more."""
        asked = f"{self.seed}\n{place}\n{operation}\n{number}".encode()
        digest = hashlib.blake2b(asked, digest_size=16).digest()
        return int.from_bytes(digest[:7]) / 2**56, int.from_bytes(digest[8:])


def _as_met(fault: Fault, draw: int) -> Fault:
    seconds = fault.seconds
    if fault.upto:
        seconds += (fault.upto - seconds) * (draw / 2**64)
    return replace(fault, seconds=seconds, upto=0.0, draw=draw)
