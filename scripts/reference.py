"""The reference: a page for each public module, an entry for each public name.

The pages exist only while the site is built (`docs_site.py`): they name what there is, and
mkdocstrings fills in signatures and docstrings. Run as a program it fails when a public name
has no docstring.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType

MODULES = (
    "lash",
    "lash.tools",
    "lash.plugins",
    "lash.hosts",
    "lash.testing",
    "lash.direct",
    "lash.effects",
    "lash.processes",
    "lash.triggers",
    "lash.models",
    "lash.providers",
    "lash.stock",
    "lash.stores",
)


def public_names(module: ModuleType) -> list[str]:
    """What a module exports, in its own order if it has one."""
    listed: list[str] | None = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    return [
        name for name, value in vars(module).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    ]


def undocumented(module: ModuleType) -> Iterator[str]:
    """Public classes, their methods, and functions that nobody has described."""
    if not module.__doc__:
        yield module.__name__
    for name in public_names(module):
        value = getattr(module, name)
        if inspect.isclass(value):
            if not vars(value).get("__doc__"):
                yield f"{module.__name__}.{name}"
            for attribute, member in vars(value).items():
                function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                if not attribute.startswith("_") and inspect.isfunction(function) and not inspect.getdoc(function):
                    yield f"{module.__name__}.{name}.{attribute}"
        elif inspect.isfunction(value) and not value.__doc__:
            yield f"{module.__name__}.{name}"


def page(module: ModuleType, home: dict[str, str]) -> str:
    """The page of a module. `home` knows on which page a class or function has its entry: the first one that has it."""
    lines = [f"# {module.__name__}", "", inspect.cleandoc(module.__doc__ or ""), ""]
    values: list[str] = []
    elsewhere: list[str] = []
    for name in public_names(module):
        value = getattr(module, name)
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            values.append(name)
            continue
        path = f"{value.__module__}.{value.__qualname__}"
        if home.setdefault(path, module.__name__) != module.__name__:
            elsewhere.append(f"- [`{name}`]({home[path]}.md#{path})")
            continue
        lines += [f"::: {path}", *([] if value.__name__ == name else ["    options:", f"      heading: {name}"]), ""]
    if elsewhere:
        lines += ["## Described elsewhere", "", *elsewhere, ""]
    if values:
        lines += ["## Values and types", ""]
        lines += [f"- `{name}`: {_said_of(getattr(module, name))}" for name in values]
        lines.append("")
    return "\n".join(lines)


def _said_of(value: object) -> str:
    described = inspect.getdoc(type(value)) if type(value).__module__.startswith("lash") else None
    return described.splitlines()[0] if described else f"`{str(value).replace('typing.', '')}`"


def pages() -> dict[str, str]:
    """Every page by the name of its module."""
    home: dict[str, str] = {}
    return {name: page(importlib.import_module(name), home) for name in MODULES}


def main() -> int:
    """The exit code: 1 when something has no docstring."""
    missing = [name for module in MODULES for name in undocumented(importlib.import_module(module))]
    for name in missing:
        sys.stderr.write(f"{name} has no docstring\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
