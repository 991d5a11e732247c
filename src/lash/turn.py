"""Turns as a host asks for them: run, stream, collect.

`session.run(…)` is the short form; `session.turn(…)` is the builder underneath.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lash.base.cancel import CancelToken
from lash.base.errors import InvalidArgument
from lash.base.ids import is_name
from lash.machine.outcome import SubmittedValue
from lash.plugins.bindings import PluginInput
from lash.runtime.activity import Sink, TurnActivity
from lash.runtime.actor import SessionActor
from lash.runtime.input import TurnInput, TurnOptions
from lash.runtime.request import TurnRequest
from lash.runtime.result import TurnResult

if TYPE_CHECKING:
    from lash.protocols.rlm.submitting import SubmitShape

# A slow reader holds the turn back after this many unread activities.
STREAM_BUFFER = 64


@dataclass(frozen=True, slots=True)
class TurnOutput:
    """A turn's result and everything that was told while it ran."""

    result: TurnResult
    activities: list[TurnActivity] = field(default_factory=list)


class Turn:
    """A turn that has not started. Use one of `run`, `stream`, `stream_to`, `collect`, once."""

    def __init__(
        self,
        actor: SessionActor,
        turn_input: TurnInput,
        *,
        turn_id: str | None,
        timeout: float | None,
        options: TurnOptions,
        retry: bool,
        plugin_inputs: Sequence[PluginInput] = (),
        shape: SubmitShape | None = None,
    ) -> None:
        if turn_id is not None and not is_name(turn_id):
            raise InvalidArgument(
                f"turn_id={turn_id!r} is empty or no plain text; leave it out or give the request's own id"
            )
        if timeout is not None and timeout <= 0:
            raise InvalidArgument(f"timeout={timeout}: give a positive number of seconds or None")
        self._actor = actor
        self._timeout = timeout
        self._shape = shape
        self._request = TurnRequest(turn_input, turn_id, options, retry=retry, plugin_inputs=plugin_inputs)

    @property
    def cancellation(self) -> CancelToken:
        """Cancels this turn; it still commits, as `stopped.cancelled`."""
        return self._request.cancel

    async def run(self) -> TurnResult:
        """Runs the turn to its end. Raises `SubmittedValueMismatch` for a value that its type refuses."""
        result = await self._run()
        if self._shape is None or not isinstance(result.outcome, SubmittedValue):
            return result
        return replace(result, decoded=self._shape.decoded(result.outcome.value))

    async def _run(self) -> TurnResult:
        if self._timeout is None:
            return await self._actor.run(self._request)
        timer = asyncio.create_task(self._expire(math.ceil(self._timeout * 1_000)))
        try:
            return await self._actor.run(self._request)
        finally:
            timer.cancel()

    async def _expire(self, timeout_ms: int) -> None:
        await self._actor.clock.sleep(timeout_ms)
        self._request.cancel.cancel("timeout")

    async def stream_to(self, sink: Sink) -> TurnResult:
        """Runs the turn and tells `sink` of each activity; the sink may be async."""
        self._request.sinks.append(sink)
        return await self.run()

    async def collect(self, sink: Sink | None = None) -> TurnOutput:
        """Runs the turn and keeps its activities, telling `sink` as well."""
        activities: list[TurnActivity] = []
        self._request.sinks.append(activities.append)
        if sink is not None:
            self._request.sinks.append(sink)
        return TurnOutput(await self.run(), activities)

    def stream(self) -> TurnStream:
        """The turn as a stream: `async with turn.stream() as s: async for activity in s: …`."""
        return TurnStream(self)


class TurnStream:
    """A running turn: an async iterator of activities, and a result.

    A reader that falls behind holds the turn back after 64 unread activities. Leaving
    the context early cancels the turn and waits for its commit.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._queue: asyncio.Queue[TurnActivity | None] = asyncio.Queue(STREAM_BUFFER)
        self._run: asyncio.Task[TurnResult] | None = None
        self._is_abandoned = False

    async def __aenter__(self) -> Self:
        self._run = asyncio.get_running_loop().create_task(self._drive())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._run is not None
        if not self._run.done():
            self._abandon()
            self._turn.cancellation.cancel("requested")
            with contextlib.suppress(Exception):
                await self._run

    def __aiter__(self) -> AsyncIterator[TurnActivity]:
        """The activities; raises at the end what `result` would raise."""
        return self._activities()

    async def result(self) -> TurnResult:
        """The result; waits for the end of the turn, activities that nobody reads are dropped."""
        if self._run is None:
            raise InvalidArgument("the stream was not entered; use `async with session.stream(…) as stream`")
        self._abandon()
        return await self._run

    async def _drive(self) -> TurnResult:
        try:
            return await self._turn.stream_to(self._put)
        finally:
            if not self._is_abandoned:
                await self._queue.put(None)

    async def _put(self, activity: TurnActivity) -> None:
        if not self._is_abandoned:
            await self._queue.put(activity)

    def _abandon(self) -> None:
        self._is_abandoned = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)  # whoever still reads is told that nothing more comes

    async def _activities(self) -> AsyncIterator[TurnActivity]:
        while not self._is_abandoned and (activity := await self._queue.get()) is not None:
            yield activity
        if not self._is_abandoned and self._run is not None:
            await self._run  # a turn that was refused must not look like one that said nothing
