"""What every `ports.TimestampAuthority` must do. An adapter is whatever passes this.

A subclass gives `opened`: an authority under test in front of a stand-in that can be spoiled.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from adapters.tsa.server import Fault
from gateway.errors import Unavailable, Untrusted

DIGEST = hashlib.sha256(b"what is stamped").digest()
PATIENT, IMPATIENT = 30.0, 0.2

UNAVAILABLE = {
    Fault.ERROR_500: "tsa.http.500",
    Fault.HTML: "tsa.not_a_reply",
    Fault.REJECTED: "tsa.rejected",
    Fault.EMPTY_GRANT: "tsa.no_token",
}
UNTRUSTED = {
    Fault.GARBAGE: "stamp.unreadable",
    Fault.HUGE: "tsa.reply_too_large",
    Fault.WRONG_NONCE: "stamp.other_nonce",
    Fault.WRONG_DIGEST: "stamp.other_digest",
    Fault.WRONG_KEY: "stamp.signature",
    Fault.NO_CERTIFICATE: "stamp.unreadable",
}


class TimestampSuite:
    def opened(self, *faults: Fault) -> AbstractAsyncContextManager[tuple[Any, Any]]:
        """(authority under test, stand-in); the stand-in's next answers are spoiled so."""
        raise AssertionError("a suite needs an adapter")

    def stamped(self, *faults: Fault, deadline: float = PATIENT):
        async def once():
            async with self.opened(*faults) as (authority, running):
                return await authority.stamp(DIGEST, deadline), running

        return asyncio.run(once())

    def test_a_stamp_comes_back_checked(self):
        reply, running = self.stamped()
        assert running.received == 1
        assert reply.token
        assert reply.gen_time.tzinfo is not None
        assert reply.policy == running.authority.policy
        assert reply.serial.isdecimal()
        assert reply.authority == running.authority.chain[0].subject.rfc4514_string()

    @pytest.mark.parametrize("fault", UNAVAILABLE)
    def test_an_authority_that_cannot_answer_now_is_unavailable(self, fault):
        with pytest.raises(Unavailable) as caught:
            self.stamped(fault)
        assert caught.value.code == UNAVAILABLE[fault]

    @pytest.mark.parametrize("fault", UNTRUSTED)
    def test_an_answer_that_cannot_be_right_is_untrusted(self, fault):
        with pytest.raises(Untrusted) as caught:
            self.stamped(fault)
        assert caught.value.code == UNTRUSTED[fault]

    def test_a_silent_authority_is_unavailable_at_the_deadline(self):
        with pytest.raises(Unavailable) as caught:
            self.stamped(Fault.HANG, deadline=IMPATIENT)
        assert caught.value.code == "tsa.timeout"

    def test_a_broken_connection_is_tried_again_within_the_same_call(self):
        reply, running = self.stamped(Fault.DROP, Fault.DROP)
        assert reply.token
        assert running.received == 3

    def test_a_connection_that_stays_broken_is_unavailable(self):
        with pytest.raises(Unavailable) as caught:
            self.stamped(*[Fault.DROP] * 20)
        assert caught.value.code == "tsa.unreachable"

    def test_after_a_bad_answer_the_next_call_is_good(self):
        async def twice():
            async with self.opened(Fault.WRONG_KEY) as (authority, _):
                with pytest.raises(Untrusted):
                    await authority.stamp(DIGEST, PATIENT)
                return await authority.stamp(DIGEST, PATIENT)

        assert asyncio.run(twice()).token

    def test_calls_at_the_same_time_get_stamps_of_their_own(self):
        async def many():
            async with self.opened() as (authority, _):
                digests = [hashlib.sha256(bytes([n])).digest() for n in range(8)]
                return await asyncio.gather(*(authority.stamp(d, PATIENT) for d in digests))

        assert len({reply.serial for reply in asyncio.run(many())}) == 8

    def test_a_cancelled_call_stays_cancelled(self):
        async def cancelled():
            async with self.opened(Fault.HANG) as (authority, running):
                call = asyncio.create_task(authority.stamp(DIGEST, PATIENT))
                await running.hanging.wait()
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                assert call.cancelled()

        asyncio.run(cancelled())

    def test_closing_twice_is_harmless(self):
        async def closed():
            async with self.opened() as (authority, _):
                await authority.stamp(DIGEST, PATIENT)
                await authority.close()
                await authority.close()

        asyncio.run(closed())
