"""Steering processes from inside a scope: every command is an effect (docs/spec/durability.md §2.4, §5.5).

A command that is repeated after a crash answers what it answered before. The commands
are idempotent on their own, so one that ran and was not recorded may run again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from lash.base.canonical import stable_hash
from lash.base.codec import from_json, struct_to_json
from lash.base.errors import LashError
from lash.base.json import Json, JsonObject
from lash.effects.envelope import EffectCommand, EffectEnvelope, EffectOutcome
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Local
from lash.effects.ports import EffectController
from lash.processes.events import cancel_requested
from lash.processes.record import ProcessRecord
from lash.processes.registry import ProcessRegistry
from lash.processes.scopes import SessionScope

REQUESTED_BY_HOST = "requested by host"


class ProcessesUnavailable(LashError):
    """There is no process registry here."""

    code = "processes_unavailable"

    def __init__(self) -> None:
        super().__init__("process registry is unavailable in this runtime")


class ProcessControl:
    """Process commands of one acting session, within a scope or on their own."""

    def __init__(
        self,
        registry: ProcessRegistry | None,
        controller: EffectController,
        session_id: str,
        parent: Invocation | None = None,
    ) -> None:
        self._registry = registry
        self._controller = controller
        self._session_id = session_id
        self._parent = parent
        self._asked: dict[str, int] = {}

    async def transfer(self, to: SessionScope, process_ids: Sequence[str]) -> None:
        """Moves handles to another scope, all or none. None at all is always fine. Raises `ProcessError`."""
        if not process_ids:
            return
        registry = self._present()
        source = SessionScope(self._session_id)

        async def move() -> Json:
            await registry.transfer_handle_grants(source, to, process_ids)
            return None

        effect_id = f"process:transfer:{source.id}:{to.id}:{stable_hash(list(process_ids))}"
        command: JsonObject = {
            "op": "transfer",
            "from_scope": struct_to_json(source),
            "to_scope": struct_to_json(to),
            "process_ids": list(process_ids),
        }
        await self._run(effect_id, command, move)

    async def validate_visible(self, process_ids: Sequence[str]) -> None:
        """Raises unless the session sees all of them. None at all is always fine."""
        if not process_ids:
            return
        registry = self._present()
        for process_id in process_ids:
            if not await registry.has_handle_grant(SessionScope(self._session_id), process_id):
                raise HandleNotVisible(self._session_id, process_id)

    async def cancel_unreferenced(self, keep: Collection[str]) -> list[ProcessRecord]:
        """Takes the session's other handles away, and asks for the end of what nobody else sees.

        What was asked to end, by process id.
        """
        registry = self._present()
        scope = SessionScope(self._session_id)
        ended: list[ProcessRecord] = []
        held = [grant.process_id for grant, _ in await registry.list_live_handle_grants(scope)]
        for process_id in sorted(process_id for process_id in held if process_id not in keep):
            await registry.revoke_handle(scope, process_id)
            record = await registry.get_process(process_id)
            if record is None or record.is_terminal or await registry.handle_grants_for_process(process_id):
                continue
            ended.append(await self.cancel(process_id, REQUESTED_BY_HOST))
        return ended

    async def cancel(self, process_id: str, reason: str | None = None) -> ProcessRecord:
        """Asks for the end of a process; how it stands then."""
        registry = self._present()

        async def ask() -> Json:
            await registry.append_event(process_id, cancel_requested(process_id, reason))
            record = await registry.get_process(process_id)
            assert record is not None
            return struct_to_json(record)

        command: JsonObject = {"op": "cancel", "process_id": process_id, "reason": reason}
        return from_json(await self._run(f"process:cancel:{process_id}", command, ask), ProcessRecord)

    def _present(self) -> ProcessRegistry:
        if self._registry is None:
            raise ProcessesUnavailable
        return self._registry

    async def _run(self, effect_id: str, command: JsonObject, perform: Callable[[], Awaitable[Json]]) -> Json:
        # The same command again in one scope is another effect: what it answers may be another.
        number = self._asked[effect_id] = self._asked.get(effect_id, 0) + 1
        effect_id = effect_id if number == 1 else f"{effect_id}#{number}"
        prefix, scope = self._session_id, RuntimeScope(self._session_id)
        if self._parent is not None:
            prefix = effect_id if self._parent.replay is None else self._parent.replay.key
            parent = self._parent.scope
            if parent.turn_id is not None:
                scope = RuntimeScope(self._session_id, parent.turn_id, parent.turn_index, parent.protocol_iteration)

        async def local(_envelope: EffectEnvelope) -> EffectOutcome:
            return EffectOutcome("process", {"result": {"op": command["op"], "value": await perform()}})

        invocation = Invocation.effect(scope, effect_id, "process", f"{prefix}:{effect_id}")
        envelope = EffectEnvelope(invocation, EffectCommand("process", {"command": command}))
        outcome = await self._controller.execute(envelope, Local(local, impact="changes"))
        result = outcome.expect("process")["result"]
        assert isinstance(result, dict)
        return result.get("value")


class HandleNotVisible(LashError):
    """The session holds no handle of the process."""

    code = "process_not_visible"

    def __init__(self, session_id: str, process_id: str) -> None:
        super().__init__(f"session `{session_id}` holds no handle of process `{process_id}`")
