"""Runs foreign code so that it can neither hang, nor escape, nor break the turn.

The code runs in the caller's task, as under `asyncio.timeout`, but by an injected
clock: a deadline or a cancelled token cancels the task once and takes that request
back when the code has ended. Code that finishes in spite of it keeps its result: a
known outcome is better than an unknown one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import PurePath
from traceback import extract_tb
from typing import Literal, TypeAlias, TypeVar, cast

from lash.base.cancel import CancelReason, CancelToken
from lash.base.clock import Clock
from lash.base.json import JsonObject
from lash.base.stopping import TaskStop
from lash.models.text import readable
from lash.tools.result import ToolCallOutput, ToolRetry
from lash.tools.retry import CONNECTION_LOST, TIMED_OUT

C = TypeVar("C")
StopReason: TypeAlias = CancelReason | Literal["deadline"]


@dataclass(frozen=True, slots=True)
class Stopped:
    """The code was cut short."""

    reason: StopReason


async def run_bounded(
    run: Callable[[C], Awaitable[object]],
    call: C,
    *,
    name: str,
    timeout_ms: int | None,
    cancellation: CancelToken,
    clock: Clock,
) -> object:
    """What `run(call)` returned, `Stopped`, or a failure that contains what it raised.

    `CancelledError` passes through only when the caller's own task is cancelled.
    """
    if cancellation.reason is not None:
        return Stopped(cancellation.reason)
    stop = TaskStop()
    undo = stop.heed(cancellation)
    timer = None if timeout_ms is None else asyncio.create_task(_deadline(clock, timeout_ms, stop))
    try:
        return await run(call)
    except asyncio.CancelledError:
        if stop.is_somebody_elses:
            raise
        if stop.reason is not None:
            return Stopped(_reason(stop))
        return ToolCallOutput.cancelled(f"tool {name} cancelled itself", source="tool")
    except Exception as error:
        # Code that turns its own cancellation into another error was still stopped.
        return contained(name, error) if stop.reason is None else Stopped(_reason(stop))
    finally:
        undo()
        stop.take_back()
        if timer is not None:
            timer.cancel()
            # `wait` reports the timer's end without raising it, and lets a cancel of ours through.
            await asyncio.wait({timer})


def _reason(stop: TaskStop) -> StopReason:
    return cast("StopReason", stop.reason)


async def _deadline(clock: Clock, timeout_ms: int, stop: TaskStop) -> None:
    await clock.sleep(timeout_ms)
    stop.because("deadline")


def contained(name: str, error: Exception) -> ToolCallOutput:
    """The failure that stands for an exception of a tool."""
    if isinstance(error, ToolRetry):
        return ToolCallOutput.failure("invalid_request", "tool_retry", readable(error.message))
    match _lost_connection(error):
        case TimeoutError():
            return ToolCallOutput.failure("timeout", TIMED_OUT, _describe(error), raw=_origin(error))
        case ConnectionError():
            return ToolCallOutput.failure("external", CONNECTION_LOST, _describe(error), raw=_origin(error))
        case _:
            return ToolCallOutput.failure("execution", "tool_error", _describe(error), raw=_origin(error))


def _describe(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        parts = "; ".join(_describe(part) for part in error.exceptions if isinstance(part, Exception))
        return readable(f"{type(error).__name__}: {parts}")
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be shown)"
    return readable(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _origin(error: Exception) -> JsonObject:
    """Where it was raised, for people: type, file name and line, without paths of this machine."""
    origin: JsonObject = {"exception": f"{type(error).__module__}.{type(error).__qualname__}"}
    frames = extract_tb(error.__traceback__)
    if frames:
        origin["at"] = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}"
    return origin


def _lost_connection(error: BaseException) -> BaseException | None:
    """The timeout or lost connection behind an error, following explicit causes only.

    Client libraries raise errors of their own `from` the operating system's.
    """
    cause: BaseException | None = error
    for _ in range(8):
        if cause is None:
            return None
        if isinstance(cause, TimeoutError | ConnectionError):
            return cause
        cause = cause.__cause__
    return None
