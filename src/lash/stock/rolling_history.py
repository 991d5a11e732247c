"""Rolling history: long conversations stay within the window, and nothing is rewritten.

A transform of the view (priority 100): past 60 % of the window, images older than the
last two user turns are not shown any more; within 20 000 tokens of the window, the view
keeps the leading system messages and a tail of about 20 000 recent tokens. A compactor
(priority 100): `session.compact(instructions)` has the model summarise, and the summary
begins a new frame (docs/spec/runtime.md §7.5).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.base.messages import Message, Part, PluginOrigin, user_message
from lash.plugins.hooks import PluginSessionContext
from lash.plugins.registrar import PluginRegistrar
from lash.plugins.transforms import CompactContext, PreparedContext, TurnContext

PLUGIN_ID = "rolling_history"
PRIORITY = 100
IMAGES_FROM = 0.6
RESERVE_TOKENS = 20_000
TAIL_TOKENS = 20_000
USER_TURNS_WITH_IMAGES = 2
BYTES_PER_TOKEN = 4
# What an image costs is the provider's secret; this is what common sizes come to.
TOKENS_PER_IMAGE = 1_000

SUMMARY_SYSTEM = (
    "You summarise a conversation so that it can go on from your summary alone. Keep: what the user wants, "
    "decisions and their reasons, facts and identifiers that were found, what is done, what is open. "
    "Write plain prose and lists, no preamble."
)
SUMMARY_REQUEST = "Summarise the conversation so far."
SUMMARY_TITLE = "Summary of the conversation so far:"


class RollingHistory:
    """The plugin. Does nothing to turns while the model's window is unknown. Added in 0.1."""

    id = PLUGIN_ID

    def build(self, context: PluginSessionContext) -> RollingHistory:
        """Stateless: one object serves every session."""
        del context
        return self

    def register(self, registrar: PluginRegistrar) -> None:
        """Transform and compactor."""
        registrar.context.prepare_turn(PRIORITY, self.prepare)
        registrar.context.compact(PRIORITY, self.compact)

    def prepare(self, context: TurnContext) -> PreparedContext | None:
        """The view of one turn; None while everything fits."""
        window = context.context_window_tokens
        if window is None:
            return None
        usage = context.last_prompt_usage
        measured = 0 if usage is None else usage.prompt_context_tokens
        expected = max(measured, tokens_of(context.messages)) + tokens_of(context.input)
        shown: Sequence[Message] = context.messages
        if expected > IMAGES_FROM * window:
            shown = without_old_images(shown)
        if expected >= window - min(RESERVE_TOKENS, window // 2):
            shown = recent(shown, min(TAIL_TOKENS, window // 2))
        return None if shown is context.messages else PreparedContext(shown)

    async def compact(self, context: CompactContext) -> list[Message] | None:
        """A summary by the session's model; None when there is nothing to summarise."""
        if not any(message.role == "assistant" for message in context.messages):
            return None
        request = SUMMARY_REQUEST
        if context.instructions:
            request += f"\n\n{context.instructions}"
        summary = await context.complete(
            [*without_images(context.messages), user_message("compact", request)], system=SUMMARY_SYSTEM
        )
        if not summary:
            return None
        leading = list(_leading_system(context.messages))
        return [*leading, user_message("", f"{SUMMARY_TITLE}\n\n{summary}", origin=PluginOrigin(self.id))]


def tokens_of(messages: Sequence[Message]) -> int:
    """About how many tokens messages are."""
    return sum(_size(message) for message in messages)


def without_old_images(messages: Sequence[Message]) -> Sequence[Message]:
    """Images before the last two user turns are dropped; the same object when there are none."""
    starts = [place for place, message in enumerate(messages) if _starts_turn(message)]
    boundary = starts[-USER_TURNS_WITH_IMAGES] if len(starts) >= USER_TURNS_WITH_IMAGES else 0
    if not any(_has_image(message) for message in messages[:boundary]):
        return messages
    return [*without_images(messages[:boundary]), *messages[boundary:]]


def without_images(messages: Sequence[Message]) -> list[Message]:
    """The messages without images; each says that it had one."""
    return [_without_images(message) if _has_image(message) else message for message in messages]


def recent(messages: Sequence[Message], tail_tokens: int) -> Sequence[Message]:
    """The leading system messages and a tail that begins with a user's word: no call without its result."""
    leading = len(_leading_system(messages))
    size, start = 0, len(messages)
    for place in range(len(messages) - 1, leading - 1, -1):
        size += _size(messages[place])
        if size > tail_tokens and start < len(messages):
            break
        if _starts_turn(messages[place]):
            start = place
    if start <= leading or start == len(messages):
        return messages
    return [*messages[:leading], *messages[start:]]


def _leading_system(messages: Sequence[Message]) -> Sequence[Message]:
    count = 0
    while count < len(messages) and messages[count].role == "system":
        count += 1
    return messages[:count]


def _starts_turn(message: Message) -> bool:
    return message.role == "user" and not any(part.kind == "tool_result" for part in message.parts)


def _has_image(message: Message) -> bool:
    return any(part.kind == "image" for part in message.parts)


def _without_images(message: Message) -> Message:
    parts = [
        Part(part.id, "text", "[image no longer shown]") if part.kind == "image" else part for part in message.parts
    ]
    return msgspec.structs.replace(message, parts=parts)


def _size(message: Message) -> int:
    text = sum(len(part.content.encode()) for part in message.parts)
    return -(-text // BYTES_PER_TOKEN) + TOKENS_PER_IMAGE * sum(part.kind == "image" for part in message.parts)
