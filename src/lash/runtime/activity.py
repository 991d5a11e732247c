"""Turn activity: what an application sees of a running turn (docs/spec/runtime.md §10.1).

Activity is live and best effort. What counts is the commit; a sink that fails is
logged and dropped from nothing but its own event.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

import msgspec

from lash.base.json import Json, JsonObject
from lash.base.messages import Message
from lash.base.usage import TokenUsage
from lash.plugins.directives import RuntimeEvent
from lash.tools.result import ToolCallOutput

logger = logging.getLogger("lash.activity")


class ModelRequestStarted(msgspec.Struct, frozen=True, tag="model_request_started", tag_field="type"):
    """A model call starts."""

    protocol_iteration: int


class AssistantProseDelta(msgspec.Struct, frozen=True, tag="assistant_prose_delta", tag_field="type"):
    """A piece of visible text."""

    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, tag="reasoning_delta", tag_field="type"):
    """A piece of reasoning."""

    text: str


class ModelAttemptReset(msgspec.Struct, frozen=True, tag="model_attempt_reset", tag_field="type"):
    """Text told under these correlation ids is void: the model call starts again."""

    correlation_ids: list[str]


class RetryStatus(msgspec.Struct, frozen=True, tag="retry_status", tag_field="type"):
    """A model call waits before another attempt."""

    wait_seconds: float
    attempt: int
    max_attempts: int
    reason: str


class ToolCallStarted(msgspec.Struct, frozen=True, tag="tool_call_started", tag_field="type"):
    """A tool call starts."""

    call_id: str
    name: str
    args: JsonObject


class ToolCallProgress(msgspec.Struct, frozen=True, tag="tool_call_progress", tag_field="type"):
    """What a running tool says of itself."""

    call_id: str
    name: str
    text: str


class ToolCallCompleted(msgspec.Struct, frozen=True, tag="tool_call_completed", tag_field="type"):
    """A tool call is done. `replayed`: its outcome was recorded by an earlier drive."""

    call_id: str
    name: str
    args: JsonObject
    output: ToolCallOutput
    duration_ms: int
    replayed: bool = False


class CodeBlockStarted(msgspec.Struct, frozen=True, tag="code_block_started", tag_field="type"):
    """A cell starts. `graph_key` names its execution."""

    language: str
    code: str
    graph_key: str


class CodeBlockCompleted(msgspec.Struct, frozen=True, tag="code_block_completed", tag_field="type"):
    """A cell is done: what it printed, or why it failed."""

    language: str
    output: list[str]
    error: str | None
    success: bool
    duration_ms: int
    tool_call_ids: list[str]
    graph_key: str


class ApprovalRequested(msgspec.Struct, frozen=True, tag="approval_requested", tag_field="type"):
    """A call waits for a person's word: `core.approvals.approve(approval_id)` or `deny`. Also told when it resumes."""

    approval_id: str
    call_id: str
    name: str
    args: JsonObject
    deadline_ms: int | None = None


class ApprovalResolved(msgspec.Struct, frozen=True, tag="approval_resolved", tag_field="type"):
    """The word was given, or its deadline passed, or the turn was cancelled."""

    approval_id: str
    call_id: str
    name: str
    approved: bool
    reason: str | None = None


class ToolCallPending(msgspec.Struct, frozen=True, tag="tool_call_pending", tag_field="type"):
    """A tool handed its call to somebody outside; the turn waits until it is completed."""

    wait_id: str
    call_id: str
    name: str
    deadline_ms: int | None = None


class SubmittedValueActivity(msgspec.Struct, frozen=True, tag="submitted_value", tag_field="type"):
    """A program submitted a value."""

    value: Json


class ToolValueActivity(msgspec.Struct, frozen=True, tag="tool_value", tag_field="type"):
    """A tool ended the turn with a value."""

    tool_name: str
    value: Json


class Usage(msgspec.Struct, frozen=True, tag="usage", tag_field="type"):
    """What a model call used, and the turn so far."""

    protocol_iteration: int
    usage: TokenUsage
    cumulative: TokenUsage


class PluginRuntime(msgspec.Struct, frozen=True, tag="plugin_runtime", tag_field="type"):
    """A plugin says something."""

    plugin_id: str
    event: RuntimeEvent


class QueuedWorkStarted(msgspec.Struct, frozen=True, tag="queued_work_started", tag_field="type"):
    """The turn was started by queued work."""

    boundary: str
    batch_ids: list[str]


class QueuedInputAccepted(msgspec.Struct, frozen=True, tag="queued_input_accepted", tag_field="type"):
    """Input that arrived while the turn ran is now part of it."""

    checkpoint: str
    messages: list[Message]


class Error(msgspec.Struct, frozen=True, tag="error", tag_field="type"):
    """Something went wrong; the turn's result will show it."""

    message: str


TurnEvent: TypeAlias = (
    ModelRequestStarted
    | AssistantProseDelta
    | ReasoningDelta
    | ModelAttemptReset
    | RetryStatus
    | ToolCallStarted
    | ToolCallProgress
    | ApprovalRequested
    | ApprovalResolved
    | ToolCallPending
    | ToolCallCompleted
    | CodeBlockStarted
    | CodeBlockCompleted
    | SubmittedValueActivity
    | ToolValueActivity
    | Usage
    | PluginRuntime
    | QueuedWorkStarted
    | QueuedInputAccepted
    | Error
)


class TurnActivity(msgspec.Struct, frozen=True):
    """One item. Deltas of one block, and the start and end of one call, share a correlation id."""

    id: str
    correlation_id: str
    event: TurnEvent


Sink: TypeAlias = Callable[[TurnActivity], Awaitable[None] | None]


class ActivityFanout:
    """A sink that tells several others, in order. One that fails loses only its own item."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)

    async def __call__(self, activity: TurnActivity) -> None:
        for sink in self._sinks:
            try:
                pending = sink(activity)
                if inspect.isawaitable(pending):
                    await pending
            except Exception:
                logger.exception("an activity sink failed on %s", type(activity.event).__name__)


class Listener(Protocol):
    """Whoever observes the session beside the sinks of its turn. Never waits, never fails."""

    @property
    def is_wanted(self) -> bool:
        """Whether anybody would read it."""
        ...

    @property
    def epoch(self) -> str:
        """Changes whenever it was not wanted in between."""
        ...

    def hear(self, activity: TurnActivity) -> None:
        """Takes one activity of the running turn."""
        ...

    def make_whole(self, correlation_id: str, text: str) -> None:
        """Takes the whole of a text whose beginning it did not hear."""
        ...


class ActivityStream:
    """Fans the activities of one turn out to its sinks, in order, and to the session's listener.

    An async sink is awaited before the next activity of the same turn is told, so a
    slow one holds the turn's telling back, never another turn.
    """

    def __init__(self, turn_id: str, sinks: list[Sink], listener: Listener | None = None) -> None:
        self.turn_id = turn_id
        self._sinks = sinks
        self._listener = listener
        self._spoken: set[str] = set()  # correlation ids under which text was told
        self._count = 0
        self._tail: asyncio.Task[None] | None = None

    @property
    def is_watched(self) -> bool:
        """Whether anybody listens."""
        return bool(self._sinks) or (self._listener is not None and self._listener.is_wanted)

    @property
    def hearing(self) -> str:
        """Who listens beside the sinks, as far as that matters: a name that is another after a pause."""
        return self._listener.epoch if self._listener is not None and self._listener.is_wanted else ""

    def tell(self, correlation_id: str, event: TurnEvent) -> None:
        """Tells every sink; async ones are awaited in the background, in order (see `settled`)."""
        listener = self._listener if self._listener is not None and self._listener.is_wanted else None
        if not self._sinks and listener is None:
            return
        self._count += 1
        activity = TurnActivity(f"{self.turn_id}:{self._count}", correlation_id, event)
        if isinstance(event, AssistantProseDelta | ReasoningDelta):
            self._spoken.add(correlation_id)
        if listener is not None:
            listener.hear(activity)
        for sink in self._sinks:
            try:
                pending = sink(activity)
            except Exception:
                logger.exception("an activity sink failed on %s", type(event).__name__)
                continue
            if inspect.isawaitable(pending):
                self._tail = asyncio.ensure_future(_after(self._tail, pending))

    def make_whole(self, correlation_id: str, text: str) -> None:
        """Says all of a streamed text to a listener that came in its middle."""
        if self._listener is not None and self._listener.is_wanted:
            self._listener.make_whole(correlation_id, text)

    def restart(self) -> None:
        """The turn is driven again from its start: what was told so far is void."""
        if self._spoken:
            spoken, self._spoken = sorted(self._spoken), set()
            self.tell("turn", ModelAttemptReset(spoken))

    async def settled(self) -> None:
        """Returns when async sinks have taken what was told so far; this is the back-pressure."""
        if self._tail is not None:
            await asyncio.wait([self._tail])


async def _after(previous: asyncio.Task[None] | None, pending: Awaitable[None]) -> None:
    if previous is not None and not previous.done():
        await asyncio.wait([previous])
    try:
        await pending
    except Exception:
        logger.exception("an activity sink failed")
