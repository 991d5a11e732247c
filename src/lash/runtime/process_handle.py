"""One background process, as whoever holds its id sees and steers it.

Everything is read from and written to the store, so a handle is as good in another
process, on another machine, a week later; its id is all there is of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from lash.base.errors import InvalidArgument
from lash.base.ids import is_name
from lash.base.json import Json
from lash.processes.errors import ProcessError, ProcessNoLongerRetained, UndeclaredEventType, UnknownProcess
from lash.processes.event_types import SIGNAL_PREFIX, signal_event_type
from lash.processes.events import ProcessEvent, cancel_requested, signal
from lash.processes.outputs import FailureOutput, ProcessAwaitOutput, SuccessOutput
from lash.processes.record import ProcessRecord
from lash.runtime.work import return_json
from lash.runtime.worker.run import waiting_for_others

if TYPE_CHECKING:
    from lash.runtime.process_admin import ProcessPorts


class ProcessFailed(ProcessError):
    """A process whose result was asked for has ended without one. `failure_code` is the work's own. Added in 0.1."""

    code = "process_failed"

    def __init__(self, process_id: str, ended: str, output: ProcessAwaitOutput) -> None:
        said = "" if isinstance(output, SuccessOutput) else output.message
        self.failure_code = output.code if isinstance(output, FailureOutput) else ended
        super().__init__(f"process `{process_id}` {ended}: {said or self.failure_code} ({self.failure_code})")
        self.process_id = process_id
        self.output = output


class ProcessCancelled(ProcessFailed):
    """… because it was cancelled. Added in 0.1."""

    code = "process_cancelled"


class ProcessAbandoned(ProcessFailed):
    """… because whoever owned it was given up on. Added in 0.1."""

    code = "process_abandoned"


class ProcessStillRunning(ProcessError, TimeoutError):
    """A wait for a process has timed out; the process goes on. Added in 0.1."""

    code = "process_still_running"

    def __init__(self, process_id: str, seconds: float, waits_for: str | None) -> None:
        doing = "is still running" if waits_for is None else f"waits for signal `{waits_for}`"
        super().__init__(f"process `{process_id}` {doing} after {seconds:g} s; wait again, or cancel it")
        self.process_id = process_id


class UnknownSignal(UndeclaredEventType):
    """The process takes no signal of this name; nothing was stored."""

    code = "process_signal_unknown"

    def __init__(self, process_id: str, name: str, known: list[str]) -> None:
        takes = f"it takes: {', '.join(known)}" if known else "it takes none"
        ProcessError.__init__(self, f"process `{process_id}` takes no signal `{name}`; {takes}")


class ProcessHandle:
    """A process by its id. Added in 0.1."""

    def __init__(self, process_id: str, ports: ProcessPorts) -> None:
        self._id = process_id
        self._ports = ports

    @property
    def id(self) -> str:
        """The id; it is used once, for good."""
        return self._id

    async def record(self) -> ProcessRecord:
        """How it stands. Raises `UnknownProcess`, and `ProcessNoLongerRetained` once it was pruned."""
        record = await self._ports.registry.get_process(self._id)
        if record is not None:
            return record
        await self._ports.registry.recent_events(self._id, 1)  # says whether it was pruned
        raise UnknownProcess(self._id)

    async def result(self, timeout: float | None = None) -> Json:
        """What it came to; waits for its end, in whichever process that happens.

        Raises `ProcessFailed` (`ProcessCancelled`, `ProcessAbandoned`) when it ended otherwise, and
        `ProcessStillRunning` after `timeout` seconds.
        """
        limit = asyncio.timeout(_seconds(timeout))
        try:
            async with limit, waiting_for_others():
                output = await self._ports.registry.await_process(self._id)
        except TimeoutError:
            if not limit.expired():
                raise
            record = await self.record()
            if record.status.await_output is None:
                waits_for = None if record.wait is None else record.wait.kind.name
                raise ProcessStillRunning(self._id, timeout or 0, waits_for) from None
            output = record.status.await_output
        if isinstance(output, SuccessOutput):
            return output.value
        return await self._raise(output)

    async def signal(self, name: str, payload: Json = None, *, key: str | None = None) -> int:
        """Sends a signal; returns which one of its name it is, from 1.

        With a `key` sending again is sending once, and what stands is returned. Raises `UnknownSignal`,
        `InvalidEventPayload`, `ProcessAlreadyTerminal`, and `ReplayKeyConflict` for a key that said
        something else.
        """
        return_json(payload, "payload")
        if key is not None and not is_name(key):
            raise InvalidArgument(f"key={key!r} is empty or no plain text; give the sender's own id, or leave it out")
        request = signal(self._id, name, payload, self._ports.ids.new_id() if key is None else key)
        try:
            result = await self._ports.registry.append_event(self._id, request)
        except UndeclaredEventType:
            raise UnknownSignal(self._id, name, signals_of(await self.record())) from None
        self._ports.poke()
        return result.ordinal

    async def wait_signal(
        self,
        name: str,
        nth: int = 1,
        timeout: float | None = None,
    ) -> Json:
        """The payload of the n-th signal of a name; waits for it. For whoever does external work.

        `nth` counts from 1. It is there whether it was sent before or after the call, and after any restart.
        Raises `ProcessAlreadyTerminal` when the process ends without it, and `ProcessStillRunning`.
        """
        event_type = signal_event_type(name)
        if nth < 1:
            raise InvalidArgument(f"nth={nth}: signals are counted from 1")
        record = await self.record()
        if record.event_type(event_type) is None:
            raise UnknownSignal(self._id, name, signals_of(record))
        limit = asyncio.timeout(_seconds(timeout))
        try:
            async with limit:
                return (await self._ports.registry.wait_nth_event(self._id, event_type, nth)).payload
        except TimeoutError:
            if not limit.expired():
                raise
            raise ProcessStillRunning(self._id, timeout or 0, name) from None

    async def cancel(self, reason: str | None = None) -> None:
        """Asks it to stop; whoever runs it sees the request, also one that starts later. `result` waits for its end.

        Raises `ProcessAlreadyTerminal` when there is nothing to stop.
        """
        await self._ports.registry.append_event(self._id, cancel_requested(self._id, reason))
        self._ports.poke()

    async def events(self, after: int = 0, *, follow: bool = True) -> AsyncIterator[ProcessEvent]:
        """What happened behind a sequence, in order; with `follow` also what happens, until the process has ended.

        The `sequence` of the last event that was handled is the cursor to go on from.
        """
        registry = self._ports.registry
        read = registry.wait_events_after if follow else registry.events_after
        while found := await read(self._id, after):
            for event in found:
                yield event
            after = found[-1].sequence
            if not follow or found[-1].semantics.terminal is not None:
                return

    def __repr__(self) -> str:
        return f"ProcessHandle({self._id!r})"

    async def _raise(self, output: ProcessAwaitOutput) -> Json:
        try:
            state: str = (await self.record()).status.state
        except ProcessNoLongerRetained as gone:  # it was pruned since
            state = gone.status
        kinds = {"cancelled": ProcessCancelled, "abandoned": ProcessAbandoned}
        raise kinds.get(state, ProcessFailed)(self._id, state, output)


def _seconds(timeout: float | None) -> float | None:
    if timeout is not None and timeout < 0:
        raise InvalidArgument(f"timeout={timeout}: give seconds, or None to wait for ever")
    return timeout


def signals_of(record: ProcessRecord) -> list[str]:
    """The names of the signals that a process takes."""
    names = [event_type.name for event_type in record.event_types]
    return [name.removeprefix(SIGNAL_PREFIX) for name in names if name.startswith(SIGNAL_PREFIX)]
