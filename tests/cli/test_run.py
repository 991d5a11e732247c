"""`lash run`: a turn of the host's own agent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import lash
from lash.cli.apps import core_of

Cli = Callable[..., Result]

AGENT = '''
import lash
from lash.testing import ScriptedModel, calls, cell, fails, says


@lash.tool
async def lookup(order_id: int) -> str:
    """Look an order up."""
    return "shipped"


def core(store="agent.db"):
    model = ScriptedModel([calls("lookup", order_id=7), says("Shipped.")])
    return lash.StandardCore(model=model, tools=[lookup], store=store)


ready = core()
broken = lash.StandardCore(model=ScriptedModel([fails("validation", "no such model")]), store=":memory:")
typed = lash.RlmCore(model=ScriptedModel([cell('submit "much"'), cell("submit 42")]))
endless = lash.RlmCore(model=ScriptedModel(lambda request: cell("print nope", prose="Again.")))
programs = lash.RlmCore(model=ScriptedModel([cell("print 6 * 7"), cell("submit { sum: 42 }")]))
not_a_core = 7
'''


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the working directory, under a name of its own in each test."""
    name = f"agent_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(AGENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_turn_prints_what_the_agent_says(cli: Cli, agent: str) -> None:
    result = cli("run", "Where is it?", "--app", f"{agent}:core")

    assert result.exit_code == 0
    assert result.stdout == "Shipped.\n"
    assert result.stderr == ""


def test_a_ready_core_serves_as_well_as_a_function(cli: Cli, agent: str) -> None:
    assert cli("run", "Where is it?", "--app", f"{agent}:ready").stdout == "Shipped.\n"


def test_the_same_turn_id_is_answered_from_the_commit(cli: Cli, agent: str) -> None:
    line = ["run", "Where is it?", "--app", f"{agent}:core", "--session", "s", "--turn-id", "t", "--json"]

    first, again = json.loads(cli(*line).stdout), json.loads(cli(*line).stdout)

    assert (first["replayed"], again["replayed"]) == (False, True)
    assert first["text"] == again["text"] == "Shipped."
    assert first["usage"] == again["usage"]


def test_another_input_under_the_same_turn_id_is_refused(cli: Cli, agent: str) -> None:
    line = ["--app", f"{agent}:core", "--session", "s", "--turn-id", "t"]
    cli("run", "Where is it?", *line)

    result = cli("run", "Where are they?", *line)

    assert result.exit_code == 1
    assert "turn_input_conflict" in result.stderr


def test_a_stream_prints_the_text_as_it_comes(cli: Cli, agent: str) -> None:
    result = cli("run", "Where is it?", "--app", f"{agent}:core", "--stream")

    assert result.stdout == "Shipped.\n"


def test_a_store_reaches_a_function_that_takes_one(cli: Cli, agent: str, tmp_path: Path) -> None:
    where = tmp_path / "elsewhere.db"

    result = cli("run", "Where is it?", "--app", f"{agent}:core", "--store", str(where))

    assert result.exit_code == 0
    assert where.exists()


def test_a_store_for_a_core_that_has_its_own_is_wrong_usage(cli: Cli, agent: str) -> None:
    result = cli("run", "Where is it?", "--app", f"{agent}:ready", "--store", "other.db")

    assert result.exit_code == 2
    assert "has its own store" in result.stderr


def test_a_turn_that_fails_is_exit_code_1_with_its_outcome(cli: Cli, agent: str) -> None:
    result = cli("run", "Hello", "--app", f"{agent}:broken")

    assert result.exit_code == 1
    assert "stopped.provider_error" in result.stderr
    assert "no such model" in result.stderr


@pytest.mark.parametrize("app", ["no_such_module:core", "{agent}:nothing", "{agent}:not_a_core"])
def test_an_app_that_cannot_be_had_is_exit_code_3(cli: Cli, agent: str, app: str) -> None:
    result = cli("run", "Hello", "--app", app.format(agent=agent))

    assert result.exit_code == 3
    assert result.stderr.strip().count("\n") == 0
    assert "--app" in result.stderr


def test_the_example_runs_as_its_docstring_says(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    line = ["run", "Where is order 7?", "--app", "examples.order_desk:core", "--turn-id", "req-1", "--session", "desk"]

    first = cli(*line, "--store", str(tmp_path / "desk.db"))
    again = json.loads(cli(*line, "--store", str(tmp_path / "desk.db"), "--json").stdout)

    assert first.stdout == "Order 7 has shipped.\n"
    assert again["replayed"] is True


def test_a_submitted_value_is_printed_and_its_programs_are_not_part_of_the_answer(cli: Cli, agent: str) -> None:
    streamed = cli("run", "go", "--app", f"{agent}:programs", "--stream")

    assert streamed.exit_code == 0, streamed.output
    assert json.loads(streamed.stdout) == {"sum": 42}


def test_the_mode_makes_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")

    assert isinstance(core_of(None, None, "openai:gpt-5.4-mini", "rlm"), lash.RlmCore)
    assert isinstance(core_of(None, None, "openai:gpt-5.4-mini", None), lash.StandardCore)


def test_a_model_that_is_no_name_of_one_is_wrong_usage(cli: Cli) -> None:
    refused = cli("run", "go", "--model", "junk")

    assert refused.exit_code == 2
    assert "'junk' is not 'provider:model-id'" in refused.stderr


def test_an_app_has_its_own_mode(cli: Cli, agent: str) -> None:
    refused = cli("run", "go", "--app", f"{agent}:ready", "--mode", "rlm")

    assert refused.exit_code == 2
    assert "leave --mode out" in refused.output + refused.stderr


def test_a_program_must_submit_what_is_asked_and_may_not_go_on_for_ever(cli: Cli, agent: str) -> None:
    integer = '{"type": "integer"}'

    typed = cli("run", "Add.", "--app", f"{agent}:typed", "--submit", integer, "--json")
    endless = cli("run", "Go on.", "--app", f"{agent}:endless", "--max-turns", "2")
    wrong = cli("run", "Add.", "--app", f"{agent}:typed", "--submit", "nowhere.json")

    assert json.loads(typed.stdout)["value"] == 42
    assert endless.exit_code == 1
    assert "it has made as many model calls as it may" in endless.stderr
    assert wrong.exit_code == 2
    assert "neither a JSON object nor a file" in wrong.stderr
