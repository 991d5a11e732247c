"""What an execution mode says about the life of its sessions, and the options of turns that it reads (R-017)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import lash
from face.places import Place, texts
from lash.base.errors import ConfigurationError, InvalidArgument
from lash.base.json import Json, JsonObject
from lash.base.messages import user_message
from lash.core.models import CoreModels
from lash.machine.prompt import PromptContribution, PromptLayer
from lash.models.resolver import UnknownProvider
from lash.models.spec import ModelFacts
from lash.plugins import (
    AfterTurn,
    BeforeLlmCall,
    CreateSession,
    PluginRegistrar,
    PluginRegistrationError,
    PluginSessionContext,
    ProtocolSession,
    SessionFacts,
    SwitchAgentFrame,
)
from lash.protocols.standard import StandardProtocol
from lash.runtime.input import TurnOptions
from lash.sessions.graph import SessionNode
from lash.testing import Lab, Life, ScriptedModel, says


class Callbacks(ProtocolSession):
    def __init__(self) -> None:
        self.heard: list[Json] = []

    async def initialize_session(self, session: SessionFacts) -> None:
        self.heard.append(f"new {session.session_id}")

    async def restore_session(self, session: SessionFacts) -> None:
        self.heard.append(f"restored {session.session_id} at {session.head_revision}")

    def apply_session_extension(self, options: Json) -> None:
        self.heard.append(options)

    def validate_turn_extension(self, options: JsonObject) -> None:
        if unknown := sorted(set(options) - {"tone"}):
            raise InvalidArgument(f"the mode knows no option {unknown[0]!r}")

    def configure_runtime_from_request(self, request: CreateSession) -> CreateSession:
        return CreateSession(request.session_id, [user_message("", "be brief")], usage_source="mode")

    async def append_session_nodes(self, nodes: Sequence[SessionNode]) -> None:
        self.heard.append([node.node_id[:1] for node in nodes])
        raise ZeroDivisionError("nobody minds")

    async def before_llm_call(self, call: BeforeLlmCall) -> SwitchAgentFrame | None:
        said = call.request.messages[-1].text
        return SwitchAgentFrame("fresh", "go on from here") if said == "switch" else None


class Mode(StandardProtocol):
    """Standard mode with callbacks."""

    def __init__(self, callbacks: ProtocolSession) -> None:
        self._callbacks = callbacks

    def build(self, context: PluginSessionContext) -> Mode:
        return self

    def register(self, registrar: PluginRegistrar) -> None:
        super().register(registrar)
        registrar.protocol.session(self._callbacks)


async def core_over(place: Place, mode: Callbacks, *plugins: lash.Plugin) -> lash.LashCore:
    core = lash.LashCore(
        protocol=Mode(mode),
        model=ScriptedModel(lambda request: says(f"to: {request.messages[-1].text}")),
        store=await place.open_store(),
        plugins=plugins,
    )
    place.cores.append(core)  # type: ignore[arg-type]
    return await core.open()


async def test_a_mode_hears_of_the_life_of_its_sessions(file: Place) -> None:
    mode = Callbacks()

    async def note(context: AfterTurn) -> CreateSession | None:
        if context.session_id != "s":
            return None
        await context.services.graph.append([user_message("", "noted")])
        return CreateSession("child")

    core = await core_over(file, mode, lash.Plugin("p").after_turn(note))
    async with core.session("s", plugin_options={"standard_protocol": {"a": 1}}) as session:
        await session.run("hello")
    await file.end(core)  # type: ignore[arg-type]
    again = await core_over(file, mode)
    async with again.session("s"), again.session("child") as child:
        assert texts(child.messages) == ["user: be brief"]

    assert mode.heard == [{"a": 1}, "new s", ["h"], {"a": 1}, "restored s at 2", "restored child at 1"]


async def test_options_of_a_turn_are_checked_by_its_mode(memory: Place) -> None:
    core = await core_over(memory, Callbacks())
    async with core.session("s") as session:
        with pytest.raises(InvalidArgument, match="no option 'size'"):
            await session.run("hello", protocol_turn_options={"size": 1})
        with pytest.raises(InvalidArgument, match="protocol_turn_options"):
            await session.run("hello", protocol_turn_options={"tone": float("nan")})
        await session.run("hello", turn_id="t", protocol_turn_options={"tone": "warm"})

        assert [turn.turn_id for turn in await session.turns()] == ["t"]


def switching(life: Life) -> lash.LashCore:
    return lash.LashCore(
        protocol=Mode(Callbacks()),
        model=ScriptedModel(lambda request: says(f"to: {request.messages[-1].text}")),
        store=life.store,
        effect_host=life.effect_host,
    )


async def switched(core: lash.LashCore) -> Json:
    async with core.session("s") as session:
        turn = await session.run("switch", turn_id="t")
        return [turn.text, session.view.current_frame_id, list(texts(session.messages))]


async def test_a_mode_may_go_on_in_another_frame_before_a_model_call(memory: Place) -> None:
    core = await core_over(memory, Callbacks())

    assert await switched(core) == [
        "to: go on from here",
        "fresh",
        ["user: switch", "user: go on from here", "assistant: to: go on from here"],
    ]


async def test_a_switch_of_the_mode_survives_every_kill() -> None:
    (await Lab(switching, test=switched).kill_everywhere(limit=8)).raise_for_problems()


def test_two_plugins_cannot_both_speak_for_the_mode() -> None:
    class Second(lash.Plugin):
        id = "second"

        def register(self, registrar: PluginRegistrar) -> None:
            registrar.protocol.session(Callbacks())

    with pytest.raises(PluginRegistrationError, match="'standard_protocol' and 'second' both register the protocol"):
        lash.LashCore(protocol=Mode(Callbacks()), model=ScriptedModel([]), plugins=[Second()])


# what else a turn may choose


async def test_a_turn_may_choose_a_provider_for_the_cores_model(memory: Place) -> None:
    own, other = (ScriptedModel(lambda _, name=name: says(name)) for name in ("own", "other"))  # type: ignore[misc]
    core = await memory.core(own)
    async with core.session("s") as session:
        texts_heard = [
            (await session.run("go")).text,
            (await session.run("go", provider=other)).text,
            (await session.run("go")).text,
        ]
        with pytest.raises(UnknownProvider, match="known: anthropic"):
            await session.run("go", provider="nobody")
        with pytest.raises(InvalidArgument, match="kind of a wire, or a provider"):
            await session.run("go", provider=3)  # type: ignore[arg-type]

    assert texts_heard == ["own", "other", "own"]


async def test_a_session_may_be_configured_to_ask_another_provider(memory: Place) -> None:
    own, other = (ScriptedModel(lambda _, name=name: says(name)) for name in ("own", "other"))  # type: ignore[misc]
    core = await memory.core(own)
    async with core.session("s") as session, core.session("t") as neighbour:
        await session.configure(provider=other)

        assert (await session.run("go")).text == "other"
        assert (await neighbour.run("go")).text == "own"
        assert (await session.run("go", provider=own)).text == "own"


async def test_a_wire_that_a_turn_named_is_known_to_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    models = CoreModels(ScriptedModel([]))
    facts, provider_id = CoreModels(ScriptedModel([])).take("openai:gpt-x")
    _, given_id = CoreModels(ScriptedModel([])).take(None, ScriptedModel([]))

    assert models.choose(TurnOptions(model=facts, provider_id=provider_id)).provider.kind == "openai"
    with pytest.raises(ConfigurationError, match="which this core does not know"):
        models.choose(TurnOptions(model=ModelFacts("another"), provider_id=given_id))
    await models.close()


async def test_a_turn_brings_a_layer_of_the_prompt(memory: Place) -> None:
    script = ScriptedModel(lambda _: says("ok"))
    core = await memory.core(script, instructions="Be kind.")
    layer = PromptLayer().resetting("project_instructions")
    async with core.session("s") as session:
        await session.run(
            "go",
            prompt=layer,
            prompt_contributions=[PromptContribution("project_instructions", "Be quick.")],
        )
        await session.run("go")

    first, second = (request.messages[0].text for request in script.requests)
    assert "Be quick." in first
    assert "Be kind." not in first
    assert "Be kind." in second
