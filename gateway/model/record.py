"""A record is one legal fact; an entry is its place in the tree; a stamp is a witness of time.

Records hold no personal or free text (architecture 4): ids, codes, digests, instants. Personal
fields enter as salted digests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.c14n import JsonValue


class Source(StrEnum):
    """Where an instant comes from: seen by us, reported by a peer, stated by the unit, assumed."""

    OBSERVED = "observed"
    REPORTED = "reported"
    STATED = "stated"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Record:
    """Format v1. `about`: ids of the things concerned; `facts`: what happened, event by event.

    `at`: our wall clock as it was, aware UTC. `salt`: 128 random bits, hex.
    """

    id: str
    event: str
    at: datetime
    salt: str
    about: Mapping[str, str]
    facts: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    epoch: int
    seq: int
    record_id: str
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """C2SP tlog-checkpoint: `note` is the signed text over origin, size and root."""

    epoch: int
    size: int
    root: bytes
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Stamp:
    """An RFC 3161 token over the SHA-256 of a checkpoint's note."""

    epoch: int
    size: int
    token: bytes
    authority: str
    gen_time: datetime
    policy: str
    serial: str
