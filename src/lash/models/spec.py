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


class InvalidModelVariant(ConfigurationError):
    """The model has no variant of that name; the message lists those it has."""

    code = "invalid_model_variant"


class OutputCapTooLarge(ConfigurationError):
    """The output cap of a turn is more than the model can give."""

    code = "output_token_cap_exceeds_model_capacity"


class ModelCapability(msgspec.Struct, frozen=True):
    """What the host knows about a model's reasoning efforts. Without `variants` every variant is passed on.

    `aliases` are other names of variants. (docs/spec/runtime.md §8.3)
    """

    variants: tuple[str, ...] | None = None
    aliases: tuple[tuple[str, str], ...] = ()

    def resolve(self, model: str, variant: str | None) -> str | None:
        """The variant's own name. Raises `InvalidModelVariant`."""
        if variant is None:
            return None
        found = dict(self.aliases).get(variant, variant)
        if self.variants is not None and found not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise InvalidModelVariant(f"model {model} has no variant {variant!r}; its variants: {known}")
        return found


def check_output_cap(facts: ModelFacts, output_token_cap: int | None) -> None:
    """Raises `OutputCapTooLarge` when the cap exceeds what the model can give."""
    capacity = facts.output_token_capacity
    if output_token_cap is not None and capacity is not None and output_token_cap > capacity:
        raise OutputCapTooLarge(
            f"model {facts.id} gives at most {capacity} output tokens, the cap is {output_token_cap}"
        )
