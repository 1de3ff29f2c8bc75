"""A token that goes away, in every way it can, and what callers and operators see of it."""

from __future__ import annotations

import io
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.keys import pkcs11, token_wire
from adapters.keys.private import read_private
from adapters.keys.token_link import LONGEST_REST
from gateway.errors import Misconfigured, Unavailable
from gateway.telemetry import logs
from tests.contract.key_holder_suite import verifies
from tests.support import pki, tokens

AGENCY = "000.00.19.H14"
LEAF = pki.cast().agency_ec


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def soft(tmp_path, monkeypatch):
    made = tokens.SoftToken(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.conf))
    made.put(LEAF, "so-19", "a1")
    yield made
    made.close()


def load(token):
    return pkcs11.load(token, "so-19", agency=AGENCY, now=pki.AT).holder


def away(soft):
    """Takes the token out of its reader; answers where it lies."""
    pocket = soft.folder / "pocket"
    soft.store.rename(pocket)
    soft.store.mkdir()
    return pocket


def back(soft, pocket):
    soft.store.rmdir()
    pocket.rename(soft.store)


def refusal(holder, family=Unavailable):
    with pytest.raises(family) as refused:
        holder.sign(b"x")
    assert AGENCY in refused.value.text.vi
    assert tokens.LABEL in refused.value.text.en
    assert tokens.PIN not in str(refused.value.text)
    return refused.value.code


def test_a_process_killed_between_signatures_is_started_again(soft):
    token = soft.token()
    holder = load(token)
    seen = []
    for _ in range(3):
        verifies(LEAF.certificate, holder.sign(b"x"), b"x")
        seen.append(token.pid)
        os.kill(token.pid, signal.SIGKILL)
    verifies(LEAF.certificate, holder.sign(b"x"), b"x")
    assert len({*seen, token.pid}) == 4
    assert all(tokens.gone(pid) for pid in seen)
    seen.append(token.pid)
    token.close()
    assert all(tokens.gone(pid) for pid in seen)


def test_a_process_killed_during_a_signature_costs_the_caller_nothing(soft):
    token = soft.token()
    holder = load(token)
    stopped = token.pid
    os.kill(stopped, signal.SIGSTOP)  # whatever is asked now stays without an answer
    with ThreadPoolExecutor(8) as pool:
        signing = [pool.submit(holder.sign, str(i).encode()) for i in range(40)]
        os.kill(stopped, signal.SIGKILL)
        for i, one in enumerate(signing):
            verifies(LEAF.certificate, one.result(), str(i).encode())
    assert token.pid != stopped
    assert tokens.gone(stopped)


def test_eight_threads_sign_by_turns(soft):
    soft.put(pki.cast().agency_rsa, "rsa", "b2")
    token = soft.token()
    ours = load(token)
    other = pkcs11.load(token, "rsa", agency="H14", now=pki.AT).holder
    kept = token.pid

    def many(thread):
        holder, leaf = (ours, LEAF) if thread % 2 else (other, pki.cast().agency_rsa)
        for i in range(50):
            message = f"{thread}/{i}".encode() * (1 + i * 200)
            verifies(leaf.certificate, holder.sign(message), message)
        return thread

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(many, range(8))) == list(range(8))
    assert token.pid == kept, "two keys of one token share its process"


def test_a_token_that_was_taken_away_is_said_so_and_works_again_when_it_is_back(soft):
    clock = Clock()
    token = soft.token(monotonic=clock)
    holder = load(token)
    pocket = away(soft)
    assert refusal(holder) == "key.token_absent"
    assert token.pid is None
    for rest in (1.0, 2.0, 4.0, 8.0):
        assert refusal(holder) == "key.token_resting", "nobody waits for a process meanwhile"
        clock.now += rest - 0.01
        assert refusal(holder) == "key.token_resting"
        clock.now += 0.02
        assert refusal(holder) == "key.token_absent", "it was looked for again"
    clock.now += 10 * LONGEST_REST
    back(soft, pocket)
    verifies(LEAF.certificate, holder.sign(b"x"), b"x")
    os.kill(token.pid, signal.SIGKILL)
    verifies(LEAF.certificate, holder.sign(b"x"), b"x")


def test_a_module_that_cannot_begin_may_do_so_later(soft):
    """As when the service behind it (pcscd) is not up yet: it was loaded, so conf is right."""
    clock = Clock()
    token = soft.token(monotonic=clock)
    pocket = away(soft)
    soft.store.rmdir()
    with pytest.raises(Unavailable) as early:
        load(token)
    assert early.value.code == "key.token_lost"
    pocket.rename(soft.store)
    clock.now += LONGEST_REST
    assert load(token).sign(b"x")


def test_another_token_of_the_same_name_signs_nothing(soft):
    token = soft.token()
    holder = load(token)
    shutil.rmtree(soft.folder)
    tokens.SoftToken(soft.folder).put(pki.cast().other_agency, "so-19", "a1")
    assert refusal(holder, Misconfigured) == "key.mismatch"


def test_a_key_that_left_the_token_is_named(soft):
    token = soft.token()
    holder = load(token)
    shutil.rmtree(soft.folder)
    tokens.SoftToken(soft.folder).put(LEAF, "so-20", "c3")
    assert refusal(holder, Misconfigured) == "key.token_object"


def test_a_wrong_pin_is_tried_once_and_never_again(soft):
    asked = []

    def pin():
        asked.append(1)
        return "0000"

    token = soft.token(pin=pin)
    for _ in range(3):
        with pytest.raises(Misconfigured) as wrong:
            load(token)
        assert wrong.value.code == "key.token_pin"
        assert "0000" not in str(wrong.value.text)
    assert len(asked) == 1
    assert token.pid is None
    assert load(soft.token()).sign(b"x"), "the right PIN still opens it"


def test_a_pin_changed_while_the_gateway_runs_is_not_guessed_at(soft):
    token = soft.token()
    holder = load(token)
    soft.pin_file.write_text("1111")
    assert holder.sign(b"x"), "the session is open"
    os.kill(token.pid, signal.SIGKILL)
    assert refusal(holder, Misconfigured) == "key.token_pin"
    soft.pin_file.write_text(tokens.PIN)
    assert refusal(holder, Misconfigured) == "key.token_pin", "until somebody starts it again"


def test_a_token_that_does_not_answer_in_time_is_given_up(soft):
    token = soft.token(seconds=0.0)
    with pytest.raises(Unavailable) as silent:
        load(token)
    assert silent.value.code == "key.token_silent"
    assert token.pid is None


def test_a_pin_file_is_private_and_holds_a_pin(soft):
    for content, mode, code in (
        ("\n", 0o600, "key.password"),
        ("1", 0o644, "key.readable_by_others"),
    ):
        soft.pin_file.write_text(content)
        soft.pin_file.chmod(mode)
        with pytest.raises(Misconfigured) as wrong:
            load(soft.token())
        assert wrong.value.code == code


def test_the_pin_stands_in_no_command_line_no_environment_and_no_log(soft, monkeypatch):
    monkeypatch.setenv("EDOC_GATEWAY_KEY", "khóa-vận-hành")
    said = io.BytesIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    logs.configure("debug", said)
    token = soft.token()
    holder = load(token)
    process = Path(f"/proc/{token.pid}")
    shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert b"token_process" in shown
    assert b"SOFTHSM2_CONF" in shown, "a module finds its own settings"
    assert b"EDOC_GATEWAY_KEY" not in shown
    os.kill(token.pid, signal.SIGKILL)
    holder.sign(b"x")
    away(soft)
    refusal(holder)
    root.handlers[:] = handlers
    root.setLevel(level)
    told = said.getvalue()
    for event in (b"token.lost", b"token.reopened"):
        assert event in told
    for secret in (tokens.PIN, tokens.SO_PIN, read_private(soft.pin_file).decode().strip()):
        assert secret.encode() not in shown
        assert secret.encode() not in told
    assert tokens.PIN not in repr(token) + repr(holder)


PARENT = """
import sys
from pathlib import Path
from adapters.keys.token_link import Token
token = Token(Path(sys.argv[1]), sys.argv[2], lambda: sys.argv[3])
token.find("so-19")
print(token.pid, flush=True)
sys.stdin.read()
"""


def test_the_process_does_not_outlive_the_gateway(soft):
    command = [sys.executable, "-c", PARENT, str(tokens.MODULE), tokens.LABEL, tokens.PIN]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tokens.ROOT
    ) as gateway:
        assert gateway.stdout is not None
        pid = int(gateway.stdout.readline())
        watched = os.pidfd_open(pid)
        gateway.kill()
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        assert poll.poll(60_000), "it ended by itself"
        os.close(watched)


def test_a_closed_token_is_not_opened_again(soft):
    token = soft.token()
    holder = load(token)
    token.close()
    assert refusal(holder) == "key.token_resting"
    assert token.pid is None


def test_frames_that_do_not_come_are_not_waited_for():
    source, target = os.pipe()
    os.set_blocking(source, False)
    with pytest.raises(token_wire.Trouble) as silent:
        token_wire.receive(source, 0.01)
    assert silent.value.word == token_wire.SILENT
    os.write(target, b"\0\0")  # a beginning is no frame
    with pytest.raises(token_wire.Trouble):
        token_wire.receive(source, 0.01)
    os.close(target)
    with pytest.raises(token_wire.Trouble) as died:
        token_wire.receive(source, 60)
    assert died.value.word == token_wire.DIED
    os.close(source)


@pytest.mark.parametrize("frame", [b"\xff\xff\xff\xff", b'\0\0\0\3{"x', b"\0\0\0\2hi"])
def test_what_is_no_frame_counts_as_a_dead_process(frame):
    source, target = os.pipe()
    os.set_blocking(source, False)
    os.write(target, frame)
    os.close(target)
    with pytest.raises(token_wire.Trouble) as died:
        token_wire.receive(source, 60)
    assert died.value.word == token_wire.DIED
    os.close(source)
