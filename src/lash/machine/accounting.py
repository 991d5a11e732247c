"""What a model's answer means for the turn's counts, and for its classification. Pure."""

from __future__ import annotations

import msgspec

from lash.base.usage import PromptUsage
from lash.machine.llm import LlmResponse
from lash.machine.values import TurnTotals

# A prompt this close to the window that ends without a single token was cut by it.
OVERFLOW_SHARE = 0.95


def reclassified(response: LlmResponse, context_window_tokens: int | None) -> LlmResponse:
    """An answer of nothing at a full window is an overflow, whatever the provider calls it."""
    prompt = response.usage.input_tokens + response.usage.cached_input_tokens
    is_overflow = (
        response.terminal_reason == "output_limit"
        and response.usage.output_tokens == 0
        and context_window_tokens is not None
        and prompt >= OVERFLOW_SHARE * context_window_tokens
    )
    return msgspec.structs.replace(response, terminal_reason="context_overflow") if is_overflow else response


def counted(totals: TurnTotals, response: LlmResponse, context_window_tokens: int | None) -> TurnTotals:
    """The turn's totals with one more answer; its attempts were counted when it came."""
    used = response.usage
    prompt = PromptUsage(
        prompt_context_tokens=used.input_tokens,
        input_tokens=max(0, used.input_tokens - used.cached_input_tokens),
        cached_input_tokens=used.cached_input_tokens,
        context_budget_tokens=context_window_tokens,
    )
    return TurnTotals(totals.usage + used, totals.model_calls, prompt)
