"""What the simulated REST axis keeps: packages as they came, and a copy for each receiver.

In:     a package's file, by the account that sent it.
Out:    a docId; lines of the list; the package's bytes.
Fails:  `Refusal` with an error code of the profile; nothing is kept then.
Never:  survives its process: it is for trying things out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gateway.errors import Rejected
from gateway.model.agency import AgencyCode
from gateway.model.package import NS_QCVN102, PackageKind
from gateway.ports import Clock

BAD_FILE, BAD_ACCOUNT, NO_RECEIVER, NO_SENDER = "10", "15", "18", "19"
FORMAT, LOCKED = "22", "23"
DONE = "done"
_ROOT = re.compile(rb"<(?:[\w.-]+:)?edXML[\s>]")
_ORGAN = rb"<(?:[\w.-]+:)?%s>.{0,400}?<(?:[\w.-]+:)?OrganId>\s*([^<]{1,80}?)\s*<"
_FROM = re.compile(_ORGAN % b"From", re.DOTALL)
_TO = re.compile(_ORGAN % b"To", re.DOTALL)
_ANSWERED = re.compile(_ORGAN % b"ResponseFor", re.DOTALL)
_HEAD = 1024 * 1024  # the envelope's header stands before the files


class Refusal(Exception):
    """The axis says no: `code` of the protocol, and words."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass(frozen=True, slots=True)
class Sent:
    """A package as its sender gave it."""

    doc_id: str
    system_id: str
    kind: PackageKind
    sender: str
    receivers: tuple[str, ...]
    sha256: str
    file: Path
    at: datetime


@dataclass(slots=True)
class Copy:
    """What one receiving system sees of it."""

    doc_id: str
    system_id: str
    package: Sent
    status: str = "initial"


@dataclass
class Depot:
    """`systems`: account -> (secret, agency codes); `locked`: codes that take nothing."""

    systems: Mapping[str, tuple[str, tuple[str, ...]]]
    clock: Clock
    dedupe: bool = True
    locked: tuple[str, ...] = ()
    sent: list[Sent] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)

    def owner(self, code: str) -> str | None:
        """The account that stands for this agency, however its code is written."""
        wanted = _key(code)
        return next(
            (s for s, (_, codes) in self.systems.items() if wanted in map(_key, codes)), None
        )

    def take(
        self, file: Path, sha256: str, kind: PackageKind, system_id: str, *, copies: int = 1
    ) -> str:
        """Reads who it is from and for, lays it out; the docId. Raises Refusal."""
        with file.open("rb") as source:
            head = source.read(_HEAD)
        if not head:
            raise Refusal(BAD_FILE, "empty file")
        if not _ROOT.search(head) or NS_QCVN102.encode() not in head:
            raise Refusal(FORMAT, "not edXML in the namespace of QCVN 102")
        sender = next(iter(_named(_FROM, head)), "")
        receivers = _named(_ANSWERED if kind is PackageKind.STATUS else _TO, head)
        if self.owner(sender) != system_id:
            raise Refusal(NO_SENDER, "the sender is not registered for this system")
        if not receivers or any(self.owner(code) is None for code in receivers):
            raise Refusal(NO_RECEIVER, "a recipient is not known")
        if {_key(code) for code in receivers} & {_key(code) for code in self.locked}:
            raise Refusal(LOCKED, "a recipient is locked")
        known = (s for s in self.sent if (s.system_id, s.sha256) == (system_id, sha256))
        if self.dedupe and (first := next(known, None)) is not None:
            return first.doc_id
        doc_id = f"rest-{len(self.sent) + 1:08d}"
        package = Sent(doc_id, system_id, kind, sender, receivers, sha256, file, self.clock.now())
        self.sent.append(package)
        for system in dict.fromkeys(str(self.owner(code)) for code in receivers):
            for _ in range(copies):
                self.copies.append(Copy(f"in-{len(self.copies) + 1:08d}", system, package))
        return doc_id

    def waiting(self, system_id: str, kind: PackageKind) -> list[Copy]:
        """Its copies of a kind, those that were acknowledged too, as such axes list them."""
        return [c for c in self.copies if c.system_id == system_id and c.package.kind is kind]

    def copy(self, doc_id: str, system_id: str) -> Copy:
        for copy in self.copies:
            if (copy.doc_id, copy.system_id) == (doc_id, system_id):
                return copy
        raise Refusal(BAD_FILE, "unknown docId")


def _named(pattern: re.Pattern[bytes], head: bytes) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code.decode("utf-8", "replace") for code in pattern.findall(head)))


def _key(code: str) -> str:
    try:
        return AgencyCode(code.strip()).match_key()
    except Rejected:
        return code.strip().upper()
