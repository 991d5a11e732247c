"""What an append decides: the event, the wake and the new projection, or why not. Pure.

The caller holds the process row, so the record is the truth and `last_sequence + 1`
is nobody else's. A repeat is found by its replay key before this is asked
(docs/spec/durability.md §4.3).
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import UNSET, UnsetType

from lash.base.canonical import stable_hash
from lash.base.codec import DecodeError, from_json
from lash.base.json import Json
from lash.processes.authority import CompletionAuthority
from lash.processes.errors import (
    InvalidEventPayload,
    MissingWakeTarget,
    ProcessAlreadyTerminal,
    ReplayKeyConflict,
    ReplayKeyRequired,
    UndeclaredEventType,
)
from lash.processes.event_types import CANCEL_REQUESTED, ENDED, RESUMED, WAITING, DedupeKey, ProcessEventType, WakeSpec
from lash.processes.events import (
    AppendRequest,
    EventSemantics,
    ProcessEvent,
    WakeDelivery,
    WakeSemantics,
    event_invocation,
)
from lash.processes.outputs import ProcessAwaitOutput, SuccessOutput
from lash.processes.record import ProcessRecord
from lash.processes.scopes import SessionScope
from lash.processes.selectors import is_true, rendered, select
from lash.processes.status import ProcessStatus, TerminalSemantics, WaitState


class AppendPlan(NamedTuple):
    """What to write. `status` and `wait` are the new ones; UNSET leaves the wait as it is."""

    event: ProcessEvent
    wake: WakeDelivery | None
    status: ProcessStatus | None
    wait: WaitState | UnsetType | None


def check_repeat(process_id: str, request: AppendRequest, stored_hash: str) -> None:
    """Raises `ReplayKeyConflict` unless the stored event under the same key says the same."""
    if request.payload_hash != stored_hash:
        raise ReplayKeyConflict(process_id, "" if request.replay is None else request.replay.key)


def plan_append(
    record: ProcessRecord, request: AppendRequest, now_ms: int, authority: CompletionAuthority | None = None
) -> AppendPlan:
    """Decides an append that is no repeat. Raises the errors of rules 3 to 8."""
    declared = record.event_type(request.event_type)
    if declared is None:
        raise UndeclaredEventType(record.id, request.event_type)
    needs_key = declared.semantics.terminal is not None or declared.name == CANCEL_REQUESTED
    if needs_key and request.replay is None:
        raise ReplayKeyRequired(record.id, declared.name)
    if record.is_terminal:
        raise ProcessAlreadyTerminal(record.id)
    check_payload(declared, request.payload)
    sequence = record.last_sequence + 1
    semantics = _with_end_wake(record, sequence, materialise(declared, record.id, sequence, request.payload), request)
    event = ProcessEvent(
        record.id,
        sequence,
        declared.name,
        request.payload,
        event_invocation(
            record.provenance.runtime_session_id,
            record.id,
            sequence,
            declared.name,
            None if request.replay is None else request.replay.key,
        ),
        semantics,
        now_ms,
    )
    status = None if semantics.terminal is None else ProcessStatus.from_terminal(semantics.terminal, authority)
    return AppendPlan(event, _delivery(record, request, event), status, _wait_after(event))


def check_payload(declared: ProcessEventType, payload: Json) -> None:
    """Raises `InvalidEventPayload`."""
    problems = declared.checker.problems(payload)
    if problems:
        raise InvalidEventPayload(declared.name, "; ".join(problems))


def materialise(declared: ProcessEventType, process_id: str, sequence: int, payload: Json) -> EventSemantics:
    """The meaning of an event: the selectors of its type, applied to its payload."""
    terminal = declared.semantics.terminal
    wake = declared.semantics.wake
    return EventSemantics(
        None if terminal is None else TerminalSemantics(terminal.state, _await_output(declared, payload)),
        None if wake is None else _wake(wake, process_id, sequence, payload),
    )


def wake_id_of(target_scope_id: str, dedupe_key: str) -> str:
    """Wakes of one scope with one dedupe key are one."""
    return f"wake:{stable_hash([target_scope_id, dedupe_key])}"


def wake_delivery(
    record: ProcessRecord, event: ProcessEvent, wake: WakeSemantics, target: SessionScope
) -> WakeDelivery:
    """The wake of an event, addressed."""
    return WakeDelivery(
        wake_id_of(target.id, wake.dedupe_key),
        target.session_id,
        target.id,
        event.process_id,
        event.sequence,
        event.event_type,
        event.invocation,
        wake.dedupe_key,
        wake.input,
        event.occurred_at,
        record.provenance.caused_by,
    )


def _with_end_wake(
    record: ProcessRecord, sequence: int, semantics: EventSemantics, request: AppendRequest
) -> EventSemantics:
    """The event that ends a process wakes somebody if the process declares `process.ended` with a wake."""
    declared = record.event_type(ENDED)
    wake = None if declared is None else declared.semantics.wake
    if semantics.terminal is None or semantics.wake is not None or wake is None or record.wake_target is None:
        return semantics
    return EventSemantics(semantics.terminal, _wake(wake, record.id, sequence, request.payload))


def _await_output(declared: ProcessEventType, payload: Json) -> ProcessAwaitOutput:
    terminal = declared.semantics.terminal
    assert terminal is not None
    if terminal.await_output is None:
        return SuccessOutput(payload)
    selected = select(terminal.await_output, payload)
    try:
        output: ProcessAwaitOutput = from_json(
            selected,
            ProcessAwaitOutput,  # type: ignore[arg-type]  # a union is a shape to msgspec
        )
    except DecodeError as error:
        raise InvalidEventPayload(declared.name, f"await_output: {error.message}") from error
    return output


def _wake(spec: WakeSpec, process_id: str, sequence: int, payload: Json) -> WakeSemantics | None:
    # The condition first: when it does not hold, the input may not even exist.
    if spec.when is not None and not is_true(select(spec.when, payload)):
        return None
    return WakeSemantics(
        rendered(select(spec.input, payload)), _dedupe_key(spec.dedupe_key, process_id, sequence, payload)
    )


def _dedupe_key(key: DedupeKey, process_id: str, sequence: int, payload: Json) -> str:
    if isinstance(key, str):
        return f"{process_id}:{sequence}"
    if key.selector is not None:
        return rendered(select(key.selector, payload))
    return key.const or ""


def _delivery(record: ProcessRecord, request: AppendRequest, event: ProcessEvent) -> WakeDelivery | None:
    wake = event.semantics.wake
    if wake is None:
        return None
    target = request.wake_target_scope or record.wake_target
    if target is None:
        raise MissingWakeTarget(record.id, event.event_type)
    if isinstance(target, str):  # detached: the event is stored, and reaches nobody
        return None
    return wake_delivery(record, event, wake, target)


def _wait_after(event: ProcessEvent) -> WaitState | UnsetType | None:
    if event.semantics.terminal is not None or event.event_type == RESUMED:
        return None
    if event.event_type == WAITING and isinstance(event.payload, dict):
        try:
            return from_json(event.payload["wait"], WaitState)
        except DecodeError as error:
            raise InvalidEventPayload(WAITING, error.message) from error
    return UNSET
