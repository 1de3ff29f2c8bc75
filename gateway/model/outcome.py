"""What the other side said to one attempt. Values, never exceptions (architecture 4, 9)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivered:
    """The axis has it. `remote_ref`: the axis' own id, "" when it gave none (then marked)."""

    remote_ref: str = ""
    code: str = "ok"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Certainly not delivered, and worth another try. `alarm`: a person should look (401, 403).

    `code` is ours and stable (`connect.refused`, `http.503`, `vxp.-1`); `detail` is the remote's
    words, shortened to 300 characters, without secrets. `unlisted`: a protocol answer that stands
    on neither list of the axis' profile; three equal ones hold the transfer (architecture 4).
    """

    code: str
    detail: str = ""
    alarm: bool = False
    unlisted: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not delivered, and never will be as it is."""

    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Uncertain:
    """Bytes may have left and no verdict came back: silence, reset, an unreadable success."""

    code: str
    detail: str = ""


Outcome = Delivered | Deferred | Refused | Uncertain


def outcome_word(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()
