"""Compaction: a session goes on in a new frame that begins with what a compactor made of the old one.

Nothing is rewritten: the old frame stays stored and readable. A crash before the commit
leaves the session as it was (docs/spec/runtime.md §7.2, `context.compact`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.base.cancel import CancelToken
from lash.base.messages import Message, Part
from lash.base.usage import TokenUsage
from lash.machine.llm import LlmMessage, LlmRequest, LlmResponse, RequestPlace, TextBlock
from lash.models.call import call_model
from lash.plugins.errors import PluginInvokeError, PluginSessionError
from lash.plugins.host import PluginSession, call_hook
from lash.plugins.transforms import CompactContext
from lash.runtime.engine import Engine
from lash.runtime.input import TurnOptions
from lash.runtime.memory import SessionMemory
from lash.sessions.commit import RuntimeCommit, UsageDelta
from lash.sessions.frames import AgentFrame
from lash.sessions.graph import Conversation, GraphAppend, SessionNode


class Compaction:
    """One compaction of one session."""

    def __init__(self, engine: Engine, memory: SessionMemory, plugins: PluginSession, instructions: str | None) -> None:
        self._engine = engine
        self._memory = memory
        self._plugins = plugins
        self._instructions = instructions
        self._usage: list[tuple[str, TokenUsage]] = []
        self._calls = 0
        self._model_id = ""

    async def plan(self, commit: RuntimeCommit) -> RuntimeCommit | None:
        """The commit that opens the new frame; None when no compactor has anything to say."""
        initial = await self._ask()
        if not initial:
            return None
        memory, now_ms = self._memory, self._engine.clock.now_ms()
        revision = memory.head_revision + 1
        frame_id = f"compaction-{revision}"
        nodes = _nodes(initial, memory.leaf_node_id, frame_id, revision, now_ms)
        superseded = [
            msgspec.structs.replace(frame, status="superseded") if frame.frame_id == memory.frame_id else frame
            for frame in memory.frames
        ]
        opened = AgentFrame(
            frame_id,
            memory.session_id,
            reason="compaction",
            previous_frame_id=memory.frame_id,
            created_at_ms=now_ms,
            assignment=memory.assignment,
        )
        state = commit.checkpoint.turn_state
        turn_state = msgspec.structs.replace(
            state,
            model_calls=state.model_calls + self._calls,
            token_usage=sum((usage for _, usage in self._usage), state.token_usage),
            last_prompt_usage=None,  # it measured the old frame
        )
        return msgspec.structs.replace(
            commit,
            agent_frames=[*superseded, opened],
            current_agent_frame_id=frame_id,
            graph=GraphAppend(nodes, nodes[-1].node_id),
            checkpoint=msgspec.structs.replace(commit.checkpoint, turn_state=turn_state),
            rolled_up_to=memory.ancestors,
            usage_deltas=[
                UsageDelta(source, self._model_id, usage, f"{frame_id}:{number}")
                for number, (source, usage) in enumerate(self._usage)
            ],
        )

    async def complete(self, messages: Sequence[Message], *, system: str = "", source: str = "compaction") -> str:
        """Asks the session's model once. Raises `PluginSessionError` when it does not answer."""
        chosen = self._engine.options.choose_model(self._memory.as_configured(TurnOptions()))
        prompt = [LlmMessage("system", [TextBlock(system)])] if system else []
        projected = self._plugins.protocol.project(messages)
        state = self._memory.checkpoint.turn_state
        request = LlmRequest(
            model=chosen.facts.id,
            messages=[*prompt, *projected],
            tool_choice="none",
            model_variant=chosen.facts.variant,
            session_id=self._memory.session_id,
            capability=chosen.capability,
            output_token_capacity=chosen.facts.output_token_capacity,
            load_attachment=self._engine.load_attachment,
            place=RequestPlace(
                turn_index=self._memory.turn_index, iteration=self._calls, model_call=state.model_calls + self._calls
            ),
        )
        call = await call_model(chosen.provider, request, cancel=CancelToken(), clock=self._engine.clock)
        self._calls += call.attempts
        if not isinstance(call.result, LlmResponse):
            raise PluginSessionError(f"the model did not answer: {call.result.message}", code=call.result.code)
        self._model_id = chosen.facts.id
        if call.result.usage:
            self._usage.append((source, call.result.usage))
        return call.result.full_text

    async def _ask(self) -> list[Message]:
        memory = self._memory
        context = CompactContext(
            memory.session_id, memory.frame_id, tuple(memory.history.messages), self._instructions, self.complete
        )
        for hook in self._plugins.registrations.compactors.items:
            said = await call_hook("compact", hook, context)
            if said is None:
                continue
            if not isinstance(said, list | tuple) or not all(isinstance(item, Message) for item in said):
                raise PluginInvokeError(
                    f"plugin {hook.plugin_id!r}: hook compact returned {type(said).__name__}; "
                    "return a list of messages or None"
                )
            if said:
                return list(said)
        return []


def _nodes(
    messages: Sequence[Message], parent: str | None, frame_id: str, revision: int, now_ms: int
) -> list[SessionNode]:
    nodes: list[SessionNode] = []
    for number, message in enumerate(messages):
        node_id = f"c{revision}.i{number}"
        kept = msgspec.structs.replace(message, id=node_id, parts=_numbered(message.parts))
        nodes.append(SessionNode(node_id, Conversation(kept), parent, frame_id, created_at_ms=now_ms))
        parent = node_id
    return nodes


def _numbered(parts: Sequence[Part]) -> list[Part]:
    return [msgspec.structs.replace(part, id=f"p{number}") for number, part in enumerate(parts)]
