"""Who asks for an effect, from where, and under which replay key."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from lash.base.causes import (
    CausalRef,
    EffectCause,
    ProcessCause,
    ProcessEventCause,
    SessionNodeCause,
    TriggerOccurrenceCause,
)
from lash.base.codec import encode
from lash.effects.scope import ExecutionScope

# Writes what is made of texts, whole numbers and structs of them as the canonical encoder writes its JSON,
# where each field that may be left out is None by default and the struct omits defaults.
_write: Final = msgspec.json.Encoder(order="sorted").encode


class RuntimeScope(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The place in a session that something belongs to."""

    session_id: str
    turn_id: str | None = None
    turn_index: int | None = None
    protocol_iteration: int | None = None


class EffectSubject(msgspec.Struct, frozen=True, tag="effect", tag_field="type", gc=False):
    """An effect. `kind` equals the kind of its command."""

    effect_id: str
    kind: str


class ProcessSubject(msgspec.Struct, frozen=True, tag="process", tag_field="type"):
    """A background process."""

    process_id: str


class ProcessEventSubject(msgspec.Struct, frozen=True, tag="process_event", tag_field="type"):
    """One event of a process."""

    process_id: str
    sequence: int
    event_type: str


class TriggerOccurrenceSubject(msgspec.Struct, frozen=True, tag="trigger_occurrence", tag_field="type"):
    """An occurrence in the outside world."""

    occurrence_id: str


class SessionNodeSubject(msgspec.Struct, frozen=True, tag="session_node", tag_field="type"):
    """A node of a session graph."""

    node_id: str


Subject: TypeAlias = (
    EffectSubject | ProcessSubject | ProcessEventSubject | TriggerOccurrenceSubject | SessionNodeSubject
)


class Replay(msgspec.Struct, frozen=True, gc=False):
    """The key under which an outcome is recorded and found again."""

    key: str


class Invocation(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One request to the runtime: what it is, where it belongs, what caused it."""

    scope: RuntimeScope
    subject: Subject
    caused_by: CausalRef | None = None
    replay: Replay | None = None

    @staticmethod
    def effect(scope: RuntimeScope, effect_id: str, kind: str, replay_key: str) -> Invocation:
        """An invocation of one effect."""
        return Invocation(scope, EffectSubject(effect_id, kind), None, Replay(replay_key))

    def canonical(self) -> str:
        """The canonical text of its JSON. Raises `NotCanonical`."""
        try:
            return _write(self).decode()
        except UnicodeEncodeError:
            return encode(self)  # says where

    def causal_ref(self) -> CausalRef:
        """The subject as a cause of something else."""
        match self.subject:
            case EffectSubject(effect_id=effect_id):
                return EffectCause(self.scope.session_id, effect_id, self.scope.turn_id)
            case ProcessSubject(process_id=process_id):
                return ProcessCause(process_id)
            case ProcessEventSubject(process_id=process_id, sequence=sequence):
                return ProcessEventCause(process_id, sequence)
            case TriggerOccurrenceSubject(occurrence_id=occurrence_id):
                return TriggerOccurrenceCause(occurrence_id)
            case SessionNodeSubject(node_id=node_id):
                return SessionNodeCause(self.scope.session_id, node_id)


def turn_replay_key(scope: RuntimeScope, kind: str, number: int) -> str:
    """The replay key of effect `number` (from 1) of a turn; exact, journals outlive builds."""
    return (
        f"{scope.session_id}:{scope.turn_id or ''}:{scope.turn_index or 0}:"
        f"{scope.protocol_iteration or 0}:{kind}:{number}"
    )


def turn_effect_number(scope: ExecutionScope, replay_key: str) -> int:
    """The effect number in a replay key of this turn; 0 for a key of another form."""
    prefix = f"{scope.session_id}:{scope.turn_id}:"
    if scope.type != "turn" or not replay_key.startswith(prefix):
        return 0
    # {turn_index}:{iteration}:{kind}:{n}, then the suffixes of a child effect
    fields = replay_key[len(prefix) :].split(":", 4)
    is_numbered = len(fields) >= 4 and fields[0].isdigit() and fields[3].isdigit()
    return int(fields[3]) if is_numbered else 0
