"""Where packages lie, as the configuration says: a folder, or a bucket of an object store.

In:     Settings.
Out:    a `ports.BlobStore`; a secret comes sealed under the master key, or from a file of 0600.
Fails:  Misconfigured (the secret, the certificates); Unavailable (the folder cannot be made).
Never:  asks a bucket for anything: a gateway starts while its object store is away.
"""

from __future__ import annotations

from adapters.blobs.local import LocalBlobs
from adapters.keys.private import read_private, read_public
from adapters.keys.vault import SecretVault
from gateway.config import AxisSection, BlobsSection, Settings
from gateway.ports import BlobStore


def blob_store(settings: Settings) -> BlobStore:
    """The one store of this gateway's bytes."""
    conf = settings.blobs
    place = conf.place()
    if place is None:
        return LocalBlobs(conf.folder)
    from adapters.blobs.s3 import S3Blobs, S3Settings  # the client is large: only who has a bucket

    bucket, prefix = place
    return S3Blobs(
        S3Settings(
            bucket=bucket,
            prefix=prefix,
            folder=conf.folder,
            access_key=conf.access_key,
            secret=secret_of(settings, conf, "blobs"),
            endpoint=conf.endpoint,
            region=conf.region,
            allow_http=conf.endpoint.startswith("http://"),  # `conf` judged whether it may be
            ca=read_public(conf.ca_file) if conf.ca_file else b"",
            connect_seconds=conf.connect_timeout,
            timeout_seconds=conf.timeout,
        )
    )


def secret_of(settings: Settings, one: AxisSection | BlobsSection, name: str) -> str:
    """An account's secret; `name` is what it was sealed for."""
    if one.secret_file is not None:
        return read_private(one.secret_file).decode().strip()
    return SecretVault(settings.secrets.master_key).open(one.secret, name).decode()
