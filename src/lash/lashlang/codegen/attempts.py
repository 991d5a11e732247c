"""When a call of a pure function is worth trying fast.

A fast call cannot be interrupted, so it is given up after a fixed number of
steps and run again slowly; the calls inside the slow one are tried again. What
is tried is decided by what was given up before, never by the clock, so a replay
takes the same steps.

The list `c` that generated code carries holds the steps that are left at 0, and
three numbers per function: the depth down to which calls were given up, how
many calls at such depths are still to be skipped, and how many were last time.
"""

from __future__ import annotations

from typing import Final

# A fast call is given up after this many steps: some 0.2 ms.
FAST_STEPS: Final = 1024
# Fast calls may use this many steps together before the driver gets a turn: about 1 ms.
STEPS_AT_ONCE: Final = 8192
SLOTS: Final = 3
# One in so many calls is tried at a depth where calls were given up again and again.
_MOST_SKIPPED: Final = 255


def first_slot(position: int) -> int:
    """Where the numbers of the function declared at `position` start."""
    return 1 + SLOTS * position


def held_back(c: list[int], slot: int) -> bool:
    """Whether a call at a depth that was given up is not to be tried this time."""
    if c[slot + 1]:
        c[slot + 1] -= 1
        return True
    return False


def given_up(c: list[int], slot: int, depth: int, left: int) -> None:
    """Notes a call that took too long."""
    c[0] = left - FAST_STEPS
    c[slot] = max(c[slot], depth)
    c[slot + 1] = c[slot + 2] = min(4 * c[slot + 2] + 1, _MOST_SKIPPED)


def went_well(c: list[int], slot: int) -> None:
    """Notes that a call at a depth that was given up ended in time: one depth less to hold back."""
    c[slot] -= 1
    if not c[slot]:
        c[slot + 2] = 0
    c[slot + 1] = c[slot + 2]
