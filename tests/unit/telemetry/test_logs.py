"""One shape for all lines, and no secret in any of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway.telemetry import logs
from gateway.telemetry.events import Event


@pytest.fixture
def sink() -> Iterator[io.BytesIO]:
    root = logging.getLogger()
    before_level, before = root.level, list(root.handlers)
    stream = io.BytesIO()
    logs.configure("debug", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(before_level)
    structlog.reset_defaults()


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_begins_with_when_how_grave_and_what(sink: io.BytesIO) -> None:
    logs.get_logger(worker="deliver").info(Event.ATTEMPT_ENDED, outcome="delivered", attempt=2)
    (line,) = lines(sink)
    assert list(line)[:3] == ["at", "level", "event"]
    assert line["at"].endswith("Z")
    del line["at"]
    assert line == {
        "level": "info",
        "event": "attempt.ended",
        "worker": "deliver",
        "outcome": "delivered",
        "attempt": 2,
    }


def test_identity_bound_at_the_door_is_in_every_line_within(sink: io.BytesIO) -> None:
    log = logs.get_logger()
    with logs.bound(transfer_id="t1", axis="vxp"):
        log.info("a.b")
        logging.getLogger("some.library").warning("said %s", "something")
    log.info("c.d")
    first, foreign, last = lines(sink)
    assert (first["transfer_id"], first["axis"]) == ("t1", "vxp")
    assert foreign["transfer_id"] == "t1"
    assert "transfer_id" not in last


def test_a_foreign_record_has_the_same_shape(sink: io.BytesIO) -> None:
    logging.getLogger("some.library").info("connected to %s", "axis")
    (line,) = lines(sink)
    assert list(line)[:3] == ["at", "level", "event"]
    assert line["event"] == "foreign.said"
    assert (line["level"], line["logger"]) == ("info", "some.library")
    assert line["detail"] == "connected to axis"


def test_libraries_that_print_bodies_stay_quiet_even_when_told_otherwise(sink: io.BytesIO) -> None:
    chatty = logging.getLogger("zeep.transports")
    chatty.setLevel(logging.DEBUG)
    chatty.debug("HTTP Post: <secret body/>")
    chatty.info("still a body")
    chatty.warning("slow")
    chatty.setLevel(logging.NOTSET)
    assert [line["detail"] for line in lines(sink)] == ["slow"]


@pytest.mark.parametrize(
    "key",
    [
        "secret",
        "axis_secret",
        "password",
        "db_password",
        "Authorization",
        "token",
        "api_key",
        "sign-header",
        "hash_header",
        "key",
        "private_key",
        "Set-Cookie",
    ],
)
def test_a_value_under_a_secret_name_is_never_shown(sink: io.BytesIO, key: str) -> None:
    logs.get_logger().info("a.b", **{key: "s3cr3t-value"}, nested={"deep": [{key: "s3cr3t-value"}]})
    assert b"s3cr3t-value" not in sink.getvalue()
    assert lines(sink)[0][key] == logs.REDACTED


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdef123456.s3cr3t",
        "postgresql+psycopg://edoc:s3cr3t@db/edoc",
        "refused: password=s3cr3t, user=x",
        "POST /x?api_key=s3cr3t&y=1",
        "token: s3cr3t",
    ],
)
def test_a_secret_inside_a_text_is_never_shown(sink: io.BytesIO, text: str) -> None:
    logs.get_logger().warning("a.b", detail=text)
    logging.getLogger("some.library").warning(text)
    assert b"s3cr3t" not in sink.getvalue()
    assert len(lines(sink)) == 2


def test_ids_and_counts_are_shown_as_they_are(sink: io.BytesIO) -> None:
    logs.get_logger().info("a.b", key_id="ledger-1", idempotency_key="k1", attempts=3, ok=True)
    line = lines(sink)[0]
    assert (line["key_id"], line["idempotency_key"], line["attempts"]) == ("ledger-1", "k1", 3)


def test_an_exception_gives_its_kind_and_frames_but_no_values(sink: io.BytesIO) -> None:
    def fail(content: str) -> None:
        raise ValueError(f"cannot read {len(content)} bytes")

    try:
        fail("body of a document")
    except ValueError:
        logs.get_logger().exception("worker.surprised", worker="open")
        logging.getLogger("some.library").exception("oops")
    ours, foreign = lines(sink)
    for line in (ours, foreign):
        assert line["exception"]["type"] == "ValueError"
        assert line["exception"]["text"] == "cannot read 18 bytes"
        assert line["exception"]["at"][-1].startswith("telemetry/test_logs.py:")
    assert b"body of a document" not in sink.getvalue()


def test_whatever_is_logged_becomes_one_line_of_json(sink: io.BytesIO) -> None:
    odd: list[object] = ["a\nb", "\ud800", object(), {1: b"\xff"}, float("nan"), {"x"}, "Tuyệt"]
    for value in odd:
        logs.get_logger().info("a.b", value=value)
    assert len(lines(sink)) == len(odd)
    assert "Tuyệt".encode() in sink.getvalue()


def test_lines_below_the_level_are_not_written(sink: io.BytesIO) -> None:
    logs.configure("warning", sink)
    logs.get_logger().info("a.b")
    logging.getLogger("some.library").info("no")
    logs.get_logger().warning("c.d")
    assert [line["event"] for line in lines(sink)] == ["c.d"]


def test_configuring_twice_does_not_double_the_lines(sink: io.BytesIO) -> None:
    logs.configure("info", sink)
    logging.getLogger("some.library").warning("once")
    assert len(lines(sink)) == 1


def test_event_words_can_be_captured_in_tests() -> None:
    with structlog.testing.capture_logs() as captured:
        logs.get_logger(worker="seal").info(Event.LEDGER_SEALED, records=3)
    assert captured == [
        {"worker": "seal", "records": 3, "event": "ledger.sealed", "log_level": "info"}
    ]
