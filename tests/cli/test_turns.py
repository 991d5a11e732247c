"""`lash turns explain`: settled turns, turns in flight, turns in doubt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import lash
from lash.base.json import JsonObject
from lash.cli.effect_keys import EffectKey, parse_key, short_key
from lash.cli.explain import EffectFact, Row, next_steps
from lash.effects.scope import ExecutionScope
from lash.machine.llm import LlmCallError, LlmResponse, TextPart, ToolCallPart
from lash.machine.values import LlmAnswered
from lash.testing import ScriptedModel, calls, says

Cli = Callable[..., Result]


@lash.tool
async def quick(number: int) -> int:
    """Answer at once."""
    return number


@lash.tool
async def endless() -> None:
    """Never answer."""
    await asyncio.Event().wait()


@lash.tool(repeat="never")
async def launch() -> None:
    """Launch it, and be gone before anybody hears of it."""
    await asyncio.Event().wait()


def test_a_settled_turn_shows_every_effect(cli: Cli, settled_store: str) -> None:
    shown = cli("turns", "explain", "chat", "t1", "--store", settled_store)
    turn = json.loads(cli("turns", "explain", "chat", "t1", "--store", settled_store, "--json").stdout)

    assert "finished.assistant_message" in shown.stdout
    names = [effect["name"] for effect in turn["effects"]]
    assert names == ["prompt 1", "model call 1", "look", "prompt 2", "model call 2"]
    assert turn["state"] == "settled"
    assert turn["next"] == turn["in_doubt"] == []


@lash.tool(approve=True)
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@lash.tool
async def order(ctx: lash.ToolContext) -> lash.ToolResult:
    """Have it done elsewhere."""
    await ctx.completion_key()
    return lash.ToolResult.pending()


def test_a_turn_that_waits_says_for_whom(cli: Cli, tmp_path: Path) -> None:
    where = _waiting(tmp_path)

    turn = json.loads(cli("turns", "explain", "chat", "t1", "--store", where, "--json").stdout)

    assert turn["next"] == ["pay, if it is approved", "the completion of order from outside"]
    assert sorted(effect["name"] for effect in turn["effects"]) == [
        "model call 1",
        "order",
        "prompt 1",
        "question about pay",
    ]


def test_an_approval_is_listed_and_answered_from_the_command_line(cli: Cli, tmp_path: Path) -> None:
    where = _waiting(tmp_path)

    shown = cli("approvals", "ls", "--store", where)
    [pending] = json.loads(cli("approvals", "ls", "--session", "chat", "--store", where, "--json").stdout)
    denied = cli("approvals", "deny", pending["id"][:12], "--reason", "too dear", "--store", where)
    again = cli("approvals", "approve", pending["id"], "--store", where)

    assert 'pay({"amount":7})' in shown.stdout
    assert (pending["tool"], pending["args"]) == ("pay", {"amount": 7})
    assert "key" not in pending
    assert denied.stdout == "pay in session chat is denied\n"
    assert again.exit_code == 1
    assert "nothing waits under" in again.stderr
    assert "nothing waits" in cli("approvals", "ls", "--store", where).stdout


def _waiting(folder: Path) -> str:
    """A store whose turn `t1` waits for a person and for somebody outside; nobody drives it."""
    where = str(folder / "agent.db")

    async def interrupt() -> None:
        model = ScriptedModel([[calls("pay", amount=7), calls("order")]])
        async with (
            lash.StandardCore(model=model, tools=[pay, order], store=where) as core,
            core.session("chat") as chat,
        ):
            running = asyncio.create_task(chat.run("go", turn_id="t1"))
            async with asyncio.timeout(20):
                while not (await core.approvals.pending() and await core.completions.pending()):  # noqa: ASYNC110
                    await asyncio.sleep(0)
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(interrupt())
    return where


def test_a_turn_in_flight_shows_what_would_run_next(cli: Cli, tmp_path: Path) -> None:
    where = _interrupted(tmp_path, [calls("quick", number=1), calls("endless")], until="call_0_0")

    turn = json.loads(cli("turns", "explain", "chat", "t1", "--store", where, "--json").stdout)

    assert turn["state"] == "in flight"
    assert [effect["name"] for effect in turn["effects"]] == ["prompt 1", "model call 1", "quick"]
    assert turn["next"] == ["endless"]
    assert cli("sessions", "ls", "--store", where).stdout.count("t1") == 1


def test_an_effect_in_doubt_is_named(cli: Cli, tmp_path: Path) -> None:
    where = _interrupted(tmp_path, [calls("launch")], until="call_0_0")

    turn = json.loads(cli("turns", "explain", "chat", "t1", "--store", where, "--json").stdout)
    shown = cli("turns", "explain", "chat", "t1", "--store", where)

    assert len(turn["in_doubt"]) == 1
    assert "core.settle" in turn["next"][0]
    assert "in doubt" in shown.stdout


def test_a_turn_that_nobody_knows_is_a_failure(cli: Cli, settled_store: str) -> None:
    result = cli("turns", "explain", "chat", "t9", "--store", settled_store)

    assert result.exit_code == 1
    assert "'t9'" in result.stderr


@pytest.mark.parametrize(
    ("key", "parsed"),
    [
        ("0:llm_call:2", EffectKey(0, "llm_call", 2)),
        ("0:tool_batch:3:child:0:c1:approval", EffectKey(0, "tool_batch", 3, 0, "c1", step="approval")),
        ("0:tool_batch:3:child:0:c1:approval:wait", EffectKey(0, "tool_batch", 3, 0, "c1", step="approval:wait")),
        ("0:tool_batch:3:child:0:c1:attempt:2:wait", EffectKey(0, "tool_batch", 3, 0, "c1", 2, step="wait")),
        ("0:tool_batch:3:child:0:c1:result", EffectKey(0, "tool_batch", 3, 0, "c1", step="result")),
        ("1:tool_batch:7:child:2:call_1_2:attempt:3", EffectKey(1, "tool_batch", 7, 2, "call_1_2", 3)),
        ("0:tool_batch:3:child:0:a:b:attempt:1", EffectKey(0, "tool_batch", 3, 0, "a:b", 1)),
        ("0:tool_batch:3:child:0:c1:look:attempt:1:sleep", EffectKey(0, "tool_batch", 3, 0, "c1", 1, step="pause")),
        ("something else", None),
    ],
)
def test_the_key_of_an_effect_says_where_it_stands(key: str, parsed: EffectKey | None) -> None:
    assert parse_key(key) == parsed


def test_a_short_key_has_lost_session_turn_and_index() -> None:
    assert short_key("chat:t1:4:0:llm_call:2", "chat", "t1") == "0:llm_call:2"


def _row(key: str, answer: LlmAnswered | None = None, body: JsonObject | None = None, status: str = "recorded") -> Row:
    fact = EffectFact(key, key, status, 1, 0, 0)  # type: ignore[arg-type]
    return Row(fact, parse_key(key), answer, body)


CALLS = LlmAnswered(2, response=LlmResponse([ToolCallPart("c0", "look", "{}"), ToolCallPart("c1", "send", "{}")]))
PROMPT_1, MODEL_1 = _row("0:sync_execution_environment:1"), _row("0:llm_call:2", CALLS)
LOOKED = _row("0:tool_batch:3:child:0:c0:attempt:1", body={"record": {}})
SENT = _row("0:tool_batch:3:child:1:c1:attempt:1", body={"record": {}})
NOT_SENT = _row("0:tool_batch:3:child:1:c1:attempt:1", body={"retry_in_ms": 20})
PAUSED = _row("0:tool_batch:3:child:1:c1:send:attempt:1:sleep")
PROMPT_2 = _row("1:sync_execution_environment:4")
SAID = _row("1:llm_call:5", LlmAnswered(5, response=LlmResponse([TextPart("done")])))
FAILED = _row("1:llm_call:5", LlmAnswered(5, error=LlmCallError("validation", "no")))


@pytest.mark.parametrize(
    ("rows", "steps"),
    [
        ([], ["prompt 1, then model call 1"]),
        ([PROMPT_1], ["model call 1"]),
        ([PROMPT_1, MODEL_1], ["look", "send"]),
        ([PROMPT_1, MODEL_1, SENT], ["look"]),
        ([PROMPT_1, MODEL_1, LOOKED, NOT_SENT], ["a pause, then send, attempt 2"]),
        ([PROMPT_1, MODEL_1, LOOKED, NOT_SENT, PAUSED], ["send, attempt 2"]),
        ([PROMPT_1, MODEL_1, LOOKED, SENT], ["prompt 2, then model call 2"]),
        ([PROMPT_1, MODEL_1, LOOKED, SENT, PROMPT_2], ["model call 2"]),
        ([PROMPT_1, MODEL_1, LOOKED, SENT, PROMPT_2, SAID], ["the commit"]),
        ([PROMPT_1, MODEL_1, LOOKED, SENT, PROMPT_2, FAILED], ["the commit: the model call failed for good"]),
    ],
)
def test_what_runs_next_follows_from_what_is_recorded(rows: list[Row], steps: list[str]) -> None:
    assert next_steps(rows) == steps


def _interrupted(tmp_path: Path, first_step: list[object], *, until: str) -> str:
    """A store in which turn `t1` was left as soon as the call `until` had a row."""
    where = str(tmp_path / "agent.db")

    async def leave() -> None:
        model = ScriptedModel([first_step, says("done")])  # type: ignore[list-item]
        core = lash.StandardCore(model=model, tools=[quick, endless, launch], store=where)
        async with core, core.session("chat") as chat:
            running = asyncio.create_task(chat.run("Go.", turn_id="t1"))
            async with asyncio.timeout(20):
                changes = core.store.changes
                generation = changes.generation()
                while not await _has_row(core.store, until):
                    generation = await changes.changed(generation)
            await core.close()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(leave())
    return where


async def _has_row(store: lash.Store, call_id: str) -> bool:
    rows = await store.journal.load(ExecutionScope.turn("chat", "t1"))
    return any(f":{call_id}:" in row.replay_key for row in rows)
