"""Variables that cannot be kept: nested too deep, or too large to be written.

Such a value would make the commit of its turn fail, long after the program that made it. So every
cell is held to it at its own end, where the model reads what was wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from lash.lashlang.errors import LanguageError
from lash.lashlang.values.keeping import keeping_walk
from lash.lashlang.values.kinds import Value


async def only_kept(variables: dict[str, Value], before: Mapping[str, Value]) -> list[str]:
    """Gives variables that cannot be kept their values of `before`, and says so; unchanged ones are not walked."""
    problems: list[str] = []
    for name, value in list(variables.items()):
        if not isinstance(value, list | dict | str) or value is before.get(name):
            continue
        try:
            for _ in keeping_walk(value):
                await asyncio.sleep(0)
        except LanguageError as problem:
            if name in before:
                variables[name] = before[name]
            else:
                del variables[name]
            now = "it has its value of before this block" if name in before else "it is gone"
            problems.append(f"the variable `{name}` cannot be kept, {now}: {problem}")
    return problems
