"""Subagents: a task is worked on in a session of its own, and its answer comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

import lash
from lash.base.json import Json
from lash.machine.llm import LlmRequest
from lash.machine.outcome import Stopped
from lash.models.resolver import ModelSpec
from lash.plugins.errors import PluginRegistrationError
from lash.stock import Explore, Subagents
from lash.testing import ScriptedModel, calls, cell, says
from lash.testing.script import Answer, Item


def asked(request: LlmRequest) -> str:
    """What a conversation is about: the first thing that a person, or a parent, said in it."""
    return next(message.text for message in request.messages if message.role == "user")


def model_of(**scripts: Sequence[Item]) -> ScriptedModel:
    """A model whose conversations follow the script that is named like their first word."""

    def answer(request: LlmRequest) -> Answer:
        return scripts[asked(request).split()[0]][request.place.model_call]

    return ScriptedModel(answer)


@lash.tool
async def look_up(word: str) -> str:
    """What a word means."""
    return f"{word}: a word"


def rlm(model: ScriptedModel, *, subagents: Subagents | None = None, store: str = ":memory:") -> lash.RlmCore:
    return lash.RlmCore(model=model, tools=[look_up], plugins=[subagents or Subagents()], store=store)


def standard(model: ScriptedModel, *, subagents: Subagents | None = None) -> lash.StandardCore:
    return lash.StandardCore(model=model, tools=[look_up], plugins=[subagents or Subagents()])


async def run(core: lash.LashCore, text: str = "parent") -> lash.TurnResult:
    async with core, core.session("s") as session:
        return await session.run(text)


def offered(model: ScriptedModel, topic: str) -> list[str]:
    return [tool.name for request in model.requests if asked(request).startswith(topic) for tool in request.tools]


# both modes


async def test_a_model_spawns_an_agent_and_reads_its_answer() -> None:
    model = model_of(
        parent=[calls("spawn_agent", task="child: what is a tide?"), says("It said so.")],
        **{"child:": [calls("look_up", word="tide"), says("A tide is water.")]},
    )

    turn = await run(standard(model))

    assert turn.text == "It said so."
    assert [record.output.value for record in turn.tool_calls] == ["A tide is water."]


async def test_a_program_spawns_agents_together_and_reads_their_answers() -> None:
    both = """
r = await { a: agents.spawn({ task: "one" })?, b: agents.spawn({ task: "two", capability: "peer" }) }
submit r
"""
    model = model_of(parent=[cell(both)], one=[cell('submit "1"')], two=[cell("submit { n: 2 }")])

    assert (await run(rlm(model))).value == {"a": "1", "b": {"ok": True, "value": {"n": 2}}}


async def test_an_answer_of_a_type_is_a_value() -> None:
    source = 'submit await agents.spawn({ task: "child", output: Type { n: int } })?'
    script = [cell('submit { n: "three" }'), cell("submit { n: 3 }")]

    assert (await run(rlm(model_of(parent=[cell(source)], child=script)))).value == {"n": 3}

    schema: Json = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    model = model_of(
        parent=[calls("spawn_agent", task="child", output=schema), says("done")],
        child=[calls("submit_output", value={"n": 3})],
    )
    turn = await run(standard(model))

    assert [record.output.value for record in turn.tool_calls] == [{"n": 3}]
    assert "submit_output" in offered(model, "child")


async def test_an_answer_of_another_shape_is_a_failure() -> None:
    schema: Json = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    model = model_of(
        parent=[calls("spawn_agent", task="child", output=schema), says("done")], child=[says("It is three.")]
    )

    [record] = (await run(standard(model))).tool_calls

    assert record.output.error is not None
    assert record.output.error.code == "subagent_output_invalid"


async def test_a_seed_is_variables_in_programs_and_told_elsewhere() -> None:
    source = 'submit await agents.spawn({ task: "child", seed: { numbers: [1, 2] } })?'

    assert (await run(rlm(model_of(parent=[cell(source)], child=[cell("submit push(numbers, 3)")])))).value == [1, 2, 3]

    model = model_of(parent=[calls("spawn_agent", task="child", seed={"n": 7}), says("done")], child=[says("7")])
    await run(standard(model))

    assert '{"n":7}' in asked(model.requests[1])


async def test_a_seed_that_is_no_variable_is_refused() -> None:
    model = model_of(
        parent=[
            cell('r = await agents.spawn({ task: "child", seed: { history: 1 } })\nsubmit r.error'),
        ]
    )

    assert "bound by the host" in str((await run(rlm(model))).value)


@pytest.mark.parametrize("mode", ["standard", "rlm"])
async def test_a_subagent_gives_up_with_a_reason_and_a_value(mode: str) -> None:
    if mode == "rlm":
        source = 'r = await agents.spawn({ task: "child" })\nsubmit r'
        child = cell('await agents.submit_error({ message: "no such file", value: { path: "x" } })')
        turn = await run(rlm(model_of(parent=[cell(source)], child=[child])))

        assert turn.value == {"ok": False, "error": "no such file"}
    else:
        child_call = calls("submit_error", message="no such file", value={"path": "x"})
        turn = await run(
            standard(model_of(parent=[calls("spawn_agent", task="child"), says("hm")], child=[child_call]))
        )
        error = turn.tool_calls[0].output.error

        assert error is not None
        assert (error.code, error.message, error.raw) == ("subagent_failed", "no such file", {"path": "x"})


# who it is


async def test_a_subagent_knows_that_it_is_one_and_sees_nothing_of_its_parent() -> None:
    model = model_of(parent=[calls("spawn_agent", task="child"), says("done")], child=[says("fine")])

    await run(standard(model), "parent with a secret")

    [child] = [request for request in model.requests if asked(request) == "child"]
    assert "You are a subagent" in child.messages[0].text
    assert "secret" not in "".join(message.text for message in child.messages)
    assert "You are a subagent" not in model.requests[0].messages[0].text


async def test_usage_of_a_subagent_is_booked_as_such_in_its_own_session() -> None:
    model = model_of(parent=[calls("spawn_agent", task="child"), says("done")], child=[says("fine")])
    core = standard(model)
    async with core, core.session("s") as session:
        await session.run("parent")
        [listing] = [one for one in await core.sessions() if one.session_id != "s"]
        child = await core.session(listing.session_id).open()

        assert [entry.source for entry in child.usage.by_source_model] == ["subagent"]


async def test_a_capability_chooses_tools_and_model() -> None:
    small = ScriptedModel([says("small and quick")])
    spec = ModelSpec("small", small)
    subagents = Subagents({"explore": Explore(model=spec, hidden_tools=["look_up"])})
    model = model_of(parent=[calls("spawn_agent", task="child"), says("done")])

    turn = await run(standard(model, subagents=subagents))

    assert [record.output.value for record in turn.tool_calls] == ["small and quick"]
    assert sorted(tool.name for tool in small.requests[0].tools) == ["spawn_agent", "submit_error"]


async def test_an_unknown_capability_is_refused() -> None:
    model = model_of(parent=[calls("spawn_agent", task="child", capability="wizard"), says("done")])

    [record] = (await run(standard(model))).tool_calls

    assert record.output.error is not None


async def test_the_tool_is_gone_at_the_limit_of_depth() -> None:
    model = model_of(
        parent=[calls("spawn_agent", task="child"), says("done")],
        child=[calls("spawn_agent", task="grandchild"), says("fine")],
        grandchild=[says("deep")],
    )

    await run(standard(model, subagents=Subagents(max_depth=2)))

    assert "spawn_agent" in offered(model, "child")
    assert "spawn_agent" not in offered(model, "grandchild")


@pytest.mark.parametrize("depth", [0, 6])
def test_a_depth_beyond_the_limit_is_refused(depth: int) -> None:
    with pytest.raises(PluginRegistrationError, match="max_depth"):
        Subagents(max_depth=depth)


# its life


async def test_a_cancelled_parent_cancels_its_subagents() -> None:
    arrived = asyncio.Event()

    async def answer(request: LlmRequest) -> Answer:
        if asked(request) == "parent":
            return calls("spawn_agent", task="child")
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    core = standard(ScriptedModel(answer))
    async with core, core.session("s") as session:
        running = asyncio.create_task(session.run("parent"))
        await arrived.wait()
        [handle] = await session.processes.list()
        await session.cancel()
        turn = await running
        await core.store.processes.await_process(handle.id)
        record = await (await core.processes.get(handle.id)).record()

    assert turn.outcome == Stopped("cancelled")
    assert record.identity is not None
    assert record.identity.label == "explore"
    assert record.status.state == "cancelled"


async def test_a_turn_that_waits_for_a_subagent_finds_it_again_after_a_restart(tmp_path: Path) -> None:
    where, arrived = str(tmp_path / "agent.db"), asyncio.Event()

    async def held(request: LlmRequest) -> Answer:
        if asked(request) == "parent":
            return cell('submit await agents.spawn({ task: "child" })?')
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    first = rlm(ScriptedModel(held), store=where)
    await first.open()
    session = await first.session("s").open()
    lost = asyncio.create_task(session.run("parent", turn_id="t"))
    await arrived.wait()
    await first.close()
    await asyncio.gather(lost, return_exceptions=True)

    second = rlm(model_of(child=[cell("submit 7")]), store=where)
    async with second, second.session("s") as session:
        turn = await session.run("parent", turn_id="t")
        processes = await second.processes.list(status="any")

    assert turn.value == 7
    assert len(processes) == 1


async def test_a_process_of_a_program_spawns_agents_in_the_name_of_its_session() -> None:
    source = """
process asks(task: str) { finish (await agents.spawn({ task: task }))? }
submit (await start asks(task: "child"))?
"""
    core = rlm(model_of(parent=[cell(source)], child=[cell("submit 7")]))
    async with core, core.session("s") as session:
        turn = await session.run("parent")
        kinds = sorted(one.descriptor.kind or "" for one in await session.processes.list_all())

    assert turn.value == 7
    assert kinds == ["lashlang", "session_turn"]
