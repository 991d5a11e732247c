"""A process as it stands."""

from __future__ import annotations

import msgspec

from lash.base.json import Json
from lash.processes.authority import AbandonRequest, Recovery
from lash.processes.errors import TerminalCannotWait
from lash.processes.event_types import ProcessEventType
from lash.processes.inputs import ProcessIdentity, ProcessInput, identity_of
from lash.processes.registration import PreparedRegistration, ProcessRegistration, prepare_registration
from lash.processes.scopes import ProcessProvenance, WakeTarget
from lash.processes.status import RUNNING, ProcessStatus, WaitState


class ProcessExternalRef(msgspec.Struct, frozen=True):
    """Where the work of a process goes on outside."""

    backend: str
    id: str
    metadata: Json = None


class ProcessRecord(msgspec.Struct, frozen=True, gc=False):
    """One process: what was registered, and the projection of what happened since.

    `wake_target` is the present one: it becomes `detached` when its session is deleted.
    `last_sequence` is that of the newest event, 0 before the first.
    """

    id: str
    registration_hash: str
    input: ProcessInput
    provenance: ProcessProvenance
    event_types: list[ProcessEventType] = []
    identity: ProcessIdentity | None = None
    recovery: Recovery = "rerunnable"
    env_ref: str | None = None
    wake_target: WakeTarget = None
    created_at_ms: int = 0
    updated_at_ms: int = 0
    last_sequence: int = 0
    first_started_at_ms: int | None = None
    first_started_by: str | None = None
    external_ref: ProcessExternalRef | None = None
    abandon_request: AbandonRequest | None = None
    wait: WaitState | None = None
    status: ProcessStatus = RUNNING

    @staticmethod
    def from_registration(draft: ProcessRegistration, now_ms: int) -> ProcessRecord:
        """The record that registering makes. Raises `InvalidRegistration`."""
        return ProcessRecord.from_prepared(prepare_registration(draft), now_ms)

    @staticmethod
    def from_prepared(prepared: PreparedRegistration, now_ms: int) -> ProcessRecord:
        """The same of a registration that was checked before."""
        registration = prepared.registration
        return ProcessRecord(
            registration.id,
            prepared.registration_hash,
            registration.input,
            registration.provenance,
            registration.event_types,
            prepared.identity,
            prepared.recovery,
            registration.env_ref,
            registration.wake_target,
            now_ms,
            now_ms,
        )

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.status.is_terminal

    def terminal_state(self) -> str | None:
        """How it ended; None while it runs."""
        return self.status.terminal_state()

    @property
    def display(self) -> ProcessIdentity:
        """What people call it."""
        return self.identity or identity_of(self.input)

    def event_type(self, name: str) -> ProcessEventType | None:
        """A declared event type."""
        return next((event_type for event_type in self.event_types if event_type.name == name), None)


def check_may_wait(record: ProcessRecord) -> None:
    """Raises `TerminalCannotWait`."""
    if record.is_terminal:
        raise TerminalCannotWait(record.id)
