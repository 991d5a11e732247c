"""What may be changed while turns and processes run, line by line of docs/change-while-running.md.

Every test has two lives over one file: the first is killed in the middle, the second is a
program that was changed meanwhile and goes on with what is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Sequence
from typing import Any

import apsw
import pytest

import lash
from face.places import Gate, Place, recorded, until
from lash.base.canonical import canonical_json, sha256_hex
from lash.effects.errors import EffectInDoubt
from lash.effects.scope import ExecutionScope
from lash.machine.outcome import Stopped
from lash.runtime.process_handle import ProcessFailed
from lash.sessions.errors import UnsupportedSchemaVersion
from lash.testing import ScriptedModel, calls, cell, says
from lash.testing.script import Step
from lash.tools.decorator import Tool

AnyTool = Tool[..., Any]


class Look:
    """A tool in two versions: the old one stops at the gate when it is asked for `second`."""

    def __init__(self) -> None:
        self.gate = gate = Gate()

        @lash.tool(name="look")
        async def old(at: str) -> str:
            if at == "second":
                await gate.wait()
            return f"old {at}"

        @lash.tool(name="look")
        async def new(at: str) -> str:
            return f"new {at}"

        self.old: AnyTool = old
        self.new: AnyTool = new


async def killed(place: Place, core: lash.LashCore, until_then: Awaitable[object]) -> None:
    """Runs turn `t` of the first life until something holds, and kills its process."""
    session = await core.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await until_then
    await place.crash(core)  # type: ignore[arg-type]  # any core
    await asyncio.gather(lost, return_exceptions=True)


async def goes_on(core: lash.LashCore) -> lash.TurnResult:
    """The second life: the same turn, until it is settled."""
    async with core.session("s") as session:
        return await session.run("go", turn_id="t")


async def both(gate: Gate, core: lash.LashCore) -> None:
    """Somebody stands at the gate, and what a tool said before is recorded."""
    await gate.arrival()
    await recorded(core, "attempt:1")  # type: ignore[arg-type]  # any core


async def asked(core: lash.LashCore) -> None:
    async def holds() -> bool:
        return bool(await core.approvals.pending())

    await until(holds, "a pending approval")


def values(turn: lash.TurnResult) -> list[object]:
    return [call.output.value for call in turn.tool_calls]


# turns

TWICE: list[Step] = [calls("look", at="first"), calls("look", at="second"), says("done")]


async def test_what_a_tool_has_said_stands_and_the_rest_is_said_by_its_new_body(file: Place) -> None:
    look = Look()
    first = await file.core(ScriptedModel(TWICE), tools=[look.old])
    await killed(file, first, both(look.gate, first))

    turn = await goes_on(await file.core(ScriptedModel(TWICE), tools=[look.new]))

    assert values(turn) == ["old first", "new second"]


async def test_arguments_that_the_new_signature_refuses_are_an_answer_to_the_model(file: Place) -> None:
    look = Look()
    steps: list[Step] = [calls("look", at="second"), says("I see")]
    first = await file.core(ScriptedModel(steps), tools=[look.old])
    await killed(file, first, look.gate.arrival())

    @lash.tool(name="look")
    async def zooming(at: str, zoom: int) -> str:
        raise AssertionError("it was called without zoom")

    turn = await goes_on(await file.core(ScriptedModel(steps), tools=[zooming]))

    error = turn.tool_calls[0].output.error
    assert error is not None
    assert error.code == "invalid_tool_args"
    assert turn.text == "I see"


async def test_prompt_model_and_tools_are_the_new_ones_from_the_step_after_the_interrupted_one(file: Place) -> None:
    look, gate = Look(), Gate()

    @lash.tool
    async def measure(at: str) -> str:
        return f"{len(at)} long"

    steps = [calls("look", at="first"), gate.step(says("never"))]
    first = await file.core(ScriptedModel(steps), tools=[look.old], instructions="OLD RULE")
    await killed(file, first, both(gate, first))

    model = ScriptedModel([says("unused"), calls("look", at="third"), calls("measure", at="fig"), says("done")])
    second = await file.core(model, tools=[look.old, measure], instructions="NEW RULE")
    turn = await goes_on(second)

    assert values(turn) == ["old first", "old third", "3 long"]
    again, following, _ = model.requests  # the first answer is recorded, and the new model is not asked for it
    assert ("OLD RULE" in again.messages[0].text, [tool.name for tool in again.tools]) == (True, ["look"])
    assert "NEW RULE" in following.messages[0].text
    assert [tool.name for tool in following.tools] == ["look", "measure"]


async def test_a_limit_of_iterations_holds_at_once(file: Place) -> None:
    look, gate = Look(), Gate()
    steps = [calls("look", at="first"), gate.step(says("never"))]
    first = await file.core(ScriptedModel(steps), tools=[look.old])
    await killed(file, first, both(gate, first))

    model = ScriptedModel([calls("look", at="again")] * 9)
    turn = await goes_on(await file.core(model, tools=[look.old], max_turns=2))

    assert turn.outcome == Stopped("max_turns")
    assert len(model.requests) == 1


async def test_a_call_that_needs_approval_now_waits_for_it_before_it_runs_again(file: Place) -> None:
    look = Look()
    steps: list[Step] = [calls("look", at="second"), says("done")]
    first = await file.core(ScriptedModel(steps), tools=[look.old])
    await killed(file, first, look.gate.arrival())
    done: list[str] = []

    @lash.tool(name="look", approve=True)
    async def careful(at: str) -> str:
        done.append(at)
        return f"seen {at}"

    second = await file.core(ScriptedModel(steps), tools=[careful])
    running = asyncio.create_task(goes_on(second))
    await asked(second)
    assert done == []
    [approval] = await second.approvals.pending()
    await second.approvals.approve(approval)

    assert values(await running) == ["seen second"]


async def test_what_was_asked_for_is_approved_and_then_done_by_the_new_body(file: Place) -> None:
    @lash.tool(name="refund", approve=True)
    async def old(order: int) -> str:
        return f"old {order}"

    @lash.tool(name="refund", approve=True)
    async def new(order: int) -> str:
        return f"new {order}"

    steps: list[Step] = [calls("refund", order=7), says("done")]
    first = await file.core(ScriptedModel(steps), tools=[old])
    await killed(file, first, asked(first))

    second = await file.core(ScriptedModel(steps), tools=[new])
    [approval] = await second.approvals.pending()
    await second.approvals.approve(approval)

    assert values(await goes_on(second)) == ["new 7"]


async def test_a_doubt_stays_a_doubt_whatever_the_tool_says_of_itself_now(file: Place) -> None:
    gate = Gate()

    @lash.tool(name="pay", repeat="never")
    async def old(order: int) -> str:
        await gate.wait()
        return "never"

    @lash.tool(name="pay", repeat="idempotent")
    async def new(order: int) -> str:
        raise AssertionError("it ran again")

    steps: list[Step] = [calls("pay", order=7), says("done")]
    first = await file.core(ScriptedModel(steps), tools=[old])
    await killed(file, first, gate.arrival())

    second = await file.core(ScriptedModel(steps), tools=[new], recover=False)

    with pytest.raises(EffectInDoubt):
        await goes_on(second)


async def test_a_release_that_asks_in_another_form_fails_the_turn_and_not_the_session(file: Place) -> None:
    look = Look()
    first = await file.core(ScriptedModel(TWICE), tools=[look.old])
    await killed(file, first, both(look.gate, first))
    second = await file.core(ScriptedModel([says("fine")] * 2), tools=[look.new], recover=False)
    _ask_otherwise(file.stores[-1])

    turn = await goes_on(second)

    assert turn.outcome == Stopped("runtime_error")
    assert [issue.code for issue in turn.errors] == ["effect_replay_hash_conflict"]
    async with second.session("s") as session:
        assert (await session.run("and now?")).text == "fine"


def _ask_otherwise(store: lash.Store) -> None:
    """Makes the recorded model call of the turn one that another release would have asked for."""
    with contextlib.closing(apsw.Connection(store._backend.where)) as database:
        [(envelope,)] = database.execute(f"SELECT envelope_json {CALL}")
        other = json.loads(envelope)
        other["command"]["asked_in_another_form"] = True
        text = canonical_json(other)
        digest = sha256_hex(text.encode())
        database.execute(
            f"UPDATE lash_effect_journal SET envelope_json = ?, envelope_hash = ? WHERE seq = (SELECT seq {CALL})",
            (text, digest),
        )


CALL = "FROM lash_effect_journal WHERE effect_kind = 'llm_call' ORDER BY seq LIMIT 1"


async def test_a_database_of_an_older_release_is_refused_until_it_is_migrated_and_the_turn_goes_on(file: Place) -> None:
    look = Look()
    first = await file.core(ScriptedModel(TWICE), tools=[look.old])
    path = first.store._backend.where
    await killed(file, first, both(look.gate, first))
    with contextlib.closing(apsw.Connection(path)) as database:
        database.execute(UNDO_THE_NEWEST)
        database.execute("UPDATE lash_schema_versions SET version = version - 1")

    with pytest.raises(UnsupportedSchemaVersion):
        await file.open_store()
    await lash.Store.migrate(path)

    turn = await goes_on(await file.core(ScriptedModel(TWICE), tools=[look.new]))
    assert values(turn) == ["old first", "new second"]


# What the newest migration added goes again.
UNDO_THE_NEWEST = "ALTER TABLE lash_sessions DROP COLUMN path_revision"


# processes that are one tool call


async def test_a_release_that_runs_beside_the_old_one_takes_its_process_over(file: Place) -> None:
    look = Look()
    first = await file.core(ScriptedModel([]), tools=[look.old])
    await first.processes.start(look.old, args={"at": "second"}, id="p")
    await look.gate.arrival()
    second = await file.core(ScriptedModel([]), tools=[look.new])
    await file.crash(first)

    assert await (await second.processes.get("p")).result(timeout=20) == "new second"


async def test_a_process_whose_tool_is_gone_fails_and_says_so(file: Place) -> None:
    look = Look()
    first = await file.core(ScriptedModel([]), tools=[look.old])
    await first.processes.start(look.old, args={"at": "second"}, id="p")
    await look.gate.arrival()
    await file.crash(first)

    second = await file.core(ScriptedModel([]))

    with pytest.raises(ProcessFailed, match="there is no tool 'look'"):
        await (await second.processes.get("p")).result(timeout=20)


# processes that are programs

WATCH = """
process watch() {
  a = await tools.look({ at: "first" })?
  b = await tools.look({ at: "second" })?
  finish [a, b]
}
"""
WATCH_ANEW = """
process watch() {
  finish "another program"
}
"""


async def program_core(place: Place, source: str, tools: Sequence[AnyTool]) -> lash.RlmCore:
    """A core whose model writes one cell."""
    model = ScriptedModel([cell(source + "h = start watch()\nsubmit h")] * 2)
    core = lash.RlmCore(model=model, store=await place.open_store(), tools=tools)
    place.cores.append(core)  # type: ignore[arg-type]  # any core
    return await core.open()


async def watch_of(core: lash.LashCore) -> lash.ProcessHandle:
    [record] = await core.processes.list(status="any")
    return await core.processes.get(record.id)


async def first_watch(place: Place, look: Look) -> None:
    """The first life: `watch` has looked once and is killed while it looks again."""
    core = await program_core(place, WATCH, [look.old])
    async with core.session("s") as session:
        await session.run("go", turn_id="t")
    handle = await watch_of(core)
    await look.gate.arrival()

    async def holds() -> bool:
        rows = await core.store.journal.load(ExecutionScope.process(handle.id))
        return any(row.kind == "tool_call" and row.status == "completed" for row in rows)

    await until(holds, "a recorded look")
    await place.crash(core)  # type: ignore[arg-type]  # any core


async def test_a_program_in_flight_is_the_one_that_was_started_and_its_calls_have_the_new_bodies(file: Place) -> None:
    look = Look()
    await first_watch(file, look)

    second = await program_core(file, WATCH_ANEW, [look.new])
    running = await watch_of(second)
    assert await running.result(timeout=20) == ["old first", "new second"]
    async with second.session("s") as session:
        started = await session.run("again", turn_id="t2")
    assert isinstance(started.value, dict)
    other = await second.processes.get(str(started.value["id"]))

    assert await other.result(timeout=20) == "another program"


async def test_a_program_whose_tools_are_gone_fails_and_says_so(file: Place) -> None:
    look = Look()
    await first_watch(file, look)

    second = await program_core(file, WATCH_ANEW, [])

    with pytest.raises(ProcessFailed, match="module `tools` is not available"):
        await (await watch_of(second)).result(timeout=20)
