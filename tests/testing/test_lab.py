"""The lab finds what a crash loses, and finds nothing where nothing is lost."""

from __future__ import annotations

import pytest

import lash
from lash.base.errors import ConfigurationError
from lash.testing import Lab, LabReport, Life, ScriptedModel, calls, says
from lash.testing.lab import WorkLost


@lash.tool(repeat="idempotent")
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


@lash.tool(repeat="never")
async def pay(order: int) -> str:
    """Pay an order."""
    return f"paid {order}"


def agent(life: Life) -> lash.StandardCore:
    model = ScriptedModel([[calls("double", number=1), calls("double", number=2)], says("2 and 4")])
    return lash.StandardCore(model=model, tools=[double], store=life.store, effect_host=life.effect_host)


async def conversation(core: lash.StandardCore) -> str:
    async with core.session("s") as session:
        return (await session.run("go", turn_id="t1")).text


async def test_a_durable_agent_survives_every_kill() -> None:
    report = await Lab(agent).kill_everywhere(conversation)

    report.raise_for_problems()
    assert report.kills >= 3 * 4
    assert report.ran_twice["tool_call:double"] > 0
    assert {verdict.point.when for verdict in report.verdicts} == {"before", "done-not-recorded", "recorded", "after"}


async def test_on_postgresql_as_well(postgres_url: str) -> None:
    report = await Lab(agent, stores=[postgres_url]).kill_at(conversation, effect="double", when="recorded")

    report.raise_for_problems()
    assert [verdict.outcome for verdict in report.verdicts] == ["survived"]


async def test_one_effect_may_be_chosen_by_number_kind_tool_or_key() -> None:
    lab = Lab(agent, test=conversation)

    points = [
        (await lab.kill_at(effect=effect, when="before")).verdicts[0].point for effect in (1, "llm_call", "double")
    ]

    assert [point.what for point in points] == ["sync_execution_environment", "llm_call", "tool_call:double"]


async def test_a_turn_without_an_id_of_its_own_is_found_twice() -> None:
    async def forgetful(core: lash.StandardCore) -> str:
        async with core.session("s") as session:
            return (await session.run("go")).text

    report = await Lab(agent).kill_at(forgetful, effect="double", when="recorded")

    assert not report.is_ok
    with pytest.raises(WorkLost, match="number 3"):
        report.raise_for_problems()


async def test_an_effect_that_must_not_repeat_is_in_doubt_until_somebody_says() -> None:
    def payer(life: Life) -> lash.StandardCore:
        model = ScriptedModel([calls("pay", order=7), says("paid")])
        return lash.StandardCore(model=model, tools=[pay], store=life.store, effect_host=life.effect_host)

    left = await Lab(payer).kill_at(conversation, effect="pay")
    told = await Lab(payer, settle=lambda _effect: lash.ToolResult.ok("paid 7")).kill_at(conversation, effect="pay")
    untouched = await Lab(payer).kill_at(conversation, effect="pay", when="recorded")

    assert [report.verdicts[0].outcome for report in (left, told, untouched)] == ["in doubt", "survived", "survived"]
    assert told.verdicts[0].ran_twice == []
    told.raise_for_problems()


async def test_a_core_that_the_lab_cannot_see_is_refused() -> None:
    def unseen(life: Life) -> lash.StandardCore:
        return lash.StandardCore(model=ScriptedModel([says("x")]), store=life.store)

    with pytest.raises(ConfigurationError, match="effect_host"):
        await Lab(unseen).kill_everywhere(conversation)


async def test_wrong_choices_are_named() -> None:
    with pytest.raises(ConfigurationError, match="memory"):
        await Lab(agent, stores=[":memory:"]).kill_everywhere(conversation)
    with pytest.raises(ConfigurationError, match="effect='nothing'"):
        await Lab(agent).kill_at(conversation, effect="nothing")
    with pytest.raises(ConfigurationError, match="effect=99"):
        await Lab(agent).kill_at(conversation, effect=99)
    with pytest.raises(ConfigurationError, match="when="):
        await Lab(agent).kill_at(conversation, effect=1, when="never")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no test"):
        await Lab(agent).kill_everywhere()
    with pytest.raises(ConfigurationError, match="stores"):
        Lab(agent, stores=[])


def test_an_empty_report_is_fine() -> None:
    assert str(LabReport()) == "0 kills, 0 with something wrong"
