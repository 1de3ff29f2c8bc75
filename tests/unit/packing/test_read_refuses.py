"""What is no package, and what is beyond a limit: refused with code, place and reason."""

import io
import tracemalloc
from collections.abc import Callable

import pytest

from gateway.errors import TooLarge, Unreadable
from gateway.packing.read import read_header, read_package
from gateway.safexml import Limits
from tests.support.packages import Q, a_header, codes, packed, read

PDF = b"%PDF-1.7\nmau"


@pytest.fixture
def package() -> bytes:
    return packed(a_header(), [("12.pdf", PDF)])


def refused(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises((Unreadable, TooLarge)) as caught:
        read_package(io.BytesIO(data), limits=limits)
    error = caught.value
    assert error.findings
    finding = error.findings[0]
    assert finding.code == error.code
    assert finding.text.vi
    assert finding.text.en
    return error.code


# DTD and entities


def test_a_doctype_is_refused_wherever_it_stands(package: bytes) -> None:
    declaration, mark, rest = package.partition(b"?>\r\n")
    for doctype in (
        b"<!DOCTYPE edXML>",
        b'<!DOCTYPE edXML [<!ENTITY a "x">]>',
        b'<!DOCTYPE edXML SYSTEM "file:///etc/passwd">',
    ):
        assert refused(declaration + mark + doctype + rest) == "xml.doctype"
        assert refused(doctype + rest) == "xml.doctype"


def test_a_doctype_never_passes_as_junk(package: bytes) -> None:
    assert refused(b"<!DOCTYPE x>" + package) in {"xml.doctype", "xml.malformed"}


@pytest.mark.parametrize("entity", [b"&ocirc;", b"&x;"])
def test_entities_are_refused(package: bytes, entity: bytes) -> None:
    assert refused(package.replace(b"STTTT-VX<", entity + b"<")) == "xml.entity"


def test_the_five_names_of_xml_and_character_references_are_read(package: bytes) -> None:
    text = package.replace(b">STTTT-VX<", b">&lt;&amp;&#273;&gt;&quot;&apos;<")
    got = read(text)
    assert got.header is not None
    assert got.header.code.notation == "<&đ>\"'"


# what is no package


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "package.incomplete"),
        (b" \r\n", "package.incomplete"),
        (b'{"status": "OK"}', "package.not_xml"),
        (b"\x00" * 5000, "package.incomplete"),
        (b"PK\x03\x04" + b"x" * 5000, "package.not_xml"),
        (b"x" * 1100 + b"<?xml version='1.0'?><edXML/>", "package.not_xml"),
        (b"<!DOCTYPE html><html></html>", "xml.doctype"),
        (b"<html><body>502</body></html>", "package.not_edxml"),
        (b"<edXML></edXML", "package.incomplete"),
        (b"<edXML></edXNL>", "xml.malformed"),
        (b"<?xml version='1.1'?><edXML/>", "xml.version"),
        (b"<?xml version='1.0' encoding='windows-1258'?><edXML/>", "xml.encoding"),
        (b"<?xml version='1.0' encoding='UTF-16'?><edXML/>", "xml.encoding"),
        (f'<edXML xmlns="{Q}">\xe9</edXML>'.encode("latin-1"), "xml.malformed"),
        (f'<edXML xmlns="{Q}"/>'.encode(), "package.no_envelope"),
        (f'<edXML xmlns="{Q}" xmlns:a="relative"/>'.encode(), "xml.namespace_relative"),
        (f'<edXML xmlns="{Q}"><p:x/></edXML>'.encode(), "xml.prefix_unbound"),
        (f'<edXML xmlns="{Q}" a="1" a="2"/>'.encode(), "xml.malformed"),
        (
            f'<edXML xmlns="{Q}" xmlns:p="{Q}" xmlns:q="{Q}" p:a="1" q:a="2"/>'.encode(),
            "xml.malformed",
        ),
    ],
)
def test_bytes_that_are_no_package_are_refused(data: bytes, code: str) -> None:
    assert refused(data) == code


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_that_cannot_be_decoded_is_refused(package: bytes, codec: str) -> None:
    text = package.decode().replace("UTF-8", "UTF-16").encode(codec)
    lone = "\ud800".encode(codec, "surrogatepass")
    assert refused(text[:400] + lone + text[400:]) == "xml.malformed"


# namespaces and versions


@pytest.mark.parametrize(
    "namespace", [Q + "/", "http://www.go.vn/eDoc", "http://edxml.gov.vn/schema", "urn:x"]
)
def test_other_namespaces_are_refused_with_a_clear_message(package: bytes, namespace: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(package.replace(Q.encode(), namespace.encode()))
    assert caught.value.code == "package.namespace"
    assert namespace in caught.value.text.vi
    assert Q in caught.value.text.en


def test_an_envelope_in_another_namespace_is_refused(package: bytes) -> None:
    text = package.replace(b'xmlns:edXML="' + Q.encode(), b'xmlns:edXML="' + Q.encode() + b"/")
    assert refused(text) == "package.namespace"


def test_no_namespace_at_all_is_refused() -> None:
    assert refused(b"<edXML><edXMLEnvelope/></edXML>") == "package.namespace"


def test_an_older_envelope_under_the_root_of_today_is_refused() -> None:
    old = '<e:edXMLEnvelope xmlns:e="http://www.e-doc.vn/Schema/"/>'
    assert refused(f'<edXML xmlns="{Q}">{old}</edXML>'.encode()) == "package.namespace"


# the end


def test_every_cut_of_a_package_is_an_incomplete_package(package: bytes) -> None:
    end = package.rindex(b">") + 1
    for cut in [*range(0, 3000, 37), *range(3000, end, 11), *range(end - 30, end)]:
        assert refused(package[:cut]) == "package.incomplete", cut
    assert read(package[:end]).header == a_header()


@pytest.mark.parametrize("tail", [b"x", b"<x/>", b"\0x", b"\r\n\0\n--x", b"]]>"])
def test_anything_else_behind_the_root_is_refused(package: bytes, tail: bytes) -> None:
    assert refused(package + tail) in {"xml.malformed", "package.trailing"}
    assert refused(package + b"\0" * 2_000_000 + tail) in {"xml.malformed", "package.trailing"}


# limits


def test_a_package_over_its_limit_is_refused(package: bytes) -> None:
    assert refused(package, Limits(package_bytes=len(package) - 1)) == "limit.package_bytes"
    read_package(io.BytesIO(package), limits=Limits(package_bytes=len(package)))


def test_a_header_over_its_limit_is_refused() -> None:
    places = tuple(f"Nơi nhận {i}" for i in range(3000))
    big = packed(a_header(to_places=places), [])
    assert refused(big, Limits(header_bytes=100_000)) == "limit.header_bytes"
    assert read(big).header == a_header(to_places=places)


def test_attachments_and_signature_do_not_count_as_header(package: bytes) -> None:
    files = [(f"{i}.pdf", b"%PDF" + bytes(2000)) for i in range(40)]
    many = packed(a_header(), files)
    read_package(io.BytesIO(many), limits=Limits(header_bytes=6000))


def test_a_field_over_its_limit_is_refused() -> None:
    text = "ộ" * 30_000
    big = packed(a_header(content=text), [])
    assert refused(big) == "limit.field_bytes"
    got = read_package(io.BytesIO(big), limits=Limits(field_bytes=90_000))
    assert got.header == a_header(content=text)


def test_an_attribute_over_its_limit_is_refused(package: bytes) -> None:
    long = b'<edXML:Subject a="' + b"x" * 70_000 + b'">'
    assert refused(package.replace(b"<edXML:Subject>", long)) == "limit.field_bytes"


def test_depth_and_attributes_are_limited(package: bytes) -> None:
    deep = b"<edXML:x>" * 70 + b"</edXML:x>" * 70
    assert refused(package.replace(b"<edXML:Subject>", deep + b"<edXML:Subject>")) == "limit.depth"
    wide = b"<edXML:Subject " + b" ".join(b'a%d="1"' % i for i in range(65)) + b">"
    assert refused(package.replace(b"<edXML:Subject>", wide)) == "limit.attributes"
    spaces = b"<edXML:Subject " + b" ".join(b'xmlns:a%d="urn:%d"' % (i, i) for i in range(65))
    assert refused(package.replace(b"<edXML:Subject>", spaces + b">")) == "limit.attributes"


def test_attachments_are_counted() -> None:
    package = packed(a_header(), [(f"{i}.pdf", PDF) for i in range(5)])
    assert refused(package, Limits(attachments=4)) == "limit.attachments"
    read_package(io.BytesIO(package), limits=Limits(attachments=5))


def test_a_signature_block_over_its_limit_is_refused() -> None:
    block = b"<Signature>" + b"<KeyInfo>x</KeyInfo>" * 300 + b"</Signature>"
    package = packed(a_header(), [], signature=block)
    assert refused(package, Limits(signature_bytes=5000)) == "limit.signature_bytes"
    assert read(package).signature is not None


@pytest.mark.parametrize(
    "endless",
    [
        lambda: b"<!--" + b"x" * 3_000_000,
        lambda: b'<a b="' + b"x" * 3_000_000,
        lambda: b"<?pi " + b"x" * 3_000_000,
        lambda: b"<" + b"x" * 3_000_000,
    ],
    ids=["comment", "attribute", "instruction", "name"],
)
def test_a_token_without_end_is_refused_before_it_fills_memory(
    package: bytes, endless: Callable[[], bytes]
) -> None:
    text = package.replace(b"<edXML:Subject>", endless() + b"<edXML:Subject>")
    assert refused(text).startswith("limit.")


def test_ever_new_names_are_refused_before_they_fill_memory() -> None:
    names = b"".join(b"<n%d/>" % i for i in range(20_000))
    text = f'<edXML xmlns="{Q}"><edXMLEnvelope/><AttachmentEncoded>'.encode() + names
    assert refused(text + b"</AttachmentEncoded></edXML>") == "limit.attributes"


def test_many_unknown_elements_do_not_fill_memory() -> None:
    text = f'<edXML xmlns="{Q}"><edXMLEnvelope/><AttachmentEncoded>'.encode()
    data = text + b"<a>x</a>" * 40_000 + b"</AttachmentEncoded></edXML>"
    source = io.BytesIO(data)
    tracemalloc.start()
    try:
        got = read_package(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(got.extras) == 1000
    assert peak < 8 * 1024 * 1024
    assert "package.extras" in codes(got)


def test_missing_names_of_many_attachments_cost_no_square_of_time() -> None:
    reference = "<Reference><ContentId>cid:%d</ContentId></Reference>"
    attachment = "<Attachment><ContentId>cid:x%d</ContentId></Attachment>"
    count = 10_000
    text = (
        f'<edXML xmlns="{Q}"><edXMLEnvelope><edXMLBody><edXMLManifest>'
        + "".join(reference % i for i in range(count))
        + "</edXMLManifest></edXMLBody></edXMLEnvelope><AttachmentEncoded>"
        + "".join(attachment % i for i in range(count))
        + "</AttachmentEncoded></edXML>"
    )
    got = read(text.encode())
    assert len(got.files) == count


# where


def test_a_refusal_says_element_and_line(package: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read(package.replace(b"<edXML:Subject>", b"<edXML:Subject>&nbsp;"))
    path = caught.value.findings[0].path
    assert path.startswith("/edXML/edXMLEnvelope/edXMLHeader/MessageHeader/Subject (line 2")


def test_a_refusal_behind_skipped_base64_still_says_the_right_line() -> None:
    data = packed(a_header(), [("a.pdf", b"x" * 3_000_000)])
    lines = data.count(b"\n")
    broken = data.rstrip()[: -len(b"</edXML>")] + b"</wrong>"
    with pytest.raises(Unreadable) as caught:
        read(broken)
    assert f"line {lines}," in caught.value.findings[0].path


# the header alone


def test_the_header_alone_needs_no_attachments(package: bytes) -> None:
    cut = package[: package.index(b"<AttachmentEncoded>") + 25]
    source = io.BytesIO(cut + b"\0 not even XML any more <<<")
    got = read_header(source)
    assert got.header == a_header()
    assert (got.files, got.sha256, got.size, got.findings) == ((), "", 0, ())


def test_the_header_of_a_large_package_is_read_without_the_rest() -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    source = Counting(packed(a_header(), [("a.pdf", bytes(9_000_000))]))
    assert read_header(source).header == a_header()
    assert source.taken <= 2 * 1024 * 1024
