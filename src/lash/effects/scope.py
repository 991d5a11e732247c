"""Execution scopes: the stable identity under which effects and waits are issued.

The durable identity is `journal_key`, the canonical JSON of the whole scope: turn
`x` of one session, turn `x` of another and process `x` never share history
(docs/spec/durability.md §2.1).
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from lash.base.codec import encode
from lash.base.errors import LashRuntimeError
from lash.base.once import once

ScopeType: TypeAlias = Literal["turn", "process", "queue_drain", "session_delete", "runtime_operation"]

# What a scope of each kind must have, its own id last.
_FIELDS: Final[dict[ScopeType, tuple[str, ...]]] = {
    "turn": ("session_id", "turn_id"),
    "process": ("process_id",),
    "queue_drain": ("session_id", "drain_id"),
    "session_delete": ("session_id",),
    "runtime_operation": ("operation_id",),
}


class ExecutionScope(msgspec.Struct, frozen=True, dict=True):
    """One of five kinds of scope; make it with the constructor of its kind."""

    type: ScopeType
    session_id: str | None = None
    turn_id: str | None = None
    process_id: str | None = None
    drain_id: str | None = None
    operation_id: str | None = None

    @staticmethod
    def turn(session_id: str, turn_id: str) -> ExecutionScope:
        """A turn of a session."""
        return ExecutionScope("turn", session_id=session_id, turn_id=turn_id)

    @staticmethod
    def process(process_id: str) -> ExecutionScope:
        """A background process."""
        return ExecutionScope("process", process_id=process_id)

    @staticmethod
    def queue_drain(session_id: str, drain_id: str) -> ExecutionScope:
        """One drain of a session's queue."""
        return ExecutionScope("queue_drain", session_id=session_id, drain_id=drain_id)

    @staticmethod
    def session_delete(session_id: str) -> ExecutionScope:
        """The deletion of a session."""
        return ExecutionScope("session_delete", session_id=session_id)

    @staticmethod
    def runtime_operation(operation_id: str) -> ExecutionScope:
        """An operation of the host application."""
        return ExecutionScope("runtime_operation", operation_id=operation_id)

    @property
    def id(self) -> str:
        """The id for people to read; not unique across kinds and sessions."""
        own: str | None = getattr(self, _FIELDS[self.type][-1])
        return own or ""

    @once
    def journal_key(self) -> str:
        """The key of the scope's rows in every store."""
        return encode(self)

    def validate(self) -> ExecutionScope:
        """The scope itself; raises `missing_execution_scope_id` when a field is blank."""
        for name in _FIELDS[self.type]:
            field: str | None = getattr(self, name)
            if field is None or not field.strip():
                raise LashRuntimeError("missing_execution_scope_id", "execution scopes require non-empty stable ids")
        return self
