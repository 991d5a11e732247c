"""The session and its tools, for hooks of its turn."""

from __future__ import annotations

from collections.abc import Sequence

from lash.base.json import Json
from lash.plugins.services import SessionFacts
from lash.runtime.commands import SetToolAvailability, command_draft
from lash.runtime.hook_services.asking import Asking
from lash.tools.definition import Availability, ToolManifest
from lash.tools.state import ToolState, overridden


class HookState:
    """See `StateService`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def session(self) -> SessionFacts:
        """See `StateService`."""
        return self._asking.turn.memory.facts

    def tools(self) -> Sequence[ToolManifest]:
        """See `StateService`."""
        catalog = self._asking.turn.tools.catalog
        return [entry.manifest for entry in catalog.entries if entry.manifest.name in catalog.callable_names]

    def tool_state(self) -> ToolState:
        """See `StateService`."""
        return self._asking.turn.session_tools.state.copy()

    async def set_availability(self, tool: str, availability: Availability | None) -> None:
        """See `StateService`. A command in the queue of the session: it is applied once, right after this turn."""
        turn = self._asking.turn
        overridden(self.tool_state(), tool, availability)

        async def step(key: str) -> Json:
            draft = command_draft(turn.memory.session_id, SetToolAvailability(tool, availability), key)
            await turn.store.enqueue_queued_work_with_outcome(draft)
            turn.doors.actor_of(turn.memory.session_id).poke()
            return None

        await self._asking.do("set_availability", {"tool": tool, "availability": availability}, step)
