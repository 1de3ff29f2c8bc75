"""What goes in comes out; what was touched is found; nothing hostile gets out as a crash."""

import base64
import io
import random
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import Rejected, Untrusted
from gateway.model.package import (
    Business,
    DocumentCode,
    DocumentHeader,
    ReceiverChange,
    Replacement,
    StatusReport,
    header_digest,
    identity,
)
from gateway.packing import feed
from gateway.packing.metadata import header_to_json, parse_metadata
from gateway.packing.read import ReadPackage, extract_file, read_header, read_package
from gateway.packing.write import plan_files, write_document, write_status
from tests.support.packages import Memory, a_header, an_attachment, packed, read
from tests.support.schemas import faults
from tests.support.strategies import a_zip, files_of_a_package, headers, reports

slow = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@slow
@given(headers, files_of_a_package)
def test_what_is_written_is_read_back(
    header: DocumentHeader, files: list[tuple[str, bytes]]
) -> None:
    plan = plan_files([an_attachment(name, data) for name, data in files], "s")
    out = io.BytesIO()
    ready = write_document(out, header, plan)
    sink = Memory()
    got = read_package(io.BytesIO(out.getvalue()), sink=sink)
    assert got.header == header
    assert (got.sha256, got.size) == (ready.sha256, ready.size)
    # the identity is alike at both ends, and the sink holds what the facts say
    planned = [(p.fact.declared_name, p.fact.sha256) for p in plan]
    found = [(f.declared_name, f.sha256) for f in got.files]
    assert planned == found
    assert got.header is not None
    assert identity(header, planned) == identity(got.header, found)
    assert header_digest(header, planned) == header_digest(got.header, found)
    for index, fact in enumerate(got.files):
        assert len(sink.content(index)) == fact.size
    assert not [f for f in got.findings if f.severity == "error"]
    assert read_header(io.BytesIO(out.getvalue())).header == header


def lacks(header: DocumentHeader) -> bool:
    """Something that the schema wants, that the unit did not give, and that nobody may invent."""
    groups = (header.code, header.promulgation)
    empty = any(group == type(group)() for group in groups)
    return empty or not header.subject or not header.document_type.name


@slow
@given(headers, files_of_a_package)
def test_what_is_written_is_valid_exactly_if_all_was_given(
    header: DocumentHeader, files: list[tuple[str, bytes]]
) -> None:
    assert bool(faults(packed(header, files))) == lacks(header)
    whole = replace(
        header,
        code=DocumentCode("1", header.code.notation),
        promulgation=replace(header.promulgation, place="Cao Bằng"),
        document_type=replace(header.document_type, name="Công văn"),
        subject=header.subject or "V/v",
    )
    assert faults(packed(whole, files)) == []


@slow
@given(reports)
def test_a_status_that_is_written_is_read_back(report: StatusReport) -> None:
    assert faults(write_status(report), "status") == []
    got = read(write_status(report))
    assert got.status == report
    assert got.findings == ()


@slow
@given(headers)
def test_a_header_survives_the_way_through_json(header: DocumentHeader) -> None:
    import json

    stated = replace(header, traces=(), trace_id="", trace_version="", paper=None)
    assert parse_metadata(json.dumps(header_to_json(stated)).encode()).header == stated


# -- touched bytes


def package_of_everything() -> bytes:
    header = a_header(
        business=Business(
            2, "e", "r", 1, 1, 1, (ReceiverChange("G22", 0),), (Replacement("x", ("G22",)),)
        )
    )
    files = [("a.pdf", b"%PDF-1.7 nho"), ("b.txt", b"van ban nho"), ("c.zip", a_zip([("x", b"y")]))]
    signature = b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo>x</SignedInfo></Signature>'
    return packed(header, files, signature)


PACKAGE = package_of_everything()
WHOLE = read(PACKAGE)


def opened(data: bytes) -> ReadPackage | None:
    """The package, or None when it was refused in one of the two ways there are."""
    try:
        return read_package(io.BytesIO(data), sink=Memory())
    except (Rejected, Untrusted) as error:
        told = bool(error.findings and error.code)
    assert told
    return None


def facts(package: ReadPackage) -> object:
    return (package.header, package.files, package.signature, package.extras)


@pytest.mark.parametrize("position", range(0, len(PACKAGE), 7))
def test_a_changed_byte_is_found_and_never_a_crash(position: int) -> None:
    rng = random.Random(position)
    for value in (PACKAGE[position] ^ (1 << rng.randrange(8)), rng.randrange(256), 0, 0x3C, 0x26):
        if value == PACKAGE[position]:
            continue
        data = PACKAGE[:position] + bytes([value]) + PACKAGE[position + 1 :]
        got = opened(data)
        assert got is None or got.sha256 != WHOLE.sha256


def test_a_changed_base64_letter_changes_that_file_or_fails_it() -> None:
    for index, found in enumerate(re.finditer(rb"TransferEncoded [^>]*>([^<]+)<", PACKAGE)):
        start, end = found.span(1)
        for position in range(start, end):
            letter = b"A" if PACKAGE[position : position + 1] != b"A" else b"B"
            got = opened(PACKAGE[:position] + letter + PACKAGE[position + 1 :])
            assert got is not None
            before, after = WHOLE.files[index], got.files[index]
            unchanged = before.carried_sha256 == after.carried_sha256
            # the last letter before padding has bits that decode to nothing
            assert not unchanged or position >= end - 3
            assert got.files[:index] == WHOLE.files[:index]


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.data())
def test_mutations_and_cuts_never_raise_anything_else(data: st.DataObject) -> None:
    package = bytearray(PACKAGE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(package)))
        length = data.draw(st.integers(0, 60))
        kind = data.draw(st.sampled_from(["cut", "repeat", "insert", "swap", "end"]))
        piece = bytes(package[at : at + length])
        if kind == "cut":
            del package[at : at + length]
        elif kind == "repeat":
            package[at:at] = piece * 3
        elif kind == "insert":
            package[at:at] = data.draw(
                st.one_of(
                    st.binary(max_size=12),
                    st.sampled_from(
                        [
                            b"<!--",
                            b"-->",
                            b"<![CDATA[",
                            b"]]>",
                            b"&lt;",
                            b"&x;",
                            b"<x>",
                            b"</",
                            b"\0",
                        ]
                    ),
                )
            )
        elif kind == "swap":
            other = data.draw(st.integers(0, len(package)))
            package[at : at + length] = package[other : other + length]
        else:
            del package[at:]
    got = opened(bytes(package))
    if got is not None:
        for index, fact in enumerate(got.files):
            if not fact.failed:
                out = io.BytesIO()
                extract_file(io.BytesIO(bytes(package)), index, out, unwrap=fact.unwrapped)
                assert len(out.getvalue()) == fact.size


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    opened(data)
    opened(b'<?xml version="1.0"?>' + data)
    opened(PACKAGE + data)


# -- the fast path against the parser


HOSTILE = [
    "<!-- <edXML:ContentTransferEncoded> -->",
    "<!--<edXML:ContentTransferEncoded>AAAA</edXML:ContentTransferEncoded>-->",
    "<?pi <edXML:ContentTransferEncoded>AAAA?>",
    '<x a="&lt;ContentTransferEncoded>"/>',
    "<x a='<'/>",
    '<x a="edXML:ContentTransferEncoded>"/>',
    "<![CDATA[<edXML:ContentTransferEncoded>]]>",
    "<edXML:ContentTransferEncoded/>",
    "<edXML:ContentTransferEncoded />",
    '<edXML:ContentTransferEncoded a=">">QUFB</edXML:ContentTransferEncoded>',
    "<edXML:ContentTransferEncoded\n\t>QUFB</edXML:ContentTransferEncoded>",
    "<ContentTransferEncodedX>QUFB</ContentTransferEncodedX>",
    "<Attachment><ContentTransferEncoded>QUFB</ContentTransferEncoded></Attachment>",
    "</edXML:ContentTransferEncoded>",
    "<edXML:ContentTransferEncoded>",
]
INSIDE = [
    "QUJD",
    "REVG",
    "QQ==",
    "\r\n",
    " ",
    "&#65;",
    "&amp;",
    "*",
    "<!-- c -->",
    "<![CDATA[QUJD]]>",
    "ệ",
    "]]>",
]


def hostile_package(rng: random.Random) -> bytes:
    def attachment() -> str:
        inside = "".join(
            rng.choices(INSIDE, [9, 9, 2, 2, 1, 1, 0.3, 0.3, 1, 1, 0.1, 0.1], k=rng.randrange(9))
        )
        before = rng.choice(HOSTILE) if rng.random() < 0.3 else ""
        middle = rng.choice(HOSTILE) if rng.random() < 0.15 else ""
        tag = rng.choice(["edXML:ContentTransferEncoded", "ContentTransferEncoded"])
        space = rng.choice(["", " ", "\n", ' a="b"', " a='>'"])
        return (
            f"<Attachment><AttachmentName>a.pdf</AttachmentName>{before}"
            f"<{tag}{space}>{middle}{inside}</{tag}></Attachment>"
        )

    q = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
    head = rng.choice(HOSTILE) if rng.random() < 0.2 else ""
    return (
        f'<edXML xmlns="{q}" xmlns:edXML="{q}"><edXMLEnvelope><edXMLHeader><MessageHeader>'
        f"<Subject>s</Subject></MessageHeader>{head}</edXMLHeader></edXMLEnvelope>"
        f"<AttachmentEncoded>{''.join(attachment() for _ in range(rng.randrange(1, 4)))}"
        "</AttachmentEncoded></edXML>"
    ).encode()


class Dripping(io.BytesIO):
    """Hands out pieces of odd sizes, so that tags and base64 are cut everywhere."""

    def __init__(self, data: bytes, rng: random.Random) -> None:
        super().__init__(data)
        self._rng = rng

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(self._rng.choice([1, 5, 17, 64, 100_000]), size or 1))


def judged(data: bytes, source: io.BytesIO) -> object:
    try:
        got = read_package(source)
    except (Rejected, Untrusted) as error:
        return error.code
    assert got.size == len(data)
    return [(f.failed, f.size, f.sha256, f.carried_sha256) for f in got.files], len(got.extras)


def test_the_fast_path_and_the_parser_see_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tag's pattern is made to match nothing: then expat alone reads every letter."""
    rng = random.Random(20260503)
    packages = [hostile_package(rng) for _ in range(1500)]
    fast = [judged(data, io.BytesIO(data)) for data in packages]
    # the first kilobytes are read in one piece; padding makes the pieces cut the attachments
    padded = [data.replace(b"<edXMLHeader>", b"<edXMLHeader>" + b" " * 11_000) for data in packages]
    cut = [judged(data, Dripping(data, rng)) for data in padded]
    monkeypatch.setattr(feed, "_CONTENT_TAG", re.compile(rb"(?!)"))
    slow_path = [judged(data, io.BytesIO(data)) for data in packages]
    assert fast == slow_path
    assert cut == slow_path
    assert sum(isinstance(result, tuple) for result in slow_path) > 700
    assert sum(isinstance(result, str) for result in slow_path) > 100


def test_a_long_content_in_pieces_of_any_size_is_the_same_file() -> None:
    rng = random.Random(7)
    data = rng.randbytes(40_000)
    for line in (0, 76, 64):
        text = base64.b64encode(data)
        if line:
            text = b"\r\n".join(text[i : i + line] for i in range(0, len(text), line))
        package = packed(a_header(), [("a.pdf", b"x")]).replace(b">eA==<", b">" + text + b"<")
        got = read_package(Dripping(package, rng))
        assert got.files[0].size == len(data)
        assert got.files == read(package).files
