"""Every changed byte of a signed package is found, or it is outside of what is signed.

The sweep changes one byte at a time. Where the gateway still says `valid`, an independent reading
(lxml, libxml2's C14N) must find that what is signed is the same as before; and the places where
that happens are listed here, so that nothing joins them unseen. Some bytes are tried in `make
test`, each byte in `make test-long`.
"""

from __future__ import annotations

import base64
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from xml.parsers import expat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from lxml import etree

from gateway.errors import TooLarge, Unreadable
from gateway.model.package import (
    NS_DSIG,
    DocumentType,
    OtherInfo,
    Signer,
    TraceHeader,
    header_digest,
)
from gateway.signing import Profile
from tests.support import pki
from tests.support import signed_packages as packages
from tests.support.enveloped import judged, signed
from tests.support.packages import Q

HEADER = replace(
    packages.HEADER,
    content="Nội dung",
    document_type=DocumentType(2, 18, "Công văn"),
    signer=Signer("TM.", "Chủ tịch", "Tên mẫu"),
    due_date="2026-12-01",
    other=OtherInfo(priority=0, sphere="VX"),
    to_places=("Lưu: VT",),
    traces=(TraceHeader("000.00.19.H14", "2026/11/20 10:00:00"),),
)
CONTENT = {"a.pdf": b"%PDF-1.4\n%%EOF\n", "b.txt": b"hai"}

# What the header reference is not over (contract 4: the identity, and To), the form of the XML, the
# zip around an inner file, and what of the certificate is not its key: a path to a root covers
# that, not this signature.
RELAY_OUTSIDE = frozenset(
    {"blank", "markup", "prolog", "zip"}
    | {"OrganName", "Place", "Type", "TypeDetail", "TypeName", "Content"}
    | {"Competence", "Position", "FullName", "DueDate", "Priority", "SphereOfPromulgation"}
    | {"SteeringType", "Timestamp", "TraceHeader/OrganId", "ContentType", "Manifest/ContentId"}
    | {"Manifest/AttachmentName", "X509SubjectName", "X509Certificate"}
    # values that are read as the same: case of a code and of `cid:`, blanks, and a kind of act that
    # is no number, which is a new document as when nothing is said
    | {"From/OrganId", "To/OrganId", "ContentId", "Subject", "BussinessDocType"}
)
ENVELOPED_OUTSIDE = frozenset({"prolog", "markup", "X509SubjectName", "X509Certificate"})


@dataclass(frozen=True)
class Case:
    xml: bytes
    places: tuple[str, ...]  # for each byte
    meaning: Callable[[bytes], object]
    outside: frozenset[str]


@cache
def case(profile: Profile, who: str) -> Case:
    xml = signed(getattr(pki.cast(), who), profile, header=HEADER, content=CONTENT)
    if profile is Profile.RELAY:
        return Case(xml, places(xml), relay_meaning, RELAY_OUTSIDE)
    return Case(xml, places(xml), enveloped_meaning, ENVELOPED_OUTSIDE)


def places(xml: bytes) -> tuple[str, ...]:
    """What each byte belongs to: the text of an element, blanks between them, markup, prolog."""
    labels = ["markup"] * len(xml)
    stack: list[str] = []
    begun: list[tuple[int, str]] = []  # where text starts, and of what
    parser = expat.ParserCreate()

    def text(data: str) -> None:
        if not begun:
            begun.append((parser.CurrentByteIndex, data))

    def close() -> None:
        if begun:
            at, _ = begun.pop()
            end = parser.CurrentByteIndex
            label = "blank" if not xml[at:end].strip() else _label(stack)
            if xml[at:end].startswith(b"UEsD"):
                label = "zip"
            labels[at:end] = [label] * (end - at)

    def start(name: str, _: object) -> None:
        close()
        stack.append(name.rpartition(":")[2])

    def end(_: str) -> None:
        close()
        stack.pop()

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    parser.Parse(xml, True)
    root, tail = xml.index(b"<edXML"), xml.rindex(b">") + 1
    labels[:root] = ["prolog"] * root
    labels[tail:] = ["prolog"] * (len(xml) - tail)
    return tuple(labels)


def _label(stack: list[str]) -> str:
    if "edXMLManifest" in stack:
        return f"Manifest/{stack[-1]}" if stack[-1] != "ContentType" else stack[-1]
    return f"{stack[-2]}/{stack[-1]}" if stack[-1] == "OrganId" else stack[-1]


def signature_of(root: etree._Element) -> etree._Element:
    """In its own namespace, or in that of the package, where an axis puts it (edxml-format 9.1)."""
    return next(e for e in root.iter("{*}Signature") if etree.QName(e).namespace in {NS_DSIG, Q})


def block_meaning(root: etree._Element) -> tuple[object, ...]:
    """The values of SignedInfo, of the signature and of the key; not how they are spelled."""
    block = signature_of(root)
    info = [
        (etree.QName(e).localname, _attributes(e), "".join(e.itertext()).split())
        for e in next(block.iter("{*}SignedInfo")).iter(etree.Element)
    ]
    der = base64.b64decode(next(block.iter("{*}X509Certificate")).text or "")
    key = x509.load_der_x509_certificate(der).public_key()
    value = next(block.iter("{*}SignatureValue")).text or ""
    return (
        info,
        "".join(value.split()),
        key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


def _attributes(element: etree._Element) -> list[tuple[str, str]]:
    """A scheme is the same in any letter case (RFC 3986, 3.1)."""
    return sorted(
        (name, "cid:" + value[4:] if value[:4].lower() == "cid:" else value)
        for name, value in element.attrib.items()
    )


def by_hand(xml: bytes) -> bytes:
    """The package with its zip made anew around what the deflate stream holds (APPNOTE 4.3.7).

    A flipped bit in the zip's directory makes `zipfile` refuse what still has the same file in it.
    """
    root = etree.fromstring(xml)
    content = list(root.iter("{*}ContentTransferEncoded"))[1]
    carried = base64.b64decode(content.text or "")
    name, extra = struct.unpack_from("<HH", carried, 26)
    inner = zlib.decompressobj(-15).decompress(carried[30 + name + extra :])
    content.text = base64.b64encode(packages.wrap(inner, "b.txt")).decode()
    return etree.tostring(root)


def relay_meaning(xml: bytes) -> object:
    try:
        opened = packages.read(xml)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeDecodeError):
        opened = packages.read(by_hand(xml))
    names = [(f.declared_name, f.sha256) for f in opened.files]
    ids = [f.content_id.lower().removeprefix("cid:") for f in opened.files]
    root = etree.fromstring(xml)
    act = next(root.iter("{*}BussinessDocType")).text or ""
    kind = int(act) if act.strip().isdecimal() else 0
    return header_digest(opened.header, names), names, ids, kind, block_meaning(root)


def enveloped_meaning(xml: bytes) -> object:
    root = etree.fromstring(xml)
    said = block_meaning(root)
    block = signature_of(root)
    before = block.getprevious()
    assert before is not None
    before.tail = (before.tail or "") + (block.tail or "")
    block.getparent().remove(block)
    out = etree.tostring(root.getroottree(), method="c14n", exclusive=True, with_comments=False)
    return out, said


def others(byte: int, number: int | None) -> Iterator[int]:
    """Other bytes for one byte: a neighbour, the other case, a blank, a line, a letter, markup."""
    all_of = [byte ^ 1, byte ^ 0x20, 0x20, 0x0A, 0x41, 0x3C, 0x80]
    if number is not None:
        all_of = [all_of[number % len(all_of)]]
    yield from (other for other in all_of if other != byte)


@contextmanager
def grumbling() -> Iterator[None]:
    """cryptography warns of odd but readable certificates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def sweep(profile: Profile, who: str, step: int) -> tuple[int, int, set[str]]:
    """How many changes were tried and found, and where they were not found."""
    it = case(profile, who)
    original = it.meaning(it.xml)
    known = judged(it.xml).codes
    tried = found = 0
    outside: set[str] = set()
    for position in range(0, len(it.xml), step):
        for other in others(it.xml[position], None if step == 1 else position // step):
            changed = bytearray(it.xml)
            changed[position] = other
            tried += 1
            try:
                with grumbling():
                    said = judged(bytes(changed))
            except (Unreadable, TooLarge):
                found += 1
                continue
            if said.verdict.summary() != "valid":
                found += 1
                continue
            place = it.places[position]
            told = (position, place, it.xml[position - 30 : position + 30], other)
            try:
                with grumbling():
                    meaning = it.meaning(bytes(changed))
            except (etree.XMLSyntaxError, ValueError):
                # we read what libxml2 refuses, after a repair: that is never done in silence
                assert said.codes - known, told
                continue
            assert meaning == original, told
            outside.add(place)
            assert place in it.outside, told
    return tried, found, outside


CASES = pytest.mark.parametrize(
    ("profile", "who"), [(p, w) for p in Profile for w in ("agency_rsa", "agency_ec")]
)


@CASES
def test_a_changed_byte_is_found_or_outside_of_what_is_signed(profile, who):
    tried, found, _ = sweep(profile, who, 29)
    assert tried > 150
    assert found > tried // (3 if profile is Profile.RELAY else 2)


@pytest.mark.long
@CASES
def test_every_changed_byte_is_found_or_outside_of_what_is_signed(profile, who):
    tried, found, outside = sweep(profile, who, 1)
    assert tried > 30_000
    assert outside == case(profile, who).outside, "the list above says more than is true"
    assert found > tried // 3
