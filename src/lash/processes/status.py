"""How a process stands: a projection of its single terminal event."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.processes.authority import CompletionAuthority
from lash.processes.outputs import ProcessAwaitOutput, TerminalState

ProcessLifecycleStatus: TypeAlias = Literal["running", "completed", "failed", "cancelled", "abandoned"]


class TerminalSemantics(msgspec.Struct, frozen=True):
    """What a terminal event means: the pair that a status is made of."""

    state: TerminalState
    await_output: ProcessAwaitOutput


class ProcessStatus(msgspec.Struct, frozen=True):
    """`running` until the terminal event, then its pair and the authority it was written with."""

    state: ProcessLifecycleStatus = "running"
    await_output: ProcessAwaitOutput | None = None
    completion_authority: CompletionAuthority | None = None

    def __post_init__(self) -> None:
        if (self.state == "running") != (self.await_output is None):
            raise ValueError(f"a process that is {self.state} and its await_output do not fit")

    @staticmethod
    def from_terminal(terminal: TerminalSemantics, authority: CompletionAuthority | None = None) -> ProcessStatus:
        """The status after a terminal event."""
        return ProcessStatus(terminal.state, terminal.await_output, authority)

    @property
    def label(self) -> ProcessLifecycleStatus:
        """The state as text."""
        return self.state

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.state != "running"

    def terminal_state(self) -> TerminalState | None:
        """How it ended; None while it runs."""
        return None if self.state == "running" else self.state

    def terminal_semantics(self) -> TerminalSemantics | None:
        """The pair; None while it runs."""
        if self.state == "running" or self.await_output is None:
            return None
        return TerminalSemantics(self.state, self.await_output)


RUNNING = ProcessStatus()


class SignalWait(msgspec.Struct, frozen=True, tag="signal", tag_field="kind"):
    """Waiting for the n-th signal of a name."""

    name: str
    event_type: str
    key: str
    ordinal: int

    @staticmethod
    def of(process_id: str, name: str, event_type: str, ordinal: int) -> SignalWait:
        """The wait with its stable key."""
        return SignalWait(name, event_type, f"process:{process_id}:signal.{name}:{ordinal}", ordinal)


class WaitState(msgspec.Struct, frozen=True):
    """What a process waits for, and since when."""

    kind: SignalWait
    since_ms: int
