"""Reading host requirements back from JSON."""

from __future__ import annotations

from dataclasses import fields

from lash.base.json import Json
from lash.lashlang.errors import ArtifactCodecError
from lash.lashlang.host.catalog import Catalog, ModuleInstance, NamedDataType, OperationType, ValueConstructor
from lash.lashlang.host.environment import Abilities, HostEnvironment, HostRequirements
from lash.lashlang.syntax.features import LanguageFeatures
from lash.lashlang.syntax.type_json import type_from_json
from lash.lashlang.syntax.types import ObjectType


def requirements_from_json(data: Json) -> HostRequirements:
    """The requirements that `data` spells. Raises `ArtifactError`."""
    try:
        parts = _object(data)
        abilities = _object(parts["abilities"])
        features = _object(parts["language_features"])
        return HostEnvironment(
            _catalog(_object(parts["resources"])),
            Abilities(**{item.name: _flag(abilities[item.name]) for item in fields(Abilities)}),
            LanguageFeatures(**{item.name: _flag(features.get(item.name, False)) for item in fields(LanguageFeatures)}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactCodecError(f"failed to encode module artifact: invalid host requirements: {error}") from None


def _catalog(data: dict[str, Json]) -> Catalog:
    catalog = Catalog()
    for name, raw in _part(data, "module_instances").items():
        module = _object(raw)
        operations = {op: _text(_object(item)["host_operation"]) for op, item in _object(module["operations"]).items()}
        path = tuple(_text(item) for item in _array(module["path"]))
        catalog.module_instances[name] = ModuleInstance(path, _text(module["resource_type"]), operations)
    for name, raw in _part(data, "resource_types").items():
        catalog.resource_types[name] = {
            op: OperationType(type_from_json(_object(item)["input_ty"]), type_from_json(_object(item)["output_ty"]))
            for op, item in _object(_object(raw)["operations"]).items()
        }
    for name, raw in _part(data, "named_data_types").items():
        catalog.named_data_types[name] = _named(raw)
    for name, raw in _part(data, "value_constructors").items():
        made = _object(raw)
        path = tuple(_text(item) for item in _array(made["path"]))
        catalog.value_constructors[name] = ValueConstructor(
            path, type_from_json(made["input_ty"]), type_from_json(made["output_ty"])
        )
    for name, raw in _part(data, "trigger_sources").items():
        catalog.trigger_sources[name] = _named(_object(raw)["event_type"])
    return catalog


def _named(data: Json) -> NamedDataType:
    parts = _object(data)
    type_ = type_from_json(parts["ty"])
    if not isinstance(type_, ObjectType):
        raise TypeError("a host data type must be an object type")
    return NamedDataType(_text(parts["name"]), type_)


def _part(data: dict[str, Json], name: str) -> dict[str, Json]:
    return dict(sorted(_object(data.get(name, {})).items()))


def _object(data: Json) -> dict[str, Json]:
    if not isinstance(data, dict):
        raise TypeError("expected an object")
    return data


def _array(data: Json) -> list[Json]:
    if not isinstance(data, list):
        raise TypeError("expected an array")
    return data


def _text(data: Json) -> str:
    if not isinstance(data, str):
        raise TypeError("expected a string")
    return data


def _flag(data: Json) -> bool:
    if not isinstance(data, bool):
        raise TypeError("expected a boolean")
    return data
