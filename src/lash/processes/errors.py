"""Errors of processes. The runtime reports them as session errors; callers match on classes and codes.

```
ProcessError
├── InvalidRegistration, RegistrationConflict                 the registration cannot be taken
├── UnknownProcess, ProcessNoLongerRetained                   no such process, or not any more
├── UndeclaredEventType, InvalidEventPayload, PointerMissed,  the event cannot be taken
│   ReplayKeyRequired, ReplayKeyConflict, MissingWakeTarget
├── ProcessAlreadyTerminal, TerminalCannotWait                it has ended
├── CompletionNotAllowed                                      somebody else may end it
├── ProcessLeaseHeld, ProcessLeaseLost                        somebody else runs it
├── HandleNotGranted, HandleNotVisible                        the session has no handle
└── InvalidSignalName, InvalidProcessHandle,                  the caller's words make no sense
    InvalidProcessDefinition, InvalidProcessFilter
```
"""

from __future__ import annotations

from lash.base.errors import InvalidArgument, LashError


class ProcessError(LashError):
    """Base of what the process registry can report. A method that raises has changed nothing."""

    code = "process_error"


class InvalidRegistration(ProcessError, InvalidArgument):
    """A registration breaks a rule of its own; nothing was stored."""

    code = "process_registration_invalid"


class RegistrationConflict(ProcessError):
    """The id is taken by a process that was registered differently."""

    code = "process_registration_conflict"

    def __init__(self, process_id: str, existing: str, new: str) -> None:
        super().__init__(f"process `{process_id}` registration hash conflict: existing {existing}, new {new}")
        self.process_id = process_id


class UnknownProcess(ProcessError):
    """No process has this id."""

    code = "process_unknown"

    def __init__(self, process_id: str) -> None:
        super().__init__(f"unknown process `{process_id}`")
        self.process_id = process_id


class ProcessNoLongerRetained(UnknownProcess):
    """The process ended and was pruned; only its final status is left."""

    code = "process_no_longer_retained"

    def __init__(self, process_id: str, status: str, pruned_at_ms: int) -> None:
        ProcessError.__init__(
            self, f"process `{process_id}` is no longer retained: it ended {status} and was pruned at {pruned_at_ms}"
        )
        self.process_id = process_id
        self.status = status
        self.pruned_at_ms = pruned_at_ms


class UndeclaredEventType(ProcessError):
    """The registration declares no such event type."""

    code = "process_event_undeclared"

    def __init__(self, process_id: str, event_type: str) -> None:
        super().__init__(f"process `{process_id}` emitted undeclared event type `{event_type}`")


class InvalidEventPayload(ProcessError):
    """The payload does not fit the schema of its event type."""

    code = "process_event_payload_invalid"

    def __init__(self, event_type: str, reason: str) -> None:
        super().__init__(f"invalid `{event_type}` payload: {reason}")


class PointerMissed(ProcessError):
    """A selector's pointer leads nowhere in the payload."""

    code = "process_pointer_missed"

    def __init__(self, pointer: str) -> None:
        super().__init__(f"payload pointer `{pointer}` did not match")


class ReplayKeyRequired(ProcessError):
    """Events that end or cancel a process need a deterministic replay key."""

    code = "process_replay_key_required"

    def __init__(self, process_id: str, event_type: str) -> None:
        super().__init__(f"process `{process_id}` event `{event_type}` requires a deterministic replay key")


class ReplayKeyConflict(ProcessError):
    """The replay key was used for another event."""

    code = "process_replay_key_conflict"

    def __init__(self, process_id: str, replay_key: str) -> None:
        super().__init__(f"process `{process_id}` event replay key `{replay_key}` conflicts with an existing event")


class MissingWakeTarget(ProcessError):
    """A wake was emitted and nobody ever said whom to wake."""

    code = "process_wake_target_missing"

    def __init__(self, process_id: str, event_type: str) -> None:
        super().__init__(f"process `{process_id}` emitted wake event `{event_type}` without a wake target scope")


class ProcessAlreadyTerminal(ProcessError):
    """The process has ended; nothing more can happen to it."""

    code = "process_already_terminal"

    def __init__(self, process_id: str) -> None:
        super().__init__(f"process `{process_id}` is already terminal")
        self.process_id = process_id


class TerminalCannotWait(ProcessAlreadyTerminal):
    """The process has ended and cannot wait for anything."""

    code = "process_terminal_cannot_wait"

    def __init__(self, process_id: str) -> None:
        ProcessError.__init__(self, f"terminal process `{process_id}` cannot enter a wait state")
        self.process_id = process_id


class CompletionNotAllowed(ProcessError):
    """This authority may not end a process of this kind; nothing was written."""

    code = "process_completion_not_allowed"

    def __init__(self, process_id: str, authority: str) -> None:
        super().__init__(f"process `{process_id}` cannot be completed with authority `{authority}`")


class ProcessLeaseHeld(ProcessError):
    """Another owner runs the process."""

    code = "process_lease_held"

    def __init__(self, process_id: str, owner_id: str, until_ms: int) -> None:
        super().__init__(f"process `{process_id}` is already leased by `{owner_id}` until {until_ms}")
        self.process_id = process_id
        self.owner_id = owner_id
        self.until_ms = until_ms


class ProcessLeaseLost(ProcessError):
    """The lease is not held any more: drop the run, write nothing; whoever took over goes on."""

    code = "process_lease_lost"

    def __init__(self, process_id: str) -> None:
        super().__init__(f"process lease for `{process_id}` is missing or expired")
        self.process_id = process_id


class HandleNotGranted(ProcessError):
    """A session cannot give away a handle that it does not have."""

    code = "process_handle_not_granted"

    def __init__(self, process_id: str, session_id: str) -> None:
        super().__init__(f"process handle `{process_id}` is not granted to session `{session_id}`")
        self.process_id = process_id


class HandleNotVisible(ProcessError):
    """The caller's session has no live handle to the process."""

    code = "process_handle_not_visible"

    def __init__(self, process_id: str) -> None:
        super().__init__(f"process handle `{process_id}` is not live or visible in this session")
        self.process_id = process_id


class InvalidSignalName(ProcessError, InvalidArgument):
    """A signal's name becomes part of an event type."""

    code = "process_signal_name_invalid"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"process signal name must be non-empty and contain only ASCII letters, digits, `_`, or `-`, got `{name}`"
        )


class InvalidProcessHandle(ProcessError, InvalidArgument):
    """A value that should be a process handle is none."""

    code = "process_handle_invalid"


class InvalidProcessDefinition(ProcessError, InvalidArgument):
    """A value that should be a process definition is none."""

    code = "process_definition_invalid"


class InvalidProcessFilter(ProcessError, InvalidArgument):
    """A filter of `processes.list` that means nothing."""

    code = "process_filter_invalid"
