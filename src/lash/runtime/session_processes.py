"""Background processes of one session: `session.processes`.

What is started here is the session's own: it is the originator, its handles are
granted to it, and the end of each wakes it. It sees nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from lash.base.json import Json
from lash.processes.authority import Recovery
from lash.processes.errors import HandleNotVisible, ProcessAlreadyTerminal
from lash.processes.handles import ProcessHandleSummary
from lash.processes.outputs import ProcessAwaitOutput
from lash.processes.scopes import SessionOriginator, SessionScope
from lash.runtime.process_admin import ProcessAdmin, ProcessPorts
from lash.runtime.process_handle import ProcessHandle
from lash.runtime.work import Work, WorkPlanner
from lash.runtime.worker.run import waiting_for_others


class SessionProcesses:
    """`session.processes`. Added in 0.1."""

    def __init__(
        self, session_id: str, ports: ProcessPorts, planner: WorkPlanner, opened: Callable[[], Awaitable[object]]
    ) -> None:
        """`opened` creates the session if need be: nobody can be woken who is not stored."""
        self._scope = SessionScope(session_id)
        self._ports = ports
        self._admin = ProcessAdmin(ports, planner, SessionOriginator(self._scope))
        self._opened = opened

    async def start(
        self,
        what: Work,
        *,
        args: Mapping[str, Json] | None = None,
        id: str | None = None,  # noqa: A002 - the public name (api.md)
        wake: bool = True,
        recovery: Recovery | None = None,
    ) -> ProcessHandle:
        """Starts a process of this session, as `core.processes.start` does, and lets the session see it.

        Its end wakes the session, unless `wake` is False.
        """
        await self._opened()
        return await self._admin.start_for(self._scope, what, args=args, id=id, wake=wake, recovery=recovery)

    async def get(self, process_id: str) -> ProcessHandle:
        """A process that the session sees. Raises `HandleNotVisible`."""
        if not await self._ports.registry.has_handle_grant(self._scope, process_id):
            raise HandleNotVisible(process_id)
        return ProcessHandle(process_id, self._ports)

    async def await_all(self) -> dict[str, ProcessAwaitOutput]:
        """Waits for everything that runs now; how each ended, by id."""
        async with waiting_for_others():
            return {summary.id: await self._ports.registry.await_process(summary.id) for summary in await self.list()}

    async def cancel(self, process_id: str, reason: str | None = None) -> None:
        """Asks one to stop. Raises `HandleNotVisible` and `ProcessAlreadyTerminal`."""
        await (await self.get(process_id)).cancel(reason)

    async def cancel_all(self, reason: str | None = None) -> list[str]:
        """Asks everything that runs to stop; the ids."""
        asked: list[str] = []
        for summary in await self.list():
            try:
                await self.cancel(summary.id, reason)
            except ProcessAlreadyTerminal:  # it was quicker
                continue
            asked.append(summary.id)
        return asked

    async def forget(self, process_id: str) -> None:
        """Lets go of a process: the session sees it no more, and it may be pruned once it has ended.

        It goes on, and its end wakes the session all the same. Again is harmless. Added in 0.1.
        """
        await self._ports.registry.revoke_handle(self._scope, process_id)

    # Last: within the class its name hides the type.
    async def list_all(self) -> list[ProcessHandleSummary]:
        """Those that have ended too."""
        found = await self._ports.registry.list_handle_grants(self._scope)
        return [ProcessHandleSummary.of(grant, record) for grant, record in found]

    async def list(self) -> list[ProcessHandleSummary]:
        """Processes that the session sees and that have not ended."""
        found = await self._ports.registry.list_live_handle_grants(self._scope)
        return [ProcessHandleSummary.of(grant, record) for grant, record in found]
