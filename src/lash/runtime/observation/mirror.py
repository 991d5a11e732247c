"""Adding up what is observed: the same fold for the feed that tells and for whoever listens."""

from __future__ import annotations

from typing import Literal, assert_never

from lash.base.messages import Message
from lash.runtime.activity import (
    AssistantProseDelta,
    CodeBlockCompleted,
    CodeBlockStarted,
    ModelAttemptReset,
    ReasoningDelta,
    ToolCallCompleted,
    ToolCallStarted,
    TurnActivity,
)
from lash.runtime.observation.events import (
    Committed,
    FrameSwitched,
    Gap,
    HistoryReplaced,
    LiveBlock,
    LiveTurnView,
    ObservationPayload,
    Observed,
    QueueChanged,
    QueuedView,
    SessionSnapshot,
    TurnEnded,
    TurnStarted,
    TurnTold,
)

_Kind = Literal["prose", "reasoning"]


class LiveTurn:
    """What a running turn has said so far. Cheap to tell, joined only when it is looked at."""

    __slots__ = ("_blocks", "_program", "_tools", "is_here", "turn_id")

    def __init__(self, turn_id: str, *, is_here: bool = True) -> None:
        self.turn_id = turn_id
        self.is_here = is_here
        self._blocks: dict[tuple[str, _Kind], list[str]] = {}
        self._tools: dict[str, ToolCallStarted] = {}
        self._program: CodeBlockStarted | None = None

    @staticmethod
    def of_view(view: LiveTurnView) -> LiveTurn:
        """Goes on from what a snapshot tells."""
        turn = LiveTurn(view.turn_id, is_here=view.is_here)
        turn._blocks = {(block.correlation_id, block.kind): [block.text] for block in view.blocks}
        turn._tools = {tool.call_id: tool for tool in view.tools}
        turn._program = view.program
        return turn

    def hear(self, activity: TurnActivity) -> None:
        """Takes one activity in."""
        event = activity.event
        if isinstance(event, AssistantProseDelta):
            self._add(activity.correlation_id, "prose", event.text)
        elif isinstance(event, ReasoningDelta):
            self._add(activity.correlation_id, "reasoning", event.text)
        elif isinstance(event, ModelAttemptReset):
            void = set(event.correlation_ids)
            self._blocks = {key: texts for key, texts in self._blocks.items() if key[0] not in void}
        elif isinstance(event, ToolCallStarted):
            self._tools[event.call_id] = event
        elif isinstance(event, ToolCallCompleted):
            self._tools.pop(event.call_id, None)
        elif isinstance(event, CodeBlockStarted):
            self._program = event
        elif isinstance(event, CodeBlockCompleted):
            self._program = None

    def view(self) -> LiveTurnView:
        """What stands now."""
        blocks = [LiveBlock(key[0], key[1], "".join(texts)) for key, texts in self._blocks.items()]
        return LiveTurnView(self.turn_id, self.is_here, blocks, list(self._tools.values()), self._program)

    def _add(self, correlation_id: str, kind: _Kind, text: str) -> None:
        key = (correlation_id, kind)
        texts = self._blocks.get(key)
        if texts is None:
            self._blocks[key] = [text]
        else:
            texts.append(text)


def ends_with(turn: LiveTurn | None, committed_turn_id: str | None) -> bool:
    """Whether a commit ends the running turn: its own does, and any does that was made where the turn runs."""
    return turn is None or turn.turn_id == committed_turn_id or not turn.is_here


class SessionMirror:
    """What an observer knows of a session. Feed it everything that is observed, in order.

    ```python
    mirror = lash.SessionMirror()
    async for seen in session.observe():
        mirror.see(seen)
        show(mirror.messages, mirror.text)
    ```
    """

    def __init__(self) -> None:
        self.revision = 0
        self.frame_id = ""
        self.messages: list[Message] = []
        self.queued: list[QueuedView] = []
        self.turn: LiveTurn | None = None
        # Where to go on after a lost connection.
        self.cursor: str | None = None

    @property
    def text(self) -> str:
        """What the running turn has said so far, visible text only."""
        if self.turn is None:
            return ""
        return "".join(block.text for block in self.turn.view().blocks if block.kind == "prose")

    def snapshot(self) -> SessionSnapshot:
        """All of it as one value."""
        turn = None if self.turn is None else self.turn.view()
        return SessionSnapshot(self.revision, self.frame_id, list(self.messages), list(self.queued), turn)

    def see(self, seen: Observed) -> None:
        """Takes one observed item in."""
        self.cursor = seen.cursor
        self.apply(seen.snapshot if isinstance(seen, Gap) else seen.payload)

    def apply(self, payload: ObservationPayload) -> None:
        """Takes one payload in."""
        match payload:
            case SessionSnapshot():
                self.revision, self.frame_id = payload.revision, payload.frame_id
                self.messages, self.queued = list(payload.messages), list(payload.queued)
                self.turn = None if payload.turn is None else LiveTurn.of_view(payload.turn)
            case TurnStarted(turn_id=turn_id, is_here=is_here):
                self.turn = LiveTurn(turn_id, is_here=is_here)
            case TurnTold(activity=activity):
                if self.turn is not None:
                    self.turn.hear(activity)
            case TurnEnded(turn_id=turn_id):
                if self.turn is not None and self.turn.turn_id == turn_id:
                    self.turn = None
            case FrameSwitched(frame_id=frame_id):
                self.frame_id = frame_id
            case Committed(revision=revision, messages=messages, turn_id=turn_id):
                self.revision = revision
                self.messages += messages
                self.turn = None if ends_with(self.turn, turn_id) else self.turn
            case HistoryReplaced(revision=revision, messages=messages):
                self.revision = revision
                self.messages = list(messages)
                self.turn = None if ends_with(self.turn, None) else self.turn
            case QueueChanged(queued=queued):
                self.queued = list(queued)
            case _:
                assert_never(payload)
