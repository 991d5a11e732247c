"""Prompt caching by markers, as Anthropic has it and some gateways with it.

A marker says: remember everything up to here. At most four are taken: the end of the
instructions, the end of the tools, and two in the conversation
(docs/spec/runtime.md §8.5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from lash.base.json import JsonObject
from lash.machine.llm import LlmBlock, LlmRequest, TextBlock
from lash.models.provider import CacheRetention

# What is left for explicit breakpoints: the last ones count, because they cover the most.
MAX_BREAKPOINTS: Final = 2


def cache_marker(retention: CacheRetention) -> JsonObject | None:
    """The marker for a retention: minutes by default, an hour for `long`, None for `none`."""
    match retention:
        case "none":
            return None
        case "short":
            return {"type": "ephemeral"}
        case "long":
            return {"type": "ephemeral", "ttl": "1h"}


# A message of the request and a block of it, both by number.
Position: TypeAlias = tuple[int, int]


def cache_positions(request: LlmRequest, can_carry: Callable[[LlmBlock], bool]) -> frozenset[Position]:
    """Where in the conversation markers go: at the host's breakpoints, else at its very end.

    `can_carry` says which blocks take a marker in the dialect at hand.
    """
    carriers = [
        ((number, index), block)
        for number, message in enumerate(request.messages)
        if message.role != "system"
        for index, block in enumerate(message.blocks)
        if can_carry(block)
    ]
    wanted = [at for at, block in carriers if isinstance(block, TextBlock) and block.cache_breakpoint]
    if wanted:
        return frozenset(wanted[-MAX_BREAKPOINTS:])
    return frozenset(at for at, _ in carriers[-1:])
