"""When a worker writes: at once what comes alone, together what comes one upon another.

```
turn over ──► one has ended since, and nothing is being started ──► turn over at once
         ├──► somebody here waits for one of them ────────────────►     "
         └──► they flow ──► wait until none has come for `QUIET_MS`, `REST_MS` since the last one at most
```

Whoever starts something and waits for it sees no pause. Where ends come that nobody waits for, faster
than they can be written one by one, a pause of a few milliseconds saves most of the writing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

REST_MS: Final = 10
QUIET_MS: Final = 1


class Gathering:
    """Counts what happens between one turn-over and the next, and what is being started here.

    By the time of the event loop: where a test holds the clock still, nothing waits for it.
    """

    def __init__(self) -> None:
        self._news = 0
        self._turned_at = float("-inf")
        # Starts on their way to the store: more will end soon.
        self.starts = 0

    def note(self) -> None:
        """Something has ended, or may be due."""
        self._news += 1

    def turning(self) -> None:
        """A turn-over begins; it takes all there is."""
        self._news = 0
        self._turned_at = asyncio.get_running_loop().time()

    async def wait(self, is_urgent: Callable[[], bool]) -> None:
        """Returns when there is no use in waiting for more."""
        seen = 1
        loop = asyncio.get_running_loop()
        until = self._turned_at + REST_MS / 1000
        while (self._news > seen or self.starts) and loop.time() < until and not is_urgent():
            seen = self._news
            await asyncio.sleep(QUIET_MS / 1000)
