"""Process engines that plugins bring along (R-104)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import lash
from face.places import Place
from lash.base.json import Json
from lash.effects.envelope import EffectEnvelope, durable_step_command
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Local
from lash.plugins import PluginRegistrationError, PluginSessionContext, PluginSpecFactory
from lash.processes.inputs import EngineInput
from lash.processes.outputs import SuccessOutput
from lash.runtime.worker.engines import EngineOutcome, ProcessEngine, ProcessParts
from lash.runtime.worker.run import ProcessRun
from lash.testing import Lab, Life, ScriptedModel, says


class Doubling:
    """Doubles a number, as one recorded step."""

    async def run(self, run: ProcessRun, parts: ProcessParts) -> EngineOutcome:
        work = run.registration.input
        assert isinstance(work, EngineInput)
        number = work.payload
        assert isinstance(number, int)

        async def double() -> Json:
            return number * 2

        key = f"process:{run.process_id}:double"
        invocation = Invocation.effect(RuntimeScope(parts.session_id), "double", "durable_step", key)
        envelope = EffectEnvelope(invocation, durable_step_command("double", number))
        outcome = await run.controller.execute(envelope, Local.durable_step(double))
        return SuccessOutput(outcome.expect("durable_step")["value"])


class Arithmetic(lash.Plugin):
    id = "arithmetic"

    def process_engines(self) -> Mapping[str, ProcessEngine]:
        return {"double": Doubling()}


def model() -> ScriptedModel:
    return ScriptedModel(lambda _: says("ok"))


async def test_a_worker_with_the_plugin_runs_what_any_core_started(file: Place) -> None:
    starter = lash.StandardCore(model=model(), store=await file.open_store()).only_asking()
    async with starter:
        await starter.processes.start(EngineInput("double", 21), id="p")
    core = await file.core(model(), plugins=[Arithmetic()])

    assert await (await core.processes.get("p")).result() == 42


async def test_without_the_plugin_the_process_says_which_engine_is_missing(memory: Place) -> None:
    core = await memory.core(model())
    handle = await core.processes.start(EngineInput("double", 21))

    with pytest.raises(lash.ProcessFailed, match="process engine `double` is not configured"):
        await handle.result()


async def test_a_process_has_the_options_that_its_plugins_had_when_it_was_started(memory: Place) -> None:
    seen: list[object] = []

    def build(context: PluginSessionContext) -> lash.Plugin:
        seen.append((context.session_id, context.plugin_options.get("p")))
        return lash.Plugin("p")

    core = lash.StandardCore(
        model=model(),
        store=await memory.open_store(),
        plugins=[Arithmetic(), PluginSpecFactory("p", build)],
        plugin_options={"p": {"depth": 2}},
    )
    memory.cores.append(core)
    await core.open()
    await (await core.processes.start(EngineInput("double", 1), id="q")).result()

    assert seen[-1] == ("process-env:q", {"depth": 2})


def test_two_plugins_cannot_run_the_same_kind() -> None:
    class Other(Arithmetic):
        id = "other"

    with pytest.raises(PluginRegistrationError, match="'arithmetic' and 'other' both run processes of kind 'double'"):
        lash.StandardCore(model=model(), plugins=[Arithmetic(), Other()])


async def test_a_process_of_a_plugins_engine_survives_every_kill() -> None:
    def agent(life: Life) -> lash.StandardCore:
        return lash.StandardCore(model=model(), plugins=[Arithmetic()], store=life.store, effect_host=life.effect_host)

    async def program(core: lash.StandardCore) -> Json:
        return await (await core.processes.start(EngineInput("double", 21), id="p")).result()

    (await Lab(agent, test=program).kill_everywhere(limit=6)).raise_for_problems()
