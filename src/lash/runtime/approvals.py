"""Approvals: tool calls that wait for a person's word, and the word: `core.approvals`.

What waits is read from the store, so any process sees it and may answer; the first
answer stands, and a call is never asked about twice, whatever becomes of the
application meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

from lash.base.errors import InvalidArgument
from lash.base.json import JsonObject
from lash.effects.ports import EffectHost
from lash.effects.waits import TOKEN_PREFIX, AwaitEventKey, Resolution, ResolveOutcome, UnknownOrRevoked
from lash.runtime.completions import Completions, described, signed_key
from lash.runtime.verdicts import approval, denial


@dataclass(frozen=True, slots=True)
class Approval:
    """A call that waits to be approved. Times are in milliseconds since the epoch. Added in 0.1.

    `args` are what will run: checked, and as hooks left them. `id` is for who holds the
    core; `key.token` may be handed to somebody outside, who then decides this one call.
    """

    id: str
    key: AwaitEventKey
    tool: str
    args: JsonObject
    session_id: str
    turn_id: str
    call_id: str
    asked_at_ms: int
    deadline_ms: int | None
    # The background process that made the call; then session and turn are empty.
    process_id: str | None = None


# An approval, its id, its key, or the token of its key.
WhichApproval: TypeAlias = Approval | AwaitEventKey | str


class Approvals:
    """`core.approvals`. Added in 0.1."""

    def __init__(self, host: EffectHost, on_accepted: Callable[[str], None] = lambda _session_id: None) -> None:
        """`on_accepted` is told the session of a turn that may go on now."""
        self._host = host
        self._completions = Completions(host, on_accepted)

    async def pending(self, session_id: str | None = None) -> list[Approval]:
        """Calls that wait for a word, oldest first, of one session or of all; whichever process runs their turns."""
        return [
            Approval(
                id=wait.key.key_id,
                key=wait.key,
                tool=str(wait.subject["tool"]),
                args=cast("JsonObject", wait.subject["args"]),
                session_id=wait.key.scope.session_id or "",
                turn_id=wait.key.scope.turn_id or "",
                call_id=str(wait.subject["call_id"]),
                asked_at_ms=wait.created_at_ms,
                deadline_ms=wait.deadline_ms,
                process_id=wait.key.scope.process_id,
            )
            for wait in await described(self._host, "approval", session_id)
        ]

    async def approve(self, which: WhichApproval) -> ResolveOutcome:
        """Lets the call run. `Accepted`, `AlreadyResolved` with the answer that stands, or `UnknownOrRevoked`."""
        return await self._answer(which, approval())

    async def deny(self, which: WhichApproval, reason: str = "") -> ResolveOutcome:
        """The call does not run; the model reads `reason`. Answers as `approve` does."""
        return await self._answer(which, denial(reason))

    async def _answer(self, which: WhichApproval, resolution: Resolution) -> ResolveOutcome:
        key = await self._key(which)
        return UnknownOrRevoked() if key is None else await self._completions.resolve(key, resolution)

    async def _key(self, which: WhichApproval) -> AwaitEventKey | None:
        match which:
            case Approval(key=key):
                return key
            case str() if not which.startswith(TOKEN_PREFIX):
                return await self._host.await_event_key(which)
            case str() | AwaitEventKey():
                return signed_key(which)
            case _:
                raise InvalidArgument(
                    f"an approval goes by its id, its key or itself, got {type(which).__name__}; "
                    "core.approvals.pending() lists them"
                )
