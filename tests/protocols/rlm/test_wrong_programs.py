"""Programs that are wrong cost an iteration, and the model reads what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

import lash
from lash.machine.outcome import SubmittedValue
from lash.testing import ScriptedModel, cell
from lash.testing.script import Step


@lash.tool(module="shop")
async def price(name: str) -> int:
    """What something costs."""
    return len(name) * 100


async def read_of(*steps: Step | str, store: str = "memory") -> tuple[list[str], lash.TurnResult, dict[str, object]]:
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
