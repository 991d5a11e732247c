"""What a cell asks of its host, and the answers: calls, sleeps, printing, reading history."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from lash.base.json import Json
from lash.lashlang.execution import effects as asked
from lash.lashlang.execution.durations import InvalidSleep, deadline_ms, duration_ms
from lash.lashlang.execution.effects import Answer, Answered, BatchAnswered, NoAnswer, Refused, Request
from lash.machine.values import CompletedCall
from lash.plugins.execution import Cell, CellCall, CellCallDone, CellEffects
from lash.protocols.rlm.background import CellBackground
from lash.protocols.rlm.images import ImageShelf
from lash.protocols.rlm.options import ObserveLimits
from lash.protocols.rlm.output import Truncation, images_in, observed
from lash.protocols.rlm.projections import ProjectionUnresolved, part_of
from lash.protocols.rlm.surface import Surface
from lash.protocols.standard import terminal_outcome
from lash.runtime.programs.triggers import is_trigger_operation
from lash.tools.result import Cancelled, Failed, Succeeded
from lash.tools.surface import tool_arguments

# Printed values beyond this are a mistake in the program, not something to be read.
MAX_OUTPUTS: Final = 200


class CellAnswers:
    """Answers the requests of one cell, and collects what it shows."""

    def __init__(
        self,
        cell: Cell,
        effects: CellEffects,
        surface: Surface,
        limits: ObserveLimits,
        images: ImageShelf,
        read: Callable[[str], Awaitable[Json]],
        reference: Callable[[str, Sequence[str | int]], Json],
    ) -> None:
        self._cell = cell
        self._effects = effects
        self._surface = surface
        self._limits = limits
        self._images = images
        self._fetch = read
        self._reference = reference
        # What lazy names stand for, fetched once.
        self._fetched: dict[str, Json] = {}
        # Who answers for processes and triggers, once the cell is linked.
        self.background: CellBackground | None = None
        self._calls = 0
        self.output: list[str] = []
        self.truncation: list[Truncation] = []
        self.shown_images: list[str] = []
        # The first call whose result ends the turn.
        self.ended_by: CompletedCall | None = None

    async def to(self, request: Request) -> Answer:
        """The answer to one request."""
        match request:
            case asked.ResourceOperation():
                return (await self._called([request]))[0]
            case asked.ResourceOperationBatch(operations=operations):
                return BatchAnswered(tuple(await self._called(operations)))
            case asked.Print():
                return self._print(request)
            case asked.Submit(value=value):
                return Answered(value)
            case asked.Fail(value=value):
                return Answered(value)
            case asked.Sleep():
                return await self._sleep(request)
            case asked.ReadValue():
                return await self._read(request)
            case _:
                if self.background is None:
                    return Refused("background processes are not available here")
                return await self.background.answer(request)

    async def _called(self, operations: Sequence[asked.ResourceOperation]) -> list[Answered | Refused]:
        calls: list[CellCall] = []
        answers: list[Answered | Refused | None] = []
        for operation in operations:
            if self.background is not None and is_trigger_operation(operation.receiver.alias):
                answers.append(await self.background.trigger(operation))
                continue
            tool = self._surface.tool_of(operation.receiver.alias, operation.operation)
            args = operation.payload
            if tool is None:
                answers.append(Refused(f"`{operation.receiver.alias}.{operation.operation}` is not available"))
                continue
            answers.append(None)
            self._calls += 1
            # The call's id is unique in the session; the key says where in the program it is made.
            call_id = f"t{self._cell.turn_index}.c{self._cell.number}.{self._calls}"
            calls.append(
                CellCall(f"{operation.site.node_id}:{operation.site.occurrence}", call_id, tool, tool_arguments(args))
            )
        done = iter(await self._effects.call(calls) if calls else [])
        return [self._answer(next(done)) if answer is None else answer for answer in answers]

    def _answer(self, done: CellCallDone) -> Answered | Refused:
        if self.ended_by is None and terminal_outcome(done.completed) is not None:
            self.ended_by = done.completed
        match done.output.outcome:
            case Succeeded(payload=value):
                return Answered(self._images.plain(value))
            case Failed(payload=failure):
                return Refused(failure.message)
            case Cancelled(payload=cancelled):
                return Refused(cancelled.message)

    def _print(self, request: asked.Print) -> Answer:
        if len(self.output) >= MAX_OUTPUTS:
            return Refused(f"a cell prints at most {MAX_OUTPUTS} values; print one list instead")
        text, truncation = observed(request.text, self._limits)
        self.output.append(text)
        self.truncation.append(truncation)
        self.shown_images += images_in(request.value)
        return Answered()

    async def _sleep(self, request: asked.Sleep) -> Answer:
        key = f"sleep:{request.sequence}"
        try:
            if request.kind == "for":
                await self._effects.sleep(key, duration_ms=duration_ms(request.value))
            else:
                await self._effects.sleep(key, until_ms=deadline_ms(request.value))
        except InvalidSleep as error:
            return Refused(str(error))
        return Answered()

    async def _read(self, request: asked.ReadValue) -> Answer:
        name = str(request.descriptor)
        if request.operation == "Reference":
            reference = self._reference(name, request.path)
            return NoAnswer() if reference is None else Answered(reference)
        if name not in self._fetched:
            try:
                self._fetched[name] = await self._fetch(name)
            except ProjectionUnresolved as error:
                return Refused(str(error))
        found = part_of(self._fetched[name], request.path)
        if request.operation == "Len" and isinstance(found, list | dict | str):
            return Answered(len(found))
        return Answered(found) if request.operation == "Materialize" else NoAnswer()
