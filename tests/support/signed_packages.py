"""Packages around a signature, made and read without the rooms of the gateway.

`package` writes one with lxml, `read` takes it apart by local name, `rebuild` does to it what the
axis was seen to do (edxml-format 9.3, 9.4). An independent second opinion on what a signature block
is, so it shares no code with gateway/packing.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from dataclasses import dataclass, field, replace

from lxml import etree

from gateway.model.package import (
    NS_DSIG,
    NS_QCVN102,
    Business,
    DocumentCode,
    DocumentHeader,
    FileFact,
    Organ,
    Promulgation,
    SignatureBlock,
    SignatureReference,
    header_digest,
)
from gateway.signing import RSA_SHA256, finish, prepare
from tests.support.pki import Leaf

HEADER = DocumentHeader(
    sender=Organ("000.00.19.H14", "Sở mẫu"),
    to=(Organ("000.00.00.G22"), Organ("000.00.00.H14")),
    document_id="000.00.19.H14,2026/11/20,12/UBND-VX",
    code=DocumentCode("12", "UBND-VX"),
    promulgation=Promulgation("Cao Bằng", "2026-11-20"),
    subject="V/v liên thông văn bản <mẫu> & kiểm thử",
    business=Business(type=0),
)


@dataclass(frozen=True)
class Part:
    """One attachment: `zipped` as the vendor's builder wraps everything but a few types."""

    content_id: str
    name: str
    data: bytes
    zipped: bool = False


PARTS = (
    Part("5a0e1c1e-0000-4000-8000-000000000001", "12-UBND-VX.pdf", b"%PDF-1.7\n%\xe2\xe3sample"),
    Part("5a0e1c1e-0000-4000-8000-000000000002", "Bảng kê.xlsx", b"PK not really", zipped=True),
)


@dataclass(frozen=True)
class Opened:
    header: DocumentHeader
    files: tuple[FileFact, ...]
    block: SignatureBlock | None


@dataclass(frozen=True)
class Sealed:
    """A package and what went into it."""

    xml: bytes
    signature: bytes
    header: DocumentHeader = field(repr=False)
    parts: tuple[Part, ...] = field(repr=False)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fact(part: Part, carried: bytes) -> FileFact:
    return FileFact(
        name=part.name,
        size=len(part.data),
        sha256=sha256(part.data),
        carried_size=len(carried),
        carried_sha256=sha256(carried),
        unwrapped=part.zipped,
        declared_name=part.name,
        content_id=part.content_id,
    )


def facts(parts: tuple[Part, ...] = PARTS) -> tuple[FileFact, ...]:
    return tuple(fact(p, wrap(p.data, p.name) if p.zipped else p.data) for p in parts)


def sign(
    leaf: Leaf,
    algorithm: str = RSA_SHA256,
    *,
    header: DocumentHeader = HEADER,
    parts: tuple[Part, ...] = PARTS,
    namespace: str = NS_DSIG,
) -> bytes:
    """The `Signature` element over these parts, by prepare, the leaf's key, finish."""
    digests = [(p.name, sha256(p.data)) for p in parts]
    prepared = prepare(
        [(p.content_id, sha256(p.data)) for p in parts], header_digest(header, digests), algorithm
    )
    return finish(prepared, leaf.sign(prepared.signed_info), leaf.der, namespace=namespace)


def seal(
    leaf: Leaf,
    algorithm: str = RSA_SHA256,
    *,
    header: DocumentHeader = HEADER,
    parts: tuple[Part, ...] = PARTS,
    namespace: str = NS_DSIG,
) -> Sealed:
    signature = sign(leaf, algorithm, header=header, parts=parts, namespace=namespace)
    return Sealed(package(signature, header, parts), signature, header, parts)


def wrap(data: bytes, name: str) -> bytes:
    out = io.BytesIO()
    entry = zipfile.ZipInfo(f"1b671a64-40d5-491e-99b0-da01ff1f3341.{name.rpartition('.')[2]}")
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(entry, data)
    return out.getvalue()


def package(signature: bytes, header: DocumentHeader, parts: tuple[Part, ...]) -> bytes:
    """The form of edxml-format 1: one namespace, once as default and once as `edXML:`."""
    q = f"{{{NS_QCVN102}}}"
    root = etree.Element(f"{q}edXML", nsmap={None: NS_QCVN102})
    envelope = etree.SubElement(root, f"{q}edXMLEnvelope", nsmap={"edXML": NS_QCVN102})
    top = etree.SubElement(envelope, f"{q}edXMLHeader")
    message = etree.SubElement(top, f"{q}MessageHeader")

    def put(parent: etree._Element, tag: str, text: str | None = None) -> etree._Element:
        child = etree.SubElement(parent, q + tag)
        child.text = text
        return child

    put(put(message, "From"), "OrganId", header.sender.organ_id)
    for organ in header.to:
        put(put(message, "To"), "OrganId", organ.organ_id)
    put(message, "DocumentId", header.document_id)
    code = put(message, "Code")
    put(code, "CodeNumber", header.code.number)
    put(code, "CodeNotation", header.code.notation)
    put(
        put(message, "PromulgationInfo"),
        "PromulgationDate",
        header.promulgation.date.replace("-", "/"),
    )
    put(message, "Subject", header.subject)
    put(message, "ResponseFor")  # empty, as some senders leave it; the axis drops it
    top.append(etree.fromstring(signature))
    attached = put(root, "AttachmentEncoded")
    for part in parts:
        item = put(attached, "Attachment")
        put(item, "ContentId", f"cid:{part.content_id}")
        put(item, "AttachmentName", part.name)
        carried = wrap(part.data, part.name) if part.zipped else part.data
        put(item, "ContentTransferEncoded", base64.b64encode(carried).decode())
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def rebuild(xml: bytes) -> bytes:
    """What comes out of an axis: same values, other bytes.

    The signature moves into the package's namespace, everything is indented with CRLF, ids get
    another `cid:`, zips are made anew, empty elements go.
    """
    root = etree.fromstring(xml)
    for element in root.iter(f"{{{NS_DSIG}}}*"):
        element.tag = f"{{{NS_QCVN102}}}{etree.QName(element).localname}"
    for element in list(root.iter()):
        if not len(element) and not element.text and not element.attrib:
            parent = element.getparent()
            assert parent is not None
            parent.remove(element)
    for item in root.iter(f"{{{NS_QCVN102}}}Attachment"):
        name = _text(item, "AttachmentName")
        for child in item:
            if etree.QName(child).localname == "ContentId":
                child.text = f"cid:{child.text}"
            if etree.QName(child).localname == "ContentTransferEncoded":
                carried = base64.b64decode(child.text or "")
                if carried.startswith(b"PK\x03\x04"):
                    with zipfile.ZipFile(io.BytesIO(carried)) as archive:
                        inner = archive.read(archive.namelist()[0])
                    carried = _longer(wrap(inner, name))
                child.text = base64.b64encode(carried).decode()
    etree.cleanup_namespaces(root)
    etree.indent(root, "  ")
    plain = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return plain.replace(b"\n", b"\r\n") + b"\r\n"


def _longer(archive: bytes) -> bytes:
    """The same entry in other zip bytes: another tool's comment at the end."""
    out = io.BytesIO(archive)
    with zipfile.ZipFile(out, "a") as changed:
        changed.comment = b"made anew"
    return out.getvalue()


def read(xml: bytes) -> Opened:
    root = etree.fromstring(xml)
    message = _first(root, "MessageHeader")
    assert message is not None
    sender = _first(message, "From")
    promulgation = _first(message, "PromulgationInfo")
    code = _first(message, "Code")
    header = DocumentHeader(
        sender=Organ(_text(sender, "OrganId")),
        to=tuple(Organ(_text(o, "OrganId")) for o in _all(message, "To")),
        document_id=_text(message, "DocumentId"),
        code=DocumentCode(_text(code, "CodeNumber"), _text(code, "CodeNotation")),
        promulgation=Promulgation("", _text(promulgation, "PromulgationDate")),
        subject=_text(message, "Subject"),
    )
    found = []
    for item in _all(root, "Attachment"):
        carried = base64.b64decode(_text(item, "ContentTransferEncoded"))
        inner = carried
        if carried.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(carried)) as archive:
                inner = archive.read(archive.namelist()[0])
        part = Part(
            _text(item, "ContentId"), _text(item, "AttachmentName"), inner, inner != carried
        )
        found.append(fact(part, carried))
    signature = _first(root, "Signature")
    return Opened(header, tuple(found), None if signature is None else read_block(signature))


def read_block(signature: etree._Element) -> SignatureBlock:
    info = _first(signature, "SignedInfo")
    assert info is not None
    references = tuple(
        SignatureReference(
            uri=(r.get("URI") or "").strip(),
            digest_method=_algorithm(r, "DigestMethod"),
            digest_value=_text(r, "DigestValue"),
            transforms=tuple(t.get("Algorithm") or "" for t in _all(r, "Transform")),
        )
        for r in _all(info, "Reference")
    )
    # lxml canonicalises a sub-element wrongly in the inclusive form: give it a root of its own
    alone = etree.fromstring(etree.tostring(info, with_tail=False))
    return SignatureBlock(
        in_dsig_namespace=etree.QName(signature).namespace == NS_DSIG,
        canonicalization=_algorithm(info, "CanonicalizationMethod"),
        signature_method=_algorithm(info, "SignatureMethod"),
        references=references,
        signature_value=_text(signature, "SignatureValue"),
        certificates=tuple((c.text or "").strip() for c in _all(signature, "X509Certificate")),
        subject_name=_text(signature, "X509SubjectName"),
        signed_info_exclusive=etree.tostring(alone, method="c14n", exclusive=True),
        signed_info_inclusive=etree.tostring(alone, method="c14n"),
    )


def block_of(signature: bytes) -> SignatureBlock:
    return read_block(etree.fromstring(signature))


def with_reference(block: SignatureBlock, index: int, **changes: object) -> SignatureBlock:
    """The block with other values in one reference, its carried bytes left as they were."""
    references = list(block.references)
    references[index] = replace(references[index], **changes)  # type: ignore[arg-type] # by name
    return replace(block, references=tuple(references))


def _all(parent: etree._Element, local: str) -> list[etree._Element]:
    return list(parent.iter(f"{{*}}{local}"))


def _first(parent: etree._Element | None, local: str) -> etree._Element | None:
    return None if parent is None else next(iter(_all(parent, local)), None)


def _text(parent: etree._Element | None, local: str) -> str:
    found = _first(parent, local)
    return "" if found is None else (found.text or "").strip()


def _algorithm(parent: etree._Element, local: str) -> str:
    found = _first(parent, local)
    return "" if found is None else (found.get("Algorithm") or "").strip()
