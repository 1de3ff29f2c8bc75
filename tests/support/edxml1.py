"""Packages of edXML 1.0 for tests: a SOAP envelope, and the MIME message around it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

E = "http://www.e-doc.vn/Schema/"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TOKEN = "bi-mat-cua-co-quan"
BOUNDARY = "MIMEBoundary_5a0e1c1e"

_ORGAN = """<edXML:OrganId>{0}</edXML:OrganId><edXML:OrganName>{1}</edXML:OrganName>
<edXML:OrganizationInCharge></edXML:OrganizationInCharge><edXML:OrganAdd/><edXML:Email/>
<edXML:Telephone/><edXML:Fax/><edXML:Website/>"""
_HEADER = f"""<edXML:MessageHeader>
<edXML:From>{_ORGAN.format("000.00.19.H14", "Sở mẫu")}</edXML:From>
<edXML:To>{_ORGAN.format("000.00.00.G22", "Văn phòng mẫu")}</edXML:To>
<edXML:Code><edXML:CodeNumber>12</edXML:CodeNumber><edXML:CodeNotation>SM-VP</edXML:CodeNotation>
</edXML:Code>
<edXML:PromulgationInfo><edXML:Place>Cao Bằng</edXML:Place>
<edXML:PromulgationDate>20/11/2014</edXML:PromulgationDate></edXML:PromulgationInfo>
<edXML:DocumentType><edXML:Type>2</edXML:Type><edXML:TypeName>Công văn</edXML:TypeName>
</edXML:DocumentType>
<edXML:Subject>V/v kiểm tra</edXML:Subject><edXML:Content></edXML:Content>
<edXML:SignerInfo><edXML:Competence/><edXML:Position>Giám đốc</edXML:Position>
<edXML:FullName>Người ký mẫu</edXML:FullName></edXML:SignerInfo>
<edXML:DueDate>01/12/2014</edXML:DueDate><edXML:ToPlaces><edXML:Place>Như trên</edXML:Place>
</edXML:ToPlaces>
<edXML:OtherInfo><edXML:Priority>1</edXML:Priority><edXML:SphereOfPromulgation/>
<edXML:TyperNotation/><edXML:PromulgationAmount>1</edXML:PromulgationAmount>
<edXML:PageAmount>2</edXML:PageAmount><edXML:Appendixes><edXML:Appendix/></edXML:Appendixes>
</edXML:OtherInfo></edXML:MessageHeader>
<edXML:TraceHeaderList id="" version="1.0"><edXML:TraceHeader>
<edXML:OrganId>000.00.19.H14</edXML:OrganId>
<edXML:Timestamp>20/11/2014 10:11:12</edXML:Timestamp></edXML:TraceHeader></edXML:TraceHeaderList>
<edXML:ErrorList/>
<edXML:Signature><edXML:KeyInfo><edXML:OrganId>000.00.19.H14</edXML:OrganId>
<edXML:Token>{TOKEN}</edXML:Token></edXML:KeyInfo></edXML:Signature>"""


@dataclass
class Part:
    """One MIME part. `body` as it stands in the message."""

    cid: str
    name: str
    body: bytes
    encoding: str = "base64"
    kind: str = "application/octet-stream"
    more: Sequence[str] = field(default_factory=tuple)

    def bytes(self) -> bytes:
        lines = [
            f"Content-Type: {self.kind}",
            *([f"Content-Transfer-Encoding: {self.encoding}"] if self.encoding else []),
            f"Content-ID: <{self.cid}>",
            *self.more,
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def in_base64(data: bytes) -> bytes:
    """Lines of 76, as MIME has them."""
    return base64.encodebytes(data).replace(b"\n", b"\r\n").rstrip(b"\r\n")


def a_part(number: int, name: str, data: bytes, **changes: object) -> Part:
    return Part(f"tep{number}@mau", name, in_base64(data), **changes)  # type: ignore[arg-type]


def manifest(parts: Sequence[Part]) -> str:
    lines = "".join(
        f'<edXML:Reference xlink:href="cid:{p.cid}"><edXML:AttachmentName>{p.name}'
        "</edXML:AttachmentName></edXML:Reference>"
        for p in parts
    )
    return (
        '<edXML:Manifest xmlns:xlink="http://www.w3.org/1999/xlink" version="1.0">'
        f"{lines}</edXML:Manifest>"
    )


def envelope(parts: Sequence[Part] = (), header: str = _HEADER) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n'
        f'<S:Envelope xmlns:S="{SOAP}" xmlns:edXML="{E}"><S:Header>{header}</S:Header>'
        f"<S:Body>{manifest(parts)}</S:Body></S:Envelope>"
    ).encode()


def without_soap(parts: Sequence[Part] = ()) -> bytes:
    return f'<edXML:edXML xmlns:edXML="{E}">{_HEADER}{manifest(parts)}</edXML:edXML>'.encode()


def message(
    parts: Sequence[Part],
    *,
    front: str | None = "",
    root: bytes | None = None,
    end: bytes = f"--{BOUNDARY}--\r\n".encode(),
) -> bytes:
    """`front`: header fields before the first boundary ("" the usual ones, None for none)."""
    usual = (
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/related; type="text/xml"; boundary="{BOUNDARY}"; '
        'start="<root@mau>"\r\n'
    )
    first = (
        b"Content-Type: text/xml; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n"
        b"Content-ID: <root@mau>\r\n\r\n" + (envelope(parts) if root is None else root)
    )
    begin = f"--{BOUNDARY}\r\n".encode()
    body = b"".join(begin + p + b"\r\n" for p in (first, *(p.bytes() for p in parts)))
    heads = b"" if front is None else (front or usual).encode() + b"\r\n"
    return heads + body + end
