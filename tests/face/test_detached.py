"""A tool hands its call to somebody outside, and the turn waits for it: here, elsewhere, after a crash."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import lash
from face.places import Place, eventually, texts, until
from lash.base.errors import InvalidArgument
from lash.base.messages import unsettled_tool_calls
from lash.effects import (
    Accepted,
    AlreadyResolved,
    AwaitEventKey,
    MalformedWaitKey,
    ResolvedErr,
    ResolvedOk,
    UnknownOrRevoked,
    WaitError,
)
from lash.effects.scope import ExecutionScope
from lash.effects.waits import ToolCompletionWait, make_key
from lash.machine.outcome import Stopped
from lash.runtime.activity import ToolCallPending
from lash.runtime.completions import PendingCompletion
from lash.runtime.engine import TurnRef
from lash.sessions.errors import SessionDeleted
from lash.testing import ScriptedModel, VirtualClock, calls, says
from lash.testing.script import Step
from lash.tools import Tool, ToolExecution, ToolResult
from lash.tools.result import OnTimeout, ToolFailure

SCRIPT: list[Step] = [calls("order", sample="blood"), says("ok")]


class Lab:
    """The outside world: takes orders, and gives results when the test says so."""

    def __init__(self, deadline: float | None = None, on_timeout: OnTimeout = "error_as_result") -> None:
        self.keys: list[AwaitEventKey] = []
        self.samples: list[str] = []

        @lash.tool
        async def order(ctx: lash.ToolContext, sample: str) -> lash.ToolResult:
            """Has a sample analysed."""
            self.samples.append(sample)
            self.keys.append(await ctx.completion_key())
            return lash.ToolResult.pending(deadline=deadline, on_timeout=on_timeout)

        self.order = order

    async def received(self, number: int = 1) -> AwaitEventKey:
        await eventually(lambda: len(self.keys) >= number, f"{number} orders")
        return self.keys[number - 1]


async def waiting(core: lash.LashCore, number: int = 1) -> list[PendingCompletion]:
    """Waits until so many detached calls are stored."""

    async def holds() -> bool:
        return len(await core.completions.pending()) >= number

    await until(holds, f"{number} detached calls")
    return await core.completions.pending()


def results(session: lash.Session) -> list[str]:
    return [part.content for message in session.messages for part in message.parts if part.kind == "tool_result"]


def error_of(turn: lash.TurnResult) -> ToolFailure:
    error = turn.tool_calls[0].output.error
    assert error is not None
    return error


async def test_a_turn_waits_for_a_call_that_somebody_else_completes(place: Place) -> None:
    lab = Lab()
    core = await place.core(ScriptedModel(SCRIPT), tools=[lab.order])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go", turn_id="t"))
        [pending] = await waiting(core)

        assert (pending.tool, pending.args, pending.session_id, pending.turn_id) == (
            "order",
            {"sample": "blood"},
            "s",
            "t",
        )
        assert pending.key == lab.keys[0]
        assert await core.completions.complete(pending.key, {"sugar": 5}) == Accepted()
        turn = await running

        assert turn.text == "ok"
        assert turn.tool_calls[0].output.value == {"sugar": 5}
        assert results(session) == ['{"sugar":5}']
        assert await core.completions.pending() == []


async def test_the_key_goes_round_the_world_as_one_word(place: Place) -> None:
    lab = Lab()
    core = await place.core(ScriptedModel(SCRIPT), tools=[lab.order])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        token = (await lab.received()).token

        assert token.isascii()
        assert set(token).isdisjoint("/+=")
        assert await core.completions.complete(token, "fine") == Accepted()
        assert (await running).tool_calls[0].output.value == "fine"


async def test_what_is_completed_before_anybody_waits_is_kept(place: Place) -> None:
    @lash.tool
    async def eager(ctx: lash.ToolContext) -> lash.ToolResult:
        key = await ctx.completion_key()
        assert await core.completions.complete(key, "early") == Accepted()
        return lash.ToolResult.pending()

    core = await place.core(ScriptedModel([calls("eager"), says("ok")]), tools=[eager])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert turn.tool_calls[0].output.value == "early"


async def test_the_first_completion_stands(place: Place) -> None:
    lab = Lab()
    core = await place.core(ScriptedModel(SCRIPT), tools=[lab.order])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        key = await lab.received()
        await core.completions.complete(key, 1)

        assert await core.completions.complete(key, 2) == AlreadyResolved(ResolvedOk(1))
        assert await core.completions.cancel(key) == AlreadyResolved(ResolvedOk(1))
        assert (await running).tool_calls[0].output.value == 1
        assert await core.completions.fail(key, "too late") == AlreadyResolved(ResolvedOk(1))


async def test_a_failure_from_outside_is_read_by_the_model(place: Place) -> None:
    lab = Lab()
    core = await place.core(ScriptedModel(SCRIPT), tools=[lab.order])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        key = await lab.received()
        await core.completions.resolve(key, ResolvedErr(WaitError("spoilt", "the sample is spoilt", {"tube": 3})))
        turn = await running

        error = error_of(turn)
        assert (error.kind, error.code, error.raw) == ("external", "spoilt", {"tube": 3})
        assert "the sample is spoilt" in results(session)[0]


async def test_a_cancelled_completion_is_a_cancelled_call(place: Place) -> None:
    lab = Lab()
    core = await place.core(ScriptedModel(SCRIPT), tools=[lab.order])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await core.completions.cancel(await lab.received())
        turn = await running

        assert turn.ok
        assert "cancelled" in results(session)[0]


async def test_forged_and_foreign_keys_change_nothing(place: Place) -> None:
    lab = Lab()
    core = await place.core(ScriptedModel(SCRIPT), tools=[lab.order])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go", turn_id="t"))
        key = await lab.received()
        wait = ToolCompletionWait(key.wait.tool_call_id if isinstance(key.wait, ToolCompletionWait) else "")
        of_another_store = make_key(ExecutionScope.turn("s", "t"), wait, b"another secret")
        moved = AwaitEventKey(ExecutionScope.turn("s", "other"), key.wait, key.key_id, key.signature)

        assert await core.completions.complete(of_another_store, "forged") == UnknownOrRevoked()
        assert await core.completions.complete(moved, "moved") == UnknownOrRevoked()
        await core.completions.complete(key, "genuine")
        assert (await running).tool_calls[0].output.value == "genuine"


@pytest.mark.parametrize("token", ["", "lash_wait_", "lash_wait_????", "lash_wait_e30", "hello", "lash_wait_é"])
async def test_what_is_no_key_is_refused_by_name(memory: Place, token: str) -> None:
    core = await memory.core(ScriptedModel([]))

    with pytest.raises(MalformedWaitKey, match="cannot be read"):
        await core.completions.complete(token)


async def test_what_is_no_resolution_is_refused(memory: Place) -> None:
    lab = Lab()
    core = await memory.core(ScriptedModel(SCRIPT), tools=[lab.order])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        key = await lab.received()

        with pytest.raises(InvalidArgument, match="got dict"):
            await core.completions.resolve(key, {"status": "ok"})  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match="completed with JSON"):
            await core.completions.complete(key, {"when": object()})  # type: ignore[dict-item]
        await core.completions.complete(key)
        await running


def test_a_key_never_shows_its_signature() -> None:
    key = make_key(ExecutionScope.turn("s", "t"), ToolCompletionWait("c"), b"secret")

    assert key.signature not in f"{key} {key!r}"
    assert AwaitEventKey.of_token(key.token) == key


async def test_siblings_finish_while_one_call_waits(place: Place) -> None:
    lab = Lab()
    done = asyncio.Event()

    @lash.tool
    async def quick() -> str:
        done.set()
        return "quick"

    model = ScriptedModel([[calls("order", sample="a"), calls("quick"), calls("order", sample="b")], says("ok")])
    core = await place.core(model, tools=[lab.order, quick])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        by_sample = {str(call.args["sample"]): call.key for call in await waiting(core, 2)}
        async with asyncio.timeout(20):
            await done.wait()

        await core.completions.complete(by_sample["b"], "B")
        await core.completions.complete(by_sample["a"], "A")
        await running

        assert results(session) == ["A", "quick", "B"]


async def test_a_watcher_hears_that_a_call_waits(memory: Place) -> None:
    lab = Lab()
    core = await memory.core(ScriptedModel(SCRIPT), tools=[lab.order])
    async with core.session("s") as session, session.stream("go") as stream:
        heard = []
        async for item in stream:
            heard.append(item.event)
            if isinstance(item.event, ToolCallPending):
                [pending] = await core.completions.pending()
                assert item.event.wait_id == pending.id
                await core.completions.complete(pending.key, "done")

        assert [event.name for event in heard if isinstance(event, ToolCallPending)] == ["order"]


async def test_a_pending_result_without_a_key_is_a_failure(place: Place) -> None:
    @lash.tool
    async def forgetful() -> lash.ToolResult:
        return lash.ToolResult.pending()

    core = await place.core(ScriptedModel([calls("forgetful"), says("ok")]), tools=[forgetful])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert error_of(turn).code == "pending_tool_missing_completion_key"


async def test_without_a_turn_there_is_no_key() -> None:
    context = lash.ToolContext(session_id="s", turn_id="t", tool_call_id="c", tool_name="order")

    with pytest.raises(lash.LashError, match="no turn"):
        await context.completion_key()


@pytest.mark.parametrize("deadline", [0, -1])
def test_a_deadline_in_the_past_is_refused(deadline: float) -> None:
    with pytest.raises(InvalidArgument, match=f"deadline={deadline}"):
        ToolResult.pending(deadline=deadline)


# deadlines


async def after_a_minute(lab: Lab) -> tuple[lash.TurnResult, list[str]]:
    """Runs a turn whose lab never answers; its result, and what the model read."""
    clock = VirtualClock()
    core = lash.StandardCore(model=ScriptedModel(SCRIPT), tools=[lab.order], clock=clock)
    async with core, core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await clock.sleeper(60_000)
        await clock.advance(60_000)
        return await running, results(session)


async def test_a_deadline_that_passes_is_read_by_the_model() -> None:
    turn, told = await after_a_minute(Lab(deadline=60))

    assert turn.ok
    assert (error_of(turn).kind, error_of(turn).code) == ("timeout", "tool_completion_timeout")
    assert "did not complete it in time" in told[0]


async def test_a_deadline_may_stop_the_turn() -> None:
    turn, told = await after_a_minute(Lab(deadline=60, on_timeout="fail_turn"))

    assert isinstance(turn.outcome, Stopped)
    assert (turn.outcome.reason, turn.outcome.tool_name) == ("tool_error", "order")
    assert len(told) == 1


# cancelled, deleted


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_a_cancelled_turn_cancels_the_external_work_where_the_tool_says_so(place: Place, is_wanted: bool) -> None:
    cancelled: list[tuple[str, str]] = []

    async def cancel(args: dict[str, Any], ctx: lash.ToolContext) -> None:
        cancelled.append((args["sample"], ctx.effect_key))
        raise ConnectionError("the lab does not answer")  # is logged, and changes nothing

    ordered: list[tuple[str, str]] = []

    @lash.tool(cancel=cancel)
    async def order(ctx: lash.ToolContext, sample: str) -> lash.ToolResult:
        """Has a sample analysed."""
        await ctx.completion_key()
        ordered.append((sample, ctx.effect_key))
        return lash.ToolResult.pending(on_cancel="cancel_external_work" if is_wanted else "ignore")

    core = await place.core(ScriptedModel([calls("order", sample="blood")]), tools=[order])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go", turn_id="t"))
        await waiting(core)
        assert await session.cancel()
        turn = await running

        assert turn.outcome == Stopped("cancelled")
        assert "cancelled" in results(session)[0]
        assert unsettled_tool_calls(session.messages) == []
    assert cancelled == (ordered if is_wanted else [])


async def test_external_work_is_cancelled_by_whoever_goes_on_with_the_turn(durable: Place) -> None:
    cancelled: list[str] = []

    @lash.tool(cancel=lambda args, ctx: cancelled.append(args["sample"]))
    async def order(ctx: lash.ToolContext, sample: str) -> lash.ToolResult:
        """Has a sample analysed."""
        await ctx.completion_key()
        return lash.ToolResult.pending(on_cancel="cancel_external_work")

    dying = await durable.core(ScriptedModel([calls("order", sample="blood")]), tools=[order])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    [detached] = await waiting(dying)
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await durable.core(ScriptedModel([calls("order", sample="blood"), says("ok")]), tools=[order], recover=False)
    await core.completions.cancel(detached.key)
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")

    assert turn.text == "ok"
    assert cancelled == ["blood"]


async def test_cancelling_a_turn_that_waits_leaves_a_valid_history(place: Place) -> None:
    lab = Lab()
    core = await place.core(ScriptedModel([calls("order", sample="x"), says("again")]), tools=[lab.order])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        [pending] = await waiting(core)
        assert await session.cancel()
        turn = await running

        assert turn.outcome == Stopped("cancelled")
        assert unsettled_tool_calls(session.messages) == []
        assert isinstance(await core.completions.complete(pending.key, "late"), AlreadyResolved)
        assert await core.completions.pending() == []
        assert (await session.run("and now?")).text == "again"


async def test_a_timeout_of_the_turn_ends_the_wait(memory: Place) -> None:
    lab = Lab()
    clock = VirtualClock()
    core = lash.StandardCore(model=ScriptedModel(SCRIPT), tools=[lab.order], clock=clock)
    async with core, core.session("s") as session:
        running = asyncio.create_task(session.run("go", timeout=30))
        await waiting(core)
        await clock.advance(30_000)
        turn = await running

        assert turn.outcome == Stopped("cancelled")
        assert unsettled_tool_calls(session.messages) == []


async def test_deleting_the_session_revokes_its_keys(place: Place) -> None:
    lab = Lab()
    core = await place.core(ScriptedModel(SCRIPT), tools=[lab.order])
    session = await core.session("s").open()
    running = asyncio.create_task(session.run("go"))
    [pending] = await waiting(core)
    await core.delete_session("s")
    [ended] = await asyncio.gather(running, return_exceptions=True)

    # It was cancelled in time, or there was nothing left to commit it to.
    assert isinstance(ended, SessionDeleted) or ended.outcome == Stopped("cancelled")  # type: ignore[union-attr]
    assert await core.completions.complete(pending.key, "late") == UnknownOrRevoked()
    assert await core.completions.pending() == []


async def test_a_session_deleted_elsewhere_ends_the_wait(durable: Place) -> None:
    lab = Lab()
    core = await durable.core(ScriptedModel(SCRIPT), tools=[lab.order])
    other = await durable.core(ScriptedModel([]))
    session = await core.session("s").open()
    running = asyncio.create_task(session.run("go"))
    await waiting(core)
    await other.store.sessions.delete_session("s")

    async with asyncio.timeout(20):
        with pytest.raises(SessionDeleted):
            await running


# other processes, crashes


async def test_another_core_completes_the_call(durable: Place) -> None:
    lab = Lab()
    core = await durable.core(ScriptedModel(SCRIPT), tools=[lab.order])
    other = await durable.core(ScriptedModel([]))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        [pending] = await waiting(other)
        assert await other.completions.complete(pending.key.token, "from afar") == Accepted()

        assert (await running).tool_calls[0].output.value == "from afar"


async def crash_while_waiting(durable: Place, tools: list[Tool[..., Any]]) -> AwaitEventKey:
    """A core that dies while its turn `t` waits."""
    dying = await durable.core(ScriptedModel(SCRIPT), tools=tools)
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    [pending] = await waiting(dying)
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)
    return pending.key


async def test_a_crash_while_waiting_repeats_nothing(durable: Place) -> None:
    lab = Lab()
    key = await crash_while_waiting(durable, [lab.order])
    model = ScriptedModel(SCRIPT)
    core = await durable.core(model, tools=[lab.order])

    assert core.recovery.waiting == [TurnRef("s", "t")]
    assert core.recovery.resumed == []
    assert await core.completions.complete(key, "after all") == Accepted()
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")

        assert turn.tool_calls[0].output.value == "after all"
        assert lab.samples == ["blood"]
        assert len(model.requests) == 1
        assert texts(session.messages)[-1] == "assistant: ok"


async def test_what_was_completed_while_nobody_lived_is_there_at_the_next_open(durable: Place) -> None:
    lab = Lab()
    key = await crash_while_waiting(durable, [lab.order])
    bystander = await durable.core(ScriptedModel([]), recover=False)
    assert await bystander.completions.complete(key, "meanwhile") == Accepted()
    await durable.end(bystander)
    core = await durable.core(ScriptedModel(SCRIPT), tools=[lab.order])

    assert core.recovery.resumed == [TurnRef("s", "t")]
    assert core.recovery.waiting == []
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")

        assert turn.tool_calls[0].output.value == "meanwhile"
        assert lab.samples == ["blood"]


async def test_a_call_that_waits_needs_its_tool_no_more(durable: Place) -> None:
    key = await crash_while_waiting(durable, [Lab().order])
    core = await durable.core(ScriptedModel(SCRIPT))
    await core.completions.complete(key, "for a tool of the past")
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")

        assert turn.tool_calls[0].output.value == "for a tool of the past"


async def test_the_original_deadline_holds_after_a_crash(durable: Place) -> None:
    lab = Lab(deadline=3600)
    key = await crash_while_waiting(durable, [lab.order])
    core = await durable.core(ScriptedModel(SCRIPT), tools=[lab.order])
    [pending] = await waiting(core)

    row = await core.store.waits.open_wait(key, deadline_ms=1)

    assert row.deadline_ms == pending.deadline_ms
    assert pending.deadline_ms is not None
    assert pending.deadline_ms - pending.started_at_ms <= 3_600_000


async def test_a_provider_of_ones_own_may_detach_too(memory: Place) -> None:
    class Bridge(lash.ToolProvider):
        keys: list[AwaitEventKey] = []  # noqa: RUF012 - one bridge

        def tool_manifests(self) -> list[lash.tools.ToolManifest]:
            return [lash.tools.ToolManifest("tool:far", "far")]

        def resolve_contract(self, name: str) -> lash.tools.ToolContract:
            return lash.tools.ToolContract()

        async def execute(self, call: ToolExecution) -> object:
            self.keys.append(await call.context.completion_key())
            return ToolResult.pending()

    bridge = Bridge()
    core = await memory.core(ScriptedModel([calls("far"), says("ok")]), tools=[bridge])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await waiting(core)
        await core.completions.complete(bridge.keys[0], "near")

        assert (await running).tool_calls[0].output.value == "near"
