"""What the host says about a model. Facts, never guessed from names."""

from __future__ import annotations

import msgspec


class ModelFacts(msgspec.Struct, frozen=True):
    """The stored part of a model choice: no credentials, no live object.

    Without `context_window_tokens` overflow detection and context budgets are off.
    """

    id: str
    variant: str | None = None
    context_window_tokens: int | None = None
    output_token_capacity: int | None = None
