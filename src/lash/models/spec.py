"""What the host says about a model. Facts, never guessed from names."""

from __future__ import annotations

import msgspec

from lash.base.errors import ConfigurationError


class ModelFacts(msgspec.Struct, frozen=True):
    """The stored part of a model choice: no credentials, no live object.

    Without `context_window_tokens` overflow detection and context budgets are off.
    """

    id: str
    variant: str | None = None
    context_window_tokens: int | None = None
    output_token_capacity: int | None = None


class OutputCapTooLarge(ConfigurationError):
    """The output cap of a turn is more than the model can give."""

    code = "output_token_cap_exceeds_model_capacity"


def check_output_cap(facts: ModelFacts, output_token_cap: int | None) -> None:
    """Raises `OutputCapTooLarge` when the cap exceeds what the model can give."""
    capacity = facts.output_token_capacity
    if output_token_cap is not None and capacity is not None and output_token_cap > capacity:
        raise OutputCapTooLarge(
            f"model {facts.id} gives at most {capacity} output tokens, the cap is {output_token_cap}"
        )
