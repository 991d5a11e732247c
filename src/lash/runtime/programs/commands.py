"""What programs do to other processes, wherever they run: in a process or in a cell. Recorded by who calls it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from lash.base.codec import from_json, to_json
from lash.base.errors import InvalidArgument
from lash.base.json import Json
from lash.lashlang.errors import LanguageError
from lash.lashlang.execution.effects import Answered, Refused
from lash.processes.errors import InvalidProcessHandle, ProcessAlreadyTerminal, ProcessError, UndeclaredEventType
from lash.processes.events import cancel_requested, signal
from lash.processes.handles import ProcessCancelSummary, process_id_of
from lash.processes.outputs import ProcessAwaitOutput, SuccessOutput
from lash.processes.registry import ProcessRegistry
from lash.runtime.process_handle import UnknownSignal, signals_of
from lash.runtime.programs.modules import ProgramUnavailable
from lash.triggers.errors import TriggerError

# What a program hears of; anything else is no fault of it.
ITS_FAULT: Final = (ProcessError, TriggerError, ProgramUnavailable, LanguageError, InvalidArgument)


def refusable(perform: Callable[[], Awaitable[Json]]) -> Callable[[], Awaitable[Json]]:
    """What is answered, or why it was refused: both are recorded, so that every run hears the same."""

    async def run() -> Json:
        try:
            return {"value": await perform()}
        except ITS_FAULT as error:
            return {"refused": error.message}

    return run


def answer_of(recorded: Json) -> Answered | Refused:
    """The answer that `refusable` made."""
    assert isinstance(recorded, dict)
    if "refused" in recorded:
        return Refused(str(recorded["refused"]))
    return Answered(recorded["value"])


def result_of(answer: Answered | Refused) -> Answered | Refused:
    """What awaiting a process gives, from an answer that holds its output."""
    if isinstance(answer, Refused):
        return answer
    output: ProcessAwaitOutput = from_json(
        answer.value,
        ProcessAwaitOutput,  # type: ignore[arg-type]  # a union is a shape to msgspec
    )
    return Answered(output.value) if isinstance(output, SuccessOutput) else Refused(output.message)


def signalled(handle: Json) -> str:
    """The process that is sent a signal. Raises `InvalidProcessHandle` in the words of `signal_run`."""
    try:
        return process_id_of(handle)
    except InvalidProcessHandle:
        is_handle = isinstance(handle, dict) and handle.get("__handle__") == "process"
        said = "signal_run process handle is missing `id`" if is_handle else "signal_run expects a process handle"
        raise InvalidProcessHandle(said) from None


async def send_signal(registry: ProcessRegistry, process_id: str, name: str, payload: Json, signal_id: str) -> None:
    """Sends a signal once per `signal_id`. Raises `UnknownSignal` and other `ProcessError`s."""
    try:
        await registry.append_event(process_id, signal(process_id, name, payload, signal_id))
    except UndeclaredEventType:
        record = await registry.get_process(process_id)
        raise UnknownSignal(process_id, name, [] if record is None else signals_of(record)) from None


async def request_cancel(registry: ProcessRegistry, process_id: str) -> Json:
    """Asks a process to end; how it stands. What has ended already stays as it ended."""
    with contextlib.suppress(ProcessAlreadyTerminal):  # it was quicker
        await registry.append_event(process_id, cancel_requested(process_id))
    record = await registry.get_process(process_id)
    return None if record is None else to_json(ProcessCancelSummary.of(record))
