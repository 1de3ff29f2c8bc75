"""Whom to trust: the files of conf/trust, for a gateway and for `inspect`.

In:     a folder with roots/, intermediates/, lists/ (`trust.folder`, `--roots`).
Out:    Anchors.
Fails:  Misconfigured (`trust.unreadable`), naming the file.
Never:  takes a file for what it is not; knows a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from gateway.errors import Misconfigured, Text
from gateway.signing import DEFAULT_POLICY, Policy
from gateway.signing.trust import MAX_AGE, Anchors, read_certificates, read_list

TRUST_FOLDERS = ("roots", "intermediates", "lists")
CERTIFICATES = frozenset({".pem", ".crt", ".cer", ".der"})
LISTS = frozenset({".crl", ".pem", ".der"})
LARGEST = 64 * 1024 * 1024
Read = TypeVar("Read")


def anchors_in(
    folder: Path, max_age: timedelta = MAX_AGE, *, policy: Policy = DEFAULT_POLICY
) -> Anchors:
    """What lies in the three folders, PEM or DER; a folder that is not there holds nothing.

    `policy`: which algorithms count on the way to a root.
    """
    roots, intermediates, lists = (folder / name for name in TRUST_FOLDERS)
    return Anchors(
        roots=tuple(c for f in _files(roots, CERTIFICATES) for c in _read(f, read_certificates)),
        intermediates=tuple(
            c for f in _files(intermediates, CERTIFICATES) for c in _read(f, read_certificates)
        ),
        lists=tuple(_read(f, read_list) for f in _files(lists, LISTS)),
        max_age=max_age,
        policy=policy,
    )


def _files(folder: Path, kinds: frozenset[str]) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(f for f in folder.iterdir() if f.suffix.lower() in kinds)


def _read(file: Path, make: Callable[[bytes], Read]) -> Read:
    try:
        with file.open("rb") as stream:
            return make(stream.read(LARGEST))  # of a larger one the rest is missed, and it is none
    except (OSError, ValueError) as error:
        raise Misconfigured(
            Text(
                f"{file}: không đọc được chứng thư hoặc danh sách thu hồi",
                f"{file}: cannot be read as certificates, or as a revocation list",
            ),
            code="trust.unreadable",
        ) from error
