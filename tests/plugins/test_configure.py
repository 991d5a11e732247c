"""Live configuration with mutators and its event (R-013, R-014), and bindings with live inputs (R-094)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import pytest

import lash
from face.places import Gate, Place
from lash.base.errors import InvalidArgument, LashRuntimeError
from lash.base.messages import user_message
from lash.hosts import Inline
from lash.machine.prompt import PromptContribution
from lash.models.spec import ModelFacts
from lash.plugins import (
    BeforeTurn,
    ConfigChange,
    EnqueueMessages,
    PluginBinding,
    PluginFactory,
    PluginInvokeError,
    PromptContext,
    SessionConfigChanged,
)
from lash.sessions.frames import SessionPolicy
from lash.testing import ScriptedModel, says
from lash.testing.script import Step


class Named(ScriptedModel):
    """A scripted model with an id of its own."""

    def __init__(self, name: str, steps: Sequence[Step] | None = None) -> None:
        super().__init__(steps if steps is not None else lambda _: says(f"I am {name}"))
        self.facts = ModelFacts(name)


def named(name: str) -> ScriptedModel:
    return Named(name)


async def test_an_open_session_changes_its_model_and_plugins_hear_of_it(memory: Place) -> None:
    heard: list[object] = []
    core = await memory.core(named("old"), plugins=[lash.Plugin("p").on_event(heard.append)])
    async with core.session("s") as session:
        assert (await session.run("who")).text == "I am old"
        await session.configure(model=named("new"))
        assert SessionConfigChanged("s") in heard

        assert (await session.run("who")).text == "I am new"
        assert (await core.session("s").run("who")).text == "I am new"
        assert (await session.run("who", model=named("guest"))).text == "I am guest"


async def test_a_mutator_that_answers_what_cannot_be_read_back_changes_nothing(file: Place) -> None:
    def mutate(change: ConfigChange) -> SessionPolicy:
        return msgspec.structs.replace(change.after, max_turns="3")

    core = await file.core(named("old"), plugins=[lash.Plugin("p").config_mutator(mutate)])
    async with core.session("s") as session:
        with pytest.raises(InvalidArgument, match="stays as it is"):
            await session.configure(max_turns=2)

        assert (await session.run("go")).ok


async def test_at_the_next_open_the_model_of_the_host_wins(file: Place) -> None:
    first = await file.core(named("old"))
    async with first.session("s") as session:
        await session.configure(model=named("new"))
        await session.run("who")
    await file.end(first)

    second = await file.core(named("host's"))
    async with second.session("s") as session:
        assert (await session.run("who")).text == "I am host's"


async def test_a_prompt_is_changed_for_good(file: Place) -> None:
    first = await file.core(named("m"))
    async with first.session("s") as session:
        await session.configure(prompt_contributions=[PromptContribution("guidance", "BE BRIEF")], max_turns=3)
    await file.crash(first)

    model = named("m")
    second = await file.core(model)
    async with second.session("s") as session:
        await session.run("go")

    assert "BE BRIEF" in model.requests[-1].messages[0].text


async def test_mutators_have_the_last_word_one_after_another(memory: Place) -> None:
    seen: list[tuple[int | None, int | None]] = []

    def halve(change: ConfigChange) -> SessionPolicy:
        seen.append((change.before.max_turns, change.after.max_turns))
        return msgspec.structs.replace(change.after, max_turns=(change.after.max_turns or 0) // 2)

    core = await memory.core(
        named("m"), plugins=[lash.Plugin("a").config_mutator(halve), lash.Plugin("b").config_mutator(halve)]
    )
    async with core.session("s") as session:
        await session.configure(max_turns=8)

    assert seen == [(None, 8), (None, 4)]


async def test_a_mutator_that_fails_changes_nothing(memory: Place) -> None:
    core = await memory.core(named("old"), plugins=[lash.Plugin("p").config_mutator(lambda _: "no")])
    async with core.session("s") as session:
        with pytest.raises(PluginInvokeError, match="return SessionPolicy or None"):
            await session.configure(model=named("new"))

        assert (await session.run("who")).text == "I am old"


async def test_a_configuration_waits_for_the_turn_that_runs(memory: Place) -> None:
    gate = Gate()
    core = await memory.core(Named("old", [gate.step(says("old"))]))
    async with core.session("s") as session:
        turn = asyncio.create_task(session.run("who"))
        await gate.arrival()
        change = asyncio.create_task(session.configure(model=named("new")))
        gate.open()

        assert (await turn).text == "old"
        await change
        assert (await session.run("who")).text == "I am new"


# bindings


@dataclass(frozen=True)
class ToneConfig:
    required: bool = False


@dataclass(frozen=True)
class ToneInput:
    tone: str


class Tone(PluginBinding[ToneConfig, ToneInput]):
    id = "tone"
    input_type = ToneInput

    def factory(self, config: ToneConfig) -> PluginFactory:
        def begin(context: BeforeTurn) -> EnqueueMessages | None:
            given = self.input_of(context.turn_inputs)
            return None if given is None else EnqueueMessages([user_message("", f"be {given.tone}")])

        def prompt(context: PromptContext) -> str | None:
            given = self.input_of(context.turn_inputs)
            return None if given is None else f"TONE {given.tone}"

        return lash.Plugin(self.id).before_turn(begin).prompt(prompt)

    def requires_turn_input(self, config: ToneConfig) -> bool:
        return config.required


async def test_a_turn_may_hand_a_live_input_to_a_plugin(memory: Place) -> None:
    model, tone = named("m"), Tone(ToneConfig())
    core = await memory.core(model, plugins=[tone])
    async with core.session("s") as session:
        await session.run("go", plugin_inputs=[tone.input(ToneInput("warm"))])
        assert "TONE warm" in model.requests[-1].messages[0].text
        assert model.requests[-1].messages[-1].text == "be warm"

        await session.run("go on")
        assert "TONE" not in model.requests[-1].messages[0].text


async def test_an_input_that_is_needed_must_be_there(memory: Place) -> None:
    tone = Tone(ToneConfig(required=True))
    core = await memory.core(named("m"), plugins=[tone])
    async with core.session("s") as session:
        with pytest.raises(InvalidArgument, match="'tone' needs an input"):
            await session.run("go")
        with pytest.raises(InvalidArgument, match="'tone' needs an input"):
            await session.enqueue("go")

        assert (await session.run("go", plugin_inputs=[tone.input(ToneInput("warm"))])).ok


async def test_an_input_of_another_type_or_for_nobody_is_refused(memory: Place) -> None:
    tone = Tone(ToneConfig())
    with pytest.raises(InvalidArgument, match="takes ToneInput"):
        tone.input("warm")  # type: ignore[arg-type]

    core = await memory.core(named("m"))
    async with core.session("s") as session:
        with pytest.raises(InvalidArgument, match="no binding"):
            await session.run("go", plugin_inputs=[tone.input(ToneInput("warm"))])


@pytest.mark.parametrize("inline", [False, True])
async def test_where_turns_are_durable_live_inputs_are_refused(file: Place, inline: bool) -> None:
    tone = Tone(ToneConfig())
    core = await file.core(named("m"), plugins=[tone], effect_host=Inline() if inline else None)
    async with core.session("s") as session:
        with pytest.raises(LashRuntimeError) as refused:
            await session.run("go", plugin_inputs=[tone.input(ToneInput("warm"))])

        assert refused.value.code == "durable_effect_live_plugin_input"
        assert await session.turns() == []
