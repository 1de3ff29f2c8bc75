"""What a unit's document-management system hands in (contract 5, submission metadata)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from gateway.errors import Finding
from gateway.model.package import DocumentHeader


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file handed in: `sha256` hex and `size` were taken while it streamed into the spool.

    `open()` gives a fresh reader over the whole content; the caller closes it.
    """

    name: str
    size: int
    sha256: str
    open: Callable[[], BinaryIO]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """`header.document_id` is "" when the gateway shall make one.

    `released_at`: when the sender's clerk issued the document, stated by the unit (or None).
    `secrecy`: độ mật; anything but "" is refused before a file byte is read.
    """

    header: DocumentHeader
    secrecy: str = ""
    released_at: datetime | None = None
    files: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class AxisRoute:
    """One axis and the receivers it serves, codes as the submission writes them.

    `encrypt`: its files go encrypted to these receivers (conf, `[[route]] encrypt`).
    """

    axis: str
    receivers: tuple[str, ...]
    why: tuple[str, ...] = ()
    encrypt: bool = False


@dataclass(frozen=True, slots=True)
class CheckedSubmission:
    """A submission that passed every rule, with its routes: the only thing that gets packed."""

    submission: Submission
    routes: tuple[AxisRoute, ...]
    findings: tuple[Finding, ...] = ()
