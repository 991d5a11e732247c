"""Process starters for tests: a registry in memory that several routers may share."""

from __future__ import annotations

from collections.abc import Callable

from lash.triggers.delivery import TriggeredStart


class Registry:
    """Processes by id: registering is idempotent, a process runs until it is ended."""

    def __init__(self) -> None:
        self.started: list[TriggeredStart] = []
        self.running: set[str] = set()
        self.asked = 0
        self.before_start: Callable[[TriggeredStart], None] = lambda start: None

    async def start(self, start: TriggeredStart) -> bool:
        """Registers unless known; `before_start` may raise."""
        self.asked += 1
        self.before_start(start)
        if start.process_id in {known.process_id for known in self.started}:
            return False
        self.started.append(start)
        self.running.add(start.process_id)
        return True

    async def is_running(self, process_id: str) -> bool:
        """Whether it was started and not ended."""
        return process_id in self.running

    def end(self, process_id: str) -> None:
        """The process is done."""
        self.running.remove(process_id)

    @property
    def ids(self) -> list[str]:
        """Every process, in the order of registration."""
        return [start.process_id for start in self.started]
