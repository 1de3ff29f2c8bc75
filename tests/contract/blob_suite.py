"""What every blob store must do (`ports.BlobStore`); an adapter is whatever passes this."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import errors
from gateway.ports import BlobStore

PDF = b"%PDF-1.7 sample " * 20_000
DIGEST = hashlib.sha256(PDF).hexdigest()
EMPTY = hashlib.sha256(b"").hexdigest()


def read(blobs: BlobStore, sha256: str) -> bytes:
    with blobs.open(sha256) as stored:
        return stored.read()


class BlobSuite:
    """Subclasses provide the fixture `blobs`: a new, empty store."""

    @pytest.fixture
    def blobs(self) -> Iterator[Any]:
        raise AssertionError("the adapter's test provides the store")

    def test_kept_bytes_come_back(self, blobs: BlobStore):
        blobs.keep_bytes(PDF, DIGEST)
        assert read(blobs, DIGEST) == PDF

    def test_a_kept_spool_comes_back(self, blobs: BlobStore):
        with blobs.spool() as spooled:
            for start in range(0, len(PDF), 1000):
                spooled.write(PDF[start : start + 1000])
            blobs.keep(spooled, DIGEST)
        assert read(blobs, DIGEST) == PDF

    def test_a_spool_can_be_read_again_before_and_after_it_is_kept(self, blobs: BlobStore):
        with blobs.spool() as spooled:
            spooled.write(PDF)
            spooled.seek(0)
            assert spooled.read() == PDF
            blobs.keep(spooled, DIGEST)
            spooled.seek(7)
            assert spooled.read(9) == PDF[7:16]

    def test_a_peek_sees_the_whole_blob_or_nothing(self, blobs: BlobStore):
        blobs.keep_bytes(PDF, DIGEST)
        assert blobs.peek(DIGEST, len(PDF)) in {PDF, None}
        assert blobs.peek(DIGEST, len(PDF) - 1) is None
        assert blobs.peek(DIGEST, len(PDF) + 1) is None
        assert blobs.peek(EMPTY, 0) is None

    def test_an_empty_file_is_a_file(self, blobs: BlobStore):
        with blobs.spool() as spooled:
            blobs.keep(spooled, EMPTY)
        assert read(blobs, EMPTY) == b""

    def test_a_spool_that_is_not_kept_leaves_nothing(self, blobs: BlobStore):
        with blobs.spool() as spooled:
            spooled.write(PDF)
        assert list(blobs.digests()) == []

    def test_keeping_twice_is_harmless(self, blobs: BlobStore):
        blobs.keep_bytes(PDF, DIGEST)
        blobs.keep_bytes(PDF, DIGEST)
        with blobs.spool() as spooled:
            spooled.write(PDF)
            blobs.keep(spooled, DIGEST)
            blobs.keep(spooled, DIGEST)
        assert [digest for digest, _ in blobs.digests()] == [DIGEST]
        assert read(blobs, DIGEST) == PDF

    def test_the_same_bytes_kept_by_many_threads_at_once_are_one_file(self, blobs: BlobStore):
        failed: list[BaseException] = []
        together = threading.Barrier(8)

        def keep() -> None:
            together.wait()
            try:
                blobs.keep_bytes(PDF, DIGEST)
            except BaseException as exc:
                failed.append(exc)

        threads = [threading.Thread(target=keep) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert [digest for digest, _ in blobs.digests()] == [DIGEST]
        assert read(blobs, DIGEST) == PDF

    def test_two_readers_do_not_share_a_position(self, blobs: BlobStore):
        blobs.keep_bytes(PDF, DIGEST)
        with blobs.open(DIGEST) as one, blobs.open(DIGEST) as two:
            one.read(100)
            assert two.read(4) == PDF[:4]
            two.seek(len(PDF) - 3)
            assert two.read() == PDF[-3:]

    def test_what_is_not_there_is_missing(self, blobs: BlobStore):
        with pytest.raises(errors.Broken) as missing:
            blobs.open(DIGEST)
        assert missing.value.code == "blob.missing"

    def test_a_deleted_blob_is_gone_and_deleting_again_is_harmless(self, blobs: BlobStore):
        blobs.keep_bytes(PDF, DIGEST)
        blobs.delete(DIGEST)
        blobs.delete(DIGEST)
        assert list(blobs.digests()) == []
        with pytest.raises(errors.Broken):
            blobs.open(DIGEST)

    def test_a_deleted_blob_can_be_kept_again(self, blobs: BlobStore):
        blobs.keep_bytes(PDF, DIGEST)
        blobs.delete(DIGEST)
        blobs.keep_bytes(PDF, DIGEST)
        assert read(blobs, DIGEST) == PDF

    def test_only_what_nobody_kept_lately_is_deleted_for_its_age(self, blobs: BlobStore):
        blobs.keep_bytes(PDF, DIGEST)
        assert not blobs.delete_older(DIGEST, 3600)
        assert read(blobs, DIGEST) == PDF
        assert blobs.delete_older(DIGEST, -1)
        assert blobs.delete_older(DIGEST, -1), "what is gone is gone"
        assert list(blobs.digests()) == []

    def test_every_digest_is_listed_with_an_age(self, blobs: BlobStore):
        kept = {hashlib.sha256(bytes([n])).hexdigest(): bytes([n]) for n in range(50)}
        for digest, data in kept.items():
            blobs.keep_bytes(data, digest)
        found = dict(blobs.digests())
        assert set(found) == set(kept)
        assert all(age > -2 for age in found.values())

    @pytest.mark.parametrize(
        "digest",
        ["", "../../etc/passwd", DIGEST.upper(), DIGEST[:-1], DIGEST + "\n", "g" * 64, "/" * 64],
    )
    def test_what_is_no_digest_is_refused_everywhere(self, blobs: BlobStore, digest):
        with blobs.spool() as spooled:
            for call in (
                lambda: blobs.keep(spooled, digest),
                lambda: blobs.keep_bytes(b"", digest),
                lambda: blobs.open(digest),
                lambda: blobs.delete(digest),
                lambda: blobs.delete_older(digest, 0),
            ):
                with pytest.raises(errors.Broken) as refused:
                    call()
                assert refused.value.code == "blob.digest"
        assert list(blobs.digests()) == []

    @settings(
        max_examples=25,
        deadline=None,
        # one store for all examples, and a store of another kind in each subclass, are meant
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(data=st.binary(max_size=5000), spooled_first=st.booleans())
    def test_any_bytes_come_back_as_they_were(self, blobs: BlobStore, data, spooled_first):
        digest = hashlib.sha256(data).hexdigest()
        if spooled_first:
            with blobs.spool() as spooled:
                spooled.write(data)
                blobs.keep(spooled, digest)
        else:
            blobs.keep_bytes(data, digest)
        assert read(blobs, digest) == data
