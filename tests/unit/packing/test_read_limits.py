"""Every limit of contract 5, at its edge: what is just within is read, one more is refused.

Each refusal has the code `limit.<key>`, where the key is that of `[limits]` in gateway.toml, and a
text that names the key and its value. What concerns one attachment only is an error finding.
"""

import dataclasses
import io
import re
import tomllib
from pathlib import Path

import pytest

from gateway.errors import Severity, TooLarge
from gateway.packing.read import read_package
from gateway.packing.result import ReadPackage
from gateway.safexml import Limits
from tests.support.packages import Q, a_header, packed

PDF = b"%PDF-1.7\nm\xe1\xba\xabu"
ROOT = Path(__file__).parents[3]
PACKAGE = packed(a_header(), [("a.pdf", PDF)])
SUBJECT = b"<edXML:Subject>"


def nested(depth: int) -> bytes:
    """`depth` elements deep in all: the header itself is four."""
    inner = depth - 4
    return PACKAGE.replace(SUBJECT, b"<x>" * inner + b"</x>" * inner + SUBJECT)


def attributed(count: int) -> bytes:
    return PACKAGE.replace(
        SUBJECT, b"<x " + b" ".join(b'a%d="1"' % n for n in range(count)) + b"/>" + SUBJECT
    )


def many(count: int) -> bytes:
    """`count` attachments without anything in them."""
    return (
        f'<edXML xmlns="{Q}"><edXMLEnvelope/><AttachmentEncoded>'
        + "<Attachment/>" * count
        + "</AttachmentEncoded></edXML>"
    ).encode()


def listed(count: int) -> bytes:
    """`count` lines of the manifest."""
    return (
        f'<edXML xmlns="{Q}"><edXMLEnvelope><edXMLBody><edXMLManifest>'
        + "<Reference/>" * count
        + "</edXMLManifest></edXMLBody></edXMLEnvelope></edXML>"
    ).encode()


def signed(size: int) -> bytes:
    """A signature block of `size` bytes up to its end tag."""
    fill = b"<KeyInfo><KeyName>" + b"x" * 60_000 + b"</KeyName></KeyInfo>"
    start = b"<Signature>" + fill * ((size - 11) // len(fill))
    return PACKAGE.replace(
        b"    </edXML:edXMLHeader>",
        start + b" " * (size - len(start)) + b"</Signature></edXML:edXMLHeader>",
    )


def headed(size: int) -> bytes:
    """A header of `size` bytes up to its last element; no signature, manifest or attachments."""
    start = f'<edXML xmlns="{Q}"><edXMLEnvelope><edXMLHeader><MessageHeader>'.encode()
    fill = b"<Subject>x</Subject>"
    blanks = b" " * (size - len(start) - len(fill))
    end = b"</MessageHeader></edXMLHeader></edXMLEnvelope></edXML>"
    return start + fill + blanks + b"<Content/>" + end


def refused(data: bytes, limits: Limits) -> TooLarge:
    with pytest.raises(TooLarge) as caught:
        read_package(io.BytesIO(data), limits=limits)
    return caught.value


def failures(package: ReadPackage) -> list[str]:
    return [
        f.code for f in package.findings if f.severity is Severity.ERROR and f.code[:6] == "limit."
    ]


DEFAULT = Limits()
# key -> within, beyond, limits
WHOLE = {
    "package_bytes": (PACKAGE, PACKAGE + b" ", Limits(package_bytes=len(PACKAGE))),
    "header_bytes": (headed(DEFAULT.header_bytes), headed(DEFAULT.header_bytes + 1), DEFAULT),
    "field_bytes": (
        PACKAGE.replace(SUBJECT, b"<Content>" + b"x" * 65_536 + b"</Content>" + SUBJECT),
        PACKAGE.replace(SUBJECT, b"<Content>" + b"x" * 65_537 + b"</Content>" + SUBJECT),
        DEFAULT,
    ),
    "depth": (nested(64), nested(65), DEFAULT),
    "attributes": (attributed(64), attributed(65), DEFAULT),
    "attachments": (many(20_000), many(20_001), DEFAULT),
    "signature_bytes": (
        signed(DEFAULT.signature_bytes),
        signed(DEFAULT.signature_bytes + 1),
        DEFAULT,
    ),
}


@pytest.mark.parametrize("key", WHOLE)
def test_a_package_at_its_limit_is_read_and_beyond_it_refused(key: str) -> None:
    within, beyond, limits = WHOLE[key]
    assert failures(read_package(io.BytesIO(within), limits=limits)) == []
    error = refused(beyond, limits)
    assert error.code == f"limit.{key}"
    (finding,) = error.findings
    assert finding.code == error.code
    for text in finding.text:
        assert f"{key} = {getattr(limits, key)}" in text


def test_manifest_lines_are_counted_as_attachments() -> None:
    read_package(io.BytesIO(listed(20_000)))
    assert refused(listed(20_001), DEFAULT).code == "limit.attachments"


ONE = {
    "attachment_bytes": (
        [("a.pdf", PDF + bytes(91)), ("b.pdf", PDF)],
        Limits(attachment_bytes=100),
    ),
    "ratio": (
        [("a.txt", bytes(200_001)), ("b.pdf", PDF)],
        Limits(ratio=100, ratio_floor_bytes=200_000),
    ),
}


@pytest.mark.parametrize("key", ONE)
def test_an_attachment_beyond_its_limit_fails_alone(key: str) -> None:
    files, limits = ONE[key]
    name, data = files[0]
    package = read_package(io.BytesIO(packed(a_header(), files)), limits=limits)
    assert failures(package) == [f"limit.{key}"]
    assert [file.failed for file in package.files] == [True, False]
    finding = next(f for f in package.findings if f.code == f"limit.{key}")
    for text in finding.text:
        assert f"{key} = {getattr(limits, key)}" in text
    within = packed(a_header(), [(name, data[:-1] if key == "ratio" else data[:100]), *files[1:]])
    assert failures(read_package(io.BytesIO(within), limits=limits)) == []


def test_every_limit_has_its_edge_tested_and_its_line_in_the_configuration() -> None:
    keys = {field.name for field in dataclasses.fields(Limits)}
    assert keys == {*WHOLE, *ONE, "ratio_floor_bytes"}
    text = (ROOT / "conf" / "gateway.toml").read_text("utf-8")
    section = text[text.index("#[limits]") :].split("\n\n", 1)[0]
    written = re.sub(r"(?m)^#(?=[a-z_]+ =|\[)", "", section)
    assert set(tomllib.loads(written)["limits"]) == keys


def test_a_signature_that_nobody_would_read_is_not_written() -> None:
    start = b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">'
    longest = start + b" " * (DEFAULT.signature_bytes - len(start) - 12) + b"</Signature>"
    read_package(io.BytesIO(packed(a_header(), [], longest)))
    with pytest.raises(TooLarge) as caught:
        packed(a_header(), [], longest + b" ")
    assert caught.value.code == "limit.signature_bytes"
