"""The port through which triggers start processes."""

from __future__ import annotations

from typing import Protocol

from lash.triggers.delivery import TriggeredStart


class ProcessStarter(Protocol):
    """Registers processes. Registering is intent only: workers run them."""

    async def start(self, start: TriggeredStart) -> bool:
        """Registers the process unless its id is known; whether this call registered it.

        A finished and a pruned process are known. Raises what makes registering impossible.
        """
        ...

    async def is_running(self, process_id: str) -> bool:
        """Whether the process is registered and has not ended."""
        ...
