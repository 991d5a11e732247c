"""Reading the keys of recorded effects: which effect of a turn a journal row belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# {iteration}:{kind}:{number}, and for an attempt of a tool call what comes after it.
_KEY: Final = re.compile(
    r"(?P<iteration>\d+):(?P<kind>[a-z_]+):(?P<number>\d+)"
    r"(:child:(?P<index>\d+):(?P<call>.+):attempt:(?P<attempt>\d+)(?P<pause>:sleep)?)?"
)
_NAMES: Final = {"sync_execution_environment": "prompt", "llm_call": "model call", "checkpoint": "checkpoint"}


@dataclass(frozen=True, slots=True)
class EffectKey:
    """The place of an effect in its turn. `call_id` and `attempt` belong to tool calls and their pauses."""

    iteration: int
    kind: str
    number: int
    call_index: int = 0
    call_id: str | None = None
    attempt: int = 0
    is_pause: bool = False

    def named(self, tool: str | None = None) -> str:
        """What people call it."""
        if self.is_pause:
            return f"pause before #{self.attempt + 1}"
        if self.call_id is not None:
            return f"{tool or self.call_id}" if self.attempt == 1 else f"{tool or self.call_id} #{self.attempt}"
        return f"{_NAMES.get(self.kind, self.kind)} {self.iteration + 1}"


def short_key(replay_key: str, session_id: str, turn_id: str) -> str:
    """A replay key without session, turn and turn index: what a stamp keeps of it."""
    prefix = f"{session_id}:{turn_id}:"
    return replay_key[len(prefix) :].partition(":")[2] if replay_key.startswith(prefix) else replay_key


def parse_key(short: str) -> EffectKey | None:
    """The parts of a short key; None for a key of another form."""
    match = _KEY.fullmatch(short)
    if match is None:
        return None
    call, is_pause = match["call"], match["pause"] is not None
    if call is not None and is_pause:
        call = call.rpartition(":")[0]  # a pause names its tool as well
    return EffectKey(
        int(match["iteration"]),
        match["kind"],
        int(match["number"]),
        int(match["index"] or 0),
        call,
        int(match["attempt"] or 0),
        is_pause,
    )
