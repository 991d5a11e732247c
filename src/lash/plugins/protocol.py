"""What an execution mode may say about the life of its sessions (docs/spec/runtime.md §7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from lash.base.json import Json, JsonObject
from lash.machine.llm import LlmRequest
from lash.plugins.directives import CreateSession
from lash.plugins.services import SessionFacts
from lash.sessions.graph import SessionNode


@dataclass(frozen=True, slots=True)
class BeforeLlmCall:
    """A model call that is about to be made and is not recorded yet."""

    session_id: str
    turn_id: str
    iteration: int
    request: LlmRequest


class SwitchAgentFrame(msgspec.Struct, frozen=True):
    """In place of the call: the turn ends, and the session goes on in another frame with `task` as its input."""

    frame_id: str
    task: str


class ProtocolSession:
    """Callbacks of the mode, one object a session; each does nothing by default. Added in 0.1.

    Register it with `registrar.protocol.session(…)`. What a callback raises refuses what it was asked about:
    raise a `LashError`.
    """

    async def initialize_session(self, session: SessionFacts) -> None:
        """The session is opened for the first time: nothing of it is stored."""

    async def restore_session(self, session: SessionFacts) -> None:
        """A stored session is opened."""

    def apply_session_extension(self, options: Json) -> None:
        """The mode's own entry of `plugin_options`, when the session is opened with one."""

    def validate_turn_extension(self, options: JsonObject) -> None:
        """The `protocol_turn_options` of a turn, before it is accepted. Raise `InvalidArgument` to refuse it."""

    def configure_runtime_from_request(self, request: CreateSession) -> CreateSession:
        """A child is about to be made of this session: the request as it shall be carried out."""
        return request

    async def append_session_nodes(self, nodes: Sequence[SessionNode]) -> None:
        """Nodes that are no turn's words were committed: hooks appended them. What it raises is logged."""

    async def before_llm_call(self, call: BeforeLlmCall) -> SwitchAgentFrame | None:
        """Asked before each model call; what it says is recorded before the call is made."""
        return None
