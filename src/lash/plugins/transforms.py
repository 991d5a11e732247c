"""What plugins may change on the way: the context of a turn, its output, the tools, the configuration.

Everything here runs inside a recorded effect or between turns, never on replay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from lash.base.messages import Message
from lash.base.usage import PromptUsage
from lash.machine.llm import LlmResponse
from lash.machine.prompt import PromptContribution
from lash.plugins.directives import RuntimeEvent
from lash.sessions.frames import SessionPolicy
from lash.tools.catalog import ToolKeywords
from lash.tools.definition import Availability

# context


@dataclass(frozen=True, slots=True)
class TurnContext:
    """Before the first model call: what the model would be shown.

    `messages` is history as earlier transforms left it, `input` what this turn adds.
    """

    session_id: str
    turn_id: str
    messages: Sequence[Message]
    input: Sequence[Message]
    context_window_tokens: int | None
    last_prompt_usage: PromptUsage | None


@dataclass(frozen=True, slots=True)
class PreparedContext:
    """What the model is shown in place of it, for this turn only; history itself stays.

    `tool_sources` are names of `registrar.context.tool_source`: their tools join those of the session, or
    stand in their place where `include_base_tools` is False.
    """

    messages: Sequence[Message]
    prompt_contributions: Sequence[PromptContribution] = ()
    tool_sources: Sequence[str] = ()
    include_base_tools: bool = True


class Completing(Protocol):
    """Asks the session's model once, outside of any turn; its usage is booked under `source`."""

    def __call__(self, messages: Sequence[Message], *, system: str = "", source: str = "compaction") -> Awaitable[str]:
        """The text of the answer. Raises `PluginSessionError` when the model does not answer."""
        ...


@dataclass(frozen=True, slots=True)
class CompactContext:
    """`session.compact()` asks what a new frame shall begin with."""

    session_id: str
    frame_id: str
    messages: Sequence[Message]
    instructions: str | None
    complete: Completing


# output


@dataclass(frozen=True, slots=True)
class StreamChunk:
    """A piece of visible text that is about to be told. `so_far` is what was told of this answer."""

    session_id: str
    turn_id: str
    text: str
    so_far: str


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """What is told instead. `abort_stream` ends the model call; what was told is the answer."""

    text: str
    reasoning: str = ""
    events: Sequence[RuntimeEvent] = ()
    abort_stream: bool = False


@dataclass(frozen=True, slots=True)
class ResponseContext:
    """A final answer of the model, before it is recorded."""

    session_id: str
    turn_id: str
    iteration: int
    response: LlmResponse


# tools and configuration


@dataclass(frozen=True, slots=True)
class CatalogContext:
    """The tools of a session are put together for a turn."""

    session_id: str
    tool_names: Sequence[str]


@dataclass(frozen=True, slots=True)
class CatalogContribution:
    """Availability and notes by tool name or id. Availability only takes away: `off` wins."""

    availability: Mapping[str, Availability] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShownTools:
    """Before each model call: the tools that it would be shown."""

    session_id: str
    turn_id: str
    tool_names: Sequence[str]


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """`session.configure` asks: the policy as it was, and as it shall be."""

    session_id: str
    before: SessionPolicy
    after: SessionPolicy


# Hooks may be async, except where a stream cannot wait for them.
ContextTransform: TypeAlias = Callable[[TurnContext], object]  # PreparedContext or None
Compactor: TypeAlias = Callable[[CompactContext], object]  # messages or None
StreamHook: TypeAlias = Callable[[StreamChunk], StreamAnswer | str | None]
ResponseHook: TypeAlias = Callable[[ResponseContext], object]  # LlmResponse, text, EmitRuntimeEvents or None
CatalogHook: TypeAlias = Callable[[CatalogContext], CatalogContribution | None]
# Names of tools that are not shown, and may be called all the same.
ConcealHook: TypeAlias = Callable[[ShownTools], Collection[str]]
# What tools are found under, by name or id.
DiscoveryHook: TypeAlias = Callable[[CatalogContext], Mapping[str, ToolKeywords] | None]
ConfigMutator: TypeAlias = Callable[[ConfigChange], object]  # SessionPolicy or None
