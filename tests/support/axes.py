"""Shared pieces for tests of axes: packages, parcels, clocks, intakes, servers of raw bytes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters.vxp.axis import VxpAxis, VxpSettings
from adapters.vxp.simulator import Simulator, SimulatorSettings, start
from gateway.errors import Text, Unavailable
from gateway.model.arrival import Incoming
from gateway.model.package import NS_QCVN102, PackageKind
from gateway.ports import Parcel

CAO_BANG = "000.00.19.H14"
MINISTRY = "000.00.00.G22"
SECRET = "made-up-secret"
SYSTEMS = {
    "exp.sys.01": (SECRET, (CAO_BANG, "000.00.00.H14")),
    "exp.sys.02": ("another-secret", (MINISTRY,)),
}


class FixedClock:
    """Always the same instant, in UTC."""

    def __init__(self, at: datetime = datetime(2026, 11, 22, 3, 25, 38, 589000, UTC)) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def document_package(
    document_id: str = "000.00.19.H14,2026/11/20,12/UBND-VX",
    sender: str = CAO_BANG,
    receivers: Sequence[str] = (MINISTRY,),
    files: Sequence[tuple[str, str, bytes]] = (("12.pdf", "application/pdf", b"%PDF-1.7 sample"),),
    subject: str = "Về việc kiểm thử",
    header_extra: str = "",
    signature: str = "",
) -> bytes:
    """A document package in the builder's form; `files`: (name, declared type, carried bytes)."""
    to = "".join(
        f"<edXML:To><edXML:OrganId>{code}</edXML:OrganId></edXML:To>" for code in receivers
    )
    references = "".join(
        f"<edXML:Reference><edXML:ContentId>cid:{index}</edXML:ContentId>"
        f"<edXML:ContentType>{kind}</edXML:ContentType>"
        f"<edXML:AttachmentName>{escape(name)}</edXML:AttachmentName></edXML:Reference>"
        for index, (name, kind, _) in enumerate(files)
    )
    attachments = "".join(
        f"<Attachment><ContentId>cid:{index}</ContentId>"
        f"<AttachmentName>{escape(name)}</AttachmentName><ContentType>{kind}</ContentType>"
        f'<edXML:ContentTransferEncoded xmlns:edXML="{NS_QCVN102}">'
        f"{base64.b64encode(data).decode()}</edXML:ContentTransferEncoded></Attachment>"
        for index, (name, kind, data) in enumerate(files)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<edXML xmlns="{NS_QCVN102}"><edXML:edXMLEnvelope xmlns:edXML="{NS_QCVN102}"><edXML:edXMLHeader>
<edXML:MessageHeader><edXML:From><edXML:OrganId>{sender}</edXML:OrganId></edXML:From>{to}
<edXML:DocumentId>{escape(document_id)}</edXML:DocumentId>
<edXML:Code><edXML:CodeNumber>12</edXML:CodeNumber><edXML:CodeNotation>UBND-VX</edXML:CodeNotation>
</edXML:Code><edXML:Subject>{escape(subject)}</edXML:Subject>
<edXML:SteeringType>1</edXML:SteeringType>{header_extra}</edXML:MessageHeader>
<edXML:TraceHeaderList><edXML:Bussiness><edXML:BussinessDocType>0</edXML:BussinessDocType>
</edXML:Bussiness><edXML:TraceHeader><edXML:OrganId>{sender}</edXML:OrganId>
<edXML:Timestamp>2026/11/20 10:00:00</edXML:Timestamp></edXML:TraceHeader></edXML:TraceHeaderList>
{signature}</edXML:edXMLHeader><edXML:edXMLBody><edXML:edXMLManifest version="1.0">{references}
</edXML:edXMLManifest></edXML:edXMLBody></edXML:edXMLEnvelope>
<AttachmentEncoded>{attachments}</AttachmentEncoded></edXML>
""".encode()


def status_package(
    sender: str = MINISTRY,
    to: str = CAO_BANG,
    document_id: str = "000.00.19.H14,2026/11/20,12/UBND-VX",
    code: str = "03",
) -> bytes:
    """A status package: `sender` reports to `to` about one of its documents."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<edXML xmlns="{NS_QCVN102}"><edXML:edXMLEnvelope xmlns:edXML="{NS_QCVN102}"><edXML:edXMLHeader>
<edXML:MessageHeader><edXML:From><edXML:OrganId>{sender}</edXML:OrganId></edXML:From>
<edXML:ResponseFor><edXML:OrganId>{to}</edXML:OrganId><edXML:Code>12/UBND-VX</edXML:Code>
<edXML:DocumentId>{document_id}</edXML:DocumentId></edXML:ResponseFor>
<edXML:StatusCode>{code}</edXML:StatusCode><edXML:Timestamp>2026/11/21 08:00:00</edXML:Timestamp>
</edXML:MessageHeader></edXML:edXMLHeader></edXML:edXMLEnvelope></edXML>
""".encode()


async def always_mine() -> bool:
    return True


def parcel(
    data: bytes,
    *,
    kind: PackageKind = PackageKind.DOCUMENT,
    sender: str = CAO_BANG,
    receivers: tuple[str, ...] = (MINISTRY,),
    transfer_id: str = "t-1",
    chunk: int = 256 * 1024,
    still_mine: Callable[[], Awaitable[bool]] = always_mine,
    sha256: str = "",
) -> Parcel:
    """`data` as one attempt's cargo; `sha256` is the true digest unless another is given."""

    async def chunks() -> AsyncIterator[bytes]:
        for start_at in range(0, len(data), chunk):
            yield data[start_at : start_at + chunk]

    return Parcel(
        transfer_id=transfer_id,
        kind=kind,
        sender=sender,
        receivers=receivers,
        sha256=sha256 or hashlib.sha256(data).hexdigest(),
        size=len(data),
        chunks=chunks,
        still_mine=still_mine,
    )


class MemoryIntake:
    """The port Intake in memory: the same (axis, docId) again gives the first id again."""

    def __init__(self) -> None:
        self.arrivals: dict[tuple[str, str], Incoming] = {}
        self.failure: Exception | None = None
        self.losses = 0  # so many answers get lost: kept, and the store goes away
        self.before = asyncio.Event()  # cleared: silence, and nothing is kept
        self.after = asyncio.Event()  # cleared: kept, and the answer is lost
        self.before.set()
        self.after.set()

    async def receive(self, incoming: Incoming) -> str:
        await self.before.wait()
        if self.failure is not None:
            raise self.failure
        key = (incoming.axis, incoming.axis_doc_id)
        self.arrivals.setdefault(key, incoming)
        await self.after.wait()
        if self.losses:
            self.losses -= 1
            raise Unavailable(Text("mất kết nối", "connection lost"), code="store.unavailable")
        return f"arrival-{list(self.arrivals).index(key) + 1}"


@contextlib.asynccontextmanager
async def simulator(folder: Path, **changes: object) -> AsyncIterator[Simulator]:
    """A running simulated axis with `SYSTEMS`; `changes`: fields of SimulatorSettings."""
    settings = SimulatorSettings(**{"systems": SYSTEMS, "folder": folder, **changes})  # type: ignore[arg-type]  # forwarded as given
    running = await start(settings, FixedClock())
    try:
        yield running
    finally:
        await running.close()


def vxp_settings(url: str, system_id: str = "exp.sys.01", **changes: object) -> VxpSettings:
    """Settings of a client of the test account; no waiting between inner tries."""
    secret = SYSTEMS[system_id][0]
    values = {"name": "vxp", "endpoint": url, "system_id": system_id, "secret": secret}
    return VxpSettings(**{**values, "inner_wait": 0.0, **changes})  # type: ignore[arg-type]  # forwarded as given


@contextlib.asynccontextmanager
async def vxp_axis(
    url: str, system_id: str = "exp.sys.01", **changes: object
) -> AsyncIterator[VxpAxis]:
    axis = VxpAxis(vxp_settings(url, system_id, **changes), FixedClock())
    try:
        yield axis
    finally:
        await axis.close()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_server(
    talk: Talk, tls: ssl.SSLContext | None = None, *, read_head: bool = True
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that says what `talk` says; yields its URL and the request heads it read.

    The head is read before `talk` runs, if it is; when `talk` returns, the connection is closed.
    """
    heads: list[bytes] = []
    open_ones: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                if read_head:
                    heads.append(await reader.readuntil(b"\r\n\r\n"))
                await talk(reader, writer)
        finally:
            open_ones.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/vxp", heads
    finally:
        server.close()
        for writer in list(open_ones):
            writer.transport.abort()
        await server.wait_closed()


async def read_body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    """The request's body by its Content-Length."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return await reader.readexactly(int(value))
    return b""


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection with RST, as a crashed server does."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def answer(body: bytes, status: int = 200, extra: str = "Connection: close\r\n") -> bytes:
    """A whole HTTP answer with Content-Length; `extra`: further header lines."""
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def talking(say: bytes) -> Talk:
    """A server that reads the whole request and then says this."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(say)
        await writer.drain()

    return talk


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def self_signed(
    folder: Path,
    *,
    name: str = "localhost",
    begin: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    lasts: timedelta = timedelta(days=36500),
) -> tuple[ssl.SSLContext, Path]:
    """A server context for a host called `name` and the file with its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sample axis")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + lasts)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "axis.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context, pem
