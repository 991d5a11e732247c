"""Programs that are wrong cost an iteration, and the model reads what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

import lash
from lash.base.json import Json
from lash.machine.outcome import SubmittedValue
from lash.plugins.errors import PluginRegistrationError
from lash.protocols.rlm.seeds import InvalidSeed
from lash.testing import ScriptedModel, cell, says
from lash.testing.script import Step


@lash.tool(module="shop")
async def price(name: str) -> int:
    """What something costs."""
    return len(name) * 100


async def read_of(*steps: Step | str, store: str = ":memory:") -> tuple[list[str], lash.TurnResult, dict[str, object]]:
    """What the model read after each of these, the turn, and the variables that it leaves."""
    programs = [cell(step) if isinstance(step, str) else step for step in steps]
    model = ScriptedModel([*programs, cell('submit "done"')])
    async with lash.RlmCore(model=model, tools=[price], store=store) as core, core.session("s") as session:
        turn = await session.run("go")
        return [request.messages[-2].text for request in model.requests[1:]], turn, dict(session.globals)


TOO_DEEP = "n = 1\nx = []\nfor i in range(300) { x = [x] }"
TOO_LARGE = "n = 1\nx = [1]\nfor i in range(60) { x = [x, x] }"


@pytest.mark.parametrize(
    ("program", "why"), [(TOO_DEEP, "value is nested too deep"), (TOO_LARGE, "value is too large to walk")]
)
async def test_a_variable_that_cannot_be_written_costs_an_iteration(program: str, why: str, tmp_path: Path) -> None:
    read, turn, variables = await read_of(program, "x = 7", program, store=str(tmp_path / "agent.db"))

    assert turn.outcome == SubmittedValue("done")
    assert read[0].startswith(f"Error:\nthe variable `x` cannot be kept, it is gone: {why}")
    assert read[2].startswith(f"Error:\nthe variable `x` cannot be kept, it has its value of before this block: {why}")
    assert variables == {"n": 1, "x": 7}


async def test_a_program_that_submits_beside_a_variable_that_cannot_be_written_ends_the_turn() -> None:
    read, turn, variables = await read_of(f"{TOO_DEEP}\nsubmit n")

    assert read == []
    assert (turn.value, variables) == (1, {"n": 1})


async def test_a_block_that_is_ended_by_quotes_inside_a_text_is_opened_with_more_of_them() -> None:
    inside = 's = "use ``` here"\nprint s'
    read, _, _ = await read_of(says(f"```lashlang\n{inside}\n```"), says(f"````lashlang\n{inside}\n````"))

    assert "unterminated string" in read[0]
    assert read[0].endswith(
        "hint: three back quotes end the block, also inside a text: a block that holds them is opened with four"
    )
    assert read[1] == "Output 1:\nuse ``` here"


async def test_a_process_has_no_context_to_go_on_in() -> None:
    goes_on = 'process p() { finish control.continue_as({ task: "more" })? }'
    read, turn, _ = await read_of(f"{goes_on}\nprint await start p()")

    assert "a background process has no context to leave" in read[0]
    assert turn.value == "done"


async def test_a_process_is_told_that_it_does_not_see_the_variables() -> None:
    read, _, _ = await read_of("limit = 3", "process p() { finish limit }\nprint (await start p())?")

    assert read[1].endswith("hint: a process sees its parameters only: give it `limit` as one")


@pytest.mark.parametrize(
    ("seed", "why"), [("if", "no variable name"), ("a b", "no variable name"), ("deep", "nested too deep")]
)
async def test_a_seed_that_no_program_could_read_is_refused(seed: str, why: str) -> None:
    deep: Json = 1
    for _ in range(300):
        deep = [deep]
    async with lash.RlmCore(model=ScriptedModel([cell("submit 1")])) as core, core.session("s") as session:
        with pytest.raises(InvalidSeed, match=why):
            await session.seed(**{seed: deep})
        assert (await session.run("go")).value == 1


@pytest.mark.parametrize("name", ["if", "a b", "submit"])
def test_a_projection_that_no_program_could_read_is_refused(name: str) -> None:
    with pytest.raises(PluginRegistrationError, match="programs cannot read"):
        lash.RlmCore(model=ScriptedModel([]), projected={name: 1})
