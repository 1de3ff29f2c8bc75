"""A wake-up is never lost, and never goes to a listener of another channel."""

from __future__ import annotations

import asyncio
import threading

from gateway.store.wake import Wakes


def test_a_notification_wakes_every_listener_of_its_channel_once():
    wakes = Wakes()

    async def scenario():
        listeners = [wakes.listener("a"), wakes.listener("a"), wakes.listener("b")]
        wakes.notify(["a"])
        first = [await listener.wait(0) for listener in listeners]
        return first, [await listener.wait(0) for listener in listeners]

    assert asyncio.run(scenario()) == ([True, True, False], [False, False, False])


def test_a_listener_has_seen_what_was_notified_before_it_was_made():
    wakes = Wakes()
    wakes.notify(["a"])
    assert asyncio.run(wakes.listener("a").wait(0)) is False


def test_many_notifications_between_two_waits_are_one_wake_up():
    wakes = Wakes()

    async def scenario():
        listener = wakes.listener("a")
        for _ in range(10):
            wakes.notify(["a"])
        return await listener.wait(0), await listener.wait(0)

    assert asyncio.run(scenario()) == (True, False)


def test_a_waiting_listener_is_woken_from_another_thread():
    wakes = Wakes()

    async def scenario():
        listener = wakes.listener("a")
        waiting = asyncio.ensure_future(listener.wait(30))
        await asyncio.sleep(0)
        threading.Thread(target=wakes.notify, args=(["a"],)).start()
        return await waiting

    assert asyncio.run(scenario()) is True


def test_after_a_lost_connection_everybody_looks():
    wakes = Wakes()

    async def scenario():
        a, b = wakes.listener("a"), wakes.listener("b")
        waiting = asyncio.ensure_future(a.wait(30))
        await asyncio.sleep(0)
        wakes.notify_all()
        return await waiting, await b.wait(0), await a.wait(0)

    assert asyncio.run(scenario()) == (True, True, False)


def test_a_cancelled_wait_leaves_nothing_behind_and_loses_nothing():
    wakes = Wakes()

    async def scenario():
        listener = wakes.listener("a")
        waiting = asyncio.ensure_future(listener.wait(30))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert wakes._waiting["a"] == set()
        wakes.notify(["a"])
        return await listener.wait(0)

    assert asyncio.run(scenario()) is True


def test_no_wake_up_is_lost_between_two_threads():
    """A ping-pong over two channels stands still at once when one notification is lost."""
    wakes = Wakes()
    rounds = 300
    ready = threading.Barrier(2)

    def play(hears, tells, begins):
        async def game():
            listener = wakes.listener(hears)
            await asyncio.to_thread(ready.wait)
            if begins:
                wakes.notify([tells])
            for _ in range(rounds):
                assert await listener.wait(30)
                wakes.notify([tells])

        asyncio.run(game())

    other = threading.Thread(target=play, args=("a", "b", False))
    other.start()
    play("b", "a", True)
    other.join()
    assert wakes.generation("a") == rounds + 1
    assert wakes.generation("b") == rounds
