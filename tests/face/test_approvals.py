"""A person is asked before a tool runs: the turn waits for the word, however long, wherever it is given."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import lash
from face.places import Place, recorded, settled, texts, until
from lash.base.errors import InvalidArgument
from lash.base.json import JsonObject
from lash.base.messages import unsettled_tool_calls
from lash.effects import Accepted, AlreadyResolved, ResolvedOk, TimedOut, UnknownOrRevoked
from lash.machine.outcome import Stopped
from lash.plugins.directives import ReplaceToolArgs
from lash.plugins.hooks import BeforeToolCall
from lash.runtime.activity import ApprovalRequested, ApprovalResolved, ToolCallCompleted
from lash.runtime.engine import TurnRef
from lash.runtime.verdicts import approval, denial
from lash.sessions.commit import StoredTurn
from lash.testing import ScriptedModel, VirtualClock, calls, says
from lash.testing.script import Step
from lash.tools import Tool
from lash.tools.result import ToolFailure

SCRIPT: list[Step] = [calls("pay", amount=7), says("ok")]


class Bank:
    """Pays, and keeps count."""

    def __init__(self, **options: Any) -> None:
        self.paid: list[int] = []

        @lash.tool(**{"approve": True, **options})
        async def pay(amount: int) -> str:
            """Pays."""
            self.paid.append(amount)
            return f"paid {amount}"

        self.pay: Tool[..., Any] = pay


async def asked(core: lash.LashCore, number: int = 1) -> list[lash.Approval]:
    """Waits until so many approvals are stored."""

    async def holds() -> bool:
        return len(await core.approvals.pending()) >= number

    await until(holds, f"{number} approvals")
    return await core.approvals.pending()


def effect_keys(stamp: StoredTurn) -> list[str]:
    """The effects of a settled turn, by their short keys."""
    assert stamp.summary is not None
    effects = stamp.summary["effects"]
    assert isinstance(effects, list)
    return [str(effect[0]) for effect in effects if isinstance(effect, list)]


def results(session: lash.Session) -> list[str]:
    return [part.content for message in session.messages for part in message.parts if part.kind == "tool_result"]


def error_of(turn: lash.TurnResult, number: int = 0) -> ToolFailure:
    error = turn.tool_calls[number].output.error
    assert error is not None
    return error


async def test_nothing_runs_before_it_is_approved(place: Place) -> None:
    bank = Bank()
    core = await place.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go", turn_id="t"))
        [approval_] = await asked(core)

        assert (approval_.tool, approval_.args) == ("pay", {"amount": 7})
        assert (approval_.session_id, approval_.turn_id) == ("s", "t")
        assert approval_.deadline_ms is None
        assert await session.pending_approvals() == [approval_]
        assert bank.paid == []
        assert await core.approvals.approve(approval_) == Accepted()
        turn = await running

        assert turn.tool_calls[0].output.value == "paid 7"
        assert bank.paid == [7]
        assert await core.approvals.pending() == []


async def test_a_denial_is_read_by_the_model(place: Place) -> None:
    bank = Bank()
    core = await place.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        [approval_] = await asked(core)
        await core.approvals.deny(approval_, "not before Friday")
        turn = await running

        error = error_of(turn)
        assert (error.kind, error.code, error.source) == ("permission_denied", "approval_denied", "policy")
        assert "not before Friday" in results(session)[0]
        assert turn.ok
        assert bank.paid == []


async def test_several_are_asked_at_once_and_answered_in_any_order(place: Place) -> None:
    bank = Bank()
    script: list[Step] = [[calls("pay", amount=amount) for amount in (1, 2, 3)], says("ok")]
    core = await place.core(ScriptedModel(script), tools=[bank.pay])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        by_amount = {approval_.args["amount"]: approval_ for approval_ in await asked(core, 3)}
        await core.approvals.approve(by_amount[3])
        await core.approvals.deny(by_amount[1], "no")
        assert [approval_.args for approval_ in await core.approvals.pending()] == [{"amount": 2}]
        await core.approvals.approve(by_amount[2])
        turn = await running

        assert [call.output.is_success for call in turn.tool_calls] == [False, True, True]
        assert sorted(bank.paid) == [2, 3]
        assert [text[:6] for text in results(session)][1:] == ["paid 2", "paid 3"]


async def test_an_approval_goes_by_itself_its_id_its_key_or_its_token(place: Place) -> None:
    bank = Bank()
    script: list[Step] = [[calls("pay", amount=amount) for amount in (1, 2, 3, 4)], says("ok")]
    core = await place.core(ScriptedModel(script), tools=[bank.pay])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        first, second, third, fourth = await asked(core, 4)
        for which in (first, second.id, third.key, fourth.key.token):
            assert await core.approvals.approve(which) == Accepted()
        await running

        assert sorted(bank.paid) == [1, 2, 3, 4]


async def test_the_first_answer_stands(place: Place) -> None:
    bank = Bank()
    core = await place.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        [approval_] = await asked(core)
        await core.approvals.deny(approval_, "no")

        assert await core.approvals.approve(approval_) == AlreadyResolved(denial("no"))
        await running
        assert await core.approvals.approve(approval_.id) == AlreadyResolved(denial("no"))
        assert bank.paid == []


async def test_an_approval_that_is_none_is_told(place: Place) -> None:
    core = await place.core(ScriptedModel([]))

    assert await core.approvals.approve("0" * 64) == UnknownOrRevoked()
    with pytest.raises(InvalidArgument, match="got int"):
        await core.approvals.approve(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [None, True, {"approved": False}, {"approved": "yes"}, {"approved": 1}])
async def test_only_an_approval_approves(memory: Place, answer: Any) -> None:
    bank = Bank()
    core = await memory.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        [approval_] = await asked(core)
        await core.completions.resolve(approval_.key, ResolvedOk(answer))
        turn = await running

        assert error_of(turn).code == "approval_denied"
        assert bank.paid == []


# who is asked


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_predicate_says_which_calls_are_asked_about(place: Place, is_async: bool) -> None:
    async def later(args: JsonObject, ctx: lash.ToolContext) -> bool:
        await asyncio.sleep(0)
        return now(args, ctx)

    def now(args: JsonObject, ctx: lash.ToolContext) -> bool:
        assert ctx.session_id == "s"
        return isinstance(args["amount"], int) and args["amount"] > 100

    bank = Bank(approve=later if is_async else now)
    script: list[Step] = [[calls("pay", amount=1), calls("pay", amount=500)], says("ok")]
    core = await place.core(ScriptedModel(script), tools=[bank.pay])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        [approval_] = await asked(core)
        assert approval_.args == {"amount": 500}
        await core.approvals.approve(approval_)
        await running

        assert bank.paid == [1, 500]


async def test_a_predicate_that_fails_lets_nothing_pass(place: Place) -> None:
    def broken(_args: JsonObject, _ctx: lash.ToolContext) -> bool:
        raise KeyError("limit")

    bank = Bank(approve=broken)
    core = await place.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert error_of(turn).code == "approval_check_failed"
        assert bank.paid == []


async def test_nobody_is_asked_about_a_call_that_cannot_run(place: Place) -> None:
    bank = Bank()
    core = await place.core(ScriptedModel([calls("pay", amount="much"), says("ok")]), tools=[bank.pay])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert error_of(turn).code == "invalid_tool_args"


async def test_what_is_approved_is_what_the_hooks_made_of_it(place: Place) -> None:
    asked_of_hooks: list[int] = []

    class Halver(lash.Plugin):
        id = "halver"

        @lash.hook.before_tool_call
        async def halve(self, context: BeforeToolCall) -> ReplaceToolArgs:
            amount = context.args["amount"]
            assert isinstance(amount, int)
            asked_of_hooks.append(amount)
            return ReplaceToolArgs({"amount": amount // 2})

    bank = Bank()
    core = await place.core(ScriptedModel([calls("pay", amount=10), says("ok")]), tools=[bank.pay], plugins=[Halver()])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        [approval_] = await asked(core)
        assert approval_.args == {"amount": 5}
        await core.approvals.approve(approval_)
        await running

        assert bank.paid == [5]
        assert asked_of_hooks == [10]


async def test_a_turn_that_asks_nobody_pays_nothing_for_it(file: Place) -> None:
    """A tool without approval has one effect a call, as ever."""
    bank = Bank(approve=False)
    core = await file.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    async with core.session("s") as session:
        await session.run("go", turn_id="t")
        [stamp] = await session.turns()

        assert [key for key in effect_keys(stamp) if "child" in key] == ["0:tool_batch:3:child:0:call_0_0:attempt:1"]


# in the stream


async def test_a_chat_can_ask_in_place(place: Place) -> None:
    bank = Bank()
    core = await place.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    heard = []
    async with core.session("s") as session, session.stream("go") as stream:
        async for item in stream:
            heard.append(item)
            if isinstance(item.event, ApprovalRequested):
                assert await core.approvals.deny(item.event.approval_id, "no") == Accepted()

    told = [item for item in heard if isinstance(item.event, ApprovalRequested | ApprovalResolved | ToolCallCompleted)]
    assert [type(item.event) for item in told] == [ApprovalRequested, ApprovalResolved, ToolCallCompleted]
    assert len({item.correlation_id for item in told}) == 1
    resolved = told[1].event
    assert isinstance(resolved, ApprovalResolved)
    assert (resolved.approved, resolved.reason) == (False, "no")


# deadlines, cancels, deletes


async def test_calls_that_ask_within_one_millisecond_are_listed_in_their_order(tmp_path: Path) -> None:
    bank = Bank()
    model = ScriptedModel([[calls("pay", amount=amount) for amount in range(20)], says("ok")])
    core = lash.StandardCore(model=model, tools=[bank.pay], store=str(tmp_path / "agent.db"), clock=VirtualClock())
    async with core, core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        approvals = await asked(core, 20)
        assert [approval_.args["amount"] for approval_ in approvals] == list(range(20))
        for approval_ in approvals:
            await core.approvals.deny(approval_)
        await running


async def test_a_deadline_that_passes_is_a_denial(memory: Place) -> None:
    bank = Bank(approval_timeout=60)
    clock = VirtualClock()
    core = lash.StandardCore(
        model=ScriptedModel(SCRIPT), tools=[bank.pay], store=await memory.open_store(), clock=clock
    )
    memory.cores.append(await core.open())
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await clock.sleeper(60_000)
        [approval_] = await core.approvals.pending()
        assert approval_.deadline_ms == approval_.asked_at_ms + 60_000
        await clock.advance(60_000)
        turn = await running

        assert (error_of(turn).kind, error_of(turn).code) == ("timeout", "approval_timeout")
        assert "nobody approved" in results(session)[0]
        assert bank.paid == []
        assert isinstance(await core.approvals.approve(approval_), AlreadyResolved)


async def test_an_approval_after_the_deadline_approves_nothing_though_nobody_was_there_to_notice(
    durable: Place,
) -> None:
    bank = Bank(approval_timeout=3600)
    core = await durable.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    session = await core.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    [approval_] = await asked(core)
    await durable.crash(core)
    await asyncio.gather(lost, return_exceptions=True)
    assert approval_.deadline_ms is not None
    clock = VirtualClock(approval_.deadline_ms)  # nothing ran in the last hour

    async with lash.StandardCore(
        model=ScriptedModel([]), store=await durable.open_store(), clock=clock
    ).only_asking() as asking:
        assert await asking.approvals.approve(approval_.id) == AlreadyResolved(TimedOut())
        assert await asking.approvals.pending() == []

    again = await durable.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    turn = await again.session("s").run("go", turn_id="t")
    assert error_of(turn).code == "approval_timeout"
    assert bank.paid == []


async def test_cancelling_a_turn_that_asks_leaves_a_valid_history(place: Place) -> None:
    bank = Bank()
    core = await place.core(ScriptedModel([*SCRIPT[:1], says("again")]), tools=[bank.pay])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        [approval_] = await asked(core)
        assert await session.cancel()
        turn = await running

        assert turn.outcome == Stopped("cancelled")
        assert unsettled_tool_calls(session.messages) == []
        assert isinstance(await core.approvals.approve(approval_), AlreadyResolved)
        assert bank.paid == []
        assert (await session.run("and now?")).text == "again"


async def test_an_approval_dies_with_its_session(place: Place) -> None:
    bank = Bank()
    core = await place.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    session = await core.session("s").open()
    running = asyncio.create_task(session.run("go"))
    [approval_] = await asked(core)
    report = await core.delete_session("s")
    assert report.wait_count == 1
    await asyncio.gather(running, return_exceptions=True)

    assert await core.approvals.approve(approval_) == UnknownOrRevoked()
    assert await core.approvals.approve(approval_.id) == UnknownOrRevoked()
    assert bank.paid == []


# elsewhere, and after a crash


async def test_any_process_sees_what_waits_and_may_answer(durable: Place) -> None:
    bank = Bank()
    core = await durable.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    other = await durable.core(ScriptedModel([]))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        [approval_] = await asked(other)
        assert await other.approvals.approve(approval_.id) == Accepted()
        await running

        assert bank.paid == [7]


async def crash_while_asking(durable: Place, bank: Bank, *, answer: bool = False) -> lash.Approval:
    """A core that dies while its turn `t` waits for a word."""
    dying = await durable.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    [approval_] = await asked(dying)
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)
    if answer:
        bystander = await durable.core(ScriptedModel([]), recover=False)
        assert await bystander.approvals.approve(approval_) == Accepted()
        await durable.end(bystander)
    return approval_


async def test_a_crash_while_asking_asks_nobody_twice(durable: Place) -> None:
    bank = Bank()
    before = await crash_while_asking(durable, bank)
    model = ScriptedModel(SCRIPT)
    core = await durable.core(model, tools=[bank.pay])

    assert core.recovery.waiting == [TurnRef("s", "t")]
    assert await core.approvals.pending() == [before]
    await core.approvals.approve(before.id)
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")

        assert turn.tool_calls[0].output.value == "paid 7"
        assert bank.paid == [7]
        assert len(model.requests) == 1
        assert texts(session.messages)[-1] == "assistant: ok"


async def test_an_answer_given_while_nobody_lived_counts(durable: Place) -> None:
    bank = Bank()
    await crash_while_asking(durable, bank, answer=True)
    core = await durable.core(ScriptedModel(SCRIPT), tools=[bank.pay])

    assert core.recovery.resumed == [TurnRef("s", "t")]
    async with core.session("s") as session:
        await session.run("go", turn_id="t")

        assert bank.paid == [7]


async def test_who_takes_the_answer_takes_up_the_turn_of_a_dead_process(durable: Place) -> None:
    bank = Bank()
    dying = await durable.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    [approval_] = await asked(dying)
    server = await durable.core(ScriptedModel(SCRIPT), tools=[bank.pay])
    assert server.recovery.waiting == []  # its owner was alive
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    await server.approvals.approve(approval_)

    async with server.session("s") as again:
        await settled(again, 1)
        assert bank.paid == [7]


@pytest.mark.parametrize("approve", [False, lambda _args, _ctx: False])
async def test_a_tool_that_no_longer_asks_does_not_run_unasked(durable: Place, approve: Any) -> None:
    """What was decided before the crash stands: the question is still open."""
    await crash_while_asking(durable, Bank())
    changed = Bank(approve=approve)
    core = await durable.core(ScriptedModel(SCRIPT), tools=[changed.pay])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go", turn_id="t"))
        [approval_] = await asked(core)
        await core.approvals.deny(approval_, "no")
        await running

        assert changed.paid == []


async def test_a_tool_that_asks_now_does_not_ask_about_what_it_did(durable: Place) -> None:
    bank = Bank(approve=False, repeat="idempotent")
    dying = await durable.core(ScriptedModel([*SCRIPT[:1], hang]), tools=[bank.pay])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await until(lambda: _true(bool(bank.paid)), "a payment")
    await recorded(dying, "attempt:1")
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)
    changed = Bank()
    core = await durable.core(ScriptedModel(SCRIPT), tools=[changed.pay])
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")

        assert turn.tool_calls[0].output.value == "paid 7"
        assert changed.paid == []


async def test_a_payment_that_was_approved_and_may_have_happened_stays_in_doubt(durable: Place) -> None:
    held = asyncio.Event()
    begun = asyncio.Event()

    @lash.tool(approve=True, repeat="never")
    async def pay(amount: int) -> str:
        begun.set()
        await held.wait()
        return f"paid {amount}"

    dying = await durable.core(ScriptedModel(SCRIPT), tools=[pay])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    [approval_] = await asked(dying)
    await dying.approvals.approve(approval_)
    await begun.wait()
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)
    core = await durable.core(ScriptedModel(SCRIPT), tools=[pay])
    async with core.session("s") as again:
        with pytest.raises(lash.EffectInDoubt):
            await again.run("go", turn_id="t")

        assert await core.approvals.pending() == []
        [doubt] = core.recovery.in_doubt
        await core.settle(doubt, lash.ToolResult.ok("the bank says it was paid"))
        turn = await again.run("go", turn_id="t")

        assert turn.tool_calls[0].output.value == "the bank says it was paid"


def test_an_approval_and_a_denial_are_what_they_say() -> None:
    assert approval() == ResolvedOk({"approved": True})
    assert denial("no").payload.message == "no"


async def hang(_request: Any) -> Any:
    await asyncio.Event().wait()


async def _true(value: bool) -> bool:
    return value


async def test_a_turn_whose_driver_died_goes_on_in_an_open_core_whoever_answers(durable: Place) -> None:
    quick = lash.LeaseTimings(ttl_ms=150, renew_ms=50)
    bank = Bank()
    bystander = await durable.core(ScriptedModel(SCRIPT), tools=[bank.pay], lease_timings=quick)
    dying = await durable.core(ScriptedModel(SCRIPT), tools=[bank.pay], lease_timings=quick)
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    [approval_of] = await asked(dying)
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    desk = lash.StandardCore(model=ScriptedModel([]), store=await durable.open_store()).only_asking()
    async with desk:
        await desk.approvals.approve(approval_of)

    async def is_settled() -> bool:
        stored = await bystander.store.sessions.open_existing_store("s")
        return stored is not None and await stored.load_turn("s", "t") is not None

    await until(is_settled, "the turn to be settled")
    assert bank.paid == [7]
