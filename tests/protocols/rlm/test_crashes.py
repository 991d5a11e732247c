"""A process dies in the middle of a cell, and the cell goes on: nothing recorded runs again."""

from __future__ import annotations

import lash
from lash.testing import Lab, Life, ScriptedModel, cell


@lash.tool(repeat="idempotent")
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


@lash.tool(repeat="idempotent", module="shop")
async def price(name: str) -> dict[str, object]:
    """What something costs."""
    return {"name": name, "cents": len(name) * 100}


@lash.tool(repeat="idempotent", approve=False)
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


def agent(life: Life) -> lash.RlmCore:
    model = ScriptedModel([cell(COUNTING), cell(TOGETHER), cell("submit 1 +"), cell(LAST)])
    return lash.RlmCore(model=model, tools=[double, price, broken], store=life.store, effect_host=life.effect_host)


async def conversation(core: lash.LashCore) -> object:
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t1")
        return [turn.value, [message.text for message in session.messages]]


async def test_a_turn_of_cells_survives_every_kill() -> None:
    report = await Lab(agent).kill_everywhere(conversation)

    report.raise_for_problems()
    assert report.ran_twice["tool_call:double"] > 0


async def test_on_postgresql_as_well(postgres_url: str) -> None:
    report = await Lab(agent, stores=[postgres_url]).kill_at(conversation, effect="price", when="recorded")

    report.raise_for_problems()
    assert [verdict.outcome for verdict in report.verdicts] == ["survived"]
