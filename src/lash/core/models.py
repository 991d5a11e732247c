"""The models of a core: its own, and those that hosts chose for turns and sessions."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from lash.base.errors import ConfigurationError, InvalidArgument
from lash.base.json import JsonObject
from lash.models.provider import Provider
from lash.models.resolver import WIRES, ModelChoice, ModelSpec, ProviderMaker, UnknownProvider, resolve_model
from lash.models.spec import ModelFacts
from lash.runtime.engine import ChosenModel
from lash.runtime.input import TurnOptions
from lash.sessions.frames import SessionPolicy

if TYPE_CHECKING:
    from lash.providers.named import AnyWire

# Marks a provider that a host handed over as an object: its name alone says nothing to another process.
GIVEN = "given:"


class MissingModel(ConfigurationError):
    """A core needs a model."""

    code = "missing_model_spec"


class CoreModels:
    """Resolves models for one core. Wires are made when they are first named, and closed with the core."""

    def __init__(self, model: ModelChoice | None) -> None:
        if model is None:
            raise MissingModel("model= is missing; pass 'provider:model-id', a ModelSpec, or a ScriptedModel")
        self._wires: dict[str, AnyWire] = {}
        self._makers: dict[str, ProviderMaker] = {kind: partial(self._wire, kind) for kind in WIRES}
        self.default = resolve_model(model, self._makers)
        self._own = ChosenModel(self.default.provider, self.default.facts, self.default.capability)
        self._by_id: dict[str, ModelSpec] = {self.default.id: self.default}
        self._taken: dict[tuple[str, str], ModelSpec] = {}

    def policy(self, *, max_turns: int | None = None, prompt: JsonObject | None = None) -> SessionPolicy:
        """The policy of a session that runs with the core's own model."""
        return SessionPolicy(self.default.provider.kind, self.default.facts, max_turns, prompt)

    def take(
        self, model: ModelChoice | None, provider: Provider | str | None = None
    ) -> tuple[ModelFacts | None, str | None]:
        """See `KnowsModels`. A wire is stored by its kind; a provider that was handed over is known here alone."""
        if model is None and provider is None:
            return None, None
        spec = self.default if model is None else resolve_model(model, self._makers)
        is_named = isinstance(model, str)
        if provider is not None:
            is_named = isinstance(provider, str)
            spec = replace(spec, provider=self._provider(provider))
        provider_id = spec.provider.kind if is_named else f"{GIVEN}{spec.provider.kind}"
        self._by_id[spec.id] = self._taken[provider_id, spec.id] = spec
        return spec.facts, provider_id

    def know(self, spec: ModelSpec) -> ModelFacts:
        """Makes a model known: turns may name it by its facts from then on."""
        self._by_id[spec.id] = spec
        return spec.facts

    def choose(self, options: TurnOptions) -> ChosenModel:
        """The model of a turn. Raises `ConfigurationError` for one that only another process knew."""
        if options.model is None:
            return self._own
        provider_id, model_id = options.provider_id, options.model.id
        spec = None if provider_id is None else self._taken.get((provider_id, model_id))
        if spec is None and provider_id in self._makers:
            return ChosenModel(self._makers[provider_id](), options.model)
        spec = spec or self._by_id.get(model_id)
        if spec is None:
            raise ConfigurationError(
                f"the turn was accepted with model {model_id!r}, which this core does not know; "
                "pass it as model= of the core or of a turn"
            )
        return ChosenModel(spec.provider, options.model, spec.capability)

    async def close(self) -> None:
        """Closes the wires."""
        for wire in self._wires.values():
            await wire.aclose()

    def _provider(self, provider: Provider | str) -> Provider:
        if not isinstance(provider, str):
            if not isinstance(provider, Provider):
                raise InvalidArgument(f"provider={provider!r}: give the kind of a wire, or a provider")
            return provider
        if provider not in self._makers:
            raise UnknownProvider(f"provider={provider!r}; known: {', '.join(sorted(self._makers))}")
        return self._makers[provider]()

    def _wire(self, kind: str) -> Provider:
        if kind not in self._wires:
            from lash.providers.named import wire_named

            self._wires[kind] = wire_named(kind)
        return self._wires[kind]
