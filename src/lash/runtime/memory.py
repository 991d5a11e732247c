"""A session in memory: what is committed, ready for the next turn.

Everything here can be rebuilt from the store at any time. It is kept so that the
price of a turn does not depend on how many came before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from lash.base.canonical import sha256_hex
from lash.base.messages import Message
from lash.base.usage import LedgerEntry, merge_ledger
from lash.machine.history import History
from lash.plugins.services import SessionFacts
from lash.plugins.snapshots import SessionSnapshot
from lash.runtime.input import TurnOptions
from lash.runtime.residency import Residency, Resident, load_resident
from lash.sessions.checkpoint import EXECUTION_STATE, Checkpoint, Component
from lash.sessions.commit import CommitResult, RuntimeCommit, delta_nodes, ledger_of
from lash.sessions.frames import INITIAL_FRAME, AgentFrame, FrameAssignment, SessionPolicy
from lash.sessions.graph import Conversation, GraphReplace, GraphUnchanged, ProtocolEvent, SessionNode
from lash.sessions.store import PersistedSession, SessionStore
from lash.tools.state import NO_TOOL_STATE


class HistoryListener(Protocol):
    """Is told at once when the memory takes something over."""

    def __call__(self, appended: Sequence[Message] | None, turn_id: str | None) -> None:
        """`appended` to the active path (None: it is another path), by a turn of this core if it has an id."""
        ...


def _unheard(appended: Sequence[Message] | None, turn_id: str | None) -> None:
    pass


class SessionMemory:
    """The committed state of one session."""

    def __init__(
        self, session_id: str, policy: SessionPolicy, created_at_ms: int, residency: Residency = "keep_all"
    ) -> None:
        self.session_id = session_id
        self.policy = policy
        self._given = policy
        # What `session.configure` decided while this core is open.
        self.configured: SessionPolicy | None = None
        # The provider that it chose, as turns name theirs.
        self.configured_provider: str | None = None
        self._residency: Residency = residency
        self.head_revision = 0
        self.frames: list[AgentFrame] = [AgentFrame(INITIAL_FRAME, session_id, created_at_ms=created_at_ms)]
        self.frame_id = INITIAL_FRAME
        self.leaf_node_id: str | None = None
        # Every node that is kept (residency), in the order it was stored.
        self.nodes: list[SessionNode] = []
        self.checkpoint = Checkpoint()
        self.tool_state = NO_TOOL_STATE
        self.plugin_snapshot = SessionSnapshot()
        # What the execution mode stores of the current frame, and its own records there.
        self.execution_state: bytes | None = None
        self.records: list[ProtocolEvent] = []
        # With what children have spent, as of the last look at the store.
        self.ledger: list[LedgerEntry] = []
        # The parent, its parent, and so on: what is spent here is booked there too.
        self.ancestors: list[str] = []
        self._booking = asyncio.Lock()
        self.history = History()
        self.on_change: HistoryListener = _unheard
        self._messages: list[Message] = []

    @property
    def turn_index(self) -> int:
        """The index of the last committed turn."""
        return self.checkpoint.turn_state.turn_index

    @property
    def assignment(self) -> FrameAssignment:
        """What the current frame runs with."""
        return next(frame for frame in self.frames if frame.frame_id == self.frame_id).assignment

    @property
    def facts(self) -> SessionFacts:
        """The same for plugins."""
        return SessionFacts(self.session_id, self.head_revision, self.frame_id, self.leaf_node_id, self.messages)

    @property
    def messages(self) -> list[Message]:
        """Every committed message of the active path, in all frames."""
        return list(self._messages)

    def configure(self, given: SessionPolicy) -> None:
        """What the host says now; it holds from the next turn on. What it leaves open stays as it was."""
        if self.configured is not None:
            given = msgspec.structs.replace(given, provider_id=self.configured.provider_id, model=self.configured.model)
        self._given = _over(given, self._given)
        self.policy = _over(given, self.policy)

    def reconfigure(self, policy: SessionPolicy, provider_id: str | None) -> None:
        """The committed outcome of `session.configure`: what the host says from now on."""
        self._given = self.policy = self.configured = policy
        self.configured_provider = provider_id

    def as_configured(self, options: TurnOptions) -> TurnOptions:
        """A turn's options with the model that `session.configure` chose, where the turn itself chose none."""
        if options.model is not None or self.configured is None:
            return options
        return msgspec.structs.replace(options, model=self.configured.model, provider_id=self.configured_provider)

    async def refresh(self, store: SessionStore) -> bool:
        """Reads the stored head, if there is one and it is another than ours; whether anything is stored."""
        if self.leaf_node_id is not None:
            since = await store.load_since(self.leaf_node_id, self.head_revision)
            if since is not None and self._goes_on(since):
                return True
        resident = await load_resident(store, self._residency)
        if resident is None:
            return False
        if resident.stored.head_revision != self.head_revision:
            self.load(resident)
        else:
            self.ledger = merge_ledger(resident.stored.token_ledger)
        return True

    async def book(self, store: SessionStore) -> None:
        """A child has spent something: takes the ledger over from the store."""
        async with self._booking:  # an older look must not come after a newer one
            while True:
                before = self.head_revision
                ledger = await store.load_ledger()
                if before == self.head_revision:  # else a commit of this session was counted while we looked
                    self.ledger = merge_ledger(ledger)
                    return

    def load(self, resident: Resident) -> None:
        """Takes over what the store holds. What the host said when it opened the session wins."""
        stored, path = resident.stored, resident.path
        old_leaf, old_count = self.leaf_node_id, len(self._messages)
        self._take_head(stored)
        self.nodes = list(stored.graph.nodes)
        self._messages = _messages(path)
        in_frame = [node for node in path if self._is_in_frame(node)]
        self.history = History(_messages(in_frame))
        self.records = _records(in_frame)
        self.on_change(_appended(path, old_leaf, old_count), None)

    def _goes_on(self, since: PersistedSession) -> bool:
        """Takes over what others have added; False when a frame is taken up again that was left before."""
        if since.head_revision == self.head_revision:
            self.ledger = merge_ledger(since.token_ledger)
            return True
        frame_id = since.current_agent_frame_id
        is_switched = frame_id != self.frame_id
        if is_switched and any(frame.frame_id == frame_id for frame in self.frames):
            return False
        self._take_head(since)
        self._add(since.graph.nodes, is_switched=is_switched)
        self.on_change(_messages(since.graph.nodes), None)
        return True

    def _take_head(self, stored: PersistedSession) -> None:
        self.head_revision = stored.head_revision
        self.policy = _over(self._given, stored.policy)
        # Older frames keep naming what they stored; their bytes stay in the store.
        self.frames = [_named(frame) for frame in stored.agent_frames]
        self.frame_id = stored.current_agent_frame_id
        self.leaf_node_id = stored.graph.leaf_node_id
        self.checkpoint = _referenced(stored.checkpoint)
        self.tool_state = stored.checkpoint.tool_state or NO_TOOL_STATE
        self.plugin_snapshot = _snapshot(stored.checkpoint, {}) or SessionSnapshot()
        self.execution_state = stored.checkpoint.execution_state
        self.ledger = merge_ledger(stored.token_ledger)

    def _add(self, nodes: Sequence[SessionNode], *, is_switched: bool) -> None:
        """New nodes at the end of the path; `is_switched` when they begin the history of their frame."""
        self.nodes += nodes
        self._messages += _messages(nodes)
        in_frame = [node for node in nodes if self._is_in_frame(node)]
        if is_switched:
            self.history, self.records = History(_messages(in_frame)), _records(in_frame)
        else:
            self.history.extend(_messages(in_frame))
            self.records += _records(in_frame)

    def apply(self, commit: RuntimeCommit, result: CommitResult) -> None:
        """Takes over what a commit made true."""
        self.head_revision = result.head_revision
        switched = commit.current_agent_frame_id != self.frame_id
        appended: list[Message] | None = []
        self.frames = [_named(frame) for frame in commit.agent_frames]
        self.frame_id = commit.current_agent_frame_id
        self.policy = commit.policy
        self.tool_state = commit.checkpoint.tool_state or self.tool_state
        self.plugin_snapshot = _snapshot(commit.checkpoint, self.plugin_snapshot.data) or self.plugin_snapshot
        if EXECUTION_STATE not in commit.checkpoint.components:
            self.execution_state = None
        else:
            self.execution_state = commit.checkpoint.execution_state or self.execution_state
        self.checkpoint = msgspec.structs.replace(
            _referenced(commit.checkpoint),
            components={key: Component(None, ref) for key, ref in result.manifest.items()},
        )
        if not isinstance(commit.graph, GraphUnchanged):
            nodes = delta_nodes(commit.graph)
            if isinstance(commit.graph, GraphReplace):
                self.nodes, self._messages, appended = [], [], None
                self.leaf_node_id = commit.graph.graph.leaf_node_id
                switched = True
            else:
                self.leaf_node_id = commit.graph.leaf_node_id
                appended = _messages(nodes)
            self._add(nodes, is_switched=switched)
        self.ledger = merge_ledger([*self.ledger, *ledger_of(commit.usage_deltas)])
        self.on_change(appended, None if commit.turn_commit is None else commit.turn_commit.turn_id)

    def _is_in_frame(self, node: SessionNode) -> bool:
        # The initial frame also owns untagged nodes (runtime.md §3.13).
        return (node.agent_frame_id or INITIAL_FRAME) == self.frame_id


def _messages(nodes: Iterable[SessionNode]) -> list[Message]:
    return [node.payload.message for node in nodes if isinstance(node.payload, Conversation)]


def _records(nodes: Iterable[SessionNode]) -> list[ProtocolEvent]:
    return [node.payload for node in nodes if isinstance(node.payload, ProtocolEvent)]


def _named(frame: AgentFrame) -> AgentFrame:
    body = frame.execution_state_snapshot
    if body is None:
        return frame
    ref = frame.execution_state_ref or sha256_hex(body)
    return msgspec.structs.replace(frame, execution_state_ref=ref, execution_state_snapshot=None)


def _snapshot(checkpoint: Checkpoint, known: Mapping[str, bytes]) -> SessionSnapshot | None:
    body = checkpoint.plugin_snapshot
    if body is None:
        return None
    data = {ref: known[ref] for ref in checkpoint.plugin_artifacts if ref in known}
    data |= {ref: body for ref, body in checkpoint.plugin_artifacts.items() if body is not None}
    return SessionSnapshot.decoded(body, data)


def _appended(path: Sequence[SessionNode], old_leaf: str | None, old_count: int) -> list[Message] | None:
    """The messages after the leaf that was known; None when the path does not lead over it as it did."""
    if old_leaf is None:
        return _messages(path) if old_count == 0 else None
    for index, node in enumerate(path):
        if node.node_id == old_leaf:
            after = _messages(path[index + 1 :])
            return after if len(_messages(path[: index + 1])) == old_count else None
    return None


def _over(given: SessionPolicy, known: SessionPolicy) -> SessionPolicy:
    """A policy whose open ends are filled from an older one."""
    return msgspec.structs.replace(
        given,
        max_turns=known.max_turns if given.max_turns is None else given.max_turns,
        prompt=known.prompt if given.prompt is None else given.prompt,
    )


def _referenced(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with its bodies forgotten: the next commit says "unchanged" about them."""
    components = {
        key: component if component.ref is None else Component(None, component.ref)
        for key, component in checkpoint.components.items()
    }
    return msgspec.structs.replace(checkpoint, components=components)
