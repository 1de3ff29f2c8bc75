"""A TLS front of an axis, with a certificate that can be expired and renewed while it serves."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tests.support import pki
from tests.support.houses import NOW

_PEM = serialization.Encoding.PEM
_DAY = timedelta(days=1)


class Front:
    """`url`: where it listens; `anchor`: the authority to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = pki.ec_key(200)
        self._authority = pki.authority("Test authority of an axis", pki.ec_key(201))
        self.anchor = folder / "axis-ca.pem"
        self.anchor.write_bytes(self._authority.pem)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.url = ""

    def certify(self, days: int) -> None:
        """From now on it shows a certificate that ends (or ended) so many days from today."""
        certificate = (
            pki._builder(
                pki.name("axis (test)"),
                self._authority.certificate.subject,
                self._key,
                NOW - 400 * _DAY,
                NOW + days * _DAY,
            )
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(self._authority.key, hashes.SHA256())
        )
        pem = self._folder / "axis-front.pem"
        plain = serialization.NoEncryption()
        key = self._key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, plain)
        pem.write_bytes(certificate.public_bytes(_PEM) + key)
        self.context.load_cert_chain(pem)


@asynccontextmanager
async def front(folder: Path, port: int, *, days: int) -> AsyncIterator[Front]:
    """In front of what listens on `port` of this machine."""
    made = Front(folder)
    made.certify(days)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(64 * 1024):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, ahead), pump(behind, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=made.context)
    made.url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
