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
from typing import TYPE_CHECKING, Protocol, Self, TypedDict

from lash.base.arguments import checked_max_turns, checked_seconds
from lash.base.cancel import CancelToken
from lash.base.canonical import canonical_json_bytes
from lash.base.codec import struct_to_json
from lash.base.errors import InvalidArgument, NotCanonical
from lash.base.ids import is_name
from lash.base.json import JsonObject
from lash.machine.outcome import SubmittedValue
from lash.machine.prompt import PromptContribution, PromptLayer
from lash.models.provider import Provider
from lash.models.resolver import ModelChoice
from lash.models.spec import ModelFacts
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


class TurnChoices(TypedDict, total=False):
    """What may be chosen for one turn. Added in 0.1.

    - `turn_id` makes it idempotent: the same id and input continue or return that turn.
    - `timeout` (seconds) cancels it.
    - `model`, and `provider` to reach it by: a wire's kind or a provider. Alone, `provider` asks the core's model.
    - `max_turns` limits its model calls.
    - `prompt` is its layer of the prompt, and `prompt_contributions` are added to that.
    - `plugin_inputs` are live inputs of plugins.
    - `protocol_turn_options` is JSON for the execution mode, stored with the turn.
    - In RLM mode `submit` is what the turn's value must be, a JSON Schema or a type into which it is decoded;
      or how the turn ends (`lash.protocols.rlm.options`).
    - `retry` drives a stopped turn again under a new id.
    """

    turn_id: str | None
    timeout: float | None
    model: ModelChoice | None
    provider: Provider | str | None
    max_turns: int | None
    prompt: PromptLayer | None
    prompt_contributions: Sequence[PromptContribution]
    plugin_inputs: Sequence[PluginInput]
    protocol_turn_options: JsonObject | None
    submit: object
    retry: bool


class KnowsModels(Protocol):
    """The models of a core, among them those that hosts chose for single turns."""

    def take(
        self, model: ModelChoice | None, provider: Provider | str | None = None
    ) -> tuple[ModelFacts | None, str | None]:
        """What of a choice is stored: the model's facts and the kind of its provider; None where nothing was chosen.

        Raises `InvalidArgument` and `UnknownProvider`.
        """
        ...


class Turn:
    """A turn that has not started. Use one of `run`, `stream`, `stream_to`, `collect`, once."""

    def __init__(
        self,
        actor: SessionActor,
        turn_input: TurnInput,
        models: KnowsModels,
        choices: TurnChoices,
        *,
        has_cells: bool,
    ) -> None:
        if not choices.keys() <= TurnChoices.__annotations__.keys():
            unknown = ", ".join(sorted(choices.keys() - TurnChoices.__annotations__.keys()))
            raise TypeError(f"{unknown}: no choice of a turn; known: {', '.join(TurnChoices.__annotations__)}")
        turn_id = choices.get("turn_id")
        if turn_id is not None and not is_name(turn_id):
            raise InvalidArgument(
                f"turn_id={turn_id!r} is empty or no plain text; leave it out or give the request's own id"
            )
        self._actor = actor
        self._timeout = checked_seconds("timeout", choices.get("timeout"))
        self._shape = _shape_of(choices.get("submit"), has_cells=has_cells)
        self._request = TurnRequest(
            turn_input,
            turn_id,
            _options_of(choices, models, self._shape),
            retry=choices.get("retry", False),
            plugin_inputs=choices.get("plugin_inputs", ()),
        )

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
        self._entered()
        return self._activities()

    async def result(self) -> TurnResult:
        """The result; waits for the end of the turn, activities that nobody reads are dropped."""
        run = self._entered()
        self._abandon()
        return await run

    def _entered(self) -> asyncio.Task[TurnResult]:
        if self._run is None:
            raise InvalidArgument("the stream was not entered; use `async with session.stream(…) as stream`")
        return self._run

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


def given_input(turn_input: str | TurnInput) -> TurnInput:
    """What a host says in a turn. Raises `InvalidArgument`."""
    if isinstance(turn_input, TurnInput):
        return turn_input
    if isinstance(turn_input, str):
        return TurnInput.text(turn_input)
    raise InvalidArgument(f"a turn's input is text or TurnInput, got {type(turn_input).__name__}")


def prompt_json(layer: PromptLayer | None, contributions: Sequence[PromptContribution]) -> JsonObject | None:
    """A layer of the prompt as it is stored; None when it says nothing. Raises `InvalidArgument`."""
    if not isinstance(layer, PromptLayer | None):
        raise InvalidArgument(f"prompt={layer!r}: give a lash.machine.prompt.PromptLayer")
    if not all(isinstance(contribution, PromptContribution) for contribution in contributions):
        raise InvalidArgument("prompt_contributions: give a list of lash.machine.prompt.PromptContribution")
    if layer is None and not contributions:
        return None
    return struct_to_json((layer or PromptLayer()).adding(*contributions))


def _options_of(choices: TurnChoices, models: KnowsModels, shape: SubmitShape | None) -> TurnOptions:
    facts, provider_id = models.take(choices.get("model"), choices.get("provider"))
    given = choices.get("protocol_turn_options") or {}
    try:
        canonical_json_bytes(given)
    except NotCanonical as error:
        raise InvalidArgument(f"protocol_turn_options: {error}") from error
    return TurnOptions(
        model=facts,
        provider_id=provider_id,
        max_turns=checked_max_turns(choices.get("max_turns")),
        prompt=prompt_json(choices.get("prompt"), choices.get("prompt_contributions", ())),
        protocol_turn_options=given if shape is None else {**given, **_said(shape.turn_options())},
    )


def _said(options: JsonObject) -> JsonObject:
    return {name: value for name, value in options.items() if value is not None}


def _shape_of(submit: object, *, has_cells: bool) -> SubmitShape | None:
    if submit is None:
        return None
    if not has_cells:
        raise InvalidArgument("submit= needs a session in RLM mode; use lash.RlmCore")
    from lash.protocols.rlm.submitting import submit_shape  # the language is loaded by those who use it

    return submit_shape(submit)
