"""What one execution may use, and what it has used so far.

Instructions are loop turns and calls; they are the same in every run, so a
replay spends them where the first run did. Active time counts only while the
program computes, never while it waits. `Spent` is cumulative: hand the last one
to the next replay or segment of the same run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lash.lashlang.values.kinds import Value
from lash.lashlang.values.meter import DEFAULT_LIMITS, ITEM_BYTES, Limits


@dataclass(frozen=True, slots=True)
class Budgets:
    """Limits of one execution; `None` is unlimited."""

    instructions: int | None = None
    active_ms: int | None = 10_000
    started_children: int | None = 10_000
    limits: Limits = DEFAULT_LIMITS


DEFAULT_BUDGETS: Final = Budgets()


@dataclass(slots=True)
class Spent:
    """What an execution has used."""

    instructions: int = 0
    active_ms: float = 0.0
    started_children: int = 0


def logical_size(roots: list[object]) -> int:
    """The bytes that values count for; a container reached twice counts once."""
    total = 0
    seen: set[int] = set()
    stack: list[object] = list(roots)
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is str:
            total += len(item) if item.isascii() else 4 * len(item)  # type: ignore[attr-defined,arg-type]
        elif kind is list or kind is dict:
            if id(item) in seen:
                continue
            seen.add(id(item))
            inner: list[Value] | dict[str, Value] = item  # type: ignore[assignment]
            total += ITEM_BYTES * (len(inner) + 1)
            stack.extend(inner if isinstance(inner, list) else inner.values())
    return total
