"""Completing what a tool handed to somebody outside: `core.completions`.

A key is all it takes: any process with a core over the same store may use it, before
the turn waits, while it waits, and after any number of restarts. The first
resolution stands (docs/spec/runtime.md §6.6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

from lash.base.canonical import canonical_json_bytes
from lash.base.codec import to_json
from lash.base.errors import InvalidArgument, NotCanonical
from lash.base.json import Json, JsonObject
from lash.effects.ports import EffectHost
from lash.effects.waits import (
    Accepted,
    AwaitEventKey,
    OpenWait,
    Resolution,
    ResolvedErr,
    ResolvedOk,
    ResolveOutcome,
    TimedOut,
    WaitCancelled,
    WaitError,
)

# A key, or its token as the external system gave it back.
CompletionKey: TypeAlias = AwaitEventKey | str


@dataclass(frozen=True, slots=True)
class PendingCompletion:
    """A detached tool call that nobody has completed yet. Times are in milliseconds since the epoch. Added in 0.1."""

    id: str
    key: AwaitEventKey
    tool: str
    args: JsonObject
    session_id: str
    turn_id: str
    call_id: str
    started_at_ms: int
    deadline_ms: int | None
    # The background process that made the call; then session and turn are empty.
    process_id: str | None = None


class Completions:
    """`core.completions`. Added in 0.1."""

    def __init__(self, host: EffectHost, on_accepted: Callable[[str], None] = lambda _session_id: None) -> None:
        """`on_accepted` is told the session of a turn that may go on now."""
        self._host = host
        self._on_accepted = on_accepted

    async def resolve(self, key: CompletionKey, resolution: Resolution) -> ResolveOutcome:
        """`Accepted`, `AlreadyResolved` with what stands, or `UnknownOrRevoked`: forged, foreign, session deleted.

        Raises `MalformedWaitKey` for a text that is no key at all, and `InvalidArgument`
        for what is no resolution, or holds what is not JSON.
        """
        if not isinstance(resolution, ResolvedOk | ResolvedErr | TimedOut | WaitCancelled):
            raise InvalidArgument(
                f"a resolution is ResolvedOk, ResolvedErr, TimedOut or WaitCancelled, got {type(resolution).__name__}; "
                "or call complete(), fail() or cancel()"
            )
        try:
            canonical_json_bytes(to_json(resolution))
        except NotCanonical as error:
            raise InvalidArgument(f"a call is completed with JSON: {error.message}") from error
        signed = signed_key(key)
        outcome = await self._host.resolve_await_event(signed, resolution)
        if isinstance(outcome, Accepted) and signed.scope.session_id is not None:
            self._on_accepted(signed.scope.session_id)
        return outcome

    async def complete(self, key: CompletionKey, value: Json = None) -> ResolveOutcome:
        """The call succeeded: the model reads `value`, which is JSON."""
        return await self.resolve(key, ResolvedOk(value))

    async def fail(
        self, key: CompletionKey, message: str, *, code: str = "external_failure", raw: Json = None
    ) -> ResolveOutcome:
        """The call failed: the model reads `message`."""
        return await self.resolve(key, ResolvedErr(WaitError(code, message, raw)))

    async def cancel(self, key: CompletionKey) -> ResolveOutcome:
        """The call will not be completed."""
        return await self.resolve(key, WaitCancelled())

    async def pending(self, session_id: str | None = None) -> list[PendingCompletion]:
        """Detached calls that wait, oldest first, of one session or of all; whichever process runs their turns."""
        return [
            PendingCompletion(
                id=wait.key.key_id,
                key=wait.key,
                tool=str(wait.subject["tool"]),
                args=cast("JsonObject", wait.subject["args"]),
                session_id=wait.key.scope.session_id or "",
                turn_id=wait.key.scope.turn_id or "",
                call_id=str(wait.subject["call_id"]),
                started_at_ms=wait.created_at_ms,
                deadline_ms=wait.deadline_ms,
                process_id=wait.key.scope.process_id,
            )
            for wait in await described(self._host, "completion", session_id)
        ]


async def described(host: EffectHost, kind: str, session_id: str | None) -> list[OpenWait]:
    """Open waits of one kind, in the order in which they began."""
    found = [wait for wait in await host.open_waits(session_id) if wait.subject.get("kind") == kind]
    return sorted(found, key=lambda wait: (wait.created_at_ms, cast("int", wait.subject.get("place", 0))))


def signed_key(key: CompletionKey) -> AwaitEventKey:
    """The key itself, or the one a token spells. Raises `MalformedWaitKey`."""
    return AwaitEventKey.of_token(key) if isinstance(key, str) else key
