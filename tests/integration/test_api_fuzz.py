"""Bytes nobody would send on purpose: the door answers each, keeps nothing, and lives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.package import Organ
from tests.support.api import BOUNDARY, PDF, RECEIVER, SENDER, Door, door, form, letter
from tests.support.packages import a_header, packed

# refused at the very end, so that every step before it is walked and nothing may stay
META = json.dumps(letter(RECEIVER, "H99.99")).encode()
WHOLE = form([("metadata", None, META), ("file", "a.pdf", PDF), ("file", "b.pdf", PDF * 40)])
PACKAGE = packed(
    a_header(sender=Organ(SENDER), to=(Organ(RECEIVER), Organ("H99.99"))), [("a.pdf", PDF * 20)]
)
PROBLEMS = {400, 401, 403, 404, 408, 409, 413, 415, 416, 422}
QUICK = settings(
    max_examples=150,
    derandomize=True,  # a cut that happens to leave a good document would be accepted
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door(tmp_path_factory.mktemp("api")) as opened:
        opened.key(SENDER)
        yield opened


@pytest.fixture(autouse=True)
def nothing_is_kept(at: Door) -> Iterator[None]:
    before = at.kept()
    yield
    assert at.kept() == before
    assert at.get("/healthz").status == 200


@st.composite
def spoiled(draw: st.DrawFn, whole: bytes) -> bytes:
    """A few bytes cut out, put in, or written over."""
    made = whole
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(made)))
        end = min(len(made), start + draw(st.integers(0, 60)))
        put = draw(st.one_of(st.just(b""), st.binary(max_size=40), st.just(made[:start][-30:])))
        made = made[:start] + put + made[end:]
    return made


@QUICK
@given(body=spoiled(WHOLE))
def test_a_spoiled_form_is_a_problem(at: Door, body: bytes) -> None:
    assert at.post_form(body).status in PROBLEMS


@QUICK
@given(body=spoiled(PACKAGE))
def test_a_spoiled_package_is_a_problem(at: Door, body: bytes) -> None:
    kind = {"Content-Type": "application/edxml+xml"}
    answer = at.ask("POST", "/v1/documents", SENDER, body=body, headers=kind)
    assert answer.status in PROBLEMS


@QUICK
@given(raw=spoiled(META))
def test_spoiled_metadata_are_a_problem(at: Door, raw: bytes) -> None:
    body = form([("metadata", None, raw.replace(BOUNDARY.encode(), b"")), ("file", "a.pdf", PDF)])
    assert at.post_form(body).status in PROBLEMS


HEADER = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60
)


NAMES = (
    "Accept-Language",
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Range",
    "traceparent",
)


@QUICK
@given(
    headers=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(NAMES, HEADER),
    )
)
def test_odd_headers_are_answered(at: Door, headers: dict[str, str]) -> None:
    """http.client sends header values as Latin-1, so bytes that are no UTF-8 are among them."""
    for method, path in (("GET", "/v1/documents/some-id/package"), ("POST", "/v1/documents")):
        assert at.ask(method, path, SENDER, headers=headers).status in PROBLEMS


@QUICK
@given(path=st.text(max_size=40), query=st.text(max_size=40))
def test_odd_addresses_are_answered(at: Door, path: str, query: str) -> None:
    for start in ("/v1/agencies/", "/v1/documents/", "/v1/inbox?agency="):
        odd = start + quote(path.encode("utf-8", "replace"), safe="?=")
        answer = at.get(f"{odd}&cursor={quote(query.encode('utf-8', 'replace'))}", SENDER)
        assert answer.status in {200, *PROBLEMS}
