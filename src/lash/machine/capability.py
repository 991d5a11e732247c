"""What the host knows about a model, beyond its name. Data, never guessed from names.

Everything has the default that fits most servers; a host that knows better says so in
`ModelSpec(capability=…)`. Wires read it from the request (docs/spec/runtime.md §8.3).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.errors import ConfigurationError

# How a reasoning variant is asked for: by its name, as a number of tokens, or not at all.
ReasoningEncoding: TypeAlias = Literal["effort", "budget", "none"]

# Where a server of Chat Completions wants the reasoning of earlier messages back.
ReasoningField: TypeAlias = Literal["reasoning_content", "reasoning", "reasoning_details"]

# What proves that an answer is whole: the dialect's closing event, or the end of the body alone.
StreamTermination: TypeAlias = Literal["evidence", "eof"]

# The variant by which a host switches reasoning off.
NO_REASONING = "none"


class InvalidModelVariant(ConfigurationError):
    """The model has no variant of that name; the message lists those it has."""

    code = "invalid_model_variant"


class ModelCapability(msgspec.Struct, frozen=True):
    """What the host knows about a model. Added in 0.1.

    `variants` are its reasoning efforts; without them every variant is passed on.
    `aliases` are other names of variants, `default_variant` is taken when none is asked
    for. `reasoning` says how the wire asks for a variant; with `budget`, `budgets` gives
    the tokens of each (a variant that is a number speaks for itself), with `none` the
    model does not reason and hears nothing of it. `always_reasons` refuses the variant
    `none`. `replays_reasoning` names the field of Chat Completions in which reasoning
    goes back, if it does. `cache_control` says that a server of Chat Completions
    understands cache markers. `stream_termination="eof"` accepts a stream that ends
    without its closing event: only for servers that never send one.
    """

    variants: tuple[str, ...] | None = None
    aliases: tuple[tuple[str, str], ...] = ()
    default_variant: str | None = None
    reasoning: ReasoningEncoding = "effort"
    budgets: tuple[tuple[str, int], ...] = ()
    always_reasons: bool = False
    replays_reasoning: ReasoningField | None = None
    cache_control: bool = False
    stream_termination: StreamTermination = "evidence"

    def resolve(self, model: str, variant: str | None) -> str | None:
        """The variant's own name. Raises `InvalidModelVariant`."""
        if variant is None:
            variant = self.default_variant
        if variant is None:
            return None
        found = dict(self.aliases).get(variant, variant)
        if found == NO_REASONING and self.always_reasons:
            raise InvalidModelVariant(f"model {model} always reasons; leave variant={variant!r} out")
        if self.variants is not None and found not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise InvalidModelVariant(f"model {model} has no variant {variant!r}; its variants: {known}")
        if self.reasoning == "budget" and found != NO_REASONING and self.budget_of(found) is None:
            raise InvalidModelVariant(
                f"model {model}: variant {found!r} has no budget; name it in ModelCapability(budgets=…) or give tokens"
            )
        return found

    def budget_of(self, variant: str) -> int | None:
        """The tokens that a variant stands for."""
        tokens = dict(self.budgets).get(variant)
        return tokens if tokens is not None else int(variant) if variant.isdecimal() else None
