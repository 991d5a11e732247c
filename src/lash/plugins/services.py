"""What the runtime lends to hooks of a turn: the session's state, its children, its graph, processes, questions.

Whatever changes something is an effect of the turn: recorded under the hook that asked for it, so that a
hook which runs again after a crash gets the answer it got, and nothing happens twice. What only
reads is not recorded. The same thing asked for twice by one hook is two things, told apart by their order
(docs/spec/runtime.md §7.4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol, TypeAlias

import msgspec

from lash.base.json import Json, JsonObject
from lash.base.messages import Message
from lash.base.usage import TokenUsage
from lash.plugins.directives import CreateSession
from lash.plugins.errors import PluginSessionError
from lash.processes.handles import ProcessHandleSummary
from lash.processes.inputs import ProcessInput
from lash.tools.context import DirectCompletions
from lash.tools.definition import Availability, ToolManifest
from lash.tools.state import ToolState

# values


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is committed of a session: its messages in order, and the node that the next turn continues."""

    session_id: str
    head_revision: int
    frame_id: str
    leaf_node_id: str | None
    messages: Sequence[Message]


class PluginRecord(msgspec.Struct, frozen=True):
    """A node of a plugin's own in the graph: stored with the conversation, shown to no model."""

    payload: Json = None


class Appended(msgspec.Struct, frozen=True, tag="appended", tag_field="type"):
    """The nodes are part of the session; those of its own turn with the turn's commit."""

    node_ids: list[str]
    leaf_node_id: str | None


class StaleBranch(msgspec.Struct, frozen=True, tag="stale_branch", tag_field="type"):
    """The required ancestor is not on the active path: nothing was appended."""

    current_leaf_node_id: str | None = None


AppendOutcome: TypeAlias = Appended | StaleBranch


class ChildTurn(msgspec.Struct, frozen=True):
    """A settled turn of a child session. `outcome` is its name, as `lash.machine.outcome` says it."""

    session_id: str
    turn_id: str
    outcome: str
    is_ok: bool
    text: str = ""
    value: Json = None
    usage: TokenUsage = TokenUsage()


# ports


class StateService(Protocol):
    """The session and its tools, as they stand."""

    def session(self) -> SessionFacts:
        """What is committed; the turn that runs is not part of it yet."""
        ...

    def tools(self) -> Sequence[ToolManifest]:
        """The tools of this turn."""
        ...

    def tool_state(self) -> ToolState:
        """The stored state of the session's tools, by tool id."""
        ...

    async def set_availability(self, tool: str, availability: Availability | None) -> None:
        """Turns a tool `off` or `callable` from the next turn on, durably; None takes it back.

        Raises `UnknownTool`.
        """
        ...


class LifecycleService(Protocol):
    """Child sessions of this one."""

    async def create_session(self, request: CreateSession) -> str:
        """Makes a child session, once, and returns its id. Raises `PluginSessionError`."""
        ...

    async def start_turn(self, session_id: str, text: str) -> str:
        """Accepts a turn of a child durably and returns its id; it runs beside this one.

        Raises `PluginSessionError` for a session that is no child of this one.
        """
        ...

    async def run_turn(self, session_id: str, text: str) -> ChildTurn:
        """The same, and waits until it is settled. A cancel of this turn cancels it."""
        ...

    async def close_session(self, session_id: str) -> None:
        """Lets a child go from memory once nothing of it runs here; what is stored stays."""
        ...


class GraphService(Protocol):
    """The graph of this session and of its children, and the trace."""

    async def append(
        self,
        nodes: Sequence[Message | PluginRecord],
        *,
        session_id: str | None = None,
        required_ancestor: str | None = None,
    ) -> AppendOutcome:
        """Appends nodes behind the leaf, once: to this session with the commit of this turn, to a child at once.

        With `required_ancestor`, a node's id, only while that node is on the active path. Raises
        `PluginSessionError` for messages that would leave a tool call without its result.
        """
        ...

    def emit_trace(self, name: str, payload: Json = None, context: JsonObject | None = None) -> None:
        """A record `plugin.{id}.{name}` in the trace, where there is one."""
        ...


class ProcessService(Protocol):
    """Background processes of this session."""

    async def start(
        self,
        what: str | ProcessInput,
        *,
        args: Mapping[str, Json] | None = None,
        id: str | None = None,  # noqa: A002 - as `session.processes.start`
        wake: bool = True,
    ) -> str:
        """Starts a tool of the core, by its name, or a stored input; returns the id. Its end wakes the session."""
        ...

    async def result(self, process_id: str) -> Json:
        """What a process came to; waits for its end. Raises `ProcessFailed`."""
        ...

    async def signal(self, process_id: str, name: str, payload: Json = None) -> int:
        """Sends a signal, once; which one of its name it is, from 1."""
        ...

    async def cancel(self, process_id: str, reason: str | None = None) -> None:
        """Asks a process to stop; one that has ended stays as it is."""
        ...

    async def list(self) -> list[ProcessHandleSummary]:
        """The processes that the session sees and that have not ended."""
        ...


class HookServices(Protocol):
    """What one hook may use, within one call of it. Added in 0.1."""

    @property
    def state(self) -> StateService:
        """The session and its tools."""
        ...

    @property
    def lifecycle(self) -> LifecycleService:
        """Child sessions."""
        ...

    @property
    def graph(self) -> GraphService:
        """Nodes and the trace."""
        ...

    @property
    def processes(self) -> ProcessService:
        """Background processes."""
        ...

    @property
    def direct_completions(self) -> DirectCompletions:
        """Questions to a model; their usage is charged once, with the commit of the turn."""
        ...


class NoServices:
    """In place of services, where a hook belongs to no turn: in a process, or in a test that calls it."""

    @property
    def state(self) -> StateService:
        """Raises `PluginSessionError`; so do the others."""
        return self._refuse("state")

    @property
    def lifecycle(self) -> LifecycleService:
        """See `state`."""
        return self._refuse("lifecycle")

    @property
    def graph(self) -> GraphService:
        """See `state`."""
        return self._refuse("graph")

    @property
    def processes(self) -> ProcessService:
        """See `state`."""
        return self._refuse("processes")

    @property
    def direct_completions(self) -> DirectCompletions:
        """See `state`."""
        return self._refuse("direct_completions")

    def _refuse(self, service: str) -> NoReturn:
        raise PluginSessionError(f"services.{service} belongs to hooks of a turn, and this hook runs outside of one")


NO_SERVICES: HookServices = NoServices()
# The services of one hook, by the id of its plugin.
Lend: TypeAlias = Callable[[str], HookServices]
