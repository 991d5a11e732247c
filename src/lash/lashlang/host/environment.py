"""What a host allows, and what a program needs of it.

A program's requirements have the shape of an environment that holds only what
the program uses; `missing` compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final, TypeAlias

from lash.base.json import JsonObject
from lash.lashlang.host.catalog import Catalog, ModuleInstance
from lash.lashlang.syntax.features import NO_FEATURES, LanguageFeatures

_ABILITY_NAMES: Final = {"process_signals": "process signals"}


@dataclass(frozen=True, slots=True)
class Abilities:
    """Which groups of effects the host performs."""

    processes: bool = False
    sleep: bool = False
    process_signals: bool = False
    triggers: bool = False

    def as_json(self) -> dict[str, bool]:
        """One boolean per ability."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


NO_ABILITIES: Final = Abilities()
ALL_ABILITIES: Final = Abilities(True, True, True, True)


@dataclass(frozen=True, slots=True)
class HostEnvironment:
    """A catalog, the abilities, and the optional language features."""

    resources: Catalog = field(default_factory=Catalog)
    abilities: Abilities = NO_ABILITIES
    language_features: LanguageFeatures = NO_FEATURES

    def as_json(self) -> JsonObject:
        """The JSON form, used for requirements in artifacts."""
        return {
            "resources": self.resources.as_json(),
            "abilities": dict(self.abilities.as_json()),
            "language_features": dict(self.language_features.as_json()),
        }

    def missing(self, required: HostRequirements) -> str | None:
        """Why this host cannot run a program with these requirements, or None."""
        for item in fields(Abilities):
            if getattr(required.abilities, item.name) and not getattr(self.abilities, item.name):
                name = _ABILITY_NAMES.get(item.name, item.name)
                return f"{name} {'is' if item.name == 'sleep' else 'are'} not available"
        for name in required.language_features.names():
            if not getattr(self.language_features, name):
                return f"{name.replace('_', ' ')} are not available"
        return (
            self._missing_module(required.resources)
            or self._missing_operation(required.resources)
            or self._missing_data(required.resources)
        )

    def satisfies(self, required: HostRequirements) -> bool:
        """Whether a program with these requirements can run here."""
        return self.missing(required) is None

    def _missing_module(self, required: Catalog) -> str | None:
        for name, module in required.module_instances.items():
            mine = self.resources.module_instances.get(name)
            if mine is None:
                return f"module `{name}` is not available"
            if mine.resource_type != module.resource_type:
                return f"module `{name}` has type `{mine.resource_type}`, expected `{module.resource_type}`"
            if reason := _operation_mismatch(name, mine, module):
                return reason
        return None

    def _missing_operation(self, required: Catalog) -> str | None:
        for name, operations in required.resource_types.items():
            mine = self.resources.resource_types.get(name)
            if mine is None:
                return f"resource type `{name}` is not available"
            for operation, type_ in operations.items():
                found = mine.get(operation)
                if found is None:
                    return f"resource type `{name}` does not expose operation `{operation}`"
                for side in ("input", "output"):
                    if getattr(found, side) != getattr(type_, side):
                        return f"resource type `{name}` operation `{operation}` has incompatible {side} type"
        return None

    def _missing_data(self, required: Catalog) -> str | None:
        for name, data in required.named_data_types.items():
            known = self.resources.named_data_types.get(name)
            if known is None:
                return f"host data type `{name}` is not available"
            if known != data:
                return f"host data type `{name}` has incompatible structure"
        for name, made in required.value_constructors.items():
            mine = self.resources.value_constructors.get(name)
            if mine is None:
                return f"value constructor `{name}` is not available"
            for side in ("input", "output"):
                if getattr(mine, side) != getattr(made, side):
                    return f"value constructor `{name}` has incompatible {side} type"
        for name, event in required.trigger_sources.items():
            source = self.resources.trigger_sources.get(name)
            if source is None:
                return f"trigger source type `{name}` is not available"
            if source != event:
                return f"trigger source type `{name}` has incompatible event type"
        return None


HostRequirements: TypeAlias = HostEnvironment


def _operation_mismatch(name: str, mine: ModuleInstance, required: ModuleInstance) -> str | None:
    for operation, host_operation in required.operations.items():
        found = mine.operations.get(operation)
        if found is None:
            return f"module `{name}` does not expose operation `{operation}`"
        if found != host_operation:
            return f"module `{name}` operation `{operation}` resolves to `{found}`, expected `{host_operation}`"
    return None
