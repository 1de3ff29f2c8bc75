"""Their JSON: answers as values, a package read out of an answer in any pieces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.lgsp_rest.words import Answer, DocumentReader, answer_in
from adapters.streams import NotAnAnswer


def read(body: bytes, sizes=(7,)) -> tuple[DocumentReader, bytes]:
    got = bytearray()
    reader = DocumentReader(got.extend)
    at, turn = 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        reader.feed(body[at : at + size])
        at, turn = at + size, turn + 1
    reader.close()
    return reader, bytes(got)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.dictionaries(st.text(max_size=6).filter(lambda k: k != "edxml"), json_values, max_size=4),
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from([None, 1]),
)
def test_the_text_comes_out_as_it_went_in_however_the_answer_is_cut(
    text, around, sizes, ascii_only, indent
):
    said = {"success": True, "data": {**around, "edxml": text, "docId": "d-1"}, "message": "ok"}
    body = json.dumps(said, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "replace")
    reader, got = read(body, sizes)
    assert got.decode() == text
    assert reader.streamed
    assert reader.answer().doc_id == "d-1"
    assert reader.answer().success is True


@given(st.integers(0, 10_000), st.integers(1, 9))
def test_an_answer_that_stops_is_never_whole(cut, size):
    body = json.dumps({"success": True, "data": {"edxml": "<edXML>…</edXML>", "n": [1, {}]}})
    raw = body.encode()
    with pytest.raises(NotAnAnswer):
        read(raw[: cut % len(raw)], (size,))


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"<html></html>",
        b'{"success":true,,',
        b'{"data":{"edxml":"a","edxml":"b"}}',
        b'{"data":{"edxml":"\\ud800"}}',
        b'{"data":{"edxml":"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}}',
        b'{"a":1}}',
        b'{"a":[1}',
        b'{"a":' + b"[" * 100,
        b'{"a":truth}',
        b'{"' + b"k" * 70_000 + b'":1}',
    ],
)
def test_what_is_no_answer_is_said_to_be_none(body):
    with pytest.raises(NotAnAnswer):
        read(body)


def test_large_values_beside_the_package_are_passed_over_and_lists_noticed():
    said = {"data": {"attachments": [{"fileContent": "QUJD" * 100_000}], "edxml": "<x/>"}}
    reader, got = read(json.dumps({"success": True, **said}).encode(), (64_000,))
    assert got == b"<x/>"
    assert ("data", "attachments") in reader.filled
    empty, _ = read(b'{"success":true,"data":{"attachments":[],"edxml":"<x/>"}}')
    assert empty.filled == set()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"success":true,"message":"ok","docId":"7"}', Answer(True, "", "ok", "7")),
        (
            b'{"success":false,"data":{"docId":null,"errorCode":18,"errorDesc":"none"}}',
            Answer(False, "18", "none", ""),
        ),
        (
            b'\xef\xbb\xbf{"success":true,"data":{"docId":9,"errorCode":"0"}}',
            Answer(True, "0", "", "9"),
        ),
        (b'{"ErrorCode":"20"}', Answer(None, "20", "", "")),
        (b'{"data":{}}', None),
        (b"[1]", None),
        (b"nonsense", None),
    ],
)
def test_an_answer_stands_in_either_of_its_two_shapes(body, answer):
    assert answer_in(body) == answer
