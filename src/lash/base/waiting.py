"""Waiting: for a task, for whichever of several things happens first, for what must not be left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


async def ended(task: asyncio.Task[Any]) -> None:
    """Returns when the task has ended, in whatever way. A cancel of the waiter leaves the task alone.

    What `asyncio.wait` does for sets of tasks, at a third of its price for one.
    """
    await _end_of(task)


def _end_of(awaited: asyncio.Future[Any]) -> asyncio.Future[None]:
    """Has a result when the other one has ended; cancelling it leaves that one alone."""
    end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    awaited.add_done_callback(lambda _: None if end.done() else end.set_result(None))
    return end


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Returns when one of them has ended; the others are cancelled and awaited. Raises what one raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Awaits `work`; a cancelled caller waits until it has ended, so that nothing is left in flight."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()  # seen; the caller left
        raise


def here_to_its_end(work: Coroutine[Any, Any, T]) -> Awaitable[T]:
    """`to_its_end` without a task: for short work that is awaited very often.

    The work runs in the caller's own task. It may not use `asyncio.timeout` or cancel the current task: such a
    cancel would be taken for the caller's.
    """
    return _Here(work)


class _Here(Generic[T]):
    """Steps a coroutine in the task that awaits this, and keeps cancels of that task away from it."""

    __slots__ = ("_work",)

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, None, T]:
        work = self._work
        left: asyncio.CancelledError | None = None
        try:
            while True:
                awaited: asyncio.Future[Any] | None = work.send(None)
                if awaited is None:  # it gives the loop a turn
                    try:
                        yield None
                    except asyncio.CancelledError as error:
                        left = error
                while awaited is not None and not awaited.done():
                    # Not the future itself: a cancel of the task would cancel it.
                    try:
                        yield from _end_of(awaited)
                    except asyncio.CancelledError as error:
                        left = error
        except StopIteration as end:
            value: T = end.value
        except BaseException:
            if left is not None:  # nobody hears of it any more
                raise left from None
            raise
        finally:
            work.close()
        if left is not None:
            raise left
        return value
