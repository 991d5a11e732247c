"""From tool manifests to catalog modules (specification §6.1).

A manifest may carry a binding `lashlang.tool`. By default a tool `read_file` is
`tools.read_file`; the dotted spelling of the reference (`tools."read.file"`) is
kept as an alias, because underscores make the name callable.
"""

from __future__ import annotations

from dataclasses import dataclass

from lash.base.json import Json
from lash.lashlang.dialect import IMPROVED, Dialect
from lash.lashlang.errors import CatalogError
from lash.lashlang.host.catalog import Catalog, OperationType
from lash.lashlang.syntax.types import is_identifier


@dataclass(frozen=True, slots=True)
class ToolBinding:
    """How a tool is reached from programs."""

    tool_id: str
    module_path: str
    operation: str
    authority_type: str
    aliases: tuple[str, ...] = ()


def bind_tool(tool_id: str, name: str, binding: Json = None, *, dialect: Dialect = IMPROVED) -> ToolBinding:
    """The binding of one callable tool; `binding` is the manifest's `lashlang.tool`, if any."""
    given = binding if isinstance(binding, dict) else {}
    path = given.get("module_path", "tools")
    if not isinstance(path, str) or not all(map(is_identifier, path.split("."))):
        raise CatalogError(f"tool `{name}` has an invalid module path {path!r}")
    dotted = name.replace("_", ".")
    keeps_name = dialect.expression_spans
    operation = given.get("operation", name if keeps_name else dotted)
    last = path.split(".")[-1]
    authority = given.get("authority_type", last[:1].upper() + last[1:])
    aliases = [str(item) for item in _list(given.get("aliases"))]
    if keeps_name and "operation" not in given and dotted != name:
        aliases.append(dotted)
    return ToolBinding(tool_id, path, str(operation), str(authority), tuple(aliases))


def add_tool(catalog: Catalog, binding: ToolBinding, type_: OperationType | None = None) -> None:
    """Adds a tool's operation, and its aliases, to a catalog."""
    for operation in (binding.operation, *binding.aliases):
        catalog.add_operation(binding.module_path, binding.authority_type, operation, binding.tool_id, type_)


def _list(data: Json) -> list[Json]:
    return data if isinstance(data, list) else []
