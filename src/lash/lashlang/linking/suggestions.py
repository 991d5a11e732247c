"""What a name that is not there may have meant (specification §6.3)."""

from __future__ import annotations

from lash.lashlang.errors import LinkError
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.syntax import ast


def path_of_tool(catalog: Catalog, name: str, *, named: bool) -> str | None:
    """What a bare call may have meant: a tool by its id or, if `named`, by the name in an id like `tool:name`."""
    found: list[tuple[bool, str]] = []
    for path, module in catalog.module_instances.items():
        for operation, host in module.operations.items():
            if host == name:
                return f"{path}.{operation}"
            if named and host.rpartition(":")[2] == name:
                # Of one operation and its aliases, the spelling that is the tool's own.
                found.append((operation != name, f"{path}.{operation}"))
    return min(found)[1] if found else None


def refuse_partial_path(catalog: Catalog, node: ast.ReceiverCall, prefix: tuple[str, ...]) -> None:
    """Fails if modules below the path `prefix` have the operation that is called on it."""
    paths = [
        f"{name}.{node.operation}"
        for name, module in catalog.module_instances.items()
        if module.path[: len(prefix)] == prefix and node.operation in module.operations
    ]
    if paths:
        raise LinkError(
            f"module `{'.'.join(prefix)}` does not expose operation `{node.operation}`; "
            f"available identity-qualified paths: {', '.join(sorted(paths))}",
            at=node.span,
        )
