"""Tools as modules of the language: what programs may call, recorded with the turn's environment.

A tool `lookup` with `module="orders"` is `orders.lookup`, without one `tools.lookup`. What a
turn was prepared with is recorded, and its cells link against that in every drive: a tool
that is gone after a restart changes no program that ran with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from lash.base.codec import from_json, to_json
from lash.base.json import Json, JsonObject
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.host.environment import Abilities, HostEnvironment
from lash.lashlang.host.tool_bindings import ToolBinding, add_tool, bind_tool
from lash.lashlang.modules.requirements_json import requirements_from_json
from lash.lashlang.syntax.features import LanguageFeatures
from lash.machine.prompt import PromptContribution
from lash.plugins.hooks import ExtensionContribution
from lash.protocols.rlm.options import RlmConfig
from lash.tools.catalog import ToolCatalog
from lash.tools.definition import ToolManifest

LASHLANG_SURFACE_EXTENSION_ID: Final = "lashlang_surface"


class Offered(msgspec.Struct, frozen=True):
    """One tool as programs reach it."""

    tool_id: str
    tool_name: str
    module_path: str
    operation: str
    authority_type: str
    aliases: list[str] = []


@dataclass(frozen=True, slots=True)
class Surface:
    """What programs are linked against, and the tools behind it."""

    environment: HostEnvironment
    tool_names: dict[str, str] = field(default_factory=dict)

    def tool_of(self, module: str, operation: str) -> str | None:
        """The name of the tool behind an operation of a module."""
        instance = self.environment.resources.module_instances.get(module)
        tool_id = None if instance is None else instance.operations.get(operation)
        return None if tool_id is None else self.tool_names.get(tool_id)


def offered_by(catalog: ToolCatalog) -> list[JsonObject]:
    """The callable tools of a catalog as programs reach them."""
    found: list[JsonObject] = []
    for definition in catalog.definitions():
        bound = binding_of(definition.manifest)
        offered = Offered(
            bound.tool_id,
            definition.name,
            bound.module_path,
            bound.operation,
            bound.authority_type,
            list(bound.aliases),
        )
        json = to_json(offered)
        assert isinstance(json, dict)
        found.append(json)
    return found


def binding_of(manifest: ToolManifest) -> ToolBinding:
    """Where a tool is found: its own word, else `tools.name`. Raises `CatalogError`."""
    given = manifest.bindings.get("lashlang.tool", manifest.bindings.get("lashlang"))
    binding: Json = None
    if isinstance(given, dict):
        binding = {**given, "module_path": given.get("module_path", given.get("module", "tools"))}
    return bind_tool(manifest.id, manifest.name, binding)


def lashlang_surface(environment: HostEnvironment) -> ExtensionContribution:
    """What a plugin adds to every program's host: abilities, features, data types, constructors, trigger sources.

    Return it from the factory's `extension_contributions`. Added in 0.1.
    """
    return ExtensionContribution(LASHLANG_SURFACE_EXTENSION_ID, environment.as_json())


def base_environment(config: RlmConfig, contributions: Iterable[Json]) -> HostEnvironment:
    """What programs meet besides tools: the configuration, and what plugins add. Raises `LanguageError`."""
    catalog, abilities, features = Catalog(), config.abilities, config.language_features
    for payload in contributions:
        added = requirements_from_json(payload)
        abilities = Abilities(**_either(abilities.as_json(), added.abilities.as_json()))
        features = LanguageFeatures(**_either(features.as_json(), added.language_features.as_json()))
        _merge(catalog, added.resources)
    if catalog.trigger_sources:
        abilities = replace(abilities, triggers=True)
    if abilities.triggers:
        catalog.add_triggers()
    return HostEnvironment(catalog, abilities, features)


def _either(ours: dict[str, bool], theirs: dict[str, bool]) -> dict[str, bool]:
    return {name: ours.get(name, False) or theirs.get(name, False) for name in {**ours, **theirs}}


def _merge(catalog: Catalog, added: Catalog) -> None:
    for path, module in added.module_instances.items():
        types = added.resource_types[module.resource_type]
        for operation, host in module.operations.items():
            catalog.add_operation(path, module.resource_type, operation, host, types.get(operation))
    for data in added.named_data_types.values():
        catalog.add_data_type(data.name, data.type)
    for path, made in added.value_constructors.items():
        event = added.trigger_sources.get(made.type_name)
        if event is None:
            catalog.add_constructor(path, made.input, made.output)
        else:
            catalog.add_trigger_source(path, made.input, event)


def surface_of(offered: Iterable[Json], base: HostEnvironment) -> Surface:
    """The surface that offered tools make over what is there anyway. Raises `CatalogError`."""
    catalog = Catalog()
    _merge(catalog, base.resources)
    names: dict[str, str] = {}
    for json in offered:
        one = from_json(json, Offered)
        names[one.tool_id] = one.tool_name
        add_tool(
            catalog,
            ToolBinding(one.tool_id, one.module_path, one.operation, one.authority_type, tuple(one.aliases)),
        )
    return Surface(HostEnvironment(catalog, base.abilities, base.language_features), names)


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools of one catalog: as they are recorded, as programs reach them, as the model is told."""

    catalog: ToolCatalog
    offered: list[JsonObject]
    surface: Surface
    told: list[PromptContribution]


class Offers:
    """What catalogs come to. Sessions of one core mostly share a catalog, and then share all of it."""

    # A core has a handful of shapes of session; beyond them the oldest is made anew.
    CAPACITY = 32

    def __init__(self, base: HostEnvironment, tell: Callable[[ToolCatalog, Surface], list[PromptContribution]]) -> None:
        self._base = base
        self._tell = tell
        self._known: OrderedDict[int, Offer] = OrderedDict()

    def of(self, catalog: ToolCatalog) -> Offer:
        """What this catalog comes to. Raises `CatalogError` for modules that contradict each other."""
        known = self._known.get(id(catalog))
        if known is not None:  # it keeps its catalog, so the id cannot be another's
            return known
        offered = offered_by(catalog)
        surface = surface_of(offered, self._base)
        offer = Offer(catalog, offered, surface, self._tell(catalog, surface))
        self._known[id(catalog)] = offer
        if len(self._known) > self.CAPACITY:
            self._known.popitem(last=False)
        return offer

    def recorded(self, offered: Sequence[Json]) -> Surface:
        """The surface of tools as they were recorded."""
        for offer in self._known.values():
            if offer.offered is offered or offer.offered == offered:
                return offer.surface
        return surface_of(offered, self._base)
