"""A session as a host holds it: run turns, queue input, read what is committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from lash.base.codec import to_json
from lash.base.errors import InvalidArgument
from lash.base.ids import is_name
from lash.base.json import JsonObject
from lash.base.messages import Message
from lash.base.usage import UsageReport, report
from lash.machine.prompt import PromptContribution, layer_of
from lash.models.spec import ModelFacts
from lash.runtime.actor import SessionActor
from lash.runtime.input import TurnInput, TurnOptions
from lash.runtime.observation.observer import SessionObserver
from lash.runtime.result import TurnResult
from lash.runtime.view import SessionReadView
from lash.sessions.commit import StoredTurn
from lash.sessions.queue import DeliveryPolicy, QueuedWorkBatch, SlotPolicy
from lash.turn import Turn, TurnStream


class Session:
    """One session of a core. Open it with `async with core.session(id) as session` or `await ….open()`."""

    def __init__(self, actor: SessionActor, choose: Callable[[object], ModelFacts | None]) -> None:
        self._actor = actor
        self._choose = choose

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._actor.session_id

    async def open(self) -> Self:
        """Creates or loads the session. Raises `SessionDeleted`."""
        await self._actor.open()
        return self

    async def close(self) -> None:
        """Lets go of the session; what is running goes on."""

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def turn(
        self,
        turn_input: str | TurnInput,
        *,
        turn_id: str | None = None,
        timeout: float | None = None,
        model: object = None,
        max_turns: int | None = None,
        prompt_contributions: Sequence[PromptContribution] = (),
        retry: bool = False,
    ) -> Turn:
        """A turn to be run, streamed or collected.

        `turn_id` makes it idempotent: the same id and input continue or return that turn.
        `timeout` (seconds) cancels it. `retry` drives a stopped turn again under a new id.
        """
        return Turn(
            self._actor,
            _input(turn_input),
            turn_id=turn_id,
            timeout=timeout,
            options=TurnOptions(
                model=self._choose(model), max_turns=max_turns, prompt=_prompt_json(prompt_contributions)
            ),
            retry=retry,
        )

    async def run(
        self,
        turn_input: str | TurnInput,
        *,
        turn_id: str | None = None,
        timeout: float | None = None,
        model: object = None,
        max_turns: int | None = None,
        prompt_contributions: Sequence[PromptContribution] = (),
        retry: bool = False,
    ) -> TurnResult:
        """Runs a turn and returns it settled. Raises `TurnInputConflict`, `SessionDeleted`, `EffectInDoubt`."""
        turn = self.turn(
            turn_input,
            turn_id=turn_id,
            timeout=timeout,
            model=model,
            max_turns=max_turns,
            prompt_contributions=prompt_contributions,
            retry=retry,
        )
        return await turn.run()

    def stream(
        self,
        turn_input: str | TurnInput,
        *,
        turn_id: str | None = None,
        timeout: float | None = None,
        model: object = None,
        max_turns: int | None = None,
        prompt_contributions: Sequence[PromptContribution] = (),
        retry: bool = False,
    ) -> TurnStream:
        """Runs a turn as a stream of activities."""
        turn = self.turn(
            turn_input,
            turn_id=turn_id,
            timeout=timeout,
            model=model,
            max_turns=max_turns,
            prompt_contributions=prompt_contributions,
            retry=retry,
        )
        return turn.stream()

    async def enqueue(
        self,
        turn_input: str | TurnInput,
        *,
        id: str | None = None,  # noqa: A002 - the public name (api.md)
        delivery_policy: DeliveryPolicy = "after_current_turn_commit",
        slot_policy: SlotPolicy = "exclusive",
        max_turns: int | None = None,
    ) -> QueuedWorkBatch:
        """Stores input for a later turn, durably. The same `id` is the same input, also after it ran."""
        if id is not None and not is_name(id):
            raise InvalidArgument(f"id={id!r} is empty or no plain text; leave it out or give the input's own id")
        outcome = await self._actor.enqueue(
            _input(turn_input),
            source_key=None if id is None else f"host:{id}",
            delivery_policy=delivery_policy,
            slot_policy=slot_policy,
            options=TurnOptions(max_turns=max_turns),
        )
        return outcome.batch

    async def queued_work(self) -> list[QueuedWorkBatch]:
        """Input that waits and can still be cancelled."""
        await self._actor.open()
        return await self._actor.store.list_pending_queued_work(self.session_id)

    async def cancel_queued(self, batch_id: str) -> QueuedWorkBatch | None:
        """Withdraws queued input; None when it is unknown or already running."""
        await self._actor.open()
        return await self._actor.store.cancel_queued_work_batch(self.session_id, batch_id)

    async def cancel(self) -> bool:
        """Cancels the running turn, in this or any other process; False when none runs."""
        return await self._actor.cancel()

    def observe(self, after: str | None = None) -> SessionObserver:
        """What happens in the session, in this and other processes, for as long as it is read.

        ```python
        async for seen in session.observe(after=cursor):
            ...  # an `ObservationEvent`, or a `Gap` with a snapshot to go on from
            cursor = seen.cursor
        ```

        Without a cursor the first item is a `SessionSnapshot`. Any number of observers may read; none
        ever slows a turn. Raises `MalformedCursor` and `CursorOfAnotherSession` at once; while reading
        `SessionDeleted`, and `CoreClosed` when the core is closed.
        """
        return SessionObserver(self._actor, after)

    async def turns(self) -> list[StoredTurn]:
        """Settled turns, in the order they were committed."""
        await self._actor.open()
        return await self._actor.store.list_turns(self.session_id)

    async def refresh(self) -> None:
        """Takes over what other processes have committed to this session."""
        await self._actor.refresh()

    @property
    def messages(self) -> list[Message]:
        """Committed messages of the active path."""
        return self._actor.memory.messages

    @property
    def view(self) -> SessionReadView:
        """What is committed, as of now: messages, frames, the tree of messages."""
        memory = self._actor.memory
        return SessionReadView(
            self.session_id,
            memory.head_revision,
            memory.messages,
            memory.frames,
            memory.frame_id,
            memory.nodes,
            memory.leaf_node_id,
        )

    @property
    def usage(self) -> UsageReport:
        """The committed usage ledger, added up."""
        return report(self._actor.memory.ledger)

    def __repr__(self) -> str:
        return f"Session({self.session_id!r}, revision {self._actor.memory.head_revision})"


def _input(turn_input: str | TurnInput) -> TurnInput:
    if isinstance(turn_input, TurnInput):
        return turn_input
    if isinstance(turn_input, str):
        return TurnInput.text(turn_input)
    raise InvalidArgument(f"a turn's input is text or TurnInput, got {type(turn_input).__name__}")


def _prompt_json(contributions: Sequence[PromptContribution]) -> JsonObject | None:
    if not contributions:
        return None
    layer = to_json(layer_of(contributions))
    assert isinstance(layer, dict)
    return layer
