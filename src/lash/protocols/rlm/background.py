"""What cells do in the background: processes started, awaited, cancelled and signalled, triggers.

Each thing is one effect under the cell's key, so it is done once whatever crashes. The id of
a process follows from the place in the program that starts it: a drive that starts it again
meets the one that is there.
"""

from __future__ import annotations

from lash.base.codec import to_json
from lash.base.json import Json, JsonObject
from lash.lashlang.execution import effects as asked
from lash.lashlang.execution.effects import Answered, Refused, Request
from lash.lashlang.execution.keys import child_run_id
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.plugins.background import BackgroundServices
from lash.plugins.execution import CellEffects
from lash.processes.errors import HandleNotVisible, InvalidProcessHandle
from lash.processes.handles import handle_value, process_id_of
from lash.processes.scopes import ProcessProvenance, SessionScope
from lash.runtime.programs.commands import answer_of, refusable, request_cancel, result_of, send_signal, signalled
from lash.runtime.programs.modules import DEFAULT_SIGNAL, Modules
from lash.runtime.programs.starting import ProgramStart, start_program
from lash.runtime.programs.tracing import ExecutionSink
from lash.runtime.programs.triggers import ProgramTriggers


class CoreBackground:
    """What all cells of an open core share. `sink` is told what they do."""

    def __init__(self, services: BackgroundServices, sink: ExecutionSink | None = None) -> None:
        self.services = services
        self.modules = Modules(services.artifacts)
        self.sink = sink


class CellBackground:
    """Answers what one cell asks of background work. The cell was linked to `artifact` against `catalog`."""

    def __init__(
        self,
        core: CoreBackground,
        session_id: str,
        effects: CellEffects,
        artifact: ModuleArtifact,
        catalog: Catalog,
    ) -> None:
        self._services = core.services
        self._registry = core.services.processes
        self._modules = core.modules
        self._scope = SessionScope(session_id)
        self._effects = effects
        self._artifact = artifact
        self._catalog = catalog
        self._env_ref: str | None = None

    async def keep_module(self) -> None:
        """Stores the module of a cell that declares processes: workers and triggers run it from there."""
        if not self._artifact.exports:
            return
        reference = self._artifact.module_ref

        async def put() -> Json:
            await self._modules.keep(self._artifact)
            return reference

        await self._effects.step("module", reference, put)

    async def answer(self, request: Request) -> Answered | Refused:
        """The answer to a request that is none of a tool, a pause or a reading."""
        match request:
            case asked.StartProcess():
                return await self._start(request)
            case asked.AwaitHandle():
                return await self._await(request)
            case asked.CancelHandle():
                return await self._cancel(request)
            case asked.SignalRun():
                return await self._signal(request)
            case _:
                return Refused(f"a cell cannot do this: {type(request).__name__}")

    async def trigger(self, request: asked.ResourceOperation) -> Answered | Refused:
        """An operation of the `triggers` module."""
        key = f"trigger:{_place(request.site)}"
        name = f"{self._effects.replay_key}:{key}"
        command: JsonObject = {"op": f"trigger_{request.operation}", "request": request.payload}

        async def perform() -> Json:
            services = self._services
            triggers = ProgramTriggers(
                services.triggers, self._modules, self._scope.session_id, self._captured, services.poke_clock
            )
            return await triggers.perform(request.operation, request.payload, self._catalog, name)

        return answer_of(await self._effects.command(key, command, refusable(perform)))

    async def _start(self, request: asked.StartProcess) -> Answered | Refused:
        seed = f"runtime-replay:{self._effects.replay_key}"
        process_id = child_run_id(seed, request)
        command: JsonObject = {
            "op": "start",
            "process_id": process_id,
            "module_ref": request.module_ref,
            "process_name": request.process_name,
            "args": dict(request.args),
        }

        async def start() -> Json:
            provenance = ProcessProvenance.session(self._scope)
            env_ref = await self._captured()
            wanted = ProgramStart.of(request, seed, provenance, env_ref, wake_target=self._scope, seen_by=self._scope)
            await start_program(wanted, self._services, self._modules)
            return handle_value(process_id)

        return answer_of(await self._effects.command(f"start:{_place(request.site)}", command, refusable(start)))

    async def _await(self, request: asked.AwaitHandle) -> Answered | Refused:
        try:
            process_id = process_id_of(request.value)
        except InvalidProcessHandle as error:
            return Refused(str(error))

        async def ended() -> Json:
            await self._check_visible(process_id)
            return to_json(await self._registry.await_process(process_id))

        command: JsonObject = {"op": "await", "process_id": process_id}
        return result_of(
            answer_of(await self._effects.wait(f"await:{_place(request.site)}", command, refusable(ended)))
        )

    async def _cancel(self, request: asked.CancelHandle) -> Answered | Refused:
        try:
            process_id = process_id_of(request.value)
        except InvalidProcessHandle as error:
            return Refused(str(error))

        async def cancel() -> Json:
            await self._check_visible(process_id)
            summary = await request_cancel(self._registry, process_id)
            self._services.poke()
            return summary

        command: JsonObject = {"op": "cancel", "process_id": process_id}
        return answer_of(await self._effects.command(f"cancel:{_place(request.site)}", command, refusable(cancel)))

    async def _signal(self, request: asked.SignalRun) -> Answered | Refused:
        name = request.name or DEFAULT_SIGNAL
        try:
            process_id = signalled(request.run)
        except InvalidProcessHandle as error:
            return Refused(str(error))
        key = f"signal:{name}:{request.sequence}"
        signal_id = f"{self._effects.replay_key}:{key}"
        command: JsonObject = {
            "op": "signal",
            "process_id": process_id,
            "signal_name": name,
            "signal_id": signal_id,
            "payload": request.payload,
        }

        async def send() -> Json:
            await self._check_visible(process_id)
            await send_signal(self._registry, process_id, name, request.payload, signal_id)
            self._services.poke()
            return None

        return answer_of(await self._effects.command(key, command, refusable(send)))

    async def _captured(self) -> str:
        """What the processes of this cell run with; kept once, however many it starts."""
        if self._env_ref is None:
            self._env_ref = await self._services.capture()
        return self._env_ref

    async def _check_visible(self, process_id: str) -> None:
        if not await self._registry.has_handle_grant(self._scope, process_id):
            raise HandleNotVisible(process_id)


def _place(site: asked.CallSite) -> str:
    return f"{site.node_id}:{site.occurrence}"
