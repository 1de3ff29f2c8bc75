"""Holding the lock proves that no other process has the database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gateway import errors
from gateway.store.lock import DatabaseLock

ROOT = Path(__file__).parents[3]


@pytest.fixture
def other_process(tmp_path):
    """Another process that holds the lock of `gateway.db`."""
    program = textwrap.dedent(
        f"""
        import pathlib, sys
        from gateway.store.lock import DatabaseLock
        held = DatabaseLock(pathlib.Path({str(tmp_path / "gateway.db")!r}))
        print("held", flush=True)
        sys.stdin.read()
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_a_held_lock_is_refused_at_once_and_names_its_holder(tmp_path, other_process):
    with pytest.raises(errors.Misconfigured) as refused:
        DatabaseLock(tmp_path / "gateway.db")
    assert refused.value.code == "store.locked"
    assert str(other_process.pid) in refused.value.text.en


def test_a_killed_holder_gives_the_lock_back(tmp_path, other_process):
    os.kill(other_process.pid, signal.SIGKILL)
    other_process.wait()
    with DatabaseLock(tmp_path / "gateway.db"):
        pass


def test_the_same_process_cannot_hold_it_twice(tmp_path):
    with (
        DatabaseLock(tmp_path / "gateway.db"),
        pytest.raises(errors.Misconfigured, match=str(os.getpid())),
    ):
        DatabaseLock(tmp_path / "gateway.db")


def test_a_released_lock_can_be_taken_again(tmp_path):
    first = DatabaseLock(tmp_path / "gateway.db")
    first.release()
    first.release()
    with DatabaseLock(tmp_path / "gateway.db"):
        pass


def test_each_database_has_its_own_lock(tmp_path):
    with DatabaseLock(tmp_path / "one.db"), DatabaseLock(tmp_path / "two.db"):
        pass


def test_a_child_process_does_not_inherit_the_lock(tmp_path):
    held = DatabaseLock(tmp_path / "gateway.db")
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    ) as child:
        assert child.stdout.readline() == b"up\n"
        held.release()
        DatabaseLock(tmp_path / "gateway.db").release()
        child.kill()


def test_a_folder_that_is_not_there_is_a_mistake_of_the_operator(tmp_path):
    with pytest.raises(errors.Misconfigured) as refused:
        DatabaseLock(tmp_path / "none" / "gateway.db")
    assert refused.value.code == "store.lock_file"
