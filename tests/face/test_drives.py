"""Drives that are interrupted, repeated or given odd answers."""

from __future__ import annotations

import asyncio

import pytest

import lash
from face.places import Gate, Place, recorded, texts
from lash.base.messages import unsettled_tool_calls
from lash.hosts import Inline
from lash.machine.llm import LlmResponse, ToolCallPart
from lash.machine.outcome import Stopped
from lash.runtime.activity import AssistantProseDelta, ModelAttemptReset, RetryStatus
from lash.sessions.errors import StoreUnavailable
from lash.testing import ScriptedModel, calls, fails, says
from lash.testing.script import Step

# the model


async def test_a_failing_provider_is_asked_again_and_its_text_taken_back(place: Place) -> None:
    model = ScriptedModel([fails("stream", "broke off", after_text="Half an ans"), says("The answer."), says("next")])
    core = await place.core(model)
    async with core.session("s") as session:
        output = await session.turn("go", turn_id="t").collect()

        kinds = [type(activity.event) for activity in output.activities]
        assert kinds.index(AssistantProseDelta) < kinds.index(RetryStatus) < kinds.index(ModelAttemptReset)
        assert output.result.text == "The answer."
        assert texts(session.messages) == ["user: go", "assistant: The answer."]
        # The place of the next request counts attempts (decisions 23).
        assert (await session.run("and?")).text == "next"


async def test_an_overflow_is_told_by_its_reason(memory: Place) -> None:
    full = LlmResponse([], lash.TokenUsage(980, 0), "output_limit")
    core = await memory.core(ScriptedModel([full], context_window_tokens=1_000))
    async with core.session("s") as session:
        turn = await session.run("go")

    assert turn.outcome == Stopped("provider_error")
    assert [(issue.kind, issue.terminal_reason) for issue in turn.errors] == [("llm_provider", "context_overflow")]


async def test_a_provider_that_raises_anything_is_contained(memory: Place) -> None:
    def broken(_: object) -> object:
        raise RuntimeError("a bug in the adapter")

    core = await memory.core(ScriptedModel([broken, says("fine")]))  # type: ignore[list-item]
    async with core.session("s") as session:
        turn = await session.run("go")

        assert turn.outcome == Stopped("provider_error")
        assert "a bug in the adapter" in turn.errors[0].message
        assert (await session.run("next")).text == "fine"


def same_ids(_: object) -> LlmResponse:
    call = ToolCallPart("call_1", "double", '{"number": 2}')
    return LlmResponse([call, call], lash.TokenUsage(1, 1), "tool_use")


@lash.tool
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


async def test_calls_that_share_an_id_are_told_apart(place: Place) -> None:
    nameless = LlmResponse([ToolCallPart("", "double", '{"number": 3}')], lash.TokenUsage(1, 1), "tool_use")
    model = ScriptedModel([same_ids, nameless, says("ok")])
    core = await place.core(model, tools=[double])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert turn.text == "ok"
        assert [call.output.value for call in turn.tool_calls] == [4, 4, 6]
        assert unsettled_tool_calls(session.messages) == []


# deleted, inline, cancelled


async def test_a_deleted_session_is_not_driven_again(memory: Place) -> None:
    gate = Gate()
    core = await memory.core(ScriptedModel([gate.step(says("late"))]))
    session = await core.session("s").open()
    running = asyncio.create_task(session.run("go"))
    await gate.arrival()

    await core.store.sessions.delete_session("s")
    gate.open()

    with pytest.raises(lash.SessionDeleted):
        await running


async def test_an_inline_turn_is_never_driven_twice(durable: Place) -> None:
    ran: list[str] = []

    @lash.tool(repeat="never")
    async def pay() -> str:
        ran.append("paid")
        return "paid"

    core = await durable.core(
        ScriptedModel([calls("pay"), says("done"), says("next")]), tools=[pay], effect_host=Inline()
    )
    async with core.session("s") as session:
        store = session._actor.store
        commit, failures = store.commit, [StoreUnavailable("the disk blinked")]

        async def flaky(plan: object) -> object:
            if failures:
                raise failures.pop()
            return await commit(plan)  # type: ignore[arg-type]

        store.commit = flaky  # type: ignore[method-assign, assignment]
        turn = await session.run("go")

        assert ran == ["paid"]
        assert turn.outcome == Stopped("runtime_error")
        assert turn.errors[0].kind == "runtime_effect_controller"
        assert [call.tool for call in turn.tool_calls] == ["pay"]
        assert (await session.run("next")).text == "next"


async def test_a_cancel_in_recovery_keeps_what_was_recorded(durable: Place) -> None:
    gate = Gate()

    @lash.tool(repeat="idempotent")
    async def work(name: str) -> str:
        if name == "slow":
            await gate.wait()
        return f"{name} done"

    script: list[Step] = [[calls("work", name="quick"), calls("work", name="slow")], says("never")]
    dying = await durable.core(ScriptedModel(script), tools=[work])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await recorded(dying, "attempt:1")
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await durable.core(ScriptedModel(script), tools=[work], recover=False)
    async with core.session("s") as again:
        turn = again.turn("go", turn_id="t")
        turn.cancellation.cancel()
        result = await turn.run()

        assert result.outcome == Stopped("cancelled")
        contents = [part.content for part in again.messages[-1].parts]
        assert contents[0] == "quick done"
        assert "cancelled" in contents[1]


async def test_many_sessions_run_side_by_side(place: Place) -> None:
    core = await place.core(
        ScriptedModel(lambda request: says("4") if len(request.messages) > 3 else calls("double", number=2)),
        tools=[double],
    )

    async def talk(name: str) -> list[str]:
        async with core.session(name) as session:
            await session.run("go", turn_id="t")
            return texts(session.messages)

    conversations = await asyncio.gather(*(talk(f"s{number}") for number in range(25)))

    assert all(conversation == conversations[0] for conversation in conversations)
    assert len(await core.sessions()) == 25
