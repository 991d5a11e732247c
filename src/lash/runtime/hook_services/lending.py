"""One hook's services, made when it uses them."""

from __future__ import annotations

from lash.models.direct import DirectCompletion, DirectRequest
from lash.plugins.services import Lend
from lash.runtime.direct import DirectCalls
from lash.runtime.hook_services.asking import Asking, LendingTurn
from lash.runtime.hook_services.graph import HookGraph
from lash.runtime.hook_services.lifecycle import HookLifecycle
from lash.runtime.hook_services.processes import HookProcesses
from lash.runtime.hook_services.state import HookState


class Lent:
    """See `HookServices`."""

    def __init__(self, turn: LendingTurn, plugin_id: str, where: str) -> None:
        self._turn = turn
        self._asking = Asking(turn, plugin_id, where)
        self._direct: HookCompletions | None = None

    @property
    def state(self) -> HookState:
        """See `HookServices`."""
        return HookState(self._asking)

    @property
    def lifecycle(self) -> HookLifecycle:
        """See `HookServices`."""
        return HookLifecycle(self._asking)

    @property
    def graph(self) -> HookGraph:
        """See `HookServices`."""
        return HookGraph(self._asking)

    @property
    def processes(self) -> HookProcesses:
        """See `HookServices`."""
        return HookProcesses(self._asking)

    @property
    def direct_completions(self) -> HookCompletions:
        """See `HookServices`."""
        if self._direct is None:
            self._direct = HookCompletions(self._asking)
        return self._direct


class HookCompletions:
    """See `DirectCompletions`: durable before the hook sees them, charged with the commit of the turn."""

    def __init__(self, asking: Asking) -> None:
        turn = asking.turn
        self._trail = turn.trail
        self._calls = DirectCalls(
            turn.controller,
            turn.scope,
            f"hook:{asking.where}:{asking.plugin_id}",
            turn.model,
            cancel=turn.cancel,
            clock=turn.engine.clock,
        )

    async def complete(self, request: DirectRequest) -> DirectCompletion:
        """See `DirectCompletions`."""
        answer = await self._calls.complete(request)
        for key, entry in self._calls.spent.items():
            self._trail.spend(key, entry)
        return answer


def lending(turn: LendingTurn, where: str) -> Lend:
    """The services of the hooks at one place of a turn."""
    return lambda plugin_id: Lent(turn, plugin_id, where)
