"""What a trace is made of: records, their context, and the port that takes them.

A record says that something happened, in whose course. Its wire form is one flat JSON
object: `{schema_version, id, timestamp, context, type, …payload}` (docs/spec/runtime.md §12).
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from lash.base.codec import struct_to_json
from lash.base.json import Json, JsonObject

SCHEMA_VERSION = 2

# standard: what happened, how long it took and what it cost, never what was said.
# extended: also prompts, answers, arguments and results, and every event of a stream.
TraceLevel: TypeAlias = Literal["standard", "extended"]

RecordType: TypeAlias = Literal[
    "session_started",
    "turn_started",
    "turn_resumed",
    "turn_left",
    "turn_completed",
    "turn_committed",
    "prompt_built",
    "llm_call_started",
    "llm_call_completed",
    "llm_call_failed",
    "provider_stream_event",
    "runtime_stream_event",
    "token_usage",
    "tool_call_started",
    "tool_attempt",
    "tool_call_completed",
    "wait_started",
    "wait_completed",
    "protocol_step",
    "custom",
]


class TraceContext(msgspec.Struct, frozen=True, omit_defaults=True):
    """In whose course something happened. Everything is optional.

    The first six are the application's own, given once with `trace_context=`; the rest is
    filled in by the runtime. `effect_id` joins the start and the end of one piece of work
    within its turn.
    """

    run_id: str | None = None
    experiment_id: str | None = None
    candidate_id: str | None = None
    candidate_parent_id: str | None = None
    example_id: str | None = None
    split: str | None = None
    session_id: str | None = None
    turn_id: str | None = None
    graph_node_id: str | None = None
    parent_graph_node_id: str | None = None
    turn_index: int | None = None
    protocol_iteration: int | None = None
    effect_id: str | None = None
    llm_call_id: str | None = None
    metadata: dict[str, Json] = {}


class TraceRecord(msgspec.Struct, frozen=True):
    """One record. `timestamp_ms` is epoch time; of work that has ended, the time of its end."""

    id: str
    type: RecordType
    timestamp_ms: int
    context: TraceContext
    payload: JsonObject

    def to_json(self) -> JsonObject:
        """The wire form."""
        context: JsonObject = {
            key: value for key, value in struct_to_json(self.context).items() if value not in (None, {})
        }
        return {
            "schema_version": SCHEMA_VERSION,
            "id": self.id,
            "timestamp": self.timestamp_ms,
            "context": context,
            "type": self.type,
            **self.payload,
        }


class TraceSink(Protocol):
    """Where records go. Added in 0.1.

    Called on the event loop of the turn: it must not wait. What it raises is logged and
    fails nothing.
    """

    def append(self, record: TraceRecord) -> None:
        """Takes one record."""
        ...


@runtime_checkable
class RecallingSink(Protocol):
    """What a sink adds that knows the records it has. Added in 0.1.

    When a turn is driven again, the effects that are recorded emit nothing; what their
    process may have been too dead to tell is offered here, once more and from the record.
    """

    def append_once(self, record: TraceRecord) -> None:
        """Takes the record unless it has one with its id."""
        ...


@runtime_checkable
class ClosingSink(Protocol):
    """What a sink adds that holds something back. Added in 0.1."""

    def close(self) -> None:
        """Writes what is left; may wait, and is called on a thread."""
        ...
