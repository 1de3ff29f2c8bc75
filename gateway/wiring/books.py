"""The ledger of a configured gateway, opened for reading while the gateway may go on writing.

In:     Settings.
Out:    the store, the blobs, the ledger's public key, the anchors of its timestamp authorities.
Fails:  Misconfigured; Unavailable when the database cannot be reached.
Never:  takes the database's lock or writes; only what exports evidence gets the private key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.keys.ledger import load_ledger_key
from adapters.keys.private import read_public
from gateway.config import Settings
from gateway.errors import Misconfigured, Text
from gateway.exporting import Exporting
from gateway.ledger import keys as ledger_keys
from gateway.ledger.cosignature import Witness, parse_witness_vkey
from gateway.ports import BlobStore
from gateway.store import Store, open_store
from gateway.store.migrations import current, head
from gateway.wiring.blobs import blob_store


@dataclass(frozen=True, slots=True)
class Books:
    """`vkey`: the public key as witnesses take it (C2SP signed note)."""

    store: Store
    blobs: BlobStore
    public_key: ec.EllipticCurvePublicKey
    anchors: tuple[x509.Certificate, ...]
    vkey: str
    witnesses: tuple[Witness, ...] = ()


@contextmanager
def open_books(settings: Settings, vkey: Path | None = None) -> Iterator[Books]:
    """Blocks: for programs without an event loop. `vkey`: a file with the key to trust instead.

    Without it the books are held against the key the gateway has now: whoever could replace that
    key and sign everything anew would pass. Misconfigured: the file holds no key of this ledger.
    """
    key = _trusted(vkey, settings) if vkey else load_ledger_key(settings.ledger.key).public_key()
    trusted = tuple(a for one in settings.stamp.authorities for a in anchors(one.ca_file))
    require_schema(settings)
    store = open_store(settings.database.url)
    try:
        yield Books(
            store=store,
            blobs=blob_store(settings),
            public_key=key,
            anchors=trusted,
            vkey=ledger_keys.vkey(settings.ledger.origin, key),
            witnesses=tuple(map(parse_witness_vkey, settings.ledger.witnesses)),
        )
    finally:
        store.close_sync()


@contextmanager
def open_exporting(settings: Settings) -> Iterator[Exporting]:
    """For `evidence export`, while the gateway may go on. Blocks.

    It takes the ledger's private key, because what is exported is signed with it.
    """
    key = load_ledger_key(settings.ledger.key)
    require_schema(settings)
    store = open_store(settings.database.url)
    try:
        yield Exporting(
            store,
            blob_store(settings),
            settings.ledger.origin,
            key,
            settings.limits,
            settings.algorithms,
        )
    finally:
        store.close_sync()


def ledger_key(
    settings: Settings | None, vkey: Path | None
) -> tuple[str, ec.EllipticCurvePublicKey]:
    """Name and public key of a ledger: as an auditor brought them, else as they are configured."""
    if vkey is not None:
        return ledger_keys.parse_vkey(read_public(vkey).decode("utf-8", "replace"))
    if settings is None:
        raise Misconfigured(
            Text("Cần --vkey hoặc --conf", "give --vkey or --conf"), code="ledger.no_key_file"
        )
    return settings.ledger.origin, load_ledger_key(settings.ledger.key).public_key()


def _trusted(file: Path, settings: Settings) -> ec.EllipticCurvePublicKey:
    name, key = ledger_keys.parse_vkey(read_public(file).decode("utf-8", "replace"))
    if name != settings.ledger.origin:
        raise Misconfigured(
            Text(
                f"{file}: khóa của sổ cái {name!r}, không phải {settings.ledger.origin!r}",
                f"{file}: the key of ledger {name!r}, not of {settings.ledger.origin!r}",
            ),
            code="ledger.other_key",
        )
    return key


def require_schema(settings: Settings) -> None:
    found, needed = current(settings.database.url), head()
    if found != needed:
        raise Misconfigured(
            Text(
                f"Lược đồ cơ sở dữ liệu là {found}, bản này cần {needed}",
                f"the database has schema {found}, this version needs {needed}",
            ),
            code="store.schema",
        )


def anchors(ca_file: Path | None) -> tuple[x509.Certificate, ...]:
    if ca_file is None:
        return ()
    return tuple(x509.load_pem_x509_certificates(read_public(ca_file)))
