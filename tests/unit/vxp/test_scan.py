"""Answers and packages read piece by piece: the same verdict however the bytes are cut."""

from __future__ import annotations

import base64
import json
import random

import pytest

from adapters.streams import Base64Stream, NotAnAnswer, PackageShape
from adapters.vxp.scan import AnswerScanner

PACKAGE = b"<?xml version='1.0'?>\n<edXML xmlns='q'><a>" + bytes(range(32, 127)) + b"</a></edXML>\n"


def decoded(text: bytes, size: int) -> tuple[bytes, AnswerScanner]:
    out = bytearray()
    decoder = Base64Stream(out.extend)
    scanner = AnswerScanner(on_text=decoder.feed)
    for at in range(0, len(text), size):
        scanner.feed(text[at : at + size])
    scanner.close()
    decoder.close()
    return bytes(out), scanner


def get_answer(data: bytes, **more: object) -> bytes:
    fields = {"status": "OK", "ErrorCode": "0", "data": base64.b64encode(data).decode(), **more}
    return json.dumps(fields).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 100_000])
def test_data_is_decoded_the_same_in_pieces_of_any_size(size: int) -> None:
    out, scanner = decoded(get_answer(PACKAGE, ErrorDesc='a "b" \\ {c} Đ'), size)
    assert out == PACKAGE
    assert scanner.answer().ok
    assert scanner.fields["ErrorDesc"] == 'a "b" \\ {c} Đ'


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 11, 10_000])
def test_the_escapes_of_json_writers_are_undone_wherever_they_are_cut(size: int) -> None:
    data = bytes(range(256)) * 4 + b"\xff"
    text = base64.b64encode(data).decode()
    java = text.replace("/", "\\/").replace("=", "\\u003d").replace("+", "\\u002B")
    out, _ = decoded(f'{{"ErrorCode":"0","data":"{java}"}}'.encode(), size)
    assert out == data
    broken = "".join(text[at : at + 76] + "\\n" for at in range(0, len(text), 76))
    out, _ = decoded(f'{{"ErrorCode":"0","data":"{broken}"}}'.encode(), size)
    assert out == data


def test_fields_may_come_after_the_data_and_nested_ones_are_kept_or_skipped() -> None:
    text = (
        b'\xef\xbb\xbf \n{"x":[1,{"y":"]}"}],"data":"'
        + base64.b64encode(PACKAGE)
        + b'","n":null,"t":true,"f":-1.5e3,"ErrorCode":0} \r\n'
    )
    for size in (1, 13, 1000):
        out, scanner = decoded(text, size)
        assert out == PACKAGE
        assert scanner.answer().ok
        assert scanner.fields["x"] == [1, {"y": "]}"}]
        assert scanner.fields["f"] == -1500.0


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_an_answer_cut_anywhere_never_closes(cut: int) -> None:
    text = get_answer(PACKAGE)
    with pytest.raises(NotAnAnswer):
        decoded(text[:-cut], 16)


@pytest.mark.parametrize("lost", [1, 2, 3, 5, 6, 7])
def test_base64_that_stops_inside_a_group_is_cut(lost: int) -> None:
    text = base64.b64encode(PACKAGE).rstrip(b"=")
    text = text[: len(text) - len(text) % 4][:-lost]
    with pytest.raises(NotAnAnswer) as error:
        decoded(b'{"ErrorCode":"0","data":"' + text + b'"}', 64)
    assert error.value.code == "base64.cut"


@pytest.mark.parametrize(
    "data",
    ["QUJD*UJD", "QUI=QUJD", "QUJD\\\\", 'QUJD\\"', "QUJD\\q", "QU=D", "====", "QUJD\\u00e9QUJ"],
)
def test_bad_base64_is_never_skipped_over(data: str) -> None:
    with pytest.raises(NotAnAnswer):
        decoded(f'{{"ErrorCode":"0","data":"{data}"}}'.encode(), 1000)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"   ",
        b"<html>",
        b"[]",
        b'"x"',
        b'{"a":1}}',
        b'{"a":1} x',
        b'{"a":1,}',
        b'{"a" 1}',
        b'{"a":}',
        b"{a:1}",
        b'{"a":tru}',
        b'{"a":1 2}',
        b'{"data":[1,]}',
        b'{"data":[1 2]}',
        b'{"data":[',
        b'{"data":[{"a":1}',
        b'{"data":[],"data":[]}',
        b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
    ],
)
def test_text_that_is_no_answer_is_refused_in_any_pieces(text: bytes) -> None:
    def read_in_pieces(size: int) -> None:
        scanner = AnswerScanner(on_item=lambda _: None)
        for at in range(0, len(text), size):
            scanner.feed(text[at : at + size])
        scanner.close()

    for size in (1, 3, 1000):
        with pytest.raises(NotAnAnswer):
            read_in_pieces(size)


def test_list_items_come_one_by_one_whatever_the_pieces() -> None:
    items = [{"docId": f"d{i}", "to": '["a","b"]', "n": i, "x": None} for i in range(50)]
    text = json.dumps({"ErrorCode": "0", "data": items, "status": "OK"}).encode()
    for size in (1, 17, 4096, 10**6):
        seen: list[object] = []
        scanner = AnswerScanner(on_item=seen.append)
        for at in range(0, len(text), size):
            scanner.feed(text[at : at + size])
        scanner.close()
        assert seen == items
        assert scanner.streamed


def test_the_scanner_agrees_with_the_json_library_on_generated_answers() -> None:
    source = random.Random(20261122)
    letters = 'ab"\\/\n\u0110{}[]:, \u2028'

    def value(depth: int) -> object:
        kind = source.randrange(7 if depth else 5)
        if kind == 5:
            return [value(depth - 1) for _ in range(source.randrange(4))]
        if kind == 6:
            return {text(): value(depth - 1) for _ in range(source.randrange(4))}
        return [None, True, source.randrange(-999, 999), source.random(), text()][kind]

    def text() -> str:
        return "".join(source.choice(letters) for _ in range(source.randrange(9)))

    for _ in range(400):
        fields = {text(): value(3) for _ in range(source.randrange(6))}
        dumped = json.dumps(fields, ensure_ascii=source.random() < 0.5).encode()
        size = source.randrange(1, 40)
        scanner = AnswerScanner()
        for at in range(0, len(dumped), size):
            scanner.feed(dumped[at : at + size])
        scanner.close()
        assert scanner.fields == fields


def test_a_value_beyond_the_limit_is_refused_before_it_fills_the_memory() -> None:
    scanner = AnswerScanner(max_value=1000)
    scanner.feed(b'{"ErrorDesc":"')
    with pytest.raises(NotAnAnswer) as error:
        scanner.feed(b"x" * 2000)
    assert error.value.code == "answer.too_large"


def test_a_data_string_is_not_bound_by_the_limit_of_kept_values() -> None:
    size = 0

    def count(piece: bytes) -> None:
        nonlocal size
        size += len(piece)

    scanner = AnswerScanner(on_text=count, max_value=1000)
    scanner.feed(b'{"data":"')
    for _ in range(50):
        scanner.feed(b"QUJD" * 1000)
    scanner.feed(b'","ErrorCode":"0"}')
    scanner.close()
    assert size == 200_000


def shape(data: bytes, size: int = 100) -> str:
    watcher = PackageShape()
    for at in range(0, len(data), size):
        watcher.feed(data[at : at + size])
    assert watcher.size == len(data)
    return watcher.problem()


@pytest.mark.parametrize(
    "data",
    [
        PACKAGE,
        b"1212" + PACKAGE + b"\0\0\r\n  ",
        b"<e:edXML xmlns:e='q'>x</e:edXML >",
        b"<edXML></edXML><!-- rebuilt -->\n<?x y?>",
        b"<EDXML></EDXML>",
        "<edXML>Đ</edXML>\r\n".encode("utf-16"),
        "<?xml version='1.0'?><edXML>Đ</edXML>".encode("utf-16-be"),
        b"<!--" + b"x" * 9000 + b"--><edXML></edXML>",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 5000, 10**6])
def test_a_package_whose_root_closed_is_whole(data: bytes, size: int) -> None:
    assert shape(data, size) == ""


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "package.empty"),
        (PACKAGE[:-3], "package.incomplete"),
        (PACKAGE[:60], "package.incomplete"),
        (PACKAGE + b"trailing", "package.incomplete"),
        (b"<edXML></edXML><!-- cut", "package.incomplete"),
        ("<edXML></edXML>".encode("utf-16")[:-1], "package.incomplete"),
        (b"<html><body>maintenance</body></html>", "package.not_edxml"),
        (b'{"status":"FAIL","ErrorCode":"-1"}', "package.not_edxml"),
        (b"\x00" * 500, "package.not_edxml"),
    ],
)
def test_what_is_not_a_whole_package_is_named(data: bytes, problem: str) -> None:
    assert shape(data, 11) == problem
    assert shape(data, 10**6) == problem
