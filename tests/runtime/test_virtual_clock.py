"""The kit's clock: time moves when a test says so."""

from __future__ import annotations

import asyncio

import pytest

from lash.testing import VirtualClock


async def test_time_stands_still_until_it_is_moved() -> None:
    clock = VirtualClock(start_ms=1_000)

    await clock.advance(250)

    assert (clock.now_ms(), clock.monotonic()) == (1_250, 0.25)


async def test_sleepers_wake_in_order_at_their_own_moment() -> None:
    clock = VirtualClock(start_ms=0)
    woken: list[tuple[str, int]] = []

    async def sleep(name: str, ms: int) -> None:
        await clock.sleep(ms)
        woken.append((name, clock.now_ms()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleep("late", 300))
        group.create_task(sleep("early", 100))
        await clock.sleeper(100)
        await clock.sleeper(300)
        await clock.advance(200)
        assert woken == [("early", 100)]
        await clock.advance(100)

    assert woken == [("early", 100), ("late", 300)]
    assert clock.sleeps == [300, 100]


async def test_a_sleep_that_follows_within_the_same_advance_counts() -> None:
    clock = VirtualClock(start_ms=0)
    woken: list[int] = []

    async def ticks() -> None:
        for _ in range(3):
            await clock.sleep(100)
            woken.append(clock.now_ms())

    task = asyncio.create_task(ticks())
    await clock.sleeper(100)
    await clock.advance(300)
    await task

    assert woken == [100, 200, 300]


async def test_a_cancelled_sleeper_is_not_asleep() -> None:
    clock = VirtualClock()
    task = asyncio.create_task(clock.sleep(100))
    await clock.sleeper(100)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert clock.asleep() == []


async def test_waiting_for_a_sleeper_that_never_comes_says_who_sleeps() -> None:
    clock = VirtualClock()
    task = asyncio.create_task(clock.sleep(100))

    with pytest.raises(TimeoutError, match=r"asleep now: \[100\]"):
        await clock.sleeper(7, within_s=0.01)
    task.cancel()


async def test_no_time_at_all_only_lets_others_run() -> None:
    clock = VirtualClock()

    await clock.sleep(0)

    assert clock.sleeps == []
