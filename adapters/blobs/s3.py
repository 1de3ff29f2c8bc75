"""Blobs in a bucket of an object store that speaks S3: `prefix/ab/<sha256 hex>/<unique>`.

Comes in: bytes and their digest. Goes out: an object that the store has acknowledged when `keep`
returns; it appears whole or not at all (S3: PutObject, CompleteMultipartUpload), and a listing or
a read that begins afterwards finds it (S3's consistency since December 2020; stores that promise
less are not for this). Fails: Unavailable (`blob.unavailable`: no answer, a refusal, disk full
while spooling), Broken (`blob.missing`, `blob.digest`). Never: raises what the client raised; reads
an address or a secret from the environment; holds more than a few pieces of a blob in memory.

Why each keeping has a name of its own. S3 cannot delete "unless somebody wrote it meanwhile". Under
one name, a sweep that found an old blob would delete the young one that another machine put there
a moment later, and that somebody counts on. Here a name is written once and never again: who keeps
the same bytes again puts one more object beside the first, and a sweep deletes only the names that
it saw to be old. Reading takes any of them. It costs one listing a reading, and the space of what
was kept twice.

Ages are told by the store's own clock: it dates the objects, and a machine whose clock went wrong
must not take everything for old.
"""

from __future__ import annotations

import io
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from adapters.blobs.spools import DIGEST, Spools, mapped, missing, require_digest
from gateway import errors

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, S3Credential

PART = 8 * 1024 * 1024  # bytes in one request: smaller blobs go in one, larger ones in parts
PARTS_AT_ONCE = 2
FIRST_PIECE, LARGEST_PIECE = 256 * 1024, 4 * 1024 * 1024
RETRIES = 3
_CLOCK = "clock"
_SAID = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3}[ A-Za-z-]{0,40})")
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w{1,60})")
_QUOTED = re.compile(r'"([^"\n]{1,160})"')
_SHOWN = 200
# told of a proxy, and that it is for no address, the client looks for none in the environment
_EVERYWHERE = "*,0.0.0.0/0,::/0"


@dataclass(frozen=True, slots=True)
class S3Settings:
    """`folder` holds spool files; `timeout_seconds` bounds one request, `connect_seconds` its
    first part. `endpoint` "": Amazon's own for the region. `ca`: PEM, trusted besides the
    system's.
    """

    bucket: str
    prefix: str
    folder: Path
    access_key: str
    secret: str = field(repr=False)
    endpoint: str = ""
    region: str = "us-east-1"
    allow_http: bool = False
    ca: bytes = b""
    connect_seconds: float = 5.0
    timeout_seconds: float = 30.0


@contextmanager
def _asked() -> Iterator[None]:
    """Everything the client says about a store that could not, as Unavailable."""
    try:
        yield
    except (BaseError, FileNotFoundError) as exc:
        what = _gist(str(exc))
        raise errors.Unavailable(
            errors.Text(f"Kho đối tượng S3 chưa sẵn sàng: {what}", f"object store: {what}"),
            code="blob.unavailable",
        ) from exc


def _gist(said: str) -> str:
    """The store's own code and status; where it did not answer, what the network said."""
    told = [found[1].strip() for found in (_STATUS.search(said), _SAID.search(said)) if found]
    if told:
        return ", ".join(told)
    first, _, inside = said.partition("\n\nDebug source")
    if certificate := _CERTIFICATE.search(inside):
        return f"certificate: {certificate[1]}"
    # the innermost cause stands last: "Connection refused", "failed to lookup address information"
    cause = (_QUOTED.findall(inside) or [""])[-1]
    return f"{' '.join(first.rpartition(' - ')[2].split())}: {cause}"[:_SHOWN]


class S3Blobs:
    """`ports.BlobStore` on one bucket. Thread-safe; makes no request before it is used."""

    def __init__(self, settings: S3Settings) -> None:
        """Make the folder of the spool when it is not there. Raises Unavailable."""
        spool = settings.folder / "spool"
        self._spools = Spools(spool)
        with mapped():
            spool.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._spools.clear()

        def credential() -> S3Credential:
            return {
                "access_key_id": settings.access_key,
                "secret_access_key": settings.secret,
                "token": None,
                "expires_at": None,
            }

        timeout = timedelta(seconds=settings.timeout_seconds)
        region = settings.region
        endpoint = settings.endpoint or f"https://s3.{region}.amazonaws.com"
        client: ClientConfig = {
            "proxy_url": "http://127.0.0.1:9",
            "proxy_excludes": _EVERYWHERE,
            "allow_http": settings.allow_http,
            "connect_timeout": timedelta(seconds=settings.connect_seconds),
            "timeout": timeout,
        }
        if settings.ca:
            client["root_certificate"] = settings.ca
        self._store = S3Store(
            settings.bucket,
            prefix=settings.prefix or None,
            # each is given even where it is the default: the client takes what is not from the
            # environment
            config={
                "endpoint": endpoint,
                "aws_endpoint_url_s3": endpoint,
                "region": region,
                "virtual_hosted_style_request": False,
                "unsigned_payload": False,  # so that the store checks every byte it takes
                "skip_signature": False,
                "s3_express": False,
                "request_payer": False,
                "disable_bulk_delete": True,  # not every store has it, and we delete one by one
            },
            client_options=client,
            retry_config={"max_retries": RETRIES, "retry_timeout": timeout},
            credential_provider=credential,
        )

    def spool(self) -> BinaryIO:
        """A private file without a name on this machine's disk: gone with the process."""
        return self._spools.spool()

    def keep(self, spooled: BinaryIO, sha256: str) -> None:
        """Put a spooled file into the bucket; keeping it twice is harmless.

        Its position stays, and it may still be read afterwards.
        """
        name = _new_name(sha256)
        with mapped():
            spooled.flush()
            fd = spooled.fileno()
            size = os.fstat(fd).st_size
            if size <= PART:
                self._put(name, os.pread(fd, size, 0) if size else b"")
                return
            with _asked():
                obstore.put(
                    self._store,
                    name,
                    _pieces(fd),
                    use_multipart=True,
                    chunk_size=PART,
                    max_concurrency=PARTS_AT_ONCE,
                )

    def keep_bytes(self, data: bytes, sha256: str) -> None:
        """`keep` for what already lies in memory."""
        self._put(_new_name(sha256), data)

    def open(self, sha256: str) -> BinaryIO:
        """The bytes, from their beginning, fetched as they are read. Raises Broken."""
        found = self._copies(sha256)
        if not found:
            raise missing(sha256)
        newest = max(found, key=lambda one: one["last_modified"])
        return io.BufferedReader(_Stored(self._store, newest, sha256), FIRST_PIECE)

    def peek(self, sha256: str, size: int) -> bytes | None:
        """None: nothing of a bucket lies in memory here."""
        del sha256, size
        return None

    def delete(self, sha256: str) -> None:
        """Remove a blob for good; removing one that is not there is harmless."""
        self._delete(self._copies(sha256))

    def delete_older(self, sha256: str, seconds: float) -> bool:
        """Remove a blob unless it was kept (again) within `seconds`; True when it is gone.

        Who keeps it while this runs has it under a name that is not among those deleted.
        """
        found = self._copies(sha256)
        if not found:
            return True
        now = self._now()
        if any(_age(one, now) <= seconds for one in found):
            return False
        self._delete(found)
        return True

    def digests(self) -> list[tuple[str, float]]:
        """Every stored digest with the age of its youngest copy in seconds (for the sweep)."""
        youngest: dict[str, float] = {}
        now = self._now()
        with _asked():
            for batch in obstore.list(self._store):
                for one in batch:
                    folder, _, rest = one["path"].partition("/")
                    digest, _, unique = rest.partition("/")
                    if unique and folder == digest[:2] and DIGEST.fullmatch(digest):
                        age = _age(one, now)
                        youngest[digest] = min(age, youngest.get(digest, age))
        return list(youngest.items())

    def _copies(self, sha256: str) -> Sequence[ObjectMeta]:
        with _asked():
            return obstore.list(self._store, _folder(sha256)).collect()

    def _delete(self, copies: Sequence[ObjectMeta]) -> None:
        with _asked():
            for one in copies:
                obstore.delete(self._store, one["path"])

    def _put(self, name: str, data: bytes) -> None:
        with _asked():
            obstore.put(self._store, name, data, use_multipart=False)

    def _now(self) -> datetime:
        """The store's clock: the date it gives to an object that is written now."""
        self._put(_CLOCK, b"")
        with _asked():
            return obstore.head(self._store, _CLOCK)["last_modified"]


class _Stored(io.RawIOBase):
    """One object, fetched by ranges: small ones where it is read here and there, larger ones
    where it is read on and on. One piece of it is in memory at a time.
    """

    def __init__(self, store: S3Store, found: ObjectMeta, sha256: str) -> None:
        super().__init__()
        self._store = store
        self._name = found["path"]
        self._size = found["size"]
        self._sha256 = sha256
        self._position = 0
        self._piece = memoryview(b"")
        self._start = 0
        self._next = FIRST_PIECE

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed names its own Buffer
        if self._position >= self._size:
            return 0
        end = self._start + len(self._piece)
        if not self._start <= self._position < end:
            self._fetch(going_on=self._position == end)
        at = self._position - self._start
        got = min(len(buffer), len(self._piece) - at)
        buffer[:got] = self._piece[at : at + got]
        self._position += got
        return got

    def _fetch(self, *, going_on: bool) -> None:
        self._next = min(self._next * 2, LARGEST_PIECE) if going_on else FIRST_PIECE
        self._piece = memoryview(b"")  # let go of the old one first
        length = min(self._next, self._size - self._position)
        with _asked():
            try:
                got = obstore.get_range(
                    self._store, self._name, start=self._position, length=length
                )
            except FileNotFoundError as exc:
                if "NoSuchBucket" in str(exc):
                    raise
                raise missing(self._sha256) from exc
        self._piece, self._start = memoryview(got), self._position


def _folder(sha256: str) -> str:
    require_digest(sha256)
    return f"{sha256[:2]}/{sha256}"


def _new_name(sha256: str) -> str:
    return f"{_folder(sha256)}/{secrets.token_hex(12)}"


def _pieces(fd: int) -> Iterator[bytes]:
    """A file from its beginning, whoever else reads or seeks in it."""
    offset = 0
    while piece := os.pread(fd, 1024 * 1024, offset):
        yield piece
        offset += len(piece)


def _age(one: ObjectMeta, now: datetime) -> float:
    return (now - one["last_modified"]).total_seconds()
