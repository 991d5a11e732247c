"""Background processes of a session whose turn is running."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from lash.base.canonical import stable_hash
from lash.base.codec import to_json
from lash.base.json import Json
from lash.processes.errors import ProcessAlreadyTerminal
from lash.processes.handles import ProcessHandleSummary
from lash.processes.inputs import ProcessInput
from lash.runtime.hook_services.asking import Asking
from lash.runtime.session_processes import SessionProcesses


class HookProcesses:
    """See `ProcessService`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    @property
    def _own(self) -> SessionProcesses:
        turn = self._asking.turn
        return turn.doors.processes_of(turn.memory.session_id)

    async def start(
        self,
        what: str | ProcessInput,
        *,
        args: Mapping[str, Json] | None = None,
        id: str | None = None,  # noqa: A002 - as the port
        wake: bool = True,
    ) -> str:
        """See `ProcessService`."""

        async def step(key: str) -> Json:
            # Named after the effect: whoever asks again for the same start finds it.
            named = id or f"hook:{stable_hash(key)[:24]}"
            return (await self._own.start(what, args=args, id=named, wake=wake)).id

        asked: dict[str, Json] = {"what": to_json(what), "args": dict(args or {}), "id": id, "wake": wake}
        return str(await self._asking.do("start_process", asked, step))

    async def result(self, process_id: str) -> Json:
        """See `ProcessService`."""
        return await (await self._own.get(process_id)).result()

    async def signal(self, process_id: str, name: str, payload: Json = None) -> int:
        """See `ProcessService`."""

        async def step(key: str) -> Json:
            return await (await self._own.get(process_id)).signal(name, payload, key=key)

        asked: dict[str, Json] = {"process_id": process_id, "name": name, "payload": payload}
        return cast("int", await self._asking.do("signal_process", asked, step))

    async def cancel(self, process_id: str, reason: str | None = None) -> None:
        """See `ProcessService`."""

        async def step(_key: str) -> Json:
            try:
                await self._own.cancel(process_id, reason)
            except ProcessAlreadyTerminal:
                return False
            return True

        await self._asking.do("cancel_process", {"process_id": process_id, "reason": reason}, step)

    async def list(self) -> list[ProcessHandleSummary]:
        """See `ProcessService`."""
        return await self._own.list()
