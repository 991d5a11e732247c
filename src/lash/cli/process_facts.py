"""What the command line says of processes and events."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

import lash
from lash.base.canonical import canonical_json
from lash.base.codec import to_json
from lash.base.json import Json
from lash.effects.scope import ExecutionScope
from lash.processes.event_types import SIGNAL_PREFIX
from lash.processes.events import ProcessEvent
from lash.processes.inputs import ExternalInput, LashlangProcessInput, ToolCallInput
from lash.processes.record import ProcessRecord
from lash.processes.scopes import SessionScope


class ProcessFacts(msgspec.Struct, frozen=True):
    """A process as it stands. Times are in milliseconds since the epoch."""

    id: str
    kind: str
    label: str | None
    status: str
    waits_for: str | None
    args: Json
    signals: list[str]
    started_by: str
    wakes: str | None
    recovery: str
    worker: str | None
    last_sequence: int
    created_at_ms: int
    started_at_ms: int | None
    updated_at_ms: int
    outcome: Json
    # Of a program: its module, and what it did last that is recorded.
    module_ref: str | None = None
    last_place: str | None = None
    # Effects that were begun by a worker which is gone, and that nobody may repeat.
    in_doubt: list[str] = []

    @staticmethod
    def of(record: ProcessRecord, last_place: str | None = None, in_doubt: Sequence[str] = ()) -> ProcessFacts:
        """The facts of a record."""
        shown, status, target = record.display, record.status, record.wake_target
        names = [one.name for one in record.event_types if one.name.startswith(SIGNAL_PREFIX)]
        return ProcessFacts(
            id=record.id,
            kind=shown.kind,
            label=shown.label,
            status=status.state,
            waits_for=None if record.wait is None else record.wait.kind.name,
            args=_args(record),
            signals=[name.removeprefix(SIGNAL_PREFIX) for name in names],
            started_by=record.provenance.originator.scope_id,
            wakes=target.session_id if isinstance(target, SessionScope) else None,
            recovery=record.recovery,
            worker=record.first_started_by,
            last_sequence=record.last_sequence,
            created_at_ms=record.created_at_ms,
            started_at_ms=record.first_started_at_ms,
            updated_at_ms=record.updated_at_ms,
            outcome=None if status.await_output is None else to_json(status.await_output),
            module_ref=record.input.module_ref if isinstance(record.input, LashlangProcessInput) else None,
            last_place=last_place,
            in_doubt=list(in_doubt),
        )

    @property
    def state(self) -> str:
        """The status, and what is waited for."""
        return self.status if self.waits_for is None else f"waits for {self.waits_for}"

    @property
    def outcome_text(self) -> str:
        """What came of it, for people."""
        if not isinstance(self.outcome, dict):
            return ""
        if self.outcome.get("type") == "success":
            return _text(self.outcome.get("value"))
        return str(self.outcome.get("message", ""))


class EventFacts(msgspec.Struct, frozen=True):
    """One event. The time is in milliseconds since the epoch."""

    process_id: str
    sequence: int
    event_type: str
    payload: Json
    occurred_at_ms: int
    wakes: bool

    @staticmethod
    def of(event: ProcessEvent) -> EventFacts:
        """The facts of an event."""
        return EventFacts(
            event.process_id,
            event.sequence,
            event.event_type,
            event.payload,
            event.occurred_at,
            event.semantics.wake is not None,
        )

    @property
    def text(self) -> str:
        """What it says, for people."""
        return canonical_json(self.payload)


def _args(record: ProcessRecord) -> Json:
    match record.input:
        case ToolCallInput(call=call):
            return call.args
        case ExternalInput(metadata=metadata):
            return metadata
        case other:
            return to_json(getattr(other, "args", None))


def _text(value: Json) -> str:
    return value if isinstance(value, str) else canonical_json(value)


async def doubts_of(store: lash.Store, record: ProcessRecord) -> list[str]:
    """The keys of effects that wait for `core.settle`."""
    if record.is_terminal or record.first_started_by is None:
        return []
    lease = await store.processes.get_process_lease(record.id)
    if lease is not None and not await store.liveness.is_dead(lease.owner_id):
        return []  # somebody is at it
    rows = await store.journal.load(ExecutionScope.process(record.id))
    return [row.replay_key for row in rows if row.status == "in_progress" and row.never]
