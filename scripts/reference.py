"""Writes docs/reference/*.md: a page for each public module, an entry for each public name.

The pages name what there is; `mkdocs` fills in signatures and docstrings (mkdocstrings). With
`--check` nothing is written: a page that is not up to date, or a public name without a
docstring, is an error.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

PAGES = Path(__file__).resolve().parents[1] / "docs" / "reference"
MODULES = (
    "lash",
    "lash.tools",
    "lash.plugins",
    "lash.hosts",
    "lash.testing",
    "lash.direct",
    "lash.effects",
    "lash.models",
    "lash.providers",
    "lash.stock",
    "lash.stores",
)
NOT_EDITED = "<!-- written by scripts/reference.py: do not edit -->"


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
    lines = [NOT_EDITED, "", f"# {module.__name__}", "", inspect.cleandoc(module.__doc__ or ""), ""]
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


def index() -> str:
    """The list of the pages."""
    lines = [NOT_EDITED, "", "# Reference", "", "Every public name, from its docstring.", ""]
    for name in MODULES:
        summary = (importlib.import_module(name).__doc__ or "").strip().splitlines()[0]
        lines.append(f"- [{name}]({name}.md): {summary}")
    return "\n".join([*lines, ""])


def _said_of(value: object) -> str:
    described = inspect.getdoc(type(value)) if type(value).__module__.startswith("lash") else None
    return described.splitlines()[0] if described else f"`{str(value).replace('typing.', '')}`"


def main(arguments: list[str]) -> int:
    """Writes or checks; the exit code."""
    modules = [importlib.import_module(name) for name in MODULES]
    missing = [name for module in modules for name in undocumented(module)]
    for name in missing:
        print(f"{name} has no docstring", file=sys.stderr)
    home: dict[str, str] = {}
    pages = {"index": index(), **{module.__name__: page(module, home) for module in modules}}
    stale = [name for name, text in pages.items() if _read(PAGES / f"{name}.md") != text]
    gone = [path for path in PAGES.glob("*.md") if path.stem not in pages]
    if "--check" in arguments:
        for name in [*stale, *(path.stem for path in gone)]:
            print(f"docs/reference/{name}.md is not up to date; run scripts/reference.py", file=sys.stderr)
        return 1 if missing or stale or gone else 0
    PAGES.mkdir(exist_ok=True)
    for name in stale:
        (PAGES / f"{name}.md").write_text(pages[name], encoding="utf-8")
    for path in gone:
        path.unlink()
    return 1 if missing else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
