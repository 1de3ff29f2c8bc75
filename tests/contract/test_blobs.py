"""The local folder passes the blob suite, and what only a folder can be asked."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from adapters.blobs import local
from adapters.blobs.local import LocalBlobs
from gateway import errors
from tests.contract.blob_suite import DIGEST, PDF, BlobSuite, read


def _files(root: Path) -> list[Path]:
    return [p for p in root.rglob("*") if p.is_file()]


class TestLocalBlobs(BlobSuite):
    @pytest.fixture
    def blobs(self, tmp_path):
        return LocalBlobs(tmp_path / "blobs")

    def test_a_blob_lies_under_its_digest_and_cannot_be_written(self, blobs, tmp_path):
        blobs.keep_bytes(PDF, DIGEST)
        path = tmp_path / "blobs" / DIGEST[:2] / DIGEST
        assert _files(tmp_path) == [path]
        assert stat.S_IMODE(path.stat().st_mode) == 0o440

    def test_a_spool_file_has_no_name(self, blobs, tmp_path):
        with blobs.spool() as spooled:
            spooled.write(PDF)
            spooled.flush()
            assert _files(tmp_path) == []

    def test_what_was_just_kept_is_read_without_waiting_where_that_can_be_told(self, blobs):
        blobs.keep_bytes(PDF, DIGEST)
        with blobs.open(DIGEST) as stored:
            try:
                can_tell = os.preadv(stored.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT) == 1
            except OSError:
                can_tell = False
        assert blobs.peek(DIGEST, len(PDF)) == (PDF if can_tell else None)

    def test_one_flipped_bit_is_found(self, blobs, tmp_path):
        blobs.keep_bytes(PDF, DIGEST)
        assert blobs.verify(DIGEST)
        (path,) = _files(tmp_path)
        path.chmod(0o600)
        with path.open("r+b") as stored:
            stored.seek(1000)
            stored.write(bytes([PDF[1000] ^ 1]))
        assert not blobs.verify(DIGEST)

    def test_keeping_again_makes_the_file_young_again(self, blobs, tmp_path):
        """The sweep removes old files without a row; one that is about to get a row must stay."""
        blobs.keep_bytes(PDF, DIGEST)
        (path,) = _files(tmp_path)
        os.utime(path, (1, 1))
        assert blobs.digests()[0][1] > 86_400
        blobs.keep_bytes(PDF, DIGEST)
        assert blobs.digests()[0][1] < 86_400

    def test_who_keeps_an_old_file_while_the_sweep_deletes_it_never_loses_it(self, blobs, tmp_path):
        """Two stores on one folder, as two processes have: one accepts, the other sweeps."""
        other = LocalBlobs(tmp_path / "blobs")
        blobs.keep_bytes(PDF, DIGEST)
        (path,) = _files(tmp_path)
        day = 86_400
        for _ in range(150):
            if not path.exists():
                blobs.keep_bytes(PDF, DIGEST)
            os.utime(path, (1, 1))
            together = threading.Barrier(2)

            def sweep(together=together) -> None:
                together.wait()
                other.delete_older(DIGEST, day)

            sweeping = threading.Thread(target=sweep)
            sweeping.start()
            together.wait()
            blobs.keep_bytes(PDF, DIGEST)
            sweeping.join()
            assert read(blobs, DIGEST) == PDF

    def test_strangers_in_the_folder_are_not_listed(self, blobs, tmp_path):
        blobs.keep_bytes(PDF, DIGEST)
        folder = tmp_path / "blobs" / DIGEST[:2]
        (folder / "notes.txt").write_text("")
        (tmp_path / "blobs" / "lost+found").mkdir()
        assert [digest for digest, _ in blobs.digests()] == [DIGEST]

    def test_a_second_process_sees_what_the_first_kept(self, blobs, tmp_path):
        blobs.keep_bytes(PDF, DIGEST)
        assert read(LocalBlobs(tmp_path / "blobs"), DIGEST) == PDF

    def test_a_full_disk_is_unavailable_and_leaves_nothing(self, blobs, tmp_path, monkeypatch):
        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(errors.Unavailable) as refused:
            blobs.keep_bytes(PDF, DIGEST)
        monkeypatch.undo()
        assert "ENOSPC" in refused.value.text.en
        assert _files(tmp_path) == []
        assert blobs.digests() == []

    def test_a_process_killed_while_spooling_leaves_nothing(self, tmp_path):
        root = tmp_path / "blobs"
        program = textwrap.dedent(
            f"""
            import os, pathlib, signal
            from adapters.blobs.local import LocalBlobs
            spooled = LocalBlobs(pathlib.Path({str(root)!r})).spool()
            spooled.write(b"x" * 1000000)
            spooled.flush()
            os.kill(os.getpid(), signal.SIGKILL)
            """
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
        assert done.returncode == -9
        assert _files(tmp_path) == []


class TestLocalBlobsWithoutTmpfile(BlobSuite):
    """A file system that knows no O_TMPFILE: named, unlinked at once, copied into place."""

    @pytest.fixture
    def blobs(self, tmp_path, monkeypatch):
        real = os.open

        def opened(path, flags, mode=0o777, **more):
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            return real(path, flags, mode, **more)

        monkeypatch.setattr(local.os, "open", opened)
        return LocalBlobs(tmp_path / "blobs")

    def test_nothing_is_left_in_the_spool(self, blobs, tmp_path):
        with blobs.spool() as spooled:
            spooled.write(PDF)
            blobs.keep(spooled, DIGEST)
        (path,) = _files(tmp_path)
        assert path.name == DIGEST
        assert stat.S_IMODE(path.stat().st_mode) == 0o440

    def test_what_a_crash_left_in_the_spool_is_removed_at_the_next_start(self, blobs, tmp_path):
        for name in ("left", "of another process at work"):
            (tmp_path / "blobs" / "spool" / name).write_bytes(PDF)
        os.utime(tmp_path / "blobs" / "spool" / "left", (1, 1))
        LocalBlobs(tmp_path / "blobs")
        assert [p.name for p in _files(tmp_path)] == ["of another process at work"]


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "in-the-way").write_text("")
    with pytest.raises(errors.Unavailable):
        LocalBlobs(tmp_path / "in-the-way" / "blobs")


def test_every_name_is_durable_before_keep_returns(tmp_path, monkeypatch):
    """The order of syncs and names, seen through the calls: bytes, name, folder."""
    blobs = LocalBlobs(tmp_path / "blobs")
    seen: list[str] = []
    sync, link = os.fsync, os.link

    def synced(fd):
        name = str(Path(f"/proc/self/fd/{fd}").readlink())
        seen.append("bytes" if "(deleted)" in name else Path(name).name)
        sync(fd)

    def linked(*args, **kwargs):
        seen.append("name")
        link(*args, **kwargs)

    monkeypatch.setattr(local.os, "fsync", synced)
    monkeypatch.setattr(local.os, "link", linked)
    blobs.keep_bytes(PDF, DIGEST)
    assert seen == ["bytes", "name", DIGEST[:2]]
    seen.clear()
    blobs.keep_bytes(PDF, DIGEST)
    assert seen == [DIGEST, DIGEST[:2]]
