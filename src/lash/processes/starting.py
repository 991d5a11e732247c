"""Asking for a process: the host's form of a start, and what a start inside a session adds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from lash.base.json import Json
from lash.effects.invocation import Invocation
from lash.processes.authority import Recovery
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.event_types import ProcessEventType
from lash.processes.handles import ProcessHandleDescriptor, ProcessStartGrant
from lash.processes.inputs import ExternalInput, ProcessIdentity, ProcessInput
from lash.processes.record import ProcessRecord
from lash.processes.registration import ProcessRegistration, default_event_types
from lash.processes.scopes import ProcessOriginator, ProcessProvenance, WakeTarget

# Registers a process with the grant if there is one, and tells whoever runs it. Raises as
# `ProcessRegistry.register_process`.
StartsProcesses: TypeAlias = Callable[[ProcessRegistration, ProcessStartGrant | None], Awaitable[ProcessRecord]]


class ProcessStartRequest(msgspec.Struct, frozen=True):
    """A start as the host asks for it; the environment is stored first, then `into_registration` names it."""

    id: str
    input: ProcessInput
    originator: ProcessOriginator
    env_spec: ProcessExecutionEnvSpec | None = None
    wake_target: WakeTarget = None
    grant: ProcessStartGrant | None = None
    event_types: list[ProcessEventType] = msgspec.field(default_factory=default_event_types)
    identity: ProcessIdentity | None = None
    recovery: Recovery | None = None

    @staticmethod
    def external(process_id: str, originator: ProcessOriginator, metadata: Json) -> ProcessStartRequest:
        """A start of work that somebody else does."""
        return ProcessStartRequest(process_id, ExternalInput(metadata), originator)

    def with_event_types(self, event_types: list[ProcessEventType]) -> ProcessStartRequest:
        """These types in place of the present ones; core types come back at registration."""
        return msgspec.structs.replace(self, event_types=event_types)

    def with_extra_event_types(self, event_types: list[ProcessEventType]) -> ProcessStartRequest:
        """These types beside the present ones."""
        return msgspec.structs.replace(self, event_types=[*self.event_types, *event_types])

    def into_registration(self, env_ref: str | None) -> ProcessRegistration:
        """What the registry stores. The grant is no part of it."""
        return ProcessRegistration(
            self.id,
            self.input,
            ProcessProvenance(self.originator),
            self.event_types,
            env_ref,
            self.wake_target,
            self.identity,
            self.recovery,
        )


class ProcessExecutionContext(msgspec.Struct, frozen=True):
    """What a run knows of why it was started."""

    causal_invocation: Invocation | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it knows nothing."""
        return self.causal_invocation is None


class ProcessOpScope(msgspec.Struct, frozen=True):
    """From where a process operation is asked; its controller is the caller's."""

    parent_invocation: Invocation | None = None
    agent_frame_id: str | None = None
    target_agent_frame_id: str | None = None


class ProcessSpawnProvenance(msgspec.Struct, frozen=True):
    """Whose name a nested start carries on: that of the process that started it."""

    originator: ProcessOriginator
    wake_target: WakeTarget = None


class ProcessStartOptions(msgspec.Struct, frozen=True):
    """How a start inside a session is shown and attributed."""

    descriptor: ProcessHandleDescriptor | None = None
    spawn_provenance: ProcessSpawnProvenance | None = None

    def execution_context(self, scope: ProcessOpScope) -> ProcessExecutionContext:
        """The context of the run."""
        return ProcessExecutionContext(scope.parent_invocation)
