"""A process dies in the middle of a cell, and the cell goes on: nothing recorded runs again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import lash
from lash.lashlang.execution.budgets import Budgets
from lash.machine.llm import LlmRequest
from lash.protocols.rlm.options import RlmConfig
from lash.testing import Lab, Life, Says, ScriptedModel, cell
from lash.tools import ToolResult


@lash.tool(repeat="idempotent")
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


@lash.tool(repeat="idempotent", module="shop")
async def price(name: str) -> dict[str, object]:
    """What something costs."""
    return {"name": name, "cents": len(name) * 100}


@lash.tool(repeat="idempotent")
async def broken() -> int:
    """Never works."""
    raise ValueError("out of order")


COUNTING = """
total = 0
for n in [1, 2, 3] {
  total = total + (await tools.double({ number: n })?)
}
print total
"""
TOGETHER = """
found = await { apple: shop.price({ name: "apple" })?, fig: shop.price({ name: "fig" })? }
sleep for 1
refused = await tools.broken({})
print refused.error
"""
LAST = """
submit { total: total, cents: found.apple.cents + found.fig.cents, ok: refused.ok, steps: len(history) }
"""


@dataclass
class Sums:
    """What is submitted. Its fields are in no alphabetical order, as those of most people."""

    total: int
    cents: int
    ok: bool
    steps: int


def agent(life: Life) -> lash.RlmCore:
    model = ScriptedModel([cell(COUNTING), cell(TOGETHER), cell("submit 1 +"), cell(LAST)])
    return lash.RlmCore(model=model, tools=[double, price, broken], store=life.store, effect_host=life.effect_host)


async def conversation(core: lash.LashCore) -> object:
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t1", submit=Sums)
        return [turn.value, [message.text for message in session.messages]]


async def test_a_turn_of_cells_survives_every_kill() -> None:
    report = await Lab(agent).kill_everywhere(conversation, at_writes=False)

    report.raise_for_problems()
    assert report.ran_twice["tool_call:double"] > 0


async def test_a_cell_that_ran_out_of_time_ends_at_the_same_place_in_every_drive() -> None:
    def make(life: Life) -> lash.RlmCore:
        steps = [cell("n = 0\nwhile true { n = n + 1 }"), cell("submit history[1].error"), cell("submit n")]
        config = RlmConfig(budgets=Budgets(active_ms=15))
        return lash.RlmCore(model=ScriptedModel(steps), rlm=config, store=life.store, effect_host=life.effect_host)

    async def program(core: lash.LashCore) -> object:
        async with core.session("s") as session:
            return (await session.run("go", turn_id="t1")).value

    lab = Lab(make)
    (await lab.kill_at(program, effect="expired", when="recorded")).raise_for_problems()
    (await lab.kill_everywhere(program, at_writes=False)).raise_for_problems()


async def test_a_tool_that_is_gone_after_a_restart_changes_no_cell_that_ran_with_it(tmp_path: Path) -> None:
    where = str(tmp_path / "agent.db")
    arrived, steps = asyncio.Event(), [cell('x = await shop.price({ name: "fig" })?\nprint x'), cell("submit x.cents")]

    async def held(request: LlmRequest) -> Says:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError(request)

    first = lash.RlmCore(model=ScriptedModel([steps[0], held]), tools=[price], store=where)
    await first.open()
    session = await first.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await arrived.wait()
    await first.close()
    await asyncio.gather(lost, return_exceptions=True)

    second = lash.RlmCore(model=ScriptedModel(steps), store=where)
    async with second, second.session("s") as session:
        turn = await session.run("go", turn_id="t")

    assert turn.value == 300
    assert turn.errors == []


async def test_a_call_in_a_cell_waits_for_approval_across_a_restart(tmp_path: Path) -> None:
    where, paid = str(tmp_path / "agent.db"), list[int]()

    @lash.tool(approve=True, repeat="never")
    async def pay(cents: int) -> str:
        """Pays."""
        paid.append(cents)
        return "paid"

    steps = [cell("print 1\nsubmit await tools.pay({ cents: 5 })?")]
    first = lash.RlmCore(model=ScriptedModel(steps), tools=[pay], store=where)
    await first.open()
    session = await first.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await until(lambda: pending(session))
    await first.close()
    await asyncio.gather(lost, return_exceptions=True)

    second = lash.RlmCore(model=ScriptedModel(steps), tools=[pay], store=where)
    async with second, second.session("s") as session:
        running = asyncio.create_task(session.run("go", turn_id="t"))
        await until(lambda: pending(session))
        await second.approvals.approve((await session.pending_approvals())[0].id)

        assert (await running).value == "paid"
        assert paid == [5]


async def test_a_detached_call_in_a_cell_is_completed_from_outside() -> None:
    tokens: list[str] = []

    @lash.tool
    async def order(ctx: lash.ToolContext) -> ToolResult:
        """Handed to somebody else."""
        tokens.append((await ctx.completion_key()).token)
        return ToolResult.pending()

    core = lash.RlmCore(model=ScriptedModel([cell("submit await tools.order({})?")]), tools=[order])
    async with core, core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await until(lambda: has(tokens))
        await core.completions.complete(tokens[0], {"done": True})

        assert (await running).value == {"done": True}


async def test_a_call_that_must_not_run_twice_is_left_to_the_host() -> None:
    @lash.tool(repeat="never")
    async def pay() -> str:
        """Pays."""
        return "paid"

    def make(life: Life) -> lash.RlmCore:
        model = ScriptedModel([cell("submit await tools.pay({})?")])
        return lash.RlmCore(model=model, tools=[pay], store=life.store, effect_host=life.effect_host)

    async def program(core: lash.LashCore) -> object:
        async with core.session("s") as session:
            return (await session.run("go", turn_id="t1")).value

    report = await Lab(make).kill_at(program, effect="pay", when="done-not-recorded")

    assert [verdict.outcome for verdict in report.verdicts] == ["in doubt"]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - the store is what is watched
            await asyncio.sleep(0)


async def pending(session: lash.Session) -> bool:
    return bool(await session.pending_approvals())


async def has(items: list[str]) -> bool:
    return bool(items)


async def test_on_postgresql_as_well(postgres_url: str) -> None:
    report = await Lab(agent, stores=[postgres_url]).kill_at(conversation, effect="price", when="recorded")

    report.raise_for_problems()
    assert [verdict.outcome for verdict in report.verdicts] == ["survived"]
