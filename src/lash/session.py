"""A session as a host holds it: run turns, queue input, read what is committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, Unpack

from lash.base.arguments import check_one_of, checked_max_turns
from lash.base.errors import InvalidArgument
from lash.base.ids import is_name
from lash.base.json import Json
from lash.base.messages import Message
from lash.base.usage import UsageReport, report
from lash.machine.prompt import PromptContribution
from lash.models.provider import Provider
from lash.models.resolver import ModelChoice
from lash.runtime.actor import SessionActor
from lash.runtime.amend import amend_session
from lash.runtime.approvals import Approval
from lash.runtime.background import Background
from lash.runtime.commands import RefreshToolCatalog, ResetSession, SessionCommandReceipt
from lash.runtime.control import SessionControl, SessionPlugins, SessionToolsHandle
from lash.runtime.export import ExportFormat, export_session
from lash.runtime.input import TurnInput, TurnOptions
from lash.runtime.observation.observer import SessionObserver
from lash.runtime.read_view import SessionReadView
from lash.runtime.result import TurnResult
from lash.runtime.session_processes import SessionProcesses
from lash.runtime.session_triggers import SessionTriggers
from lash.sessions.commit import SessionState, StoredTurn
from lash.sessions.frames import SessionPolicy
from lash.sessions.queue import DeliveryPolicy, QueuedWorkBatch, SlotPolicy
from lash.turn import KnowsModels, Turn, TurnChoices, TurnStream, given_input, prompt_json

if TYPE_CHECKING:
    from lash.protocols.rlm.graph import ExecutionGraph


@dataclass(frozen=True, slots=True)
class SessionHome:
    """What a session asks of its core: to know a model, to open a session, to forget one."""

    models: KnowsModels
    session: Callable[[str], Session]
    forget: Callable[[str], None]
    background: Callable[[], Background]
    has_cells: bool = False


@dataclass(frozen=True, slots=True)
class ParkedSession:
    """A session that nobody holds in memory: its id is all there is of it."""

    session_id: str

    async def resume(self, core: _Core) -> Session:
        """Opens it again, in this or another core over the same store."""
        return await core.session(self.session_id).open()


class _Core(Protocol):
    def session(self, session_id: str) -> Session: ...


class Session:
    """One session of a core. Open it with `async with core.session(id) as session` or `await ….open()`."""

    def __init__(self, actor: SessionActor, home: SessionHome) -> None:
        self._actor = actor
        self._home = home
        self._control = SessionControl(actor)

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._actor.session_id

    async def open(self) -> Self:
        """Creates or loads the session. Raises `SessionDeleted`."""
        await self._actor.running()
        return self

    async def open_fresh(self) -> Self:
        """Opens the session with nothing said. What it held is dropped, once its turn in flight is settled.

        Its ledger stays, and so do its turn ids: each stands for the turn that was run under it.
        """
        await self._actor.open_fresh()
        return self

    async def open_with_state(self, state: SessionState) -> Self:
        """Opens the session with this state in place of what it held.

        `lash.runtime.export.read_export` makes one of what `export("json")` gave.

        Raises `UnsafeBranchPoint` when its conversation has tool calls without a result.
        """
        if not isinstance(state, SessionState):
            raise InvalidArgument(f"a state is a lash.SessionState, got {type(state).__name__}; read_export makes one")
        await self._actor.open_with_state(state)
        return self

    async def close(self) -> None:
        """Lets go of the session; what is running goes on."""

    async def park(self) -> ParkedSession:
        """Waits until nothing of the session runs here, and drops it from memory.

        Everything is committed already, so all that is kept is its id.
        """
        await self._actor.idle()
        self._home.forget(self.session_id)
        return ParkedSession(self.session_id)

    async def fork(self, new_id: str, *, at: str | None = None) -> Session:
        """A new session that begins as this one stands committed, or stood `at` a node (a message's id).

        The same fork asked for again is the same session. From an earlier node the fork keeps the tools' and
        plugins' state and none of the variables of the execution mode. Its ledger begins empty. Raises
        `SessionExists`, `UnknownNode`, `UnsafeBranchPoint` (a tool call would stay without its result).
        """
        if not is_name(new_id):
            raise InvalidArgument(f"session id {new_id!r} is empty or no plain text; choose another")
        await self._actor.fork(new_id, at)
        return await self._home.session(new_id).open()

    async def branch(self, to: str) -> None:
        """Goes on from another node of this session (a message's id); what came after it stays stored beside.

        Raises `UnknownNode` and `UnsafeBranchPoint`.
        """
        await self._actor.branch(to)

    async def export(self, format: ExportFormat = "markdown") -> str:  # noqa: A002 - the public name
        """What is committed as a document: `markdown` and `html` to be read, `json` to be opened again."""
        await self._actor.open()
        return await export_session(self._actor.store, self.session_id, format)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def turn(self, turn_input: str | TurnInput, **choices: Unpack[TurnChoices]) -> Turn:
        """A turn to be run, streamed or collected; `TurnChoices` says what may be chosen for it."""
        return Turn(self._actor, given_input(turn_input), self._home.models, choices, has_cells=self._home.has_cells)

    async def run(self, turn_input: str | TurnInput, **choices: Unpack[TurnChoices]) -> TurnResult:
        """Runs a turn and returns it settled. Raises `TurnInputConflict`, `SessionDeleted`, `EffectInDoubt`."""
        return await self.turn(turn_input, **choices).run()

    def stream(self, turn_input: str | TurnInput, **choices: Unpack[TurnChoices]) -> TurnStream:
        """Runs a turn as a stream of activities."""
        return self.turn(turn_input, **choices).stream()

    async def enqueue(
        self,
        turn_input: str | TurnInput,
        *,
        id: str | None = None,  # noqa: A002 - the public name (api.md)
        delivery_policy: DeliveryPolicy = "after_current_turn_commit",
        slot_policy: SlotPolicy = "exclusive",
        max_turns: int | None = None,
    ) -> QueuedWorkBatch:
        """Stores input for a later turn, durably. The same `id` is the same input, also after it ran.

        With `earliest_safe_boundary` the running turn takes it in, unless input that may not be waits in
        front of it: nothing overtakes.
        """
        if id is not None and not is_name(id):
            raise InvalidArgument(f"id={id!r} is empty or no plain text; leave it out or give the input's own id")
        check_one_of("delivery_policy", delivery_policy, DeliveryPolicy)
        check_one_of("slot_policy", slot_policy, SlotPolicy)
        outcome = await self._actor.enqueue(
            given_input(turn_input),
            source_key=None if id is None else f"host:{id}",
            delivery_policy=delivery_policy,
            slot_policy=slot_policy,
            options=TurnOptions(max_turns=checked_max_turns(max_turns)),
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

    async def edit_queued(self, batch_id: str, turn_input: str | TurnInput) -> QueuedWorkBatch:
        """Puts other input in the place of one that waits; its id, place and key stay.

        Raises `QueuedInputTaken` when a turn has taken it or it is gone: then nothing is changed.
        """
        return await self._actor.edit_queued(batch_id, given_input(turn_input))

    @property
    def commands(self) -> SessionCommands:
        """Maintenance that waits its turn in the queue: refresh the tools, reset the session."""
        return SessionCommands(self._actor)

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

    async def pending_approvals(self) -> list[Approval]:
        """Tool calls of this session that wait for a person's word: `core.approvals` gives it."""
        return await self._actor.pending_approvals()

    @property
    def processes(self) -> SessionProcesses:
        """Background processes of this session (docs/how-to/background-jobs.md)."""
        return self._home.background().processes_of(self.session_id, self._actor.running)

    @property
    def triggers(self) -> SessionTriggers:
        """What starts processes in the name of this session; it goes when the session is deleted."""
        return self._home.background().triggers_of(self.session_id)

    async def turns(self) -> list[StoredTurn]:
        """Settled turns, in the order they were committed."""
        await self._actor.open()
        return await self._actor.store.list_turns(self.session_id)

    async def configure(
        self,
        *,
        model: ModelChoice | None = None,
        provider: Provider | str | None = None,
        max_turns: int | None = None,
        prompt_contributions: Sequence[PromptContribution] = (),
    ) -> None:
        """Changes how the session runs from its next turn on; waits for the one that runs.

        Plugins may change it further (`config_mutator`) and are told of it. The prompt
        and the limit are stored; the model holds while the core is open, because at the
        next open the host's own choice wins.
        """
        facts, provider_id = self._home.models.take(model, provider)
        await self._control.configure(
            SessionPolicy(
                provider_id=provider_id,
                model=facts,
                max_turns=checked_max_turns(max_turns),
                prompt=prompt_json(None, prompt_contributions),
            )
        )

    async def compact(self, instructions: str | None = None) -> bool:
        """Goes on in a new frame that begins with what a compactor makes of the conversation.

        Waits for the turn that runs. False when no plugin compacts, or none has anything
        to say. The old frame stays stored. Raises `PluginError`; then nothing changed.
        """
        return await self._control.compact(instructions)

    @property
    def plugins(self) -> SessionPlugins:
        """Actions of the session's plugins."""
        return SessionPlugins(self._control)

    @property
    def tools(self) -> SessionToolsHandle:
        """The session's tools: what is callable, overrides, sources added at run time."""
        return SessionToolsHandle(self._control)

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

    @property
    def globals(self) -> dict[str, Json]:
        """The committed variables of the current frame, as JSON; only sessions in RLM mode have any."""
        from lash.protocols.rlm.variables import committed_variables

        return committed_variables(self._actor.memory)

    async def seed(self, **variables: Json) -> None:
        """Variables for the programs of an RLM session; what a program has set already stays as it is.

        Waits for the turn that runs. Raises `InvalidArgument` for a name that the host has bound.
        """
        if not self._home.has_cells:
            raise InvalidArgument("seeds are variables of programs; use lash.RlmCore")
        from lash.protocols.rlm.executor import RlmExecutor
        from lash.protocols.rlm.variables import seeding

        drives = await self._actor.running()
        executor = drives.plugins.protocol.executor
        reserved = executor.reserved if isinstance(executor, RlmExecutor) else frozenset[str]()
        await amend_session(drives, seeding(variables, reserved, self._actor.memory, self._actor.now_ms()))

    async def execution_graph(self, turn_id: str) -> ExecutionGraph:
        """What the cells of a settled turn could do, and what of it they did. Raises `InvalidArgument`."""
        from lash.protocols.rlm.graph import execution_graph

        drives = await self._actor.running()
        return await execution_graph(drives, turn_id)

    def __repr__(self) -> str:
        return f"Session({self.session_id!r}, revision {self._actor.memory.head_revision})"


class SessionCommands:
    """Commands of one session. Each is accepted durably and applied once, between two turns."""

    def __init__(self, actor: SessionActor) -> None:
        self._actor = actor

    async def refresh_tool_catalog(self, reason: str, *, key: str | None = None) -> SessionCommandReceipt:
        """Asks the tool sources again what they offer. The same `key` is the same command."""
        return await self._actor.command(RefreshToolCatalog(reason), _command_key(key))

    async def reset(self, reason: str, *, key: str | None = None) -> SessionCommandReceipt:
        """Begins the session again with nothing said; turn ids and ledger stay. The same `key` is the same command."""
        return await self._actor.command(ResetSession(reason), _command_key(key))

    async def applied(self, receipt: SessionCommandReceipt) -> None:
        """Returns when the command was applied (or cancelled), and takes over what came of it."""
        await self._actor.until_settled(receipt.batch_id)


def _command_key(key: str | None) -> str | None:
    if key is not None and not is_name(key):
        raise InvalidArgument(f"key={key!r} is empty or no plain text; leave it out or give the command's own key")
    return key
