"""Cells that start processes, and whatever they do with them, as a host sees it."""

from __future__ import annotations

import pytest

import lash
from lash.base.json import Json
from lash.lashlang.syntax.features import LanguageFeatures
from lash.plugins.errors import PluginRegistrationError
from lash.processes.inputs import LashlangProcessInput
from lash.processes.scopes import SessionOriginator, SessionScope
from lash.protocols.rlm.options import RlmConfig
from lash.stock.trigger_sources import TriggerSource, TriggerSources
from lash.testing import ScriptedModel, cell
from lash.testing.script import Step

GREET = """
process greet(name: str) {
  finish format("hello {}", name)
}
"""


def core_of(*steps: Step, workers: int = 1, store: str = ":memory:") -> lash.RlmCore:
    return lash.RlmCore(model=ScriptedModel(list(steps)), workers=workers, store=store)


async def run(core: lash.RlmCore, text: str = "go") -> lash.TurnResult:
    async with core.session("s") as session:
        return await session.run(text)


async def test_start_registers_a_process_of_the_session_and_gives_a_handle() -> None:
    async with core_of(cell(GREET + 'h = start greet(name: "Ada")\nsubmit h'), workers=0) as core:
        turn = await run(core)
        [record] = await core.processes.list()

        assert turn.value == {"__handle__": "process", "id": record.id}
        assert record.id.startswith("process:lashlang:sha256:")
        assert isinstance(record.input, LashlangProcessInput)
        assert (record.input.process_name, record.input.args) == ("greet", {"name": "Ada"})
        assert record.provenance.originator == SessionOriginator(SessionScope("s"))
        assert record.wake_target == SessionScope("s")
        assert await core.store.artifacts.get_module_artifact(record.input.module_ref) is not None
        assert [summary.id for summary in await core.session("s").processes.list()] == [record.id]


# triggers

CLOCK = TriggerSource("clock.Alarm", "clock.Tick", emits="{ id: str, at: str }", takes="{ at: str }")
REMEMBER = """
process remember(tick: clock.Tick, note: str) {
  wake { text: format("{}: {}", note, tick.id) }
  finish tick
}
"""
REGISTER = (
    REMEMBER
    + """
t = await triggers.register({
  source: clock.Alarm({ at: "08:00" }),
  target: remember,
  inputs: { tick: trigger.event, note: "daily" },
  name: "morning"
})?
"""
)


def clock_core(*steps: Step, workers: int = 0, store: str = ":memory:") -> lash.RlmCore:
    model = ScriptedModel(list(steps))
    return lash.RlmCore(model=model, workers=workers, store=store, plugins=[TriggerSources(CLOCK)])


async def test_a_program_registers_a_trigger_and_an_event_starts_its_process() -> None:
    async with clock_core(cell(REGISTER + "submit t")) as core:
        turn = await run(core)
        [subscription] = await core.session("s").triggers.by_source_type("clock.Alarm")
        tick: Json = {"id": "1", "at": "08:00"}
        report = await core.triggers.emit("clock.Alarm", tick, source={"at": "08:00"}, key="k")
        [process_id] = report.started_process_ids
        record = await (await core.processes.get(process_id)).record()

        assert turn.value == {"type": "trigger_handle", "id": subscription.handle, "name": "morning"}
        assert isinstance(record.input, LashlangProcessInput)
        assert record.input.args == {"tick": tick, "note": "daily"}
        assert record.provenance.originator == SessionOriginator(SessionScope("s"))
        assert record.wake_target == SessionScope("s")


async def test_a_program_lists_and_cancels_its_triggers() -> None:
    listing = "found = await triggers.list({ target: remember, enabled: true })?\n"
    ending = """
gone = await triggers.cancel({ handle: t })?
again = await triggers.cancel({ handle: t.id })?
submit { names: [x.name for x in found], inputs: found[0].inputs, gone: gone, again: again }
"""
    config = RlmConfig(language_features=LanguageFeatures(comprehensions=True))
    model = ScriptedModel([cell(REGISTER + listing + ending)])
    core = lash.RlmCore(model=model, rlm=config, plugins=[TriggerSources(CLOCK)])
    async with core:
        turn = await run(core)

        assert turn.value == {
            "names": ["morning"],
            "inputs": {"tick": {"kind": "event"}, "note": {"kind": "fixed", "value": "daily"}},
            "gone": True,
            "again": False,
        }


async def test_a_program_sees_the_triggers_of_its_own_session_alone() -> None:
    async with clock_core(cell(REGISTER + "submit len(await triggers.list({})?)")) as core:
        first = await run(core)
        async with core.session("other") as other:
            second = await other.run("go")

        assert [first.value, second.value] == [1, 1]


async def test_triggers_are_told_and_linked_only_where_there_are_sources() -> None:
    async with core_of(cell("submit await triggers.list({})?"), cell("submit history[1].error")) as core:
        turn = await run(core)
        model = core._models.default.provider
        assert isinstance(model, ScriptedModel)

        assert "triggers" in str(turn.value)
        assert "### Triggers" not in model.requests[0].messages[0].text
    async with clock_core(cell("submit 1")) as core:
        await run(core)
        model = core._models.default.provider
        assert isinstance(model, ScriptedModel)

        assert "### Triggers" in model.requests[0].messages[0].text
        assert "clock.Alarm({ at: str }) -> TriggerSource<clock.Tick>" in model.requests[0].messages[0].text


@pytest.mark.parametrize(
    "source",
    [
        TriggerSource("alarm", "clock.Tick", emits="{ id: str }"),
        TriggerSource("clock.Alarm", "Tick", emits="{ id: str }"),
        TriggerSource("clock.Alarm", "clock.Tick", emits="str"),
        TriggerSource("clock.Alarm", "clock.Tick", emits="{ id: "),
    ],
)
def test_a_source_that_cannot_be_is_refused_at_once(source: TriggerSource) -> None:
    with pytest.raises(PluginRegistrationError, match=source.path):
        TriggerSources(source)
