"""Reading the keys of recorded effects: which effect of a turn a journal row belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

# {iteration}:{kind}:{number}, and for an effect of a tool call what comes after it.
_KEY: Final = re.compile(
    r"(?P<iteration>\d+):(?P<kind>[a-z_]+):(?P<number>\d+)"
    r"(:child:(?P<index>\d+):(?P<call>.+):"
    r"(attempt:(?P<attempt>\d+)(?P<pause>:sleep)?(?P<outside>:wait)?|(?P<step>approval:wait|approval|result)))?"
)
# The same of a cell: a call by its place in the program and how often it came there, or something else of it.
_CELL_CALL: Final = re.compile(
    r"(?P<iteration>\d+):exec_code:(?P<number>\d+):(?P<call>resource_operation:[0-9a-f]{24}:\d+):"
    r"((?P<tool>.+):)?(attempt:(?P<attempt>\d+)(?P<pause>:sleep)?(?P<outside>:wait)?|"
    r"(?P<step>approval:wait|approval|result))"
)
_CELL: Final = re.compile(r"(?P<iteration>\d+):exec_code:(?P<number>\d+):(?P<what>[a-z_]+)(:(?P<rest>.+))?")
CallStep: TypeAlias = Literal["attempt", "pause", "approval", "approval:wait", "wait", "result"]
_STEPS: Final[dict[str, str]] = {
    "approval": "question about {}",
    "approval:wait": "word about {}",
    "wait": "completion of {}",
    "result": "result of {}",
}
_CELL_NAMES: Final = {
    "module": "its code is kept",
    "start": "start of a process",
    "await": "wait for a process",
    "cancel": "cancel of a process",
    "signal": "signal to a process",
    "expired": "end of its time",
}
_NAMES: Final = {"sync_execution_environment": "prompt", "llm_call": "model call", "checkpoint": "checkpoint"}


@dataclass(frozen=True, slots=True)
class EffectKey:
    """The place of an effect in its turn. `call_id`, `attempt` and `step` belong to tool calls."""

    iteration: int
    kind: str
    number: int
    call_index: int = 0
    call_id: str | None = None
    attempt: int = 0
    step: CallStep = "attempt"
    # What it is of a cell, unless it is a call.
    in_cell: str | None = None

    @property
    def site(self) -> str | None:
        """The place in its program, for a call of a cell."""
        return self.call_id.rpartition(":")[0] if self.call_id is not None and self.kind == "exec_code" else None

    @property
    def is_pause(self) -> bool:
        """Whether it is the pause after an attempt."""
        return self.step == "pause"

    def named(self, tool: str | None = None) -> str:
        """What people call it."""
        if self.in_cell is not None:
            return f"cell {self.iteration + 1}: {self.in_cell}"
        if self.is_pause:
            return f"pause before #{self.attempt + 1}"
        if self.step in _STEPS:
            return _STEPS[self.step].format(tool or self.call_id)
        if self.call_id is not None:
            return f"{tool or self.call_id}" if self.attempt == 1 else f"{tool or self.call_id} #{self.attempt}"
        return f"{_NAMES.get(self.kind, self.kind)} {self.iteration + 1}"


def short_key(replay_key: str, session_id: str, turn_id: str) -> str:
    """A replay key without session, turn and turn index: what a stamp keeps of it."""
    prefix = f"{session_id}:{turn_id}:"
    return replay_key[len(prefix) :].partition(":")[2] if replay_key.startswith(prefix) else replay_key


def parse_key(short: str) -> EffectKey | None:
    """The parts of a short key; None for a key of another form."""
    if (found := _CELL_CALL.fullmatch(short)) is not None:
        return _cell_call(found)
    if (found := _CELL.fullmatch(short)) is not None:
        return EffectKey(int(found["iteration"]), "exec_code", int(found["number"]), in_cell=_in_cell(found))
    match = _KEY.fullmatch(short)
    if match is None:
        return None
    call = match["call"]
    step: CallStep = cast("CallStep", match["step"] or "attempt")
    if match["outside"] is not None:
        step = "wait"
    if match["pause"] is not None and call is not None:
        step = "pause"
        call = call.rpartition(":")[0]  # a pause names its tool as well
    return EffectKey(
        int(match["iteration"]),
        match["kind"],
        int(match["number"]),
        int(match["index"] or 0),
        call,
        int(match["attempt"] or 0),
        step,
    )


def _cell_call(match: re.Match[str]) -> EffectKey:
    step: CallStep = cast("CallStep", match["step"] or "attempt")
    if match["outside"] is not None:
        step = "wait"
    if match["pause"] is not None:
        step = "pause"
    return EffectKey(
        int(match["iteration"]),
        "exec_code",
        int(match["number"]),
        call_id=match["call"],
        attempt=int(match["attempt"] or 0),
        step=step,
    )


def _in_cell(match: re.Match[str]) -> str:
    what, rest = match["what"], match["rest"] or ""
    if what == "sleep":
        return f"sleep {int(rest) + 1}" if rest.isdigit() else "sleep"
    if what == "read":
        return f"read of {rest}"
    return _CELL_NAMES.get(what, f"{what} {rest}".strip())
