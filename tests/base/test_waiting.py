"""Work that is awaited to its end in the caller's own task."""

from __future__ import annotations

import asyncio

import pytest

from lash.base.waiting import here_to_its_end


async def test_the_work_runs_in_the_callers_task_and_gives_its_result() -> None:
    async def work() -> asyncio.Task[object] | None:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return asyncio.current_task()

    assert await here_to_its_end(work()) is asyncio.current_task()


async def test_what_the_work_raises_is_raised_and_what_it_awaits_may_fail() -> None:
    async def work() -> None:
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(broken.set_exception, KeyError("inside"))
        with pytest.raises(KeyError, match="inside"):
            await broken
        left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(left.cancel)
        with pytest.raises(asyncio.CancelledError):
            await left
        raise LookupError("at the end")

    with pytest.raises(LookupError, match="at the end"):
        await here_to_its_end(work())


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_caller_leaves_when_the_work_has_ended(*, fails: bool) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    steps: list[str] = []

    async def work() -> None:
        await gate
        steps.append("went on")
        await asyncio.sleep(0)
        steps.append("ended")
        if fails:
            raise LookupError("nobody hears of it")

    async def call() -> None:
        await here_to_its_end(work())

    caller = asyncio.create_task(call())
    for _ in range(3):  # however often
        await asyncio.sleep(0)
        caller.cancel()
    await asyncio.sleep(0)
    assert (caller.done(), gate.cancelled(), steps) == (False, False, [])

    gate.set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert steps == ["went on", "ended"]
