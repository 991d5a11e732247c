"""How a SQLite file tells that any process has committed to it."""

from __future__ import annotations

import asyncio
from typing import Final

from lash.stores.sqlite import DataVersion

POLL_S: Final = 0.025


class FileWatch:
    """Compares `PRAGMA data_version` with the last one seen. What is stale only causes a look too many."""

    def __init__(self, version: DataVersion) -> None:
        self._version = version
        self._seen = -1

    async def wait(self) -> bool:
        """Looks at once, else after 25 ms."""
        if self._has_changed():
            return True
        await asyncio.sleep(POLL_S)
        return self._has_changed()

    async def close(self) -> None:
        """Lets go of the file."""
        self._version.close()

    def _has_changed(self) -> bool:
        version = self._version.read()
        has_changed = version != self._seen
        self._seen = version
        return has_changed


class NobodyElse:
    """In memory only this process commits, and its commits count at once."""

    async def wait(self) -> bool:
        """Sleeps; nothing can have changed."""
        await asyncio.sleep(1)
        return False

    async def close(self) -> None:
        """Nothing to do."""
