"""Threads for code that may never come back."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading

import pytest

from lash.base.threads import CallThreads

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("NAME")


async def test_a_call_gives_its_value_or_its_error() -> None:
    threads = CallThreads(1)

    def broken() -> None:
        raise ValueError("no")

    assert await threads.run(lambda: 3, name="three") == 3
    with pytest.raises(ValueError, match="no"):
        await threads.run(broken, name="broken")
    assert await threads.run(lambda: 4, name="four") == 4


async def test_a_call_has_a_named_thread_and_its_callers_context() -> None:
    NAME.set("caller")

    seen = await CallThreads(1).run(lambda: (threading.current_thread().name, NAME.get()), name="worker")

    assert seen == ("worker", "caller")


async def test_a_thread_that_is_free_is_used_again() -> None:
    threads = CallThreads(4)

    seen = {await threads.run(threading.get_ident, name=str(number)) for number in range(20)}

    assert len(seen) == 1


async def test_no_more_than_the_limit_run_at_a_time() -> None:
    threads, running, most, lock = CallThreads(3), 0, 0, threading.Lock()
    together = threading.Barrier(3)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(20)
        with lock:
            running -= 1

    async with asyncio.TaskGroup() as group:
        for number in range(9):
            group.create_task(threads.run(work, name=str(number)))

    assert most == 3


async def test_a_call_that_hangs_takes_no_place_once_nobody_waits() -> None:
    threads, release = CallThreads(2), threading.Event()
    started = [threading.Event() for _ in range(10)]

    def hang(number: int) -> None:
        started[number].set()
        release.wait(20)

    try:
        for number in range(10):
            task = asyncio.create_task(threads.run(lambda: hang(number), name="hangs"))  # noqa: B023
            await asyncio.to_thread(started[number].wait, 20)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        assert await threads.run(lambda: "still here", name="next") == "still here"
    finally:
        release.set()


async def test_who_leaves_the_line_holds_up_nobody() -> None:
    threads, release = CallThreads(1), threading.Event()
    first = asyncio.create_task(threads.run(lambda: release.wait(20), name="first"))
    await asyncio.sleep(0)
    impatient = asyncio.create_task(threads.run(lambda: None, name="impatient"))
    patient = asyncio.create_task(threads.run(lambda: "mine", name="patient"))
    await asyncio.sleep(0)

    impatient.cancel()
    release.set()

    assert await first
    assert await patient == "mine"
    assert impatient.cancelled()


async def test_a_place_that_is_given_to_who_leaves_goes_to_the_next() -> None:
    threads, release = CallThreads(1), threading.Event()
    first = asyncio.create_task(threads.run(lambda: release.wait(20), name="first"))
    await asyncio.sleep(0)
    second = asyncio.create_task(threads.run(lambda: None, name="second"))
    third = asyncio.create_task(threads.run(lambda: "third", name="third"))
    await asyncio.sleep(0)
    # In one pass of the loop: the place is handed on, and who gets it is cancelled.
    first.add_done_callback(lambda _: second.cancel())
    release.set()

    async with asyncio.timeout(20):
        assert await third == "third"


def test_a_call_that_hangs_does_not_hold_the_interpreter_back() -> None:
    program = """
import asyncio, threading
from lash.base.threads import CallThreads

async def main():
    task = asyncio.create_task(CallThreads(1).run(threading.Event().wait, name="hangs"))
    await asyncio.sleep(0)
    task.cancel()

asyncio.run(main())
print("left")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout == "left\n"
