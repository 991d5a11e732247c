"""How much of a value one operation may walk.

Values share their parts, so a small program can build a value that is small in
memory and astronomically large to walk (`x = [x, x]` sixty times). Everything
that follows parts recursively spends from a `Room` and stops when it is spent.
"""

from __future__ import annotations

from typing import Final

from lash.lashlang.errors import BudgetExceeded, RuntimeFailure
from lash.lashlang.values.kinds import DEPTH_LIMIT, TOO_DEEP

WALK_LIMIT: Final = 4_000_000
# For data whose parts are not shared, so that walking it ends.
ENDLESS: Final = 2**62
# Texts shorter than this are counted as one step.
LONG_TEXT: Final = 4096
TEXT_PER_STEP: Final = 16


class Room:
    """The steps that are left."""

    __slots__ = ("left",)

    def __init__(self, steps: int | None = None) -> None:
        self.left = WALK_LIMIT if steps is None else steps

    def enter(self, size: int, depth: int) -> None:
        """Spends the steps of a container of `size` parts, `depth` levels down."""
        self.left -= size + 1
        if self.left < 0:
            raise too_large()
        if depth > DEPTH_LIMIT:
            raise RuntimeFailure(TOO_DEEP)

    def text(self, length: int) -> None:
        """Spends the steps of a long text."""
        self.left -= length // TEXT_PER_STEP
        if self.left < 0:
            raise too_large()


def too_large() -> BudgetExceeded:
    """The error of a walk that does not end."""
    return BudgetExceeded("size", f"value is too large to walk (limit {WALK_LIMIT} parts); use a smaller part of it")
