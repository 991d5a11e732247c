"""From what a host types as `model=` to a provider and the facts of a model.

`"provider:model-id"` names a wire by its kind; a `ModelSpec` brings its own provider;
a provider that is one model (`lash.testing.ScriptedModel`) is taken as it is. What
cannot be resolved is refused with the remedy, before anything is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lash.base.errors import ConfigurationError, InvalidArgument
from lash.machine.capability import ModelCapability
from lash.models.provider import Provider, SelfDescribedModel
from lash.models.spec import ModelFacts

# The wires that lash has names for.
WIRES = frozenset({"openai", "openai-compatible", "anthropic", "google"})

ProviderMaker: TypeAlias = Callable[[], Provider]


class UnknownProvider(ConfigurationError):
    """The part before the colon of a model name is no provider that this core has."""

    code = "unknown_provider"


class ModelUnconfigured(ConfigurationError):
    """A stored session names no model, and the core was given none for it."""

    code = "provider_unconfigured"


class ProviderMismatch(ConfigurationError):
    """A stored session was made with another kind of provider than the one given now."""

    code = "provider_mismatch"


@dataclass(frozen=True, slots=True)
class ModelName:
    """`provider:model-id`, taken apart."""

    provider: str
    model_id: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model_id}"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model, what is known of it, and how to reach it. Added in 0.1."""

    id: str
    provider: Provider
    variant: str | None = None
    context_window_tokens: int | None = None
    output_token_capacity: int | None = None
    capability: ModelCapability = field(default_factory=ModelCapability)

    def __post_init__(self) -> None:
        if not self.id:
            raise InvalidArgument("a ModelSpec needs the id that its provider knows the model by")
        for name in ("context_window_tokens", "output_token_capacity"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InvalidArgument(f"ModelSpec {self.id}: {name}={value}; give a positive number or leave it out")
        self.capability.resolve(self.id, self.variant)

    @property
    def facts(self) -> ModelFacts:
        """The part that is stored."""
        return ModelFacts(
            self.id,
            self.capability.resolve(self.id, self.variant),
            self.context_window_tokens,
            self.output_token_capacity,
        )


ModelChoice: TypeAlias = str | ModelSpec | SelfDescribedModel


def parse_model_name(text: str) -> ModelName:
    """Takes `provider:model-id` apart; the id may hold more colons. Raises `InvalidArgument`."""
    provider, colon, model_id = text.partition(":")
    if not colon or not provider or not model_id:
        raise InvalidArgument(
            f"model={text!r} is not 'provider:model-id'; write for example 'openai:gpt-5.4-mini', or pass a ModelSpec"
        )
    return ModelName(provider, model_id)


def resolve_model(choice: ModelChoice, makers: Mapping[str, ProviderMaker]) -> ModelSpec:
    """The model that the host means. `makers` are the wires that are installed, by kind.

    Raises `InvalidArgument` and `UnknownProvider`.
    """
    match choice:
        case ModelSpec():
            return choice
        case str():
            name = parse_model_name(choice)
            maker = makers.get(name.provider)
            if maker is None:
                raise _unresolved(name, makers)
            return ModelSpec(name.model_id, maker())
        case SelfDescribedModel(facts=facts):
            return ModelSpec(facts.id, choice, facts.variant, facts.context_window_tokens, facts.output_token_capacity)
        case _:
            raise InvalidArgument(
                f"model={choice!r}: give 'provider:model-id', a ModelSpec with provider=, "
                "or a lash.testing.ScriptedModel"
            )


def _unresolved(name: ModelName, makers: Mapping[str, ProviderMaker]) -> ConfigurationError:
    if name.provider in WIRES:
        available = ", ".join(sorted(makers)) or "none"
        return UnknownProvider(
            f"model '{name}': this release has no wire for {name.provider!r} yet (it has: {available}); "
            "pass ModelSpec(id, provider=…) with a provider of your own, or a lash.testing.ScriptedModel"
        )
    known = ", ".join(sorted(makers)) or "none yet"
    return UnknownProvider(
        f"model '{name}' names provider {name.provider!r}; known: {known}; or pass ModelSpec(id, provider=…)"
    )
