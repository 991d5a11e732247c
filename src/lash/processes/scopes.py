"""Who a process belongs to: optional edges to sessions, none of which implies another.

The originator says who started it, the cause what led to it, the wake target whom
its wakes reach, handle grants who may see it. Deleting a session never stops a
process (docs/spec/durability.md §1 P7, §4.1).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.causes import CausalRef


class SessionScope(msgspec.Struct, frozen=True):
    """A session, or one agent frame of it."""

    session_id: str
    agent_frame_id: str | None = None

    @property
    def id(self) -> str:
        """`session:{s}`, or `session:{s}/frame:{f}`: the key of the scope's grants and wakes."""
        frame = f"/frame:{self.agent_frame_id}" if self.agent_frame_id else ""
        return f"session:{self.session_id}{frame}"


class HostOriginator(msgspec.Struct, frozen=True, tag="host", tag_field="type", gc=False):
    """The application; `scope` tells several of them apart."""

    scope: str | None = None

    @property
    def scope_id(self) -> str:
        """`host`, or `host:{scope}`."""
        return "host" if self.scope is None else f"host:{self.scope}"


class SessionOriginator(msgspec.Struct, frozen=True, tag="session", tag_field="type"):
    """A session."""

    scope: SessionScope

    @property
    def scope_id(self) -> str:
        """The scope's id."""
        return self.scope.id


ProcessOriginator: TypeAlias = HostOriginator | SessionOriginator

# "detached": wakes are stored and reach nobody, because the start asked for none or the session is gone.
# None: nobody ever said whom to wake, so a wake event is a mistake (docs/design/decisions.md 31).
WakeTarget: TypeAlias = SessionScope | Literal["detached"] | None


class ProcessProvenance(msgspec.Struct, frozen=True, gc=False):
    """Who started a process, and what led to it."""

    originator: ProcessOriginator
    caused_by: CausalRef | None = None

    @staticmethod
    def host(scope: str | None = None, caused_by: CausalRef | None = None) -> ProcessProvenance:
        """Started by the application."""
        return ProcessProvenance(HostOriginator(scope), caused_by)

    @staticmethod
    def session(scope: SessionScope, caused_by: CausalRef | None = None) -> ProcessProvenance:
        """Started by a session."""
        return ProcessProvenance(SessionOriginator(scope), caused_by)

    @property
    def runtime_session_id(self) -> str:
        """The session in whose name events happen: the originator's, else `runtime`."""
        match self.originator:
            case SessionOriginator(scope=scope):
                return scope.session_id
            case HostOriginator():
                return "runtime"
