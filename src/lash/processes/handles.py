"""What sessions see of processes: handles, grants, summaries, in the wire form that programs and models read."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from lash.base.json import Json, JsonObject
from lash.processes.errors import InvalidProcessHandle
from lash.processes.inputs import LashlangProcessInput, ProcessInput
from lash.processes.record import ProcessRecord
from lash.processes.scopes import SessionScope
from lash.processes.status import ProcessLifecycleStatus


class ProcessHandleDescriptor(msgspec.Struct, frozen=True):
    """How a handle is shown."""

    kind: str | None = None
    label: str | None = None


class ProcessHandleGrant(msgspec.Struct, frozen=True):
    """A session may see and steer a process."""

    session_id: str
    process_id: str
    descriptor: ProcessHandleDescriptor


# A grant beside its process.
GrantEntry: TypeAlias = tuple[ProcessHandleGrant, ProcessRecord]


class ProcessStartGrant(msgspec.Struct, frozen=True):
    """The grant that is made together with a start."""

    session_scope: SessionScope
    descriptor: ProcessHandleDescriptor


class ProcessDefinitionSummary(msgspec.Struct, frozen=True):
    """Which program a process runs."""

    name: str

    @staticmethod
    def of_input(work: ProcessInput) -> ProcessDefinitionSummary | None:
        """For lashlang inputs only."""
        return ProcessDefinitionSummary(work.process_name) if isinstance(work, LashlangProcessInput) else None


class ProcessHandleSummary(msgspec.Struct, frozen=True):
    """One line of a list of processes; itself a handle. `id` equals `process_id`."""

    id: str
    process_id: str
    descriptor: ProcessHandleDescriptor
    status: ProcessLifecycleStatus
    definition: ProcessDefinitionSummary | None = None
    handle_type: str = msgspec.field(default="process", name="__handle__")

    @staticmethod
    def of(grant: ProcessHandleGrant, record: ProcessRecord) -> ProcessHandleSummary:
        """The summary of a grant's process."""
        return ProcessHandleSummary(
            record.id,
            record.id,
            grant.descriptor,
            record.status.state,
            ProcessDefinitionSummary.of_input(record.input),
        )


class ProcessCancelSummary(msgspec.Struct, frozen=True):
    """What a cancel answers."""

    process_id: str
    status: ProcessLifecycleStatus

    @staticmethod
    def of(record: ProcessRecord) -> ProcessCancelSummary:
        """The summary of a record."""
        return ProcessCancelSummary(record.id, record.status.state)


class SessionDeleteReport(msgspec.Struct, frozen=True):
    """What deleting a session did to processes. None was cancelled."""

    session_id: str = ""
    revoked_handle_count: int = 0
    deleted_wake_count: int = 0
    orphaned_process_ids: list[str] = []
    preserved_process_ids: list[str] = []


def handle_value(process_id: str) -> JsonObject:
    """A handle as a value."""
    return {"__handle__": "process", "id": process_id}


def process_id_of(handle: Json) -> str:
    """The process that a handle value names; raises `InvalidProcessHandle`."""
    fields = handle if isinstance(handle, dict) else {}
    kind = fields.get("__handle__")
    if not isinstance(kind, str):
        raise InvalidProcessHandle("Invalid process handle: missing `__handle__`")
    if kind != "process":
        raise InvalidProcessHandle(f"Invalid process handle kind: {kind}")
    process_id = fields.get("id")
    if not isinstance(process_id, str) or not process_id:
        raise InvalidProcessHandle("Invalid process handle: missing `id`")
    return process_id
