"""What happened to a process: a request to append, the event it became, the wake it made."""

from __future__ import annotations

import msgspec

from lash.base.canonical import canonical_json, stable_hash, tagged_hash_of_canonical
from lash.base.causes import CausalRef, ProcessCause
from lash.base.codec import to_json
from lash.base.json import Json
from lash.base.once import once
from lash.effects.invocation import Invocation, ProcessEventSubject, Replay, RuntimeScope
from lash.processes.authority import AbandonRequest
from lash.processes.errors import InvalidSignalName
from lash.processes.event_types import (
    ABANDONED,
    CANCEL_REQUESTED,
    RESUMED,
    TERMINAL_EVENT_OF,
    WAITING,
    signal_event_type,
)
from lash.processes.outputs import ProcessAwaitOutput, terminal_state_of
from lash.processes.scopes import SessionScope
from lash.processes.status import SignalWait, TerminalSemantics, WaitState


class AppendRequest(msgspec.Struct, frozen=True, dict=True):
    """An event to append. Requests with equal `replay` keys of one process are the same event."""

    event_type: str
    payload: Json
    replay: Replay | None = None
    wake_target_scope: SessionScope | None = None

    @once
    def payload_json(self) -> str:
        """The payload as it is stored."""
        return canonical_json(self.payload)

    @property
    def payload_hash(self) -> str:
        """Identity of what is said."""
        return tagged_hash_of_canonical(self.event_type, self.payload_json)


class WakeSemantics(msgspec.Struct, frozen=True):
    """What a wake says, and the key under which equal wakes are one."""

    input: str
    dedupe_key: str


class EventSemantics(msgspec.Struct, frozen=True):
    """What one event means, its selectors applied."""

    terminal: TerminalSemantics | None = None
    wake: WakeSemantics | None = None


class ProcessEvent(msgspec.Struct, frozen=True):
    """One event; sequences count from 1 without a gap."""

    process_id: str
    sequence: int
    event_type: str
    payload: Json
    invocation: Invocation
    semantics: EventSemantics
    occurred_at: int


class WakeDelivery(msgspec.Struct, frozen=True):
    """A wake on its way to a session."""

    wake_id: str
    target_session_id: str
    target_scope_id: str
    process_id: str
    sequence: int
    event_type: str
    event_invocation: Invocation
    dedupe_key: str
    input: str
    created_at_ms: int
    process_caused_by: CausalRef | None = None


class AppendResult(msgspec.Struct, frozen=True):
    """The stored event. `ordinal` counts the events of its type, from 1: the n-th signal ends the n-th wait."""

    event: ProcessEvent
    ordinal: int
    wake_delivery: WakeDelivery | None = None
    is_new: bool = True


def event_invocation(
    runtime_session_id: str, process_id: str, sequence: int, event_type: str, replay_key: str | None
) -> Invocation:
    """The invocation of an event: caused by its process, in the name of whoever started that."""
    return Invocation(
        RuntimeScope(runtime_session_id),
        ProcessEventSubject(process_id, sequence, event_type),
        ProcessCause(process_id),
        None if replay_key is None else Replay(replay_key),
    )


def cancel_requested(process_id: str, reason: str | None = None) -> AppendRequest:
    """The request to stop; asking twice for one reason is asking once."""
    payload: Json = {"reason": reason}
    key = f"process:{process_id}:cancel_requested:{stable_hash([CANCEL_REQUESTED, payload])}"
    return AppendRequest(CANCEL_REQUESTED, payload, Replay(key))


def terminal(process_id: str, output: ProcessAwaitOutput, abandon: AbandonRequest | None = None) -> AppendRequest:
    """The event that ends a process; with `abandon` it ends abandoned."""
    event_type = TERMINAL_EVENT_OF[terminal_state_of(output)] if abandon is None else ABANDONED
    payload: dict[str, Json] = {"await_output": to_json(output)}
    if abandon is not None:
        payload["request"] = to_json(abandon)
    return AppendRequest(event_type, payload, Replay(f"process:{process_id}:terminal:{event_type}"))


def signal(process_id: str, name: str, payload: Json, signal_id: str) -> AppendRequest:
    """A signal; `signal_id` is the sender's, so that sending again is sending once. Raises `InvalidSignalName`."""
    event_type = signal_event_type(name)
    if not signal_id:
        raise InvalidSignalName(f"{name} without a signal id")
    return AppendRequest(event_type, payload, Replay(f"process:{process_id}:{event_type}:{signal_id}"))


def waiting(process_id: str, wait: WaitState) -> AppendRequest:
    """The process begins to wait."""
    kind = wait.kind
    return AppendRequest(
        WAITING, {"wait": to_json(wait)}, Replay(f"process:{process_id}:waiting:signal.{kind.name}:{kind.ordinal}")
    )


def resumed(process_id: str, wait: SignalWait) -> AppendRequest:
    """The wait is over."""
    payload: Json = {"signal": wait.name, "key": wait.key, "ordinal": wait.ordinal}
    return AppendRequest(RESUMED, payload, Replay(f"process:{process_id}:resumed:signal.{wait.name}:{wait.ordinal}"))
