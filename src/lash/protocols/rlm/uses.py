"""What a cell used of its host, recorded with it: so its map can be drawn when the tools are gone.

The ids of a map hold what the program was linked against (docs/spec/lashlang.md §9.1). Of tools that is
their place and id; a program that uses data types of a plugin keeps all that it requires.
"""

from __future__ import annotations

from lash.base.json import Json
from lash.lashlang.errors import LanguageError
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.host.environment import ALL_ABILITIES, HostEnvironment
from lash.lashlang.linking.linker import LinkedModule
from lash.lashlang.modules.requirements_json import requirements_from_json
from lash.lashlang.syntax.features import ALL_FEATURES


def uses_of(linked: LinkedModule) -> Json:
    """`[[module path, authority type, operation, tool id]]`, or all requirements; None without any."""
    required = linked.requirements
    catalog = required.resources
    if catalog.named_data_types or catalog.value_constructors or catalog.trigger_sources:
        return required.as_json()
    operations: list[Json] = [
        [path, module.resource_type, operation, host]
        for path, module in catalog.module_instances.items()
        for operation, host in module.operations.items()
    ]
    return operations or None


def environment_of_uses(uses: Json) -> HostEnvironment | None:
    """An environment that the program fits: one without tools where nothing is recorded; None for an odd record."""
    catalog = Catalog()
    try:
        match uses:
            case dict():
                catalog = requirements_from_json(uses).resources
            case list():
                for path, authority, operation, host in map(_names, uses):
                    catalog.add_operation(path, authority, operation, host)
            case _ if uses is not None:
                return None
            case _:
                pass
    except (LanguageError, ValueError):
        return None
    return HostEnvironment(catalog, ALL_ABILITIES, ALL_FEATURES)


def _names(json: Json) -> tuple[str, str, str, str]:
    if not isinstance(json, list) or len(json) != 4:
        raise ValueError(f"{json!r} is no operation")
    path, authority, operation, host = map(str, json)
    return path, authority, operation, host
