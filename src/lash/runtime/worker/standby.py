"""A core that had nothing to run in the background when it was opened: it listens whether somebody hands it work.

Whoever starts a process in this core pokes its worker. What other programs start on the same store
shows only as a change of the store, so that is what is waited for, without polling.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from lash.runtime.engine import Engine
from lash.sessions.errors import StoreError

if TYPE_CHECKING:
    from lash.runtime.worker.worker import ProcessWorker

logger = logging.getLogger("lash.worker")

# After the store could not be reached.
STORE_PAUSE_MS: Final = 1_000
# At most so often is the store asked: turns of this core change it too.
BETWEEN_LOOKS_MS: Final = 50


async def stand_by(engine: Engine, worker: ProcessWorker) -> None:
    """Returns when the worker was started, from here or by a poke."""
    changes = engine.store.changes
    while not worker.is_started:
        generation = changes.generation()
        await engine.clock.sleep(BETWEEN_LOOKS_MS)
        try:
            if await worker.is_needed():
                worker.poke()
                return
            await changes.changed(generation)
        except StoreError as error:
            logger.warning("standing by for work, the store could not be asked: %s", error)
            await engine.clock.sleep(STORE_PAUSE_MS)
