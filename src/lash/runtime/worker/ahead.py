"""Work that is claimed a little ahead of its slot: while the ends of short runs are being written, the next ones run.

```
turn over ──claimed──► slot free? ──yes──► run
                          └─no──► ahead ──slot given back──► run
                                    └──nobody gives one──► given back to the store
```

Without it a worker with one slot would do nothing while the store syncs. What waits here is
leased and kept, and is never more than the slots get through in a moment: another worker
would hardly have been quicker. Where runs turn out to be long nothing is taken ahead.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from lash.processes.registry import ClaimedProcess
from lash.runtime.leases import Holding

# So much work is taken ahead, as far as recent runs tell how long it takes.
AHEAD_MS: Final = 20
MAX_AHEAD: Final = 128
# A run that takes longer says that nothing is known any more; and whoever waits longer for a slot is given back.
LONG_MS: Final = 100
# Ends wait so long at most to be written together, and only while there is other work.
REST_MS: Final = 5
# Runs that must have been short before anything is taken ahead.
_KNOWN_RUNS: Final = 3
_WEIGHT: Final = 0.2


class Pace:
    """How many runs the slots get through in `AHEAD_MS`, judged by the last ones."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._mean_ms = 0.0
        self._runs = 0

    def note(self, run_ms: float) -> None:
        """A run took so long."""
        if run_ms > LONG_MS:
            self.forget()
            return
        self._mean_ms = run_ms if not self._runs else self._mean_ms + _WEIGHT * (run_ms - self._mean_ms)
        self._runs += 1

    def forget(self) -> None:
        """What comes may be different from what was."""
        self._runs = 0

    def takes_ms(self, runs: int) -> float:
        """How long the slots are busy with so many runs."""
        return runs * self._mean_ms / self._slots

    @property
    def ahead(self) -> int:
        """How many may wait for a slot."""
        if self._runs < _KNOWN_RUNS:
            return 0
        return min(MAX_AHEAD, int(AHEAD_MS * self._slots / max(self._mean_ms, 0.001)))


class Ahead:
    """What was claimed and waits for a slot, the first claimed first."""

    def __init__(self, slots: int) -> None:
        self.pace = Pace(slots)
        self._waiting: deque[tuple[ClaimedProcess, Holding]] = deque()
        self._moved_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def room(self) -> int:
        """How many more may be claimed than there are free slots."""
        return max(0, self.pace.ahead - len(self._waiting))

    @property
    def rest_ms(self) -> int:
        """How long ends may gather before they are written: no longer than half of what waits keeps the slots busy."""
        return min(REST_MS, int(self.pace.takes_ms(len(self._waiting)) / 2))

    def put(self, claimed: ClaimedProcess, holding: Holding, now_s: float) -> None:
        """Waits for a slot."""
        if not self._waiting:
            self._moved_at = now_s
        self._waiting.append((claimed, holding))

    def take(self, now_s: float) -> tuple[ClaimedProcess, Holding] | None:
        """The next one for a slot that has become free."""
        self._moved_at = now_s
        return self._waiting.popleft() if self._waiting else None

    def is_stuck(self, now_s: float) -> bool:
        """Whether something waits and no slot has become free for a while."""
        return bool(self._waiting) and (now_s - self._moved_at) * 1000 >= LONG_MS

    def clear(self) -> list[tuple[ClaimedProcess, Holding]]:
        """Everything that waits, to be given back."""
        self.pace.forget()
        waiting, self._waiting = list(self._waiting), deque()
        return waiting
