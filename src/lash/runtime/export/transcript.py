"""A session as it is read: entries in order, each of one kind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lash.base.messages import Message, Part
from lash.base.usage import TokenUsage, report
from lash.sessions.frames import INITIAL_FRAME
from lash.sessions.graph import Conversation
from lash.sessions.store import PersistedSession

EntryKind: TypeAlias = Literal["text", "reasoning", "code", "call", "result", "image", "frame"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a transcript. `title` says whose it is, or what was called."""

    kind: EntryKind
    title: str
    text: str
    node_id: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A session to be read."""

    session_id: str
    revision: int
    model: str | None
    usage: TokenUsage
    entries: list[Entry]


def transcript_of(session_id: str, stored: PersistedSession | None) -> Transcript:
    """The active path of a stored session."""
    if stored is None:
        return Transcript(session_id, 0, None, TokenUsage(), [])
    reasons = {frame.frame_id: frame.reason for frame in stored.agent_frames}
    entries: list[Entry] = []
    frame_id = INITIAL_FRAME
    for node in stored.graph.nodes:
        here = node.agent_frame_id or INITIAL_FRAME
        if here != frame_id:
            frame_id = here
            entries.append(Entry("frame", reasons.get(here, here), here, node.node_id))
        if isinstance(node.payload, Conversation):
            entries += _entries(node.payload.message)
    model = stored.policy.model
    usage = report(stored.token_ledger).usage
    return Transcript(session_id, stored.head_revision, None if model is None else model.id, usage, entries)


def _entries(message: Message) -> list[Entry]:
    return [_entry(message, part) for part in message.parts if part.content or part.attachment is not None]


def _entry(message: Message, part: Part) -> Entry:
    match part.kind:
        case "tool_call":
            return Entry("call", part.tool_name or "", _pretty(part.content), message.id)
        case "tool_result":
            return Entry("result", part.tool_name or "", part.content, message.id)
        case "reasoning":
            return Entry("reasoning", message.role, part.content, message.id)
        case "code" | "output" | "error":
            return Entry("code", part.kind, part.content, message.id)
        case "image":
            shown = part.attachment
            label = "" if shown is None else shown.label or shown.media_type
            return Entry("image", label, "" if shown is None else f"sha256:{shown.id}", message.id)
        case "text" | "prose":
            return Entry("text", message.role, part.content, message.id)


def _pretty(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), indent=2, ensure_ascii=False)
    except ValueError:
        return arguments
