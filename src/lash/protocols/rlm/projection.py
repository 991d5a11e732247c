"""The conversation as the model sees it: its own emissions, each followed by what came of it.

Every message is projected on its own, so that history is projected once and not again. What
is told of the turn's place and of the variables comes last: everything before it is the same
in the next request, and stays in the provider's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from lash.base.messages import Message, Part, PluginOrigin
from lash.machine.llm import ImageBlock, LlmBlock, LlmMessage, ReasoningBlock, TextBlock
from lash.machine.values import TurnCause
from lash.protocols.rlm.cells import CellGrammar
from lash.protocols.rlm.history import is_came_of
from lash.protocols.rlm.options import PLUGIN_ID
from lash.protocols.rlm.output import clipped
from lash.protocols.standard import besides_causes, project, render_causes


class RlmProjection:
    """How one session's conversation becomes a request. `bound` tells of the variables at that moment."""

    def __init__(self, grammar: CellGrammar, max_output_chars: int, bound: Callable[[], str]) -> None:
        self._grammar = grammar
        self._limit = max_output_chars
        self._bound = bound

    def project(self, messages: Sequence[Message]) -> list[LlmMessage]:
        """Model messages of a stretch of conversation."""
        projected: list[LlmMessage] = []
        for message in messages:
            if is_came_of(message):
                projected.append(LlmMessage("user", self._came_of(message)))
            elif message.role == "assistant":
                blocks = self._emission(message)
                if blocks:
                    projected.append(LlmMessage("assistant", blocks))
            else:
                projected += project([message])
        return projected

    def project_turn(self, messages: Sequence[Message], causes: Sequence[TurnCause]) -> list[LlmMessage]:
        """Model messages of the running turn: at the end its causes, where it stands, and the variables."""
        said = besides_causes(messages, causes)
        status = said.pop().text if said and _is_status(said[-1]) else ""
        projected = self.project(said)
        last = [text for text in (render_causes(causes) if causes else "", status, self._bound()) if text]
        if projected:
            projected[-1] = _remembered(projected[-1])
        return [*projected, LlmMessage("user", [TextBlock("\n\n".join(last))])] if last else projected

    def _emission(self, message: Message) -> list[LlmBlock]:
        blocks: list[LlmBlock] = []
        texts: list[str] = []
        for part in message.parts:
            if part.kind == "reasoning" and part.reasoning_meta is not None:
                # Only the provider that signed it can use it again.
                blocks.append(ReasoningBlock(part.content, part.reasoning_meta))
            elif part.kind == "code":
                texts.append(self._grammar.shown(part.content))
            elif part.kind in ("prose", "text") and part.content.strip():
                texts.append(part.content)
        return [*blocks, TextBlock("\n\n".join(texts))] if texts else blocks

    def _came_of(self, message: Message) -> list[LlmBlock]:
        texts = [self._line(number, part) for number, part in enumerate(message.parts) if part.attachment is None]
        blocks: list[LlmBlock] = [TextBlock("\n\n".join(texts) or "The cell ran and printed nothing.")]
        return blocks + [ImageBlock(part.attachment) for part in message.parts if part.attachment is not None]

    def _line(self, number: int, part: Part) -> str:
        text = clipped(part.content, self._limit, part.id)
        if part.kind == "error":
            return f"Error:\n{text}"
        if part.id.endswith(".final_output"):
            return f"Submitted:\n{text}"
        return f"Output {number + 1}:\n{text}"


def _is_status(message: Message) -> bool:
    origin = message.origin
    return isinstance(origin, PluginOrigin) and origin.plugin_id == PLUGIN_ID and origin.transient


def _remembered(message: LlmMessage) -> LlmMessage:
    """The message with a cache breakpoint at its end: what follows changes with each request."""
    blocks = list(message.blocks)
    for index in range(len(blocks) - 1, -1, -1):
        block = blocks[index]
        if isinstance(block, TextBlock):
            blocks[index] = msgspec.structs.replace(block, cache_breakpoint=True)
            break
    return msgspec.structs.replace(message, blocks=blocks)
