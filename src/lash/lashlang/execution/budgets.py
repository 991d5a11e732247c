"""What one execution may use, and what it has used so far.

Instructions are loop turns and calls; they are the same in every run, so a
replay spends them where the first run did. Active time counts only while the
program computes, never while it waits. `Spent` is cumulative: hand the last one
to the next replay or segment of the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from sys import getrefcount
from typing import Final

from lash.lashlang.values.meter import DEFAULT_LIMITS, ITEM_BYTES, RECORD_BYTES, Limits


@dataclass(frozen=True, slots=True)
class Budgets:
    """Limits of one execution; `None` is unlimited."""

    instructions: int | None = None
    active_ms: int | None = 10_000
    started_children: int | None = 10_000
    limits: Limits = DEFAULT_LIMITS


# Parts of values looked at between two looks at the clock: about 2 ms.
_MEASURED_AT_ONCE: Final = 20_000
# Its container, the loop variable and the argument of getrefcount itself.
_SOLE_HOLDER: Final = 3
DEFAULT_BUDGETS: Final = Budgets()


@dataclass(slots=True)
class Spent:
    """What an execution has used."""

    instructions: int = 0
    active_ms: float = 0.0
    started_children: int = 0


def logical_sizes(roots: list[object]) -> Iterator[int]:
    """The bytes that values count for, as a running total; the last one is the whole.

    A container reached twice counts once.
    """
    total = 0
    seen: set[int] = set()
    stack: list[object] = [roots]
    visited = 0
    while stack:
        item = stack.pop()
        inner: list[object] = item if isinstance(item, list) else list(item.values())  # type: ignore[attr-defined]
        total += ITEM_BYTES * (len(inner) + 1)
        if inner and type(item) is dict:
            total += RECORD_BYTES
        for part in inner:
            kind = type(part)
            if kind is str:
                total += len(part) if part.isascii() else 4 * len(part)  # type: ignore[attr-defined,arg-type]
            elif kind is list or kind is dict:
                # Only what has a second holder can be reached twice; remembering
                # every container would cost as much as the containers.
                if getrefcount(part) > _SOLE_HOLDER:
                    if id(part) in seen:
                        continue
                    seen.add(id(part))
                stack.append(part)
        visited += len(inner) + 1
        if visited > _MEASURED_AT_ONCE:
            visited = 0
            yield total
    yield total
