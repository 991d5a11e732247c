"""What a turn gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import msgspec

from lash.base.errors import LashError
from lash.base.json import Json
from lash.base.usage import LedgerEntry, TokenUsage
from lash.machine.outcome import (
    AssistantMessage,
    FrameSwitch,
    Stopped,
    SubmittedValue,
    ToolValue,
    TurnOutcome,
    outcome_name,
)
from lash.tools.result import ToolCallRecord

OutputState: TypeAlias = Literal["usable", "empty_output", "traceback_only", "recovered_from_error"]


class TurnIssue(msgspec.Struct, frozen=True):
    """Something that went wrong in a turn."""

    kind: str
    code: str | None = None
    terminal_reason: str | None = None
    message: str = ""
    raw: Json = None


class AssistantOutput(msgspec.Struct, frozen=True):
    """What the turn said. `safe_text` is trimmed, line by line and as a whole."""

    safe_text: str
    raw_text: str
    state: OutputState


class Execution(msgspec.Struct, frozen=True):
    """What kinds of work the turn did."""

    had_tool_calls: bool = False
    had_code_execution: bool = False


# Says where the text of an answer comes from; no reason why a turn stopped.
RECOVERED: Final = "assistant_output_recovered_from_state"


class TurnStopped(LashError):
    """A turn ended without an answer; `outcome` says how, `result` has everything else."""

    code = "turn_stopped"

    def __init__(self, result: TurnResult) -> None:
        issues = "; ".join(issue.message for issue in result.errors if issue.code != RECOVERED)
        if not issues:
            is_limit = outcome_name(result.outcome) == "stopped.max_turns"
            issues = "it has made as many model calls as it may; allow more" if is_limit else "no further detail"
        super().__init__(f"turn {result.turn_id} ended as {outcome_name(result.outcome)}: {issues}")
        self.result = result
        self.outcome = result.outcome


@dataclass(frozen=True, slots=True)
class TurnResult:
    """One settled turn. `replayed`: it was settled before this call, nothing ran again."""

    turn_id: str
    outcome: TurnOutcome
    assistant_output: AssistantOutput
    revision: int
    usage: TokenUsage = field(default_factory=TokenUsage)
    children_usage: list[LedgerEntry] = field(default_factory=list)
    tool_calls: list[ToolCallRecord] = field(default_factory=list)
    errors: list[TurnIssue] = field(default_factory=list)
    execution: Execution = field(default_factory=Execution)
    replayed: bool = False
    # The submitted value as the type that the caller asked for.
    decoded: object = None

    @property
    def ok(self) -> bool:
        """Whether the turn finished (or moved to another frame)."""
        return not isinstance(self.outcome, Stopped)

    @property
    def text(self) -> str:
        """What the turn said, ready to show."""
        return self.assistant_output.safe_text

    @property
    def value(self) -> Any:
        """The submitted value (as the type of `submit=`) or the tool's value; the text of an ordinary answer."""
        if self.decoded is not None:
            return self.decoded
        match self.outcome:
            case SubmittedValue(value=value) | ToolValue(value=value):
                return value
            case AssistantMessage():
                return self.text
            case FrameSwitch() | Stopped():
                return None

    def raise_for_outcome(self) -> TurnResult:
        """The result itself; raises `TurnStopped` when the turn ended without an answer."""
        if not self.ok:
            raise TurnStopped(self)
        return self

    def total_usage(self) -> TokenUsage:
        """The turn's own model calls, those of its child sessions and those that tools made themselves."""
        total = self.usage
        for entry in self.children_usage:
            total += entry.usage
        return total


def safe_text(raw: str) -> str:
    """Trailing white space stripped from each line, then the whole trimmed."""
    return "\n".join(line.rstrip() for line in raw.splitlines()).strip()


def classify_output(raw: str, *, is_recovered: bool = False) -> AssistantOutput:
    """The assistant output of a turn's raw text."""
    text = safe_text(raw)
    state: OutputState = "usable"
    if not text:
        state = "empty_output"
    elif is_recovered:
        state = "recovered_from_error"
    elif text.startswith("Traceback (most recent call last):"):
        state = "traceback_only"
    return AssistantOutput(text, raw, state)
