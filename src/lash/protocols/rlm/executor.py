"""Runs the cells of one session: link, compile, effects, output, variables (docs/spec/runtime.md §5.5).

A cell is a deterministic program. Whatever it asks of the world goes through `CellEffects`,
which answers from the journal or performs it; so this file does the same thing in the first
drive and in a replay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import msgspec

from lash.base.codec import to_json
from lash.base.json import Json, JsonObject
from lash.base.messages import Message
from lash.lashlang.diagnostics import render
from lash.lashlang.errors import BudgetExceeded, LanguageError
from lash.lashlang.execution.driver import Execution
from lash.lashlang.execution.outcomes import Breath, Continued, Failed, Faulted, Finished, Outcome, Step
from lash.lashlang.execution.state import State
from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.linking.linker import LinkedModule
from lash.lashlang.modules.caches import Compiler
from lash.lashlang.tracking.observations import Observation, Observer
from lash.lashlang.tracking.trace_events import Status
from lash.lashlang.values.json_form import from_json as value_of
from lash.lashlang.values.kinds import LazyValue, Value
from lash.machine.prompt import PromptContribution
from lash.plugins.execution import Cell, CellCut, CellEffects, CellsBegin
from lash.protocols.rlm.answering import CellAnswers
from lash.protocols.rlm.background import CellBackground, CoreBackground
from lash.protocols.rlm.bound import bound_text
from lash.protocols.rlm.cells import cut_short
from lash.protocols.rlm.graph import CellObserver
from lash.protocols.rlm.history import count_items, history_items
from lash.protocols.rlm.images import ImageShelf
from lash.protocols.rlm.keeping import only_kept
from lash.protocols.rlm.options import RlmConfig
from lash.protocols.rlm.projections import (
    ProjectedRefs,
    ProjectionRef,
    ProjectionRegistry,
    ProjectionResolver,
    ProjectionUnresolved,
)
from lash.protocols.rlm.response import CellResponse, Submitted
from lash.protocols.rlm.seeds import planted
from lash.protocols.rlm.surface import Offer, Offers, Surface
from lash.runtime.programs.tracing import ExecutionTrace
from lash.tools.catalog import ToolCatalog

HISTORY: Final = "history"
# Recorded when a cell runs out of time, so that a replay stops it at the same place.
EXPIRED: Final = "expired"
_LIST: Final = "list"
# How a snapshot marks a lazy value.
_LAZY_MARK: Final = b"__lashlang_snapshot_projected__"


class RlmExecutor:
    """The cells and the variables of one session."""

    def __init__(
        self,
        config: RlmConfig,
        compiler: Compiler,
        offers: Offers,
        projected: Mapping[str, Json | ProjectionRef] | None = None,
        resolver: ProjectionResolver | None = None,
        session_id: str = "",
        background: Callable[[], CoreBackground | None] = lambda: None,
    ) -> None:
        self._config = config
        self._compiler = compiler
        self._offers = offers
        refs = {name: value for name, value in (projected or {}).items() if isinstance(value, ProjectionRef)}
        self.refs = ProjectedRefs(refs, resolver or ProjectionRegistry())
        self._projected: dict[str, Value] = {
            name: LazyValue(name, "projection", name) if isinstance(value, ProjectionRef) else value_of(value)
            for name, value in (projected or {}).items()
        }
        # Known once the core is open.
        self._background = background
        self._session_id = session_id
        self._offer: Offer | None = None
        # The surface that the running turn was recorded with.
        self._recorded: tuple[Sequence[Json], Surface] | None = None
        # What is committed, decoded: it holds while the stored bytes are the same object.
        self._committed: tuple[bytes | None, dict[str, Value]] = (None, {})
        # What `write_out` prepared, and the variables that it wrote.
        self._written: tuple[bytes, dict[str, Value]] | None = None
        self._base: bytes | None = None
        self._variables: dict[str, Value] | None = {}
        self._may_hold_lazy = False
        self._images = ImageShelf()
        self._history: Sequence[Message] = ()
        self._counted: tuple[Sequence[Message], int, int] = ((), 0, 0)

    # between drives

    def begin(self, start: CellsBegin) -> None:
        """Goes on from what is committed. Raises `SnapshotError` for what cannot be read."""
        self._base, self._variables = start.snapshot, None
        self._history = start.history
        self._offer = self._offers.of(start.catalog)
        if start.snapshot is None or start.snapshot is not self._committed[0]:
            self._committed = (start.snapshot, self._decoded(start.snapshot))
        self._may_hold_lazy = start.snapshot is not None and _LAZY_MARK in start.snapshot
        self._variables = planted(self._committed[1], start.records, self.reserved)

    def snapshot(self, committed: bytes | None) -> bytes | None:
        """The stored form of the variables; `committed` itself when nothing changed."""
        variables = self._changed(committed)
        if variables is None:
            return committed
        if self._written is not None and _are_same(variables, self._written[1]):
            body = self._written[0]
        else:
            body = msgspec.json.encode(State(variables).snapshot(self._images.files()))
        self._committed, self._written = (body, dict(variables)), None
        return body

    async def write_out(self, committed: bytes | None) -> None:
        """Writes changed variables in slices, so that `snapshot` finds them written."""
        variables = self._changed(committed)
        if variables is None:
            return
        work = State(variables).written(self._images.files())
        while True:
            try:
                next(work)
            except StopIteration as end:
                self._written = (msgspec.json.encode(end.value), dict(variables))
                return
            await asyncio.sleep(0)

    def _changed(self, committed: bytes | None) -> dict[str, Value] | None:
        """The variables, if they are not what is committed."""
        variables = self._variables
        if variables is None or committed is not self._base or _are_same(variables, self._committed[1]):
            return None
        return variables

    @property
    def offered(self) -> list[JsonObject]:
        """What the tools of this drive are to programs; the same object while they are the same."""
        return [] if self._offer is None else self._offer.offered

    def told(self, concealed: frozenset[str]) -> list[PromptContribution]:
        """What the model is told of the language and of these tools, but those that are concealed."""
        return [] if self._offer is None else self._offers.told(self._offer, concealed)

    def environment_of(self, catalog: ToolCatalog) -> HostEnvironment:
        """What programs are linked against with these tools."""
        return self._offers.of(catalog).surface.environment

    @property
    def reserved(self) -> frozenset[str]:
        """Names that the host has bound: read-only to programs, and no names for seeds."""
        return frozenset({HISTORY, *self._projected})

    def bound(self) -> str:
        """What the model is told of the variables as they are now."""
        return bound_text(
            self._variables or {}, self._projected, self._config.bound_variables_inline_chars, has_history=True
        )

    # a cell

    async def execute(self, cell: Cell, effects: CellEffects) -> JsonObject:
        """Runs a cell; what came of it."""
        surface = self._surface_of(cell.offered)
        observer = CellObserver()
        answers = CellAnswers(
            cell,
            effects,
            surface,
            self._config.observe,
            self._images,
            self._reads(cell, effects),
            self.refs.reference,
        )
        address = f"{HISTORY}[{self._position(cell)}]"
        before = dict(self._variables or {})
        try:
            outcome, error = await self._run(cell, effects, surface, answers, observer)
        except LanguageError as problem:  # the text is no program, or does not fit the host
            known = [*(self._variables or {}), *self.reserved]
            outcome = Continued()
            error = render(problem, cell.code, environment=surface.environment, variables=known) + cut_short(problem)
        except CellCut:
            outcome, error = Continued(), "the turn was cancelled; the cell was stopped here"
        unkept = await only_kept(self._variables or {}, before)
        error = "\n".join([*([error] if error else []), *unkept]) or None
        response = CellResponse(
            address=address,
            output=answers.output,
            truncation=answers.truncation,
            images=self._images.refs(answers.shown_images),
            error=error,
            submitted=Submitted(outcome.value) if isinstance(outcome, Finished) else None,
            ended_by=answers.ended_by,
            seen=observer.as_json(),
        )
        json = to_json(response)
        assert isinstance(json, dict)
        return json

    async def _run(
        self, cell: Cell, effects: CellEffects, surface: Surface, answers: CellAnswers, observer: CellObserver
    ) -> tuple[Outcome, str | None]:
        linked = self._compiler.link(cell.code, surface.environment)
        background = self._background()
        if background is not None:
            catalog = surface.environment.resources
            answers.background = CellBackground(background, self._session_id, effects, linked.artifact, catalog)
            await answers.background.keep_module()
        observer.linked(linked)
        sink = None if background is None else background.sink
        # A program that never meets lazy values is compiled to code that never looks for them.
        lazy = frozenset(name for name in (HISTORY, *self.refs.by_name) if name in cell.code)
        body = self._compiler.compile(
            linked.artifact,
            None,
            traced=sink is not None or _has_effects(linked),
            readonly=self.reserved,
            lazy=lazy,
            keeps_lazy=self._may_hold_lazy,
            keeps_refs=surface.keeps_refs,
        )
        self._may_hold_lazy = self._may_hold_lazy or bool(lazy)
        trace = None
        if sink is not None:
            trace = ExecutionTrace.of_cell(sink, self._session_id, cell.turn_id, str(cell.number), body)
        budgets, why_expired = self._config.budgets, ""
        if effects.has_recorded(EXPIRED):
            recorded = await effects.step(EXPIRED, None, _never)
            assert isinstance(recorded, dict)
            why_expired = str(recorded["error"])
            instructions = recorded["instructions"]
            assert isinstance(instructions, int)
            budgets = replace(budgets, active_ms=None, instructions=instructions - 1)
        elif effects.has_ended():
            # It came to its end in time before; a slower machine must not change history.
            budgets = replace(budgets, active_ms=None)
        if self._variables is None:
            self._variables = {}
        execution = Execution(
            body,
            variables=self._variables,
            projected={HISTORY: LazyValue(HISTORY, _LIST, HISTORY), **self._projected},
            budgets=budgets,
            observer=observer if trace is None else _both(observer, trace.observed),
        )
        if trace is not None:
            trace.started()
        try:
            outcome = await _driven(execution, effects, answers)
        except CellCut:
            if trace is not None:
                trace.finished("cancelled")
            raise
        finally:
            execution.close()
        if trace is not None:
            trace.finished(*_status_of(outcome))
        match outcome:
            case Faulted(error=error):
                if isinstance(error, BudgetExceeded) and error.budget == "active_time":
                    found: JsonObject = {"instructions": execution.spent.instructions, "error": str(error)}

                    async def record() -> Json:
                        return found

                    await effects.step(EXPIRED, None, record)
                shown = render(error, cell.code, environment=surface.environment, variables=self._variables)
                if why_expired and isinstance(error, BudgetExceeded):
                    shown = shown.replace(str(error), why_expired, 1)
                return outcome, shown
            case Failed(text=text):
                return Continued(), f"the program failed: {text}"
            case _:
                return outcome, None

    def _reads(self, cell: Cell, effects: CellEffects) -> Callable[[str], Awaitable[Json]]:
        async def read(name: str) -> Json:
            ref = self.refs.by_name.get(name)
            if ref is None and name != HISTORY:
                raise ProjectionUnresolved(f"`{name}` is not bound here any more; compute the value again")
            if ref is None:
                # Not recorded: the conversation does not change while a cell runs.
                return history_items(self._history, cell.messages[:-1])
            if ref.is_immutable:
                return await self.refs.resolve(ref)
            return await effects.step(
                f"read:{name}", {"kind": ref.kind, "key": ref.key}, partial(self.refs.resolve, ref)
            )

        return read

    def _position(self, cell: Cell) -> int:
        counted, length, count = self._counted
        if counted is not self._history or length > len(self._history):
            length = count = 0
        count += count_items(self._history[length:])
        self._counted = (self._history, len(self._history), count)
        return count + count_items(cell.messages[:-1])

    def _surface_of(self, offered: Sequence[Json]) -> Surface:
        if self._offer is not None and offered is self._offer.offered:
            return self._offer.surface
        if self._recorded is None or self._recorded[0] is not offered:
            self._recorded = (offered, self._offers.recorded(offered))
        return self._recorded[1]

    def _decoded(self, snapshot: bytes | None) -> dict[str, Value]:
        if snapshot is None:
            return {}
        body = msgspec.json.decode(snapshot)
        self._images.add_files(body.get("files") if isinstance(body, dict) else None)
        return State.restore(body).variables


async def _driven(execution: Execution, effects: CellEffects, answers: CellAnswers) -> Outcome:
    """Runs to the end, or until a tool call ends the turn."""
    step: Step = execution.start()
    while not isinstance(step, Finished | Failed | Continued | Faulted):
        if isinstance(step, Breath):
            if effects.must_stop():
                raise CellCut
            await asyncio.sleep(0)
            step = execution.resume()
            continue
        answer = await answers.to(step)
        if answers.ended_by is not None:
            return Continued()
        step = execution.resume(answer)
    return step


def _both(one: Observer, other: Observer) -> Observer:
    def observed(seen: Observation) -> None:
        one(seen)
        other(seen)

    return observed


def _status_of(outcome: Outcome) -> tuple[Status, str | None]:
    match outcome:
        case Faulted(error=error):
            return "failed", str(error)
        case Failed(text=text):
            return "failed", text
        case _:
            return "completed", None


def _are_same(some: dict[str, Value], others: dict[str, Value]) -> bool:
    return len(some) == len(others) and all(name in others and others[name] is value for name, value in some.items())


def _has_effects(linked: LinkedModule) -> bool:
    """Whether branches are worth observing: a program that only computes has no story to tell."""
    resources = linked.requirements.resources
    abilities = linked.requirements.abilities
    return bool(resources.module_instances) or abilities.sleep or abilities.processes


async def _never() -> Json:
    raise AssertionError("what is recorded is not computed again")
