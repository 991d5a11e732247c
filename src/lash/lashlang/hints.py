"""What to write instead: hints that follow from a message, from the text around it, and from what there is.

Hints of the reference stand in `diagnostics.py`; these are our own (docs/decisions/lang-improvements.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from lash.lashlang.habits import habit_hint, method_hint
from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.syntax.types import key_text
from lash.lashlang.values.builtins import BUILTINS
from lash.lashlang.values.more_builtins import MORE_BUILTINS

# By the beginning of a message; the first that fits.
STARTS: Final = (
    (
        "`?` unwrapped failed module operation:",
        "remove `?` and inspect `.ok` or `.error` when you need to handle failures",
    ),
    ("unexpected `&`", "write `and` (or `&&`)"),
    ("unexpected `'`", 'strings use double quotes: "text"'),
    ("unterminated string", 'no `"` closes this string; write \\" for a quote inside it, or put the text between """'),
    ("expected `}`, found end of input", "a `{` is not closed"),
    ("expected `]`, found end of input", "a `[` is not closed"),
    ("expected `)`, found end of input", "a `(` is not closed"),
    (
        "expected a number, got record",
        "an operation answers `{ ok, value }`: `?` behind the call takes the value",
    ),
    ("unknown name `elif`", "write `else if`"),
    ("unknown name `return`", "end a cell with `submit value`, a process with `finish value`"),
    ("unknown name `True`", "write `true`"),
    ("unknown name `False`", "write `false`"),
    ("unknown name `None`", "write `null`"),
    ("unknown name `import`", "there are no imports; call the host through module paths"),
    ("unknown name `throw`", "nothing is thrown: look at `.ok` and `.error` of what an operation answers"),
    ("unknown name `raise`", "nothing is raised: look at `.ok` and `.error` of what an operation answers"),
    ("unknown name `try`", "nothing is thrown: look at `.ok` and `.error` of what an operation answers"),
)
_POSITIONAL: Final = "('args' was unexpected)"
_NO_OPERATION: Final = re.compile(r"resource type `([^`]*)` does not expose operation `([^`]*)`")
_NO_MODULE: Final = re.compile(r"receiver for operation `([^`]*)` is not a module authority")
_NO_NAME: Final = re.compile(r"unknown (name|builtin) `([^`]*)`")
_SHOWN_NAMES: Final = 12


def is_about_arguments(text: str) -> bool:
    """Whether a tool refused its arguments: it says itself what it expects."""
    return "failed module operation: invalid arguments for" in text


def better_hint(text: str, source: str, offset: int | None) -> str | None:
    """A hint that follows from the message, or from the characters where it points."""
    if _POSITIONAL in text:
        return "an operation takes one record: write `module.operation({ name: value })`"
    data = source.encode("utf-8", "surrogatepass")
    near = None if offset is None else _around(data, offset)
    return near or habit_hint(text, source, "" if offset is None else _line(data, offset))


def suggestion(text: str, environment: HostEnvironment, variables: Iterable[str]) -> str | None:
    """What there is in place of what is not: operations, modules, names that are spelled alike."""
    modules = environment.resources.module_instances
    if found := _NO_OPERATION.match(text):
        if elsewhere := _elsewhere(found[2], environment):
            return elsewhere
        for path, module in modules.items():
            if module.resource_type == found[1]:
                return f"`{path}` has {_listed(found[2], module.operations)}"
    if found := _NO_MODULE.match(text):
        better = _elsewhere(found[1], environment) or method_hint(found[1], _builtins(environment))
        if better is not None:
            return better
        return f"modules are {_listed('', modules)}" if modules else "there are no modules here"
    if found := _NO_NAME.match(text):
        known = [*variables, *modules] if found[1] == "name" else [*_builtins(environment)]
        if found[1] == "name" and found[2] in known:
            return f"a process sees its parameters only: give it `{found[2]}` as one"
        close = get_close_matches(found[2], known, 1, 0.7)
        return f"did you mean `{close[0]}`?" if close else None
    return None


def _elsewhere(operation: str, environment: HostEnvironment) -> str | None:
    """Where an operation is that was looked for in the wrong module, or by the name of its tool."""
    for path, module in environment.resources.module_instances.items():
        for name in module.operations:
            if operation in (name, f"{path}.{name}".replace(".", "_")):
                return f"it is `{path}.{key_text(name)}`"
    return None


def _builtins(environment: HostEnvironment) -> list[str]:
    return [*BUILTINS, *(MORE_BUILTINS if environment.language_features.more_builtins else ())]


def _listed(wanted: str, names: Iterable[str]) -> str:
    """Names, those that are spelled alike first."""
    known = list(names)
    close = get_close_matches(wanted, known, 3, 0.5)
    shown = [*close, *(name for name in known if name not in close)]
    more = f" and {len(shown) - _SHOWN_NAMES} more" if len(shown) > _SHOWN_NAMES else ""
    return ", ".join(f"`{name}`" for name in shown[:_SHOWN_NAMES]) + more


def _line(source: bytes, offset: int) -> str:
    start = source.rfind(b"\n", 0, offset) + 1
    end = source.find(b"\n", offset)
    return source[start : end if end >= 0 else len(source)].decode("utf-8", "replace")


def _around(source: bytes, offset: int) -> str | None:
    here, before = source[offset : offset + 1], source[max(0, offset - 1) : offset]
    if here == b"=" and before in (b"+", b"-", b"*", b"/"):
        sign = before.decode()
        return f"there is no `{sign}=`: write `x = x {sign} 1`"
    if here == before == b"+":
        return "there is no `++`: write `x = x + 1`"
    if before == b"f" and here == b'"':
        return 'text is put together with `+`, or with `format("{} items", count)`'
    return None
