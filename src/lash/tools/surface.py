"""Tools as modules of the language: what programs may call, and the tool behind each operation.

A tool `lookup` with `module="orders"` is `orders.lookup`, without one `tools.lookup`. Cells link
against a surface when they run, programs of processes when they are stored; whoever runs a stored
program looks its operations up in a surface of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from lash.base.codec import from_json, to_json
from lash.base.json import Json, JsonObject
from lash.base.messages import AttachmentRef
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.host.environment import Abilities, HostEnvironment
from lash.lashlang.host.tool_bindings import ToolBinding, add_tool, bind_tool
from lash.lashlang.modules.requirements_json import requirements_from_json
from lash.lashlang.syntax.features import LanguageFeatures
from lash.tools.catalog import ToolCatalog
from lash.tools.definition import PreserveProjectedRefs, ToolManifest
from lash.tools.value import unmarked

# Under this id plugins add to what programs meet (`extension_contributions`).
SURFACE_EXTENSION_ID: Final = "lashlang_surface"


class Offered(msgspec.Struct, frozen=True):
    """One tool as programs reach it."""

    tool_id: str
    tool_name: str
    module_path: str
    operation: str
    authority_type: str
    aliases: list[str] = []
    # The argument in which it takes references to projected values.
    refs_in: str | None = None


@dataclass(frozen=True, slots=True)
class Surface:
    """What programs are linked against, and the tools behind it."""

    environment: HostEnvironment
    tool_names: dict[str, str] = field(default_factory=dict)
    # The field in which an operation `(module, operation)` takes references, of those that do.
    keeps_refs: dict[tuple[str, str], str] = field(default_factory=dict)

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
            _refs_in(definition.manifest),
        )
        json = to_json(offered)
        assert isinstance(json, dict)
        found.append(json)
    return found


def _refs_in(manifest: ToolManifest) -> str | None:
    projection = manifest.argument_projection
    return projection.field if isinstance(projection, PreserveProjectedRefs) else None


def binding_of(manifest: ToolManifest) -> ToolBinding:
    """Where a tool is found: its own word, else `tools.name`. Raises `CatalogError`."""
    given = manifest.bindings.get("lashlang.tool", manifest.bindings.get("lashlang"))
    binding: Json = None
    if isinstance(given, dict):
        binding = {**given, "module_path": given.get("module_path", given.get("module", "tools"))}
    return bind_tool(manifest.id, manifest.name, binding)


def environment_with(
    abilities: Abilities, features: LanguageFeatures, contributions: Iterable[Json]
) -> HostEnvironment:
    """What programs meet besides tools: what the host allows, and what plugins add. Raises `LanguageError`."""
    catalog = Catalog()
    for payload in contributions:
        added = requirements_from_json(payload)
        abilities = Abilities(**_either(abilities.as_json(), added.abilities.as_json()))
        features = LanguageFeatures(**_either(features.as_json(), added.language_features.as_json()))
        _merge(catalog, added.resources)
    if catalog.trigger_sources:  # whoever offers sources of triggers wants them used
        abilities = replace(abilities, triggers=True)
    if abilities.triggers:
        catalog.add_triggers()
    return HostEnvironment(catalog, abilities, features)


def surface_of(offered: Iterable[Json], base: HostEnvironment) -> Surface:
    """The surface that offered tools make over what is there anyway. Raises `CatalogError`."""
    catalog = Catalog()
    _merge(catalog, base.resources)
    names: dict[str, str] = {}
    refs_in: dict[str, str] = {}
    for json in offered:
        one = from_json(json, Offered)
        names[one.tool_id] = one.tool_name
        if one.refs_in is not None:
            refs_in[one.tool_id] = one.refs_in
        add_tool(
            catalog,
            ToolBinding(one.tool_id, one.module_path, one.operation, one.authority_type, tuple(one.aliases)),
        )
    keeps_refs = {
        (path, operation): refs_in[tool_id]
        for path, module in (catalog.module_instances.items() if refs_in else ())
        for operation, tool_id in module.operations.items()
        if tool_id in refs_in
    }
    return Surface(HostEnvironment(catalog, base.abilities, base.language_features), names, keeps_refs)


def program_value(value: Json) -> Json:
    """A tool's value as the language reads it: attachments are images, escapes are undone."""
    if isinstance(value, list):
        return [item if type(item) is str else program_value(item) for item in value]
    if not isinstance(value, dict):
        return value
    part = unmarked(value)
    if isinstance(part, AttachmentRef):
        return image_json(part)
    found: JsonObject = {key: item if type(item) is str else program_value(item) for key, item in part.items()}
    return found


def tool_arguments(payload: Json) -> JsonObject:
    """The arguments of a tool: one record as it is; no argument is an empty record."""
    if isinstance(payload, dict):
        return {} if payload == {"args": []} else payload
    return {"args": payload}


def image_json(attachment: AttachmentRef) -> JsonObject:
    """An attachment as the image value of the language."""
    return {
        "type": "image",
        "id": attachment.id,
        "label": attachment.label or attachment.media_type,
        "size": attachment.byte_len,
        "width": attachment.width,
        "height": attachment.height,
    }


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
