"""Background processes: what they are, and every rule about them that needs no IO.

A process is registered as a row that captures by reference everything it needs; the
rows that are not terminal are the work queue. Its history is a gap-free sequence of
events, and its status is a projection of the single terminal one
(docs/spec/durability.md §4).

- `scopes`, `inputs`, `registration`: who starts what, and under which identity.
- `selectors`, `event_types`, `events`, `appending`: what may happen, and what an append decides.
- `outputs`, `status`, `record`: how it ends, and how it stands.
- `leases`, `authority`: who runs it, and who may end it.
- `handles`, `listing`, `definitions`: what sessions see.
- `waking`: how a wake becomes queued work of a session.
- `registry`: the port; `watching`: how to wait for events of many processes with one reader.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lash.processes.authority import AbandonRequest as AbandonRequest
    from lash.processes.definitions import ProcessDefinition as ProcessDefinition
    from lash.processes.errors import CompletionNotAllowed as CompletionNotAllowed
    from lash.processes.errors import HandleNotVisible as HandleNotVisible
    from lash.processes.errors import InvalidEventPayload as InvalidEventPayload
    from lash.processes.errors import InvalidRegistration as InvalidRegistration
    from lash.processes.errors import ProcessAlreadyTerminal as ProcessAlreadyTerminal
    from lash.processes.errors import ProcessError as ProcessError
    from lash.processes.errors import ProcessNoLongerRetained as ProcessNoLongerRetained
    from lash.processes.errors import RegistrationConflict as RegistrationConflict
    from lash.processes.errors import ReplayKeyConflict as ReplayKeyConflict
    from lash.processes.errors import UndeclaredEventType as UndeclaredEventType
    from lash.processes.errors import UnknownProcess as UnknownProcess
    from lash.processes.events import ProcessEvent as ProcessEvent
    from lash.processes.handles import ProcessHandleSummary as ProcessHandleSummary
    from lash.processes.inputs import EngineInput as EngineInput
    from lash.processes.inputs import ProcessIdentity as ProcessIdentity
    from lash.processes.outputs import CancelledOutput as CancelledOutput
    from lash.processes.outputs import FailureOutput as FailureOutput
    from lash.processes.outputs import SuccessOutput as SuccessOutput
    from lash.processes.record import ProcessRecord as ProcessRecord
    from lash.processes.registry import BlockedProcess as BlockedProcess
    from lash.processes.registry import ProcessChange as ProcessChange
    from lash.processes.registry import ProcessChanges as ProcessChanges
    from lash.processes.registry import PruneReport as PruneReport
    from lash.processes.scopes import SessionScope as SessionScope
    from lash.processes.status import ProcessStatus as ProcessStatus
    from lash.processes.status import WaitState as WaitState

# Loaded when it is first used: the parts of this package are imported by many who need one of them.
_HOMES: Final = {
    "AbandonRequest": "authority",
    "BlockedProcess": "registry",
    "CancelledOutput": "outputs",
    "CompletionNotAllowed": "errors",
    "EngineInput": "inputs",
    "FailureOutput": "outputs",
    "HandleNotVisible": "errors",
    "InvalidEventPayload": "errors",
    "InvalidRegistration": "errors",
    "ProcessAlreadyTerminal": "errors",
    "ProcessChange": "registry",
    "ProcessChanges": "registry",
    "ProcessDefinition": "definitions",
    "ProcessError": "errors",
    "ProcessEvent": "events",
    "ProcessHandleSummary": "handles",
    "ProcessIdentity": "inputs",
    "ProcessNoLongerRetained": "errors",
    "ProcessRecord": "record",
    "ProcessStatus": "status",
    "PruneReport": "registry",
    "RegistrationConflict": "errors",
    "ReplayKeyConflict": "errors",
    "SessionScope": "scopes",
    "SuccessOutput": "outputs",
    "UndeclaredEventType": "errors",
    "UnknownProcess": "errors",
    "WaitState": "status",
}

__all__ = [
    "AbandonRequest",
    "BlockedProcess",
    "CancelledOutput",
    "CompletionNotAllowed",
    "EngineInput",
    "FailureOutput",
    "HandleNotVisible",
    "InvalidEventPayload",
    "InvalidRegistration",
    "ProcessAlreadyTerminal",
    "ProcessChange",
    "ProcessChanges",
    "ProcessDefinition",
    "ProcessError",
    "ProcessEvent",
    "ProcessHandleSummary",
    "ProcessIdentity",
    "ProcessNoLongerRetained",
    "ProcessRecord",
    "ProcessStatus",
    "PruneReport",
    "RegistrationConflict",
    "ReplayKeyConflict",
    "SessionScope",
    "SuccessOutput",
    "UndeclaredEventType",
    "UnknownProcess",
    "WaitState",
]

if not TYPE_CHECKING:  # or a checker would believe in every name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'lash.processes' has no attribute {name!r}")
        value = getattr(import_module(f"lash.processes.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
