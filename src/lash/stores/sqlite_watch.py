"""How a SQLite file tells that any process has committed to it.

`PRAGMA data_version` is the truth and costs two microseconds; what costs is waking up to
read it. So the log has a doorbell: while it is silent the file is looked at four times a
second, in case the doorbell is broken. It rings when a transaction is written, before
that is synced and visible, so after a ring the version is read again and again for a
while, and the pauses grow.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from lash.stores.doorbell import Doorbell
from lash.stores.sqlite import DataVersion

# Without a doorbell, and the longest pause after it has rung.
POLL_S: Final = 0.025
# With one that is silent.
FALLBACK_S: Final = 0.25
# So long after the last ring the commit that it announced may still be on its way.
ALERT_S: Final = 0.25
# The first pause after a ring; each is twice the one before. Also the least between two changes that are told:
# a writer that never rests wakes nobody more often.
FIRST_PAUSE_S: Final = 0.001
SPACING_S: Final = 0.02
# Where there is no doorbell there may be one later.
RETRY_S: Final = 1.0


class FileWatch:
    """Compares `PRAGMA data_version` with the last one seen. What is stale only causes a look too many."""

    def __init__(self, version: DataVersion, log: str) -> None:
        """`log` is the path of the write-ahead log."""
        self._version = version
        self._log = log
        self._doorbell: Doorbell | None = None
        self._retry_at = 0.0
        self._seen = -1
        self._told_at = 0.0
        self._alert_until = 0.0
        self._pause_s = FIRST_PAUSE_S

    async def wait(self) -> bool:
        """Looks at once, and again when somebody has written or a moment has passed."""
        early_s = self._told_at + SPACING_S - time.monotonic()
        if early_s > 0:
            await asyncio.sleep(early_s)
        self._listen()
        if self._has_changed():
            return True
        await self._pause()
        return self._has_changed()

    async def close(self) -> None:
        """Lets go of the file."""
        doorbell, self._doorbell = self._doorbell, None
        if doorbell is not None:
            doorbell.close()
        self._version.close()

    def _listen(self) -> None:
        """Before the version is read: a ring from now on is for a commit that may not be in it."""
        now = time.monotonic()
        if self._doorbell is None and now >= self._retry_at:
            try:
                self._doorbell = Doorbell(self._log)
            except OSError:  # none here, or no log yet: whoever writes first makes it
                self._retry_at = now + RETRY_S
        if self._doorbell is not None and self._doorbell.has_rung():
            self._alert_until = now + ALERT_S
            self._pause_s = FIRST_PAUSE_S

    async def _pause(self) -> None:
        if self._doorbell is None:
            await asyncio.sleep(POLL_S)
        elif time.monotonic() < self._alert_until:
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(POLL_S, 2 * self._pause_s)
        else:
            await self._doorbell.rings(FALLBACK_S)

    def _has_changed(self) -> bool:
        version = self._version.read()
        has_changed = version != self._seen
        self._seen = version
        if has_changed:
            self._told_at = time.monotonic()
        return has_changed


class NobodyElse:
    """In memory only this process commits, and its commits count at once."""

    async def wait(self) -> bool:
        """Sleeps; nothing can have changed."""
        await asyncio.sleep(1)
        return False

    async def close(self) -> None:
        """Nothing to do."""
