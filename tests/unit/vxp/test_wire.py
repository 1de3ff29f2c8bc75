"""The VXP wire against the vectors of vxp-protocol 2.3 to 2.7 and the answers of section 4."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest

from adapters.vxp import wire
from adapters.vxp.wire import Operation
from gateway.errors import Rejected, Unauthenticated
from gateway.model.package import PackageKind

SECRET = "made-up-secret"
FIRST = (
    '{"XroadVnpt-systemid":"exp.sys.01","XroadVnpt-timestamp":"22112026T102538+0589",'
    '"XroadVnpt-Content-Type":"application/json"}'
)
FIRST_HMAC = "634c48429f5e9826bac127f1620e6edde039737c8284ad5b45ce4ec776a110f1"
SECOND = (
    '{"XroadVnpt-systemid":"exp.sys.01","XroadVnpt-title":"a \\"q\\" <b>&amp; = \' Đ",'
    '"XroadVnpt-timestamp":"01012025T080910+0007","XroadVnpt-Content-Type":"application/json"}'
)
SECOND_HMAC = "aa6e9ffd2b6778c5f2c7c57d770b5149ed032e352241c7a5478220ad01192076"
NOW = datetime(2026, 11, 22, 3, 25, 38, 589000, UTC)
UNPADDED_ABC = "ba7816bf8f1cfea414140de5dae2223b0361a396177a9cb410ff61f2015ad"


def raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def made(operation: Operation, **parameters: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in parameters.items()}
    return wire.request_headers(operation, named, system_id="exp.sys.01", secret=SECRET, now=NOW)


def test_the_client_writes_the_first_vector_byte_for_byte() -> None:
    headers = made(Operation.COUNT_DOCUMENTS)
    assert headers["XroadVnpt-sign-header"] == FIRST
    assert headers["XroadVnpt-hash-header"] == FIRST_HMAC
    assert headers["XroadVnpt-sign-header-key"] == "systemid;timestamp;Content-Type"


def test_the_second_vector_escapes_only_what_json_must() -> None:
    pairs = [
        ("systemid", "exp.sys.01"),
        ("title", 'a "q" <b>&amp; = \' Đ'),
        ("timestamp", "01012025T080910+0007"),
        ("Content-Type", "application/json"),
    ]
    assert wire.sign_header(pairs) == SECOND
    assert wire.hash_header(SECRET, SECOND.encode()) == SECOND_HMAC


@pytest.mark.parametrize(("signed", "digest"), [(FIRST, FIRST_HMAC), (SECOND, SECOND_HMAC)])
def test_the_server_accepts_both_vectors(signed: str, digest: str) -> None:
    headers = json.loads(signed)
    names = [name.removeprefix("XroadVnpt-") for name in headers]
    headers["XroadVnpt-sign-header-key"] = ";".join(names)
    headers["XroadVnpt-sign-header"] = signed
    headers["XroadVnpt-hash-header"] = digest
    wire.check_request(wire.received(raw(headers)), Operation.COUNT_DOCUMENTS, SECRET)


def test_the_captured_send_of_the_sdk_has_our_order_and_spelling() -> None:
    file_hash = "cc7bdd662415e725c750bf6ce64c36a87ad21bf38d0a593f9f10203572747f"
    headers = wire.request_headers(
        Operation.SEND,
        {
            "from": "000.00.01.X99",
            "messagetype": "edoc",
            "servicetype": "eDoc",
            "hash-file": file_hash,
        },
        system_id="exp.sys.01",
        secret=SECRET,
        now=datetime(2026, 11, 22, 3, 25, 47, 949000, UTC),
    )
    assert headers["XroadVnpt-sign-header"] == (
        '{"XroadVnpt-systemid":"exp.sys.01","XroadVnpt-servicetype":"eDoc",'
        f'"XroadVnpt-messagetype":"edoc","XroadVnpt-hash-file":"{file_hash}",'
        '"XroadVnpt-from":"000.00.01.X99","XroadVnpt-timestamp":"22112026T102547+0949",'
        '"XroadVnpt-Content-Type":"application/octet-stream"}'
    )
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["User-Agent"] == "JAVASDKAgent/1.0.0 XRoad/VPCP"
    assert headers["XroadVnpt-version"] == "3.0.201608"


def test_update_status_signs_the_status_last() -> None:
    keys = made(Operation.UPDATE_STATUS, docId="aaaa-1", status="done")["XroadVnpt-sign-header-key"]
    assert keys == "systemid;docId;timestamp;Content-Type;status"


def test_the_timestamp_is_vietnam_time_with_milliseconds_in_four_digits() -> None:
    assert wire.timestamp(datetime(2025, 1, 2, 1, 9, 10, 7000, UTC)) == "02012025T080910+0007"
    assert wire.timestamp(datetime(2025, 12, 31, 17, 0, 0, 999999, UTC)) == "01012026T000000+0999"


def test_the_file_hash_loses_the_leading_zero_of_each_byte() -> None:
    padded = hashlib.sha256(b"abc").hexdigest()
    assert wire.unpadded_hex(padded) == UNPADDED_ABC
    assert wire.same_file_hash(UNPADDED_ABC, padded)
    assert wire.same_file_hash(UNPADDED_ABC.upper(), padded)
    assert wire.same_file_hash(padded, padded)
    assert not wire.same_file_hash(UNPADDED_ABC[:-1], padded)


@pytest.mark.parametrize("value", ["", "Đ", " a", "a ", "a\nb", "a\tb", "a\x00"])
def test_a_value_that_would_not_arrive_unchanged_is_never_sent(value: str) -> None:
    with pytest.raises(ValueError, match="ASCII"):
        made(Operation.GET, docId=value, filePath="xml")


def test_a_parameter_of_another_operation_is_never_sent() -> None:
    with pytest.raises(ValueError, match="not a parameter"):
        made(Operation.COUNT_DOCUMENTS, docId="1")


def test_header_names_are_found_in_any_case() -> None:
    headers = [
        (name.upper(), value) for name, value in raw(made(Operation.GET, docId="1", filePath="xml"))
    ]
    request = wire.received(headers)
    wire.check_request(request, Operation.GET, SECRET)
    assert request.get("docId") == request.get("docid") == "1"


def test_a_changed_byte_in_the_signed_text_is_refused() -> None:
    headers = made(Operation.GET, docId="1", filePath="xml")
    headers["XroadVnpt-sign-header"] += " "
    with pytest.raises(Unauthenticated):
        wire.check_request(wire.received(raw(headers)), Operation.GET, SECRET)


def test_the_wrong_secret_is_refused() -> None:
    request = wire.received(raw(made(Operation.COUNT_DOCUMENTS)))
    with pytest.raises(Unauthenticated):
        wire.check_request(request, Operation.COUNT_DOCUMENTS, "other")


def test_a_header_that_differs_from_what_was_signed_is_refused() -> None:
    headers = made(Operation.GET, docId="1", filePath="xml")
    headers["XroadVnpt-docId"] = "2"
    with pytest.raises(Unauthenticated):
        wire.check_request(wire.received(raw(headers)), Operation.GET, SECRET)


def test_a_used_parameter_that_nobody_signed_is_refused() -> None:
    headers = made(Operation.COUNT_DOCUMENTS)
    headers["XroadVnpt-docId"] = "1"
    request = wire.received(raw(headers))
    wire.check_request(request, Operation.COUNT_DOCUMENTS, SECRET)  # not used here: ignored
    with pytest.raises(Rejected) as refused:
        wire.check_request(request, Operation.GET, SECRET)
    assert refused.value.code == "vxp.unsigned"


def test_a_key_list_naming_an_unsigned_parameter_is_refused() -> None:
    headers = made(Operation.COUNT_DOCUMENTS)
    headers["XroadVnpt-sign-header-key"] += ";docId"
    with pytest.raises(Unauthenticated):
        wire.check_request(wire.received(raw(headers)), Operation.COUNT_DOCUMENTS, SECRET)


def _twice(first: str, second: str) -> wire.Received:
    pairs = [
        ("systemid", "exp.sys.01"),
        ("docId", first),
        ("docid", second),
        ("timestamp", "01012025T080910+0007"),
        ("Content-Type", "application/json"),
    ]
    signed = wire.sign_header(pairs)
    headers = [(f"XroadVnpt-{name}".encode(), value.encode()) for name, value in pairs]
    keys = ";".join(name for name, _ in pairs).encode()
    headers.append((b"XroadVnpt-sign-header-key", keys))
    headers.append((b"XroadVnpt-sign-header", signed.encode()))
    headers.append((b"XroadVnpt-hash-header", wire.hash_header(SECRET, signed.encode()).encode()))
    return wire.received(headers)


def test_one_name_with_two_values_is_refused_where_it_is_used_and_ignored_elsewhere() -> None:
    request = _twice("1", "2")
    with pytest.raises(Rejected) as refused:
        wire.check_request(request, Operation.GET, SECRET)
    assert refused.value.code == "vxp.conflict"
    wire.check_request(request, Operation.RECEIVED_LIST, SECRET)


def test_one_name_twice_with_the_same_value_is_one_parameter() -> None:
    wire.check_request(_twice("1", "1"), Operation.GET, SECRET)


def test_stale_parameters_of_earlier_calls_are_ignored() -> None:
    pairs = [
        ("systemid", "exp.sys.01"),
        ("status", "done"),
        ("docId", "old"),
        ("timestamp", "01012025T080910+0007"),
        ("Content-Type", "application/json"),
    ]
    signed = wire.sign_header(pairs)
    headers = {f"XroadVnpt-{name}": value for name, value in pairs}
    headers["XroadVnpt-sign-header-key"] = ";".join(name for name, _ in pairs)
    headers["XroadVnpt-sign-header"] = signed
    headers["XroadVnpt-hash-header"] = wire.hash_header(SECRET, signed.encode())
    wire.check_request(wire.received(raw(headers)), Operation.COUNT_STATUSES, SECRET)


@pytest.mark.parametrize(
    "signed", ["", "[]", "{}", '{"a":1}', '{"XroadVnpt-systemid":1}', "not json", "[" * 5000]
)
def test_a_signed_text_that_is_no_object_of_headers_is_refused(signed: str) -> None:
    headers = made(Operation.COUNT_DOCUMENTS)
    headers["XroadVnpt-sign-header"] = signed
    headers["XroadVnpt-hash-header"] = wire.hash_header(SECRET, signed.encode())
    with pytest.raises((Unauthenticated, Rejected)):
        wire.check_request(wire.received(raw(headers)), Operation.COUNT_DOCUMENTS, SECRET)


def test_header_bytes_are_read_as_utf8_and_else_as_latin1() -> None:
    assert wire.decode_header("Đ".encode()) == "Đ"
    assert wire.decode_header(b"\xd0") == "Ð"


@pytest.mark.parametrize(
    ("body", "code", "doc_id"),
    [
        (b'{"status":"ok","ErrorCode":"0","ErrorDesc":"","DocId":"a"}', "0", "a"),
        (b'{"status":"OK","ErrorCode":0,"ErrorDesc":null,"DocId":12}', "0", "12"),
        (b'{"ErrorCode":0.0}', "0", ""),
        (b'\xef\xbb\xbf{"ErrorCode":" 0 ","DocId":null}', "0", ""),
        (b'{"status":"FAIL","ErrorCode":-1}', "-1", ""),
        (b'{"ErrorCode":"0","ErrorDesc":"kh\xf4ng"}', "0", ""),
    ],
)
def test_answers_are_read_liberally(body: bytes, code: str, doc_id: str) -> None:
    answer = wire.parse_answer(body)
    assert answer is not None
    assert (answer.code, answer.doc_id) == (code, doc_id)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"[]",
        b"null",
        b"{}",
        b'{"errorCode":"0"}',
        b'{"ErrorCode":null}',
        b'{"ErrorCode":"0"',
        b'{"ErrorCode":{}}',
        b"[" * 100_000,
        b'{"ErrorCode":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_protocol_answer_is_none_and_never_success(body: bytes) -> None:
    assert wire.parse_answer(body) is None


def test_written_answers_are_ascii_with_every_common_field() -> None:
    body = wire.render_answer("-1", "không tìm thấy")
    assert body.isascii()
    assert json.loads(body) == {
        "status": "FAIL",
        "ErrorCode": "-1",
        "ErrorDesc": "không tìm thấy",
        "DocId": "",
    }


def test_message_types_are_compared_without_case() -> None:
    assert wire.kind_of("EDOC") is PackageKind.DOCUMENT
    assert wire.kind_of(" Status ") is PackageKind.STATUS
    assert wire.kind_of("mail") is None
