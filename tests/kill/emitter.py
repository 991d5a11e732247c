"""A process that emits, or fires a schedule, and is killed around the start of what it reserved.

`python -m kill.emitter WHERE SCHEMA FOLDER emit|tick before|after`
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from pathlib import Path
from typing import Literal

from lash.base.clock import SystemClock
from lash.runtime.schedules import ScheduleClock
from lash.runtime.trigger_router import TriggerRouter
from lash.stores import Store
from lash.testing.conformance.triggers import pressed
from lash.triggers.delivery import TriggeredStart


class FolderRegistry:
    """Processes as files: made once, whoever tries, and there after a kill."""

    def __init__(self, folder: Path, kill: Literal["before", "after"] | None = None) -> None:
        self._folder = folder
        self._kill = kill
        self.registered: list[str] = []

    async def start(self, start: TriggeredStart) -> bool:
        """Makes the file unless it is there; dies where it was told to."""
        if self._kill == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        name = hashlib.sha256(start.process_id.encode()).hexdigest()
        try:
            with (self._folder / name).open("x") as file:
                file.write(start.process_id)
        except FileExistsError:
            return False
        finally:
            if self._kill == "after":
                os.kill(os.getpid(), signal.SIGKILL)
        self.registered.append(start.process_id)
        return True

    async def is_running(self, process_id: str) -> bool:
        """Whether it was registered: nothing ever ends here."""
        return process_id in self.ids

    @property
    def ids(self) -> list[str]:
        """Every process there is."""
        return sorted(path.read_text() for path in self._folder.iterdir())


async def main(where: str, schema: str, folder: str, what: str, kill: Literal["before", "after"]) -> None:
    """Opens the store and does it."""
    async with await Store.open(where, schema=schema or None) as store:
        router = TriggerRouter(store.triggers, FolderRegistry(Path(folder), kill))
        if what == "emit":
            await router.emit(pressed("killed"))
        else:
            await ScheduleClock(store.triggers, router, SystemClock()).tick()


if __name__ == "__main__":
    address, schema, folder, what, kill = sys.argv[1:]
    asyncio.run(main(address, schema, folder, what, "before" if kill == "before" else "after"))
