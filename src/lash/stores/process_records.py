"""Processes as they lie in rows, and back. Every decode failure is `StoredDataCorrupt` and names the row."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

import msgspec

from lash.base.canonical import parse_json
from lash.base.codec import encode, learn
from lash.base.json import Json
from lash.processes.appending import materialise
from lash.processes.authority import AbandonRequest, CompletionAuthority, Recovery
from lash.processes.event_types import CORE_BY_NAME, ProcessEventType
from lash.processes.events import AppendRequest, EventSemantics, ProcessEvent, WakeDelivery, event_invocation
from lash.processes.inputs import LashlangProcessInput, ProcessIdentity, ProcessInput
from lash.processes.leases import ProcessLease
from lash.processes.outputs import ProcessAwaitOutput
from lash.processes.record import ProcessExternalRef, ProcessRecord
from lash.processes.registration import PreparedRegistration
from lash.processes.scopes import ProcessProvenance, SessionScope, WakeTarget
from lash.processes.status import RUNNING, ProcessLifecycleStatus, ProcessStatus, WaitState
from lash.sessions.errors import StoredDataCorrupt
from lash.stores.records import decoded

# What stands in `replay_key` of an event without one; callers' keys never begin so.
OWN_KEY_PREFIX = "\x1f"

# A row that no worker looks at until something happens to it.
NEVER_MS = 2**63 - 1


class StoredRegistration(msgspec.Struct, frozen=True, gc=False):
    """`lash_processes.registration_json` as it is read: `PreparedRegistration.stored_json`."""

    input: ProcessInput
    provenance: ProcessProvenance
    identity: ProcessIdentity
    env_ref: str | None = None
    wake_target: WakeTarget = None


class NewProcess(NamedTuple):
    """A registration, encoded: the arguments of the insert, in order."""

    process_id: str
    registration_hash: str
    registration_json: str
    event_types_hash: str
    recovery: Recovery
    originator_id: str
    wake_session_id: str | None
    identity_kind: str
    identity_label: str | None
    env_ref: str | None
    module_ref: str | None
    now_ms: int
    due_at_ms: int


class RecordRow(NamedTuple):
    """A process row. `is_leased` says whether the lease is live now."""

    process_id: str
    registration_hash: str
    registration_json: str
    event_types_json: str
    recovery: Recovery
    wake_detached: int
    status: ProcessLifecycleStatus
    await_output_json: str | None
    authority_json: str | None
    wait_json: str | None
    external_ref_json: str | None
    abandon_json: str | None
    last_sequence: int
    first_started_at_ms: int | None
    first_started_by: str | None
    created_at_ms: int
    updated_at_ms: int
    lease_owner: str
    lease_token: str
    lease_fence: int
    lease_claimed_at_ms: int
    lease_expires_at_ms: int
    change_seq: int
    is_leased: int


class StandingRow(NamedTuple):
    """How a process stands: what may have changed since it was registered and matters to its end."""

    process_id: str
    recovery: Recovery
    wake_detached: int
    status: ProcessLifecycleStatus
    authority_json: str | None
    last_sequence: int
    lease_owner: str
    lease_token: str
    lease_fence: int


class EventRow(NamedTuple):
    """An event row."""

    process_id: str
    sequence: int
    event_type: str
    type_ordinal: int
    payload_hash: str
    replay_key: str
    has_wake: int
    runtime_session_id: str
    payload_json: str
    semantics_json: str | None
    occurred_at_ms: int


def encode_registration(prepared: PreparedRegistration, now_ms: int) -> NewProcess:
    """The row of a registration."""
    registration = prepared.registration
    work, target = registration.input, registration.wake_target
    return NewProcess(
        registration.id,
        prepared.registration_hash,
        prepared.stored_json,
        prepared.declared.hash,
        prepared.recovery,
        registration.provenance.originator.scope_id,
        target.session_id if isinstance(target, SessionScope) else None,
        prepared.identity.kind,
        prepared.identity.label,
        registration.env_ref,
        work.module_ref if isinstance(work, LashlangProcessInput) else None,
        now_ms,
        NEVER_MS if prepared.recovery == "externally_owned" else now_ms,
    )


def decode_record(row: RecordRow) -> ProcessRecord:
    """A process."""
    what = f"process {row.process_id}"
    stored = _registration_of(what, row.registration_json)
    return ProcessRecord(
        id=row.process_id,
        registration_hash=row.registration_hash,
        input=stored.input,
        provenance=stored.provenance,
        event_types=event_types_of(row.event_types_json),
        identity=stored.identity,
        recovery=row.recovery,
        env_ref=stored.env_ref,
        wake_target="detached" if row.wake_detached else stored.wake_target,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        last_sequence=row.last_sequence,
        first_started_at_ms=row.first_started_at_ms,
        first_started_by=row.first_started_by,
        external_ref=None
        if row.external_ref_json is None
        else decoded(what, row.external_ref_json, ProcessExternalRef),
        abandon_request=decode_abandon(row),
        wait=None if row.wait_json is None else decoded(what, row.wait_json, WaitState),
        status=_status(what, row),
    )


@cache
def _read_registration() -> Callable[[str], StoredRegistration]:
    learn(StoredRegistration)
    return msgspec.json.Decoder(StoredRegistration).decode


def _registration_of(what: str, text: str) -> StoredRegistration:
    """In one pass, where most rows of a claim are this text; what it cannot read is told as of every other row."""
    try:
        return _read_registration()(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return decoded(what, text, StoredRegistration)


def brought_up(claimed: ProcessRecord, row: StandingRow) -> ProcessRecord:
    """A running process as it was claimed, with what an end must know of what has happened since."""
    target = "detached" if row.wake_detached else claimed.wake_target
    return msgspec.structs.replace(claimed, wake_target=target, last_sequence=row.last_sequence, status=RUNNING)


def decode_abandon(row: RecordRow) -> AbandonRequest | None:
    """The request to abandon a process."""
    if row.abandon_json is None:
        return None
    return decoded(f"process {row.process_id}: abandon request", row.abandon_json, AbandonRequest)


@lru_cache(maxsize=512)
def event_types_of(event_types_json: str) -> list[ProcessEventType]:
    """Event types; equal texts share one list, which nobody changes."""
    return decoded("process event types", event_types_json, list[ProcessEventType])


def decode_lease(row: RecordRow) -> ProcessLease | None:
    """The lease of a process, which may have expired; None when it is free."""
    if row.lease_token == "":
        return None
    return ProcessLease(
        row.process_id,
        row.lease_owner,
        row.lease_token,
        row.lease_fence,
        row.lease_claimed_at_ms,
        row.lease_expires_at_ms,
    )


def encode_event(event: ProcessEvent, request: AppendRequest, ordinal: int, own_key: str) -> EventRow:
    """The row of the event that was asked for; `own_key` stands in for a replay key."""
    replay = event.invocation.replay
    # The meaning of core events follows from their payload, unless the process added a wake to its end.
    is_plain = event.event_type in CORE_BY_NAME and event.semantics.wake is None
    return EventRow(
        event.process_id,
        event.sequence,
        event.event_type,
        ordinal,
        request.payload_hash,
        own_key if replay is None else replay.key,
        0 if event.semantics.wake is None else 1,
        event.invocation.scope.session_id,
        request.payload_json,
        None if is_plain or event.semantics == EventSemantics() else encode(event.semantics),
        event.occurred_at,
    )


def decode_event(row: EventRow) -> ProcessEvent:
    """An event."""
    what = f"process {row.process_id}: event {row.sequence}"
    payload = _json(what, row.payload_json)
    core = CORE_BY_NAME.get(row.event_type)
    if row.semantics_json is not None:
        semantics = decoded(what, row.semantics_json, EventSemantics)
    elif core is not None:
        semantics = materialise(core, row.process_id, row.sequence, payload)
    else:
        semantics = EventSemantics()
    replay_key = None if row.replay_key.startswith(OWN_KEY_PREFIX) else row.replay_key
    invocation = event_invocation(row.runtime_session_id, row.process_id, row.sequence, row.event_type, replay_key)
    return ProcessEvent(
        row.process_id, row.sequence, row.event_type, payload, invocation, semantics, row.occurred_at_ms
    )


def decode_wake(process_id: str, delivery_json: str) -> WakeDelivery:
    """A wake on its way."""
    return decoded(f"process {process_id}: wake", delivery_json, WakeDelivery)


def _status(what: str, row: RecordRow) -> ProcessStatus:
    if row.status == "running":
        return RUNNING
    output: ProcessAwaitOutput = decoded(
        what,
        row.await_output_json or "",
        ProcessAwaitOutput,  # type: ignore[arg-type]  # a union is a shape to msgspec
    )
    authority: CompletionAuthority | None = None
    if row.authority_json is not None:
        authority = decoded(
            what,
            row.authority_json,
            CompletionAuthority,  # type: ignore[arg-type]  # as above
        )
    return ProcessStatus(row.status, output, authority)


def _json(what: str, text: str) -> Json:
    try:
        return parse_json(text)
    except ValueError as error:
        raise StoredDataCorrupt(f"{what} cannot be read: {error}") from error
