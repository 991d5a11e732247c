"""What a tool may know about the call it is in, and what it may say meanwhile.

A function that declares a first parameter of type `ToolContext` gets one. The
`effect_key` is the same for every attempt and every replay of a call: hand it to
the outside world as an idempotency key, and a call that runs twice counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from lash.base.cancel import CancelToken
from lash.base.canonical import tagged_hash
from lash.base.clock import Clock, SystemClock
from lash.base.errors import LashError
from lash.base.json import Json
from lash.effects.waits import AwaitEventKey
from lash.models.direct import DirectCompletion, DirectRequest
from lash.models.text import readable
from lash.tools.projected import ProjectedValues, resolved

if TYPE_CHECKING:
    from lash.tools.catalog import ToolCatalog


class NoCompletionKey(LashError):
    """The tool runs where nobody could wait for its completion: outside a turn."""

    code = "completion_key_unavailable"


class NoDirectCompletions(LashError):
    """The tool runs where no model was lent to it: outside a turn."""

    code = "direct_completions_unavailable"


class DirectCompletions(Protocol):
    """Asks a model, once per question whatever crashes."""

    async def complete(self, request: DirectRequest) -> DirectCompletion:
        """The answer, durable before it is returned. Raises `DirectCompletionFailed`."""
        ...


class ToolContext:
    """One attempt of one call. Added in 0.1."""

    __slots__ = (
        "_direct",
        "_is_over",
        "_loop",
        "_make_key",
        "_on_progress",
        "_projected",
        "agent_frame_id",
        "attempt_number",
        "cancellation",
        "catalog",
        "clock",
        "has_completion_key",
        "max_attempts",
        "prepared_payload",
        "session_id",
        "tool_call_id",
        "tool_name",
        "turn_id",
    )

    def __init__(
        self,
        *,
        session_id: str,
        turn_id: str,
        tool_call_id: str,
        tool_name: str,
        agent_frame_id: str = "",
        attempt_number: int = 1,
        max_attempts: int = 1,
        prepared_payload: Json = None,
        cancellation: CancelToken | None = None,
        clock: Clock | None = None,
        on_progress: Callable[[str], None] | None = None,
        make_key: Callable[[], AwaitEventKey] | None = None,
        direct: DirectCompletions | None = None,
        catalog: ToolCatalog | None = None,
        projected: ProjectedValues | None = None,
    ) -> None:
        """Made by the runtime, or by a test that calls a tool directly."""
        self.session_id = session_id
        self.turn_id = turn_id
        self.tool_call_id = tool_call_id
        self.tool_name = tool_name
        self.agent_frame_id = agent_frame_id
        self.attempt_number = attempt_number
        self.max_attempts = max_attempts
        self.prepared_payload = prepared_payload
        self.cancellation = cancellation or CancelToken()
        self.clock: Clock = clock or SystemClock()
        self._on_progress = on_progress
        self._make_key = make_key
        self._direct = direct
        self._projected = projected
        # The tools of the turn; None outside a turn.
        self.catalog = catalog
        self._is_over = False
        self.has_completion_key = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    @property
    def effect_key(self) -> str:
        """A stable idempotency key of this call for the outside world: 69 characters, safe in a header.

        Attempts, replays and recoveries of one turn share it; a turn driven anew with
        `retry=True` asks the model anew and has other calls, with other keys.
        """
        return "lash-" + tagged_hash(
            "lash-effect-key", self.session_id, self.turn_id, self.tool_call_id, self.tool_name
        )

    @property
    def replay_key(self) -> str:
        """The readable key of this call within its session."""
        return f"lash-tool:{self.session_id}:{self.tool_call_id}:{self.tool_name}"

    @property
    def cancelled(self) -> bool:
        """Whether the result of this attempt is no longer wanted: cancelled, timed out, or left to another process.

        An async tool is stopped at its next `await`. A synchronous one cannot be: it should
        look here between its steps and return. May be read from any thread.
        """
        return self._is_over or self.cancellation.is_cancelled

    def close(self) -> None:
        """The runtime no longer waits for this attempt."""
        self._is_over = True

    async def completion_key(self) -> AwaitEventKey:
        """The signed key with which somebody outside completes this call, now or in a year.

        Hand out `key.token` and return `ToolResult.pending()`. Every attempt and every
        replay of the call gets the same key. Raises `NoCompletionKey` outside a turn.
        """
        if self._make_key is None:
            raise NoCompletionKey(
                f"tool {self.tool_name} has no turn that could wait for its completion; return the result itself"
            )
        key = self._make_key()
        self.has_completion_key = True
        return key

    @property
    def direct_completions(self) -> DirectCompletions:
        """Questions to the turn's model that belong to no conversation; see `lash.direct`.

        The answer is recorded under the call, so that an attempt that runs again gets the same one, and
        its tokens are charged to the session once. Raises `NoDirectCompletions` outside a turn.
        """
        if self._direct is None:
            raise NoDirectCompletions(
                f"tool {self.tool_name} has no turn whose model it could ask; use lash.direct.DirectClient"
            )
        return self._direct

    async def resolve_projected(self, value: Json) -> Json:
        """`value` with what the references at its roots stand for: itself, or what is directly in a list or record.

        For arguments of a tool with `preserve_projected_refs_in_field`. Anything else stays as it is, so a tool
        need not know whether a program gave a reference or a value. Only what is projected for the session is
        found. What is not immutable is read as it is now. Raises `NoProjectedValues` and `ProjectionUnresolved`.
        """
        return await resolved(value, self._projected, self.tool_name)

    def progress(self, text: str) -> None:
        """Tells whoever watches the turn what the tool is doing; may be called from a thread. Never stored."""
        if self._on_progress is None:
            return
        text = readable(text)
        if self._loop is None or _running_loop() is self._loop:
            self._on_progress(text)
        else:
            self._loop.call_soon_threadsafe(self._on_progress, text)

    def __repr__(self) -> str:
        return f"ToolContext({self.replay_key}, attempt {self.attempt_number} of {self.max_attempts})"


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
