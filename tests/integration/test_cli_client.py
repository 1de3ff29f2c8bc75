"""The client of the command line against servers that do what servers do."""

import contextlib
import hashlib
import http.server
import json
import threading
from pathlib import Path

import pytest

from gateway.cli.client import Client, repeatable_key
from gateway.errors import Broken, Conflict, Misconfigured, Rejected, Unavailable
from tests.support.commands import call

BODY = b"x" * 700_000


class Answers(http.server.BaseHTTPRequestHandler):
    """`/path` -> how this server misbehaves."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        getattr(self, self.path.strip("/").replace("/", "_"))()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def reply(self, status: int, body: bytes, kind: str = "application/json", **more: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def problem(self, status: int, code: str) -> None:
        finding = {"path": "to[0]", "code": "f.x", "severity": "error", "message": "m", "rule": "r"}
        said = {"detail": "words", "code": code, "findings": [finding]}
        self.reply(status, json.dumps(said).encode(), "application/problem+json")

    def refused(self) -> None:
        self.problem(422, "submission.invalid")

    def conflict(self) -> None:
        self.problem(409, "document.conflict")

    def busy(self) -> None:
        self.problem(503, "ledger.unsealed")

    def broken(self) -> None:
        self.problem(500, "gateway.broken")

    def page(self) -> None:
        self.reply(200, b"<html>log in</html>", "text/html")

    def proxy(self) -> None:
        self.reply(502, b"<html>bad gateway</html>", "text/html")

    def moved(self) -> None:
        self.reply(302, b"", Location=f"http://{self.headers['Host']}/good")

    def good(self) -> None:
        self.reply(200, json.dumps({"key": self.headers["Authorization"]}).encode())

    def whole(self) -> None:
        self.reply(200, BODY, "application/octet-stream")

    def cut(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[: len(BODY) // 2])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield Client(f"http://127.0.0.1:{made.server_port}", "edoc_k_s", "en")
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.mark.parametrize(
    ("path", "kind", "code"),
    [
        ("/refused", Rejected, "submission.invalid"),
        ("/conflict", Conflict, "document.conflict"),
        ("/busy", Unavailable, "ledger.unsealed"),
        ("/broken", Broken, "gateway.broken"),
        ("/page", Unavailable, "client.no_answer"),
        ("/proxy", Unavailable, "client.no_answer"),
    ],
)
def test_a_problem_is_the_error_it_was_on_the_other_side(server, path, kind, code) -> None:
    with pytest.raises(kind) as said:
        server.get(path)
    assert said.value.code == code
    if kind is Rejected:
        assert [(f.path, f.code, f.rule) for f in said.value.findings] == [("to[0]", "f.x", "r")]


def test_a_redirect_is_not_followed_because_the_key_would_go_with_it(server) -> None:
    with pytest.raises((Rejected, Unavailable)):
        server.get("/moved")
    assert server.get("/good") == {"key": "Bearer edoc_k_s"}


def test_a_download_is_whole_or_not_there(server, tmp_path) -> None:
    digest = hashlib.sha256(BODY).hexdigest()
    assert server.download("/whole", tmp_path / "a", digest) == len(BODY)
    for path, sha256 in (("/cut", digest), ("/whole", "0" * 64)):
        with pytest.raises(Unavailable):
            server.download(path, tmp_path / "b", sha256)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_download_never_writes_over_a_file(server, tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(Rejected) as said:
        server.download("/whole", tmp_path / "a", hashlib.sha256(BODY).hexdigest())
    assert said.value.code == "file.exists"
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"mine"}


def test_nobody_there_is_75(capsys, monkeypatch) -> None:
    with contextlib.closing(http.server.HTTPServer(("127.0.0.1", 0), Answers).socket) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("EDOC_GATEWAY_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("EDOC_GATEWAY_KEY", "edoc_k_s")
    ran = call(capsys, "inbox", "--json")
    assert ran.code == 75
    assert ran.json()["code"] == "client.no_answer"


def test_an_address_that_is_none_names_the_variable() -> None:
    with pytest.raises(Misconfigured) as said:
        Client("ftp://x", "k").get("/")
    assert "EDOC_GATEWAY_URL" in said.value.text.en


def test_the_key_of_a_request_is_its_content(tmp_path) -> None:
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    keys = {
        repeatable_key(b"m", [("a", one)]),
        repeatable_key(b"n", [("a", one)]),
        repeatable_key(b"m", [("b", one)]),
        repeatable_key(b"m", [("a", two)]),
        repeatable_key(b"m", [("a", one), ("a", one)]),
    }
    assert len(keys) == 5
    assert repeatable_key(b"m", [("a", one)]) in keys
    assert all(k.isascii() and len(k) < 200 for k in keys)


def test_the_key_is_not_shown_when_a_client_is_printed() -> None:
    assert "secret" not in repr(Client("http://x", "edoc_secret"))


def test_a_receipt_is_kept_byte_by_byte_and_never_replaced(tmp_path: Path) -> None:
    from gateway.c14n import canonical_json
    from gateway.cli.unit import keep_receipt

    receipt = {"v": 1, "note": "n — ấ", "record": "{}"}
    keep_receipt(tmp_path / "r.json", receipt)
    keep_receipt(tmp_path / "r.json", receipt)
    assert (tmp_path / "r.json").read_bytes() == canonical_json(receipt) + b"\n"
    with pytest.raises(Rejected):
        keep_receipt(tmp_path / "r.json", {**receipt, "note": "other"})


def test_a_password_in_the_address_is_not_shown(capsys, monkeypatch):
    monkeypatch.setenv("EDOC_GATEWAY_KEY", "edoc_x")
    for address in ("http://u:p4ss@127.0.0.1:1", "http://p4ss@127.0.0.1:1/?token=p4ss#p4ss"):
        monkeypatch.setenv("EDOC_GATEWAY_URL", address)
        for lang in ("vi", "en"):
            ran = call(capsys, "inbox", "--lang", lang)
            assert ran.code == 75
            assert "***@127.0.0.1:1" in ran.err
            assert "p4ss" not in ran.out + ran.err


@pytest.mark.parametrize("address", ["http://127.0.0.1:port", "http://[::1", "ftp://127.0.0.1"])
def test_what_is_no_address_is_said_so(capsys, monkeypatch, address):
    monkeypatch.setenv("EDOC_GATEWAY_KEY", "edoc_x")
    monkeypatch.setenv("EDOC_GATEWAY_URL", address)
    ran = call(capsys, "inbox")
    assert (ran.code, "client.bad_address" in ran.err) == (78, True)
