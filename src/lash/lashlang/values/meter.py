"""What an execution has used, and the sizes it may not exceed.

Operations that make or scan large values report to the execution's `Meter`:
`allocate` counts bytes against the memory budget, `work` counts effort. Both
set `due` when enough has come together, and the generated code then gives the
driver a turn at its next statement or loop end, so that other tasks run, time
is checked and live memory is measured. Sizes are logical (the same on every
machine), so a replay meets a limit where the first run met it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from lash.lashlang.errors import BudgetExceeded

MIB: Final = 1024 * 1024
ITEM_BYTES: Final = 64
"""What one list item or record entry counts for, its own content apart."""
RECORD_BYTES: Final = 128
"""What a record that is not empty counts for besides: the smallest table of keys."""
# About 10 ms of the slowest builtin per byte (json_parse) on a small machine.
_TURN_WORK: Final = 256 * 1024
_FIRST_MEASURE: Final = 64 * MIB
# Measuring again sooner than after this part of the budget costs more than the
# overshoot it avoids.
_LEAST_AHEAD: Final = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes of single values; `memory_bytes` is for all of them together.

    `text_chars` and `items` bound one value and are checked before it is made.
    """

    text_chars: int = 16 * MIB
    items: int = 1_000_000
    memory_bytes: int = 512 * MIB

    def __post_init__(self) -> None:
        # Short appends are compiled inline and rely on this slack.
        if self.text_chars < 64 * 1024 or self.items < 1024:
            raise ValueError("limits below 65,536 characters or 1,024 items are not supported")


DEFAULT_LIMITS: Final = Limits()


class BranchSink(Protocol):
    """Who hears of branches and labelled steps, where they are observed."""

    def branch(self, number: int, selected: str) -> None:
        """An arm was chosen."""

    def step_started(self, number: int) -> None:
        """A labelled step begins."""

    def step_completed(self, number: int) -> None:
        """A labelled step has ended."""


class Meter:
    """The running account of one execution."""

    __slots__ = (
        "_effort",
        "allocated",
        "due",
        "exact",
        "fuel",
        "items",
        "measure_at",
        "memory_bytes",
        "ordered",
        "sites",
        "text_chars",
    )

    def __init__(self, limits: Limits, *, exact: bool = True, ordered: bool = True) -> None:
        self.exact = exact
        # Whether records from JSON keep their order.
        self.ordered = ordered
        self.text_chars = limits.text_chars
        self.items = limits.items
        self.memory_bytes = limits.memory_bytes
        self.due: list[bool] = []
        # What is left of the steps of a pure call or slow generator, then the
        # calls given up per function (codegen/functions.py).
        self.fuel = [0]
        self.allocated = 0
        self.measure_at = min(_FIRST_MEASURE, limits.memory_bytes // 2)
        self._effort = 0
        self.sites: BranchSink | None = None

    def work(self, effort: int) -> None:
        """Counts `effort` characters or items looked at."""
        self._effort += effort
        if self._effort > _TURN_WORK:
            self._effort = 0
            self.fuel[0] = min(self.fuel[0], -1)
            if not self.due:
                self.due.append(True)

    def allocate(self, size: int) -> None:
        """Counts `size` bytes about to be made; raises past the memory budget."""
        self.allocated += size
        if self.allocated > self.memory_bytes:
            raise self.out_of_memory()
        self.work(size)

    def measured(self, live: int) -> None:
        """Restarts the count from what was found alive."""
        self.allocated = live
        if live > self.memory_bytes:
            raise self.out_of_memory()
        ahead = max(_FIRST_MEASURE, live)
        self.measure_at = live + max(self.memory_bytes // _LEAST_AHEAD, min(ahead, (self.memory_bytes - live) // 2))

    def check_text(self, length: int) -> None:
        """Refuses a text of `length` characters that is too long to make."""
        if length > self.text_chars:
            raise BudgetExceeded(
                "text", f"text of {length} characters exceeds the limit of {self.text_chars}; build it in smaller parts"
            )

    def check_items(self, count: int) -> None:
        """Refuses a list or record of `count` entries that is too long to make."""
        if count > self.items:
            raise BudgetExceeded(
                "items", f"a value of {count} items exceeds the limit of {self.items}; keep fewer items"
            )

    def out_of_memory(self) -> BudgetExceeded:
        """The error of the memory budget."""
        return BudgetExceeded(
            "memory", f"memory budget of {self.memory_bytes // MIB} MiB exceeded; keep less data in variables"
        )
