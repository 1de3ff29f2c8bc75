"""The guarded door for XML: events, limits and refusals, whatever the pieces."""

import pytest

from gateway.c14n import Attributes, Canonicalizer, Declared, Name
from gateway.errors import TooLarge, Unreadable
from gateway.safexml import BLOCK, Limits, Parser, ToUtf8, UnboundPrefix, parse


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []

    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        self.events.append(("start", name, tuple(attributes), tuple(declared)))

    def end(self, name: Name) -> None:
        self.events.append(("end", name))

    def text(self, data: str) -> None:
        if self.events and self.events[-1][0] == "text":
            data = str(self.events.pop()[1]) + data
        self.events.append(("text", data))

    def instruction(self, target: str, data: str) -> None:
        self.events.append(("instruction", target, data))


def code_of(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises((Unreadable, TooLarge)) as caught:
        parse(data, Recorder(), limits)
    return caught.value.code


def test_events_carry_resolved_names_and_the_declarations_behind_them() -> None:
    recorder = Recorder()
    parse(
        b'<a xmlns="urn:q" xmlns:p="urn:q" p:b="1" c="&lt;">x&#65;<![CDATA[<]]><p:d/></a>', recorder
    )
    assert recorder.events == [
        (
            "start",
            ("urn:q", "a", ""),
            ((("urn:q", "b", "p"), "1"), (("", "c", ""), "<")),
            (("", "urn:q"), ("p", "urn:q")),
        ),
        ("text", "xA<"),
        ("start", ("urn:q", "d", "p"), (), ()),
        ("end", ("urn:q", "d", "p")),
        ("end", ("urn:q", "a", "")),
    ]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 11])
def test_the_size_of_the_pieces_makes_no_difference(step: int) -> None:
    data = '<?x y?><a b="ộ">ệ<!-- c --><c xmlns="urn:x">\r\n</c></a>\n'.encode()
    whole, pieces = Recorder(), Recorder()
    parse(data, whole)
    parser = Parser(pieces, Limits())
    for start in range(0, len(data), step):
        parser.feed(data[start : start + step])
    parser.close()
    assert pieces.events == whole.events


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_utf_8_and_utf_16_come_out_as_utf_8(codec: str, step: int) -> None:
    text = "<a>chữ \U0001d11e</a>"
    data = text.encode(codec)
    decoder = ToUtf8()
    out = b"".join(decoder.decode(data[i : i + step]) for i in range(0, len(data), step))
    assert out + decoder.decode(b"", final=True) == text.encode()
    assert decoder.family == codec[:6].replace("utf-8-", "utf-8").rstrip("-")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<!DOCTYPE a><a/>", "xml.doctype"),
        (b"<a>&b;</a>", "xml.entity"),
        (b"<?xml version='1.1'?><a/>", "xml.version"),
        (b"<?xml version='1.0' encoding='iso-8859-1'?><a/>", "xml.encoding"),
        (b"<p:a/>", "xml.prefix_unbound"),
        (b"<a xmlns:p=''/>", "xml.malformed"),
        (b"<a xmlns:xml='urn:x'/>", "xml.malformed"),
        (b"<a xmlns='x'/>", "xml.namespace_relative"),
        (b"<a>\x01</a>", "xml.malformed"),
        (b"<a>\xff</a>", "xml.malformed"),
        (b"<a>]]></a>", "xml.malformed"),
        (b"<a/><b/>", "xml.malformed"),
        (b"<a>", "package.incomplete"),
        (b"", "package.incomplete"),
        (b"\xff\xfe<\x00a\x00>", "package.incomplete"),
    ],
)
def test_what_is_refused_has_a_code(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_an_unbound_prefix_says_where_it_stands() -> None:
    with pytest.raises(UnboundPrefix) as caught:
        parse(b"<a>12345<p:b/></a>", Recorder())
    assert caught.value.offset == 8


def test_limits_are_named() -> None:
    limits = Limits(depth=3, attributes=2, field_bytes=10)
    assert code_of(b"<a><b><c><d/></c></b></a>", limits) == "limit.depth"
    assert code_of(b"<a b='1' c='2' d='3'/>", limits) == "limit.attributes"
    assert code_of(b"<a b='12345678901'/>", limits) == "limit.field_bytes"


def test_a_token_that_never_ends_is_refused() -> None:
    limits = Limits(header_bytes=BLOCK)
    assert code_of(b"<a><!--" + b" " * (3 * BLOCK), limits) == "limit.header_bytes"


def test_text_of_any_length_is_no_token() -> None:
    recorder = Recorder()
    parse(b"<a>" + b"x" * (3 * BLOCK) + b"</a>", recorder, Limits(header_bytes=1000))
    assert recorder.events[1] == ("text", "x" * (3 * BLOCK))


def test_skipped_text_moves_offsets_and_lines() -> None:
    recorder = Recorder()
    parser = Parser(recorder, Limits())
    parser.feed(b"<a>")
    parser.skip(len(b"AAAA\nBBBB\n"), 2)
    parser.feed(b"<b/>")
    assert (parser.offset, parser.line) == (17, 3)
    parser.feed(b"</a>")
    parser.close()
    assert parser.root_end == 17
    assert [event[0] for event in recorder.events] == ["start", "start", "end", "end"]


def test_canonical_xml_of_a_small_document_is_the_known_one() -> None:
    # Canonical XML 1.0, section 3.3, shortened, without the DTD
    data = (
        b'<doc>\n   <e1   />\n   <e2   ></e2>\n   <e3   name = "elem3"   id="elem3"   />\n'
        b'   <e5 a:attr="out" b:attr="sorted" attr2="all" attr="I\'m"\n'
        b'      xmlns:b="http://www.ietf.org"\n      xmlns:a="http://www.w3.org"\n'
        b'      xmlns="http://example.org"/>\n</doc>'
    )
    out: list[bytes] = []
    parse(data, Canonicalizer(out.append))
    assert b"".join(out) == (
        b'<doc>\n   <e1></e1>\n   <e2></e2>\n   <e3 id="elem3" name="elem3"></e3>\n'
        b'   <e5 xmlns="http://example.org" xmlns:a="http://www.w3.org" '
        b'xmlns:b="http://www.ietf.org" attr="I\'m" attr2="all" b:attr="sorted" '
        b'a:attr="out"></e5>\n</doc>'
    )
