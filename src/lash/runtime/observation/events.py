"""What an observer of a session is told.

First a `SessionSnapshot`, then every change of it: what a running turn says, what was
committed, what waits in the queue. Who cannot be told every change gets a `Gap`, which
carries a snapshot to go on from. Nothing is encoded before somebody asks for it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.codec import to_json
from lash.base.json import JsonObject
from lash.base.messages import Message
from lash.machine.outcome import TurnOutcome
from lash.runtime.activity import CodeBlockStarted, ToolCallStarted, TurnActivity
from lash.runtime.observation.cursor import Cursor, encode_cursor


class LiveBlock(msgspec.Struct, frozen=True):
    """Text of a running turn that is not committed yet."""

    correlation_id: str
    kind: Literal["prose", "reasoning"]
    text: str


class LiveTurnView(msgspec.Struct, frozen=True):
    """A turn that runs: what it has said so far, which tools are at work, and in RLM mode the program that runs.

    `is_here`: it runs in the process that tells of it. Of a turn that runs elsewhere nothing more is
    known than its id, unless processes share a `LiveReplayStore`.
    """

    turn_id: str
    is_here: bool = True
    blocks: list[LiveBlock] = []
    tools: list[ToolCallStarted] = []
    program: CodeBlockStarted | None = None


class QueuedView(msgspec.Struct, frozen=True):
    """Input that waits: what `session.queued_work()` lists, without its content."""

    batch_id: str
    source_key: str | None
    payload_hash: str


class SessionSnapshot(msgspec.Struct, frozen=True, tag="snapshot", tag_field="type"):
    """Everything an observer knows of a session at one moment. `messages` are committed, of the active path."""

    revision: int
    frame_id: str
    messages: list[Message]
    queued: list[QueuedView] = []
    turn: LiveTurnView | None = None


class TurnStarted(msgspec.Struct, frozen=True, tag="turn_started", tag_field="type"):
    """A turn runs from here on; what was told of an earlier drive of it is void.

    With `is_here` false it runs in another process. Unless processes share a live replay its activities
    cannot be told (`is_told` is false): an observer gets a gap in the place of such an event.
    """

    turn_id: str
    is_here: bool = True
    is_told: bool = True


class TurnTold(msgspec.Struct, frozen=True, tag="turn_activity", tag_field="type"):
    """Something happened in the running turn."""

    turn_id: str
    activity: TurnActivity


class TurnEnded(msgspec.Struct, frozen=True, tag="turn_ended", tag_field="type"):
    """The turn no longer runs here. `outcome` is None when it was not settled: it goes on later or elsewhere."""

    turn_id: str
    outcome: TurnOutcome | None = None


class FrameSwitched(msgspec.Struct, frozen=True, tag="agent_frame_switched", tag_field="type"):
    """The session goes on in another agent frame; `Committed` follows."""

    frame_id: str


class Committed(msgspec.Struct, frozen=True, tag="committed", tag_field="type"):
    """New history: `messages` are appended to the active path. What the running turn had said is part of it."""

    revision: int
    messages: list[Message]
    turn_id: str | None = None


class HistoryReplaced(msgspec.Struct, frozen=True, tag="history_replaced", tag_field="type"):
    """The active path is another one (a reset, another branch): these are all its messages."""

    revision: int
    messages: list[Message]


class QueueChanged(msgspec.Struct, frozen=True, tag="queue_changed", tag_field="type"):
    """The waiting input changed; `queued` is all of it, in order.

    `enqueued`: new at the end (or given back). `started`: a turn took them. `edited`: their content changed.
    `removed`: cancelled, or already settled.
    """

    queued: list[QueuedView]
    enqueued: list[str] = []
    started: list[str] = []
    edited: list[str] = []
    removed: list[str] = []


ObservationPayload: TypeAlias = (
    SessionSnapshot | TurnStarted | TurnTold | TurnEnded | FrameSwitched | Committed | HistoryReplaced | QueueChanged
)


class ObservationEvent(msgspec.Struct, frozen=True):
    """One item of an observation. `revision` is that of the committed head when it was told."""

    session_id: str
    epoch: str
    position: int
    revision: int
    told_at_ms: int
    payload: ObservationPayload

    @property
    def cursor(self) -> str:
        """Where an observer stands that has seen this event: give it to `session.observe(after=…)`."""
        return encode_cursor(Cursor(self.session_id, self.epoch, self.position, self.revision))

    def to_json(self) -> JsonObject:
        """`{session_id, revision, cursor, payload}`, as a page would be sent it."""
        return _json(self.session_id, self.revision, self.cursor, self.payload)


# evicted:       what followed the cursor is no longer kept
# lagged:        this observer read slower than the session told
# restarted:     the process that told the cursor is gone
# not_live_here: the turn runs in another process, which does not share what it tells
GapReason: TypeAlias = Literal["evicted", "lagged", "restarted", "not_live_here"]


class Gap(msgspec.Struct, frozen=True):
    """Events are missing here. `snapshot` is what stands now, and observation goes on from it.

    `requested` is the cursor that could not be followed, `resume_from` the one of the snapshot.
    """

    session_id: str
    reason: GapReason
    requested: str | None
    resume_from: str
    snapshot: SessionSnapshot

    @property
    def cursor(self) -> str:
        """The same as `resume_from`: every observed item has a cursor."""
        return self.resume_from

    def to_json(self) -> JsonObject:
        """`{session_id, revision, cursor, payload}` with a payload of type `gap`."""
        payload: JsonObject = {"type": "gap", "reason": self.reason, "requested": self.requested}
        payload["snapshot"] = to_json(self.snapshot)
        return {
            "session_id": self.session_id,
            "revision": self.snapshot.revision,
            "cursor": self.resume_from,
            "payload": payload,
        }


Observed: TypeAlias = ObservationEvent | Gap


def _json(session_id: str, revision: int, cursor: str, payload: ObservationPayload) -> JsonObject:
    return {"session_id": session_id, "revision": revision, "cursor": cursor, "payload": to_json(payload)}
