"""What triggers start, registered: the process starter over the registry of a store."""

from __future__ import annotations

from lash.base.codec import DecodeError, from_json
from lash.base.json import Json
from lash.processes.errors import InvalidRegistration, ProcessNoLongerRetained
from lash.processes.event_types import ProcessEventType
from lash.processes.handles import ProcessHandleDescriptor, ProcessStartGrant
from lash.processes.inputs import ProcessInput
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ProcessRegistry
from lash.processes.scopes import ProcessProvenance
from lash.processes.starting import StartsProcesses
from lash.triggers.delivery import TriggeredStart


class RegistryStarter:
    """Starts the processes of deliveries."""

    def __init__(self, registry: ProcessRegistry, start: StartsProcesses | None = None) -> None:
        """Without `start` they are registered, and workers hear of it from the store."""
        self._registry = registry
        self._start = start or registry.register_process

    async def start(self, start: TriggeredStart) -> bool:
        """See `ProcessStarter`."""
        if await self._registry.get_process(start.process_id) is not None:
            return False
        grant = None
        if start.wake_target is not None:
            descriptor = ProcessHandleDescriptor(start.identity.kind, start.identity.label)
            grant = ProcessStartGrant(start.wake_target, descriptor)
        try:
            await self._start(registration_of(start), grant)
        except ProcessNoLongerRetained:
            return False
        return True

    async def is_running(self, process_id: str) -> bool:
        """See `ProcessStarter`."""
        record = await self._registry.get_process(process_id)
        return record is not None and not record.is_terminal


def registration_of(start: TriggeredStart) -> ProcessRegistration:
    """The registration of a triggered process. Raises `InvalidRegistration`."""
    return ProcessRegistration(
        start.process_id,
        _input(start),
        ProcessProvenance(start.registrant, start.caused_by),
        [_event_type(start, written) for written in start.event_types],
        start.env_ref,
        # Nobody to wake was asked for (docs/design/decisions.md 31).
        start.wake_target or "detached",
        start.identity,
    )


def _input(start: TriggeredStart) -> ProcessInput:
    try:
        found: ProcessInput = from_json(
            start.input,
            ProcessInput,  # type: ignore[arg-type]  # a union is a shape to msgspec
        )
    except DecodeError as error:
        raise InvalidRegistration(f"trigger target cannot be started: {error.message}") from error
    return found


def _event_type(start: TriggeredStart, written: Json) -> ProcessEventType:
    try:
        return from_json(written, ProcessEventType)
    except DecodeError as error:
        raise InvalidRegistration(
            f"an event type of process `{start.process_id}` cannot be read: {error.message}"
        ) from error
