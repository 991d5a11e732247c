"""The warning that a session's context has grown past its soft limit: told once, to whoever watches (§5.7)."""

from __future__ import annotations

from typing import Final

from lash.base.usage import PromptUsage
from lash.plugins.directives import CustomEvent, EmitRuntimeEvents
from lash.plugins.hooks import AtCheckpoint

WARNING: Final = "rlm_context_budget_warning"


class ContextBudget:
    """What one session last told a model, against its limit. A fresh frame may be warned of anew."""

    def __init__(self, limit_tokens: int) -> None:
        self._limit = limit_tokens
        self._used = 0
        self._has_told = False

    def saw(self, usage: PromptUsage | None) -> None:
        """The last model call of the turn."""
        if usage is not None:
            self._used = usage.prompt_context_tokens
            self._has_told = self._has_told and self._used >= self._limit

    def at_checkpoint(self, context: AtCheckpoint) -> EmitRuntimeEvents | None:
        """The warning, once, where the turn goes on."""
        if self._has_told or self._used < self._limit or context.checkpoint != "after_work":
            return None
        self._has_told = True
        return EmitRuntimeEvents([CustomEvent(WARNING, {"used_tokens": self._used, "limit_tokens": self._limit})])
