"""A core dies and another goes on: nothing is lost, nothing recorded runs again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lash
from face.places import Gate, Place, drained, eventually, recorded, settled, texts
from lash.base.codec import encode
from lash.base.errors import InvalidArgument
from lash.base.messages import unsettled_tool_calls
from lash.core import CoreClosed
from lash.machine.outcome import Stopped
from lash.runtime.engine import DoubtfulEffect, TurnRef
from lash.sessions.commit import RuntimeCommit
from lash.sessions.errors import StoredDataCorrupt, StoreError, StoreUnavailable, ValueTooLarge
from lash.testing import ScriptedModel, calls, says
from lash.tools import ToolResult


class Ledger:
    """What the tools of a test really did."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def note(self, what: str) -> str:
        self.done.append(what)
        return f"{what} done"


async def test_a_turn_goes_on_after_its_last_recorded_effect(durable: Place) -> None:
    ledger, gate = Ledger(), Gate()

    # Idempotent, not safe: what a safe tool did may still be on its way to the store.
    @lash.tool(repeat="idempotent")
    async def step(name: str) -> str:
        if name == "second" and not gate.visits:
            await gate.wait()
        return ledger.note(name)

    script = [calls("step", name="first"), calls("step", name="second"), says("both done")]
    before, after = ScriptedModel(script), ScriptedModel(script)
    dying = await durable.core(before, tools=[step])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await durable.core(after, tools=[step])
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")

        assert turn.text == "both done"
        assert ledger.done == ["first", "second"]
        assert len(before.requests) == 2
        assert len(after.requests) == 1
        assert [call.tool for call in turn.tool_calls] == ["step", "step"]
        assert unsettled_tool_calls(again.messages) == []
        assert len(await again.turns()) == 1


async def test_recovery_drives_open_turns_when_a_core_opens(durable: Place) -> None:
    gate = Gate()
    script = [gate.step(says("never")), says("unused")]
    dying = await durable.core(ScriptedModel(script))
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await durable.core(ScriptedModel([says("recovered")]))

    assert core.recovery.resumed == [TurnRef("s", "t")]
    async with core.session("s") as again:
        await settled(again, 1)

        assert texts(again.messages) == ["user: go", "assistant: recovered"]


async def test_recovery_may_be_left_out(durable: Place) -> None:
    gate = Gate()
    dying = await durable.core(ScriptedModel([gate.step(says("never"))]))
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)
    model = ScriptedModel([says("on demand")])

    core = await durable.core(model, recover=False)

    assert core.recovery.resumed == []
    assert model.requests == []
    async with core.session("s") as again:
        assert (await again.run("go", turn_id="t")).text == "on demand"


async def test_a_living_owner_is_left_alone(durable: Place) -> None:
    gate = Gate()
    first = await durable.core(ScriptedModel([gate.step(says("mine"))]))
    async with first.session("s") as session:
        running = asyncio.create_task(session.run("go", turn_id="t"))
        await gate.arrival()

        second = await durable.core(ScriptedModel([]))
        gate.open()

        assert second.recovery.resumed == []
        assert (await running).text == "mine"


async def test_queued_input_survives_and_runs(durable: Place) -> None:
    gate = Gate()
    dying = await durable.core(ScriptedModel([gate.step(says("never"))]))
    session = await dying.session("s").open()
    await session.enqueue("one")
    await gate.arrival()
    await session.enqueue("two")
    await durable.crash(dying)

    core = await durable.core(ScriptedModel([says("a"), says("b")]))
    async with core.session("s") as again:
        await settled(again, 2)

        assert texts(again.messages) == ["user: one", "assistant: a", "user: two", "assistant: b"]


async def test_a_session_is_reopened_as_it_was(durable: Place) -> None:
    usage = lash.TokenUsage(10, 1)
    first = await durable.core(ScriptedModel([says("one")], usage=usage))
    async with first.session("s") as session:
        await session.run("x")
        seen = (texts(session.messages), session.usage, session.view.revision)
    await first.close()

    second = await durable.core(ScriptedModel([says("unused"), says("two")], usage=usage))
    async with second.session("s") as session:
        assert (texts(session.messages), session.usage, session.view.revision) == seen
        turn = await session.run("y")

        assert (turn.text, turn.revision) == ("two", 2)
        assert session.usage.usage == lash.TokenUsage(20, 2)
    assert [listing.session_id for listing in await second.sessions()] == ["s"]


async def test_a_graceful_close_hands_the_turn_over(durable: Place) -> None:
    gate = Gate()
    first = await durable.core(ScriptedModel([gate.step(says("never"))]))
    session = await first.session("s").open()
    running = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()

    await first.close()
    with pytest.raises(CoreClosed, match="goes on at the next open"):
        await running
    second = await durable.core(ScriptedModel([says("taken over")]))

    async with second.session("s") as again:
        turn = await again.run("go", turn_id="t")
    assert turn.text == "taken over"


async def test_input_taken_in_at_a_checkpoint_is_taken_in_again_after_a_crash(durable: Place) -> None:
    gate, hold = Gate(), Gate()

    @lash.tool
    async def work() -> str:
        await gate.wait()
        return "worked"

    script = [calls("work"), hold.step(says("never"))]
    dying = await durable.core(ScriptedModel(script), tools=[work])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await session.enqueue("hurry", delivery_policy="earliest_safe_boundary")
    gate.open()
    await hold.arrival()
    await recorded(dying, "checkpoint")
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await durable.core(ScriptedModel([calls("work"), says("done")]), tools=[work])
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")
        await drained(again)

        said = texts(again.messages)
        assert turn.ok
        assert said.count("user: hurry") == 1
        assert len(await again.turns()) in (1, 2)


# changing the application (decisions 3)


async def crashed_after_first_tool(durable: Place, ledger: Ledger, prompt: str = "OLD RULE") -> None:
    """A turn whose first tool is recorded and whose second model call never came back."""
    gate = Gate()

    @lash.tool(repeat="idempotent")
    async def record(what: str) -> str:
        return ledger.note(what)

    dying = await durable.core(
        ScriptedModel([calls("record", what="first"), gate.step(says("never"))]), tools=[record], instructions=prompt
    )
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await recorded(dying, "attempt:1")
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)


async def test_recorded_effects_stand_and_new_ones_use_the_new_prompt(durable: Place) -> None:
    ledger = Ledger()
    await crashed_after_first_tool(durable, ledger)

    @lash.tool(repeat="idempotent")
    async def record(what: str, loudly: bool = False) -> str:
        return ledger.note(f"new {what}")

    model = ScriptedModel([says("unused"), calls("record", what="second"), says("done")])
    core = await durable.core(model, tools=[record], instructions="NEW RULE")
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")

    assert turn.text == "done"
    assert ledger.done == ["first", "new second"]
    assert "NEW RULE" in model.requests[-1].messages[0].text
    assert "OLD RULE" not in model.requests[-1].messages[0].text


async def test_a_tool_that_is_gone_is_an_answer_to_the_model(durable: Place) -> None:
    ledger = Ledger()
    await crashed_after_first_tool(durable, ledger)

    model = ScriptedModel([says("unused"), calls("record", what="second"), says("I cannot any more")])
    core = await durable.core(model)
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")

    assert turn.text == "I cannot any more"
    assert ledger.done == ["first"]
    failure = turn.tool_calls[-1].output.error
    assert failure is not None
    assert (failure.kind, failure.code) == ("unavailable", "tool_unavailable")


async def test_a_call_whose_tool_vanished_while_it_ran_is_an_answer_too(durable: Place) -> None:
    gate = Gate()

    @lash.tool(repeat="idempotent")
    async def hang() -> str:
        await gate.wait()
        return "never"

    dying = await durable.core(ScriptedModel([calls("hang")]), tools=[hang])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await durable.core(ScriptedModel([says("unused"), says("it is gone")]))
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")

    assert turn.text == "it is gone"
    assert turn.tool_calls[0].output.error is not None


# effects in doubt (decisions 12)


async def doubtful(durable: Place, ledger: Ledger) -> lash.StandardCore:
    """A core in which a payment may or may not have been made."""
    gate = Gate()

    @lash.tool(repeat="never")
    async def pay(amount: int) -> str:
        if not gate.visits:
            ledger.note(f"paid {amount}")
            await gate.wait()
        return ledger.note(f"paid {amount} again")

    script = [calls("pay", amount=5), says("paid"), says("next")]
    dying = await durable.core(ScriptedModel(script), tools=[pay])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)
    return await durable.core(ScriptedModel(script), tools=[pay], recover=False)


async def in_doubt(core: lash.StandardCore, session: lash.Session) -> DoubtfulEffect:
    with pytest.raises(lash.EffectInDoubt):
        await session.run("go", turn_id="t")
    [effect] = core.recovery.in_doubt
    return effect


async def test_a_payment_in_doubt_is_never_made_twice(durable: Place) -> None:
    ledger = Ledger()
    core = await doubtful(durable, ledger)
    async with core.session("s") as session:
        effect = await in_doubt(core, session)
        with pytest.raises(lash.EffectInDoubt):
            await session.run("go", turn_id="t")

        assert (effect.session_id, effect.turn_id) == ("s", "t")
        assert core.recovery.in_doubt == [effect]
        assert ledger.done == ["paid 5"]


async def test_the_host_settles_a_doubt_with_what_happened(durable: Place) -> None:
    ledger = Ledger()
    core = await doubtful(durable, ledger)
    async with core.session("s") as session:
        effect = await in_doubt(core, session)

        await core.settle(effect, ToolResult.ok("the bank says it was paid"))
        turn = await session.run("go", turn_id="t")

        assert turn.text == "paid"
        assert [part.content for part in session.messages[2].parts] == ["the bank says it was paid"]
        assert ledger.done == ["paid 5"]
        assert core.recovery.in_doubt == []


async def test_the_host_may_let_a_doubtful_effect_run_again(durable: Place) -> None:
    ledger = Ledger()
    core = await doubtful(durable, ledger)
    async with core.session("s") as session:
        effect = await in_doubt(core, session)

        await core.settle(effect, lash.RUN_AGAIN)
        turn = await session.run("go", turn_id="t")

        assert turn.text == "paid"
        assert ledger.done == ["paid 5", "paid 5 again"]
        with pytest.raises(InvalidArgument, match="not in doubt"):
            await core.settle(effect, lash.RUN_AGAIN)


@pytest.mark.parametrize("decision", ["the bank says it was paid", True, None, lash.ToolRetry("look again")])
async def test_what_is_no_decision_makes_no_payment_again(file: Place, decision: object) -> None:
    ledger = Ledger()
    core = await doubtful(file, ledger)
    async with core.session("s") as session:
        effect = await in_doubt(core, session)

        with pytest.raises(InvalidArgument, match=r"lash\.RUN_AGAIN"):
            await core.settle(effect, decision)  # type: ignore[arg-type]

        assert core.recovery.in_doubt == [effect]
        await core.settle(effect, ToolResult.ok("it was paid"))
        assert (await session.run("go", turn_id="t")).text == "paid"
        assert ledger.done == ["paid 5"]


async def test_recovery_reports_a_doubt_it_meets(durable: Place) -> None:
    ledger = Ledger()
    await (await doubtful(durable, ledger)).close()

    @lash.tool(repeat="never")
    async def pay(amount: int) -> str:
        return ledger.note("again!")

    core = await durable.core(ScriptedModel([calls("pay", amount=5), says("paid")]), tools=[pay])
    await eventually(lambda: bool(core.recovery.in_doubt), "a doubt")

    assert core.recovery.in_doubt[0].turn_id == "t"
    assert ledger.done == ["paid 5"]


async def test_settling_what_is_not_in_doubt_is_refused(durable: Place) -> None:
    core = await durable.core(ScriptedModel([]))

    with pytest.raises(InvalidArgument, match="in_doubt lists"):
        await core.settle(DoubtfulEffect("s", "t", "no-such-key"), lash.RUN_AGAIN)


# trouble of the store


async def test_a_commit_that_fails_once_is_tried_again_without_repeating_effects(durable: Place) -> None:
    ledger = Ledger()

    @lash.tool
    async def step() -> str:
        return ledger.note("step")

    model = ScriptedModel([calls("step"), says("done")])
    core = await durable.core(model, tools=[step])
    async with core.session("s") as session:
        store = session._actor.store
        commit, failures = store.commit, [StoreUnavailable("the disk blinked")]

        async def flaky(plan: object) -> object:
            if failures:
                raise failures.pop()
            return await commit(plan)  # type: ignore[arg-type]

        store.commit = flaky  # type: ignore[method-assign, assignment]
        turn = await session.run("go", turn_id="t")

        assert turn.text == "done"
        assert ledger.done == ["step"]
        assert session.usage.usage == turn.usage
        assert len(session.messages) == 4


async def test_input_that_arrives_between_two_drives_does_not_change_what_is_recorded(durable: Place) -> None:
    @lash.tool
    async def step() -> str:
        return "step done"

    model = ScriptedModel([calls("step"), says("done"), says("and that too")])
    core = await durable.core(model, tools=[step])
    async with core.session("s") as session:
        store = session._actor.store
        commit, failures = store.commit, [StoreUnavailable("the disk blinked")]

        async def flaky(plan: object) -> object:
            if failures:
                await session.enqueue("by the way", delivery_policy="earliest_safe_boundary")
                raise failures.pop()
            return await commit(plan)  # type: ignore[arg-type]

        store.commit = flaky  # type: ignore[method-assign, assignment]
        turn = await session.run("go", turn_id="t")
        await drained(session)

        assert turn.ok, turn.errors
        assert texts(session.messages)[-2:] == ["user: by the way", "assistant: and that too"]
    assert len(model.requests) == 3


async def test_a_turn_that_cannot_be_committed_is_settled_as_failed(durable: Place) -> None:
    usage = lash.TokenUsage(10, 1)
    core = await durable.core(ScriptedModel([says("one"), says("two")], usage=usage))
    async with core.session("s") as session:
        store = session._actor.store
        commit, attempts = store.commit, 0

        async def broken(plan: object) -> object:
            nonlocal attempts
            attempts += 1
            if attempts <= 5:
                raise StoreError("the database speaks in tongues")
            return await commit(plan)  # type: ignore[arg-type]

        store.commit = broken  # type: ignore[method-assign, assignment]
        turn = await session.run("go", turn_id="t")
        next_turn = await session.run("again")

        assert turn.outcome == Stopped("runtime_error")
        assert (turn.errors[0].kind, turn.errors[0].code) == ("runtime_effect_controller", "store_error")
        # What the model said is kept and paid for once.
        assert turn.usage == usage
        assert texts(session.messages)[:2] == ["user: go", "assistant: one"]
        assert next_turn.text == "two"
        assert unsettled_tool_calls(session.messages) == []


async def test_a_turn_that_is_given_up_keeps_the_calls_it_made(durable: Place) -> None:
    ledger = Ledger()

    @lash.tool(repeat="idempotent")
    async def step(name: str) -> str:
        return ledger.note(name)

    core = await durable.core(
        ScriptedModel([calls("step", name="first"), says("never kept"), says("fine")]), tools=[step]
    )
    async with core.session("s") as session:
        store = session._actor.store
        commit, refused = store.commit, 0

        async def too_large(plan: RuntimeCommit) -> object:
            nonlocal refused
            if refused < 5:
                refused += 1
                raise StoreError("no")
            return await commit(plan)

        store.commit = too_large  # type: ignore[method-assign, assignment]
        turn = await session.run("go", turn_id="t")

        assert turn.outcome == Stopped("runtime_error")
        assert [call.tool for call in turn.tool_calls] == ["step"]
        assert ledger.done == ["first"]
        assert session.messages[1].parts[0].kind == "tool_call"
        assert (await session.run("next")).text == "fine"


async def test_a_turn_whose_work_cannot_be_stored_keeps_its_input(durable: Place) -> None:
    core = await durable.core(ScriptedModel([says("too much"), says("fine")]))
    async with core.session("s") as session:
        store = session._actor.store
        commit = store.commit

        async def picky(plan: RuntimeCommit) -> object:
            if b"too much" in encode(plan).encode():
                raise StoreError("no")
            return await commit(plan)

        store.commit = picky  # type: ignore[method-assign, assignment]
        turn = await session.run("go", turn_id="t")

        assert turn.outcome == Stopped("runtime_error")
        assert texts(session.messages) == ["user: go"]


async def test_a_store_that_is_away_fails_no_turn(durable: Place) -> None:
    model = ScriptedModel([says("one"), says("two")])
    core = await durable.core(model)
    async with core.session("s") as session:
        store = session._actor.store
        commit, is_away = store.commit, True

        async def away(plan: RuntimeCommit) -> object:
            if is_away:
                raise StoreUnavailable("the disk is away")
            return await commit(plan)

        store.commit = away  # type: ignore[method-assign, assignment]
        with pytest.raises(StoreUnavailable):
            await session.run("go", turn_id="t")
        is_away = False

        # Nobody has to ask: the queue tries again by itself.
        await settled(session, 1)
        assert texts(session.messages) == ["user: go", "assistant: one"]
        assert len(model.requests) == 1
        assert (await session.run("go", turn_id="t")).replayed


@pytest.mark.parametrize("wrong", [StoredDataCorrupt("a row is damaged"), ValueTooLarge("a.db", 2, 1)])
async def test_what_stays_wrong_is_not_tried_again(durable: Place, wrong: StoreError) -> None:
    core = await durable.core(ScriptedModel([says("one"), says("two")]))
    async with core.session("s") as session:
        store = session._actor.store
        commit, attempts = store.commit, 0

        async def corrupt(plan: RuntimeCommit) -> object:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                raise wrong
            return await commit(plan)

        store.commit = corrupt  # type: ignore[method-assign, assignment]
        turn = await session.run("go", turn_id="t")

        assert turn.outcome == Stopped("runtime_error")
        assert attempts == 2


async def test_a_journal_write_that_fails_once_costs_one_drive_and_no_turn(durable: Place) -> None:
    @lash.tool(repeat="idempotent")
    async def step() -> str:
        return "step done"

    core = await durable.core(ScriptedModel([calls("step"), calls("step"), says("done")]), tools=[step])
    journal = core.store.journal
    append, failures = journal.append, [StoreUnavailable("the disk blinked")]

    async def flaky(*args: object) -> None:
        if failures:
            raise failures.pop()
        await append(*args)  # type: ignore[arg-type]

    journal.append = flaky  # type: ignore[method-assign, assignment]
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")

        assert turn.text == "done"
        assert len(turn.tool_calls) == 2


# real processes

VICTIM = """
import asyncio, os, signal, sys
import lash
from lash.testing import ScriptedModel, calls, says

path, log, boom = sys.argv[1:4]

def note(what):
    with open(log, "a") as file:
        file.write(what + "\\n")

def killed_at(place):
    if boom == place:
        os.kill(os.getpid(), signal.SIGKILL)

@lash.tool(repeat="idempotent")
async def step(name: str) -> str:
    killed_at(f"before {name}")
    note(name)
    killed_at(f"after {name}")
    return name

def model():
    def at(place, answer):
        def play(request):
            killed_at(place)
            note(place)
            return answer
        return play
    return ScriptedModel([
        at("model 0", [calls("step", name="a"), calls("step", name="b")]),
        at("model 1", calls("step", name="c")),
        at("model 2", says("done")),
    ])

async def main():
    async with lash.StandardCore(model=model(), tools=[step], store=path) as core:
        async with core.session("s") as session:
            turn = await session.run("go", turn_id="t")
            print(turn.text, len(session.messages), turn.revision)

asyncio.run(main())
"""


@pytest.mark.parametrize("boom", ["before a", "after b", "model 2"])
def test_a_process_killed_anywhere_is_continued_by_the_next(tmp_path: Path, boom: str) -> None:
    script, log = tmp_path / "victim.py", tmp_path / "log"
    script.write_text(VICTIM)

    def live(at: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), str(tmp_path / "agent.db"), str(log), at]
        return subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=60, check=False)

    killed = live(boom)
    survived = live("nowhere")

    noted = log.read_text().splitlines()
    assert killed.returncode == -signal.SIGKILL
    assert survived.stdout == "done 6 1\n", survived.stderr
    # What is recorded before a tool starts ran once; what the kill cut off, or was on its way, may run twice.
    assert [noted.count(f"model {number}") for number in range(3)] == [1, 1, 1]
    assert noted.count("c") <= (2 if boom in ("after c", "model 2") else 1)
    assert max(noted.count("a"), noted.count("b")) <= (2 if boom in ("after b", "model 1") else 1)


def test_two_processes_race_for_one_turn_and_one_runs_it(tmp_path: Path) -> None:
    script, log = tmp_path / "victim.py", tmp_path / "log"
    script.write_text(VICTIM)
    command = [sys.executable, str(script), str(tmp_path / "agent.db"), str(log), "nowhere"]

    racers = [
        subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [racer.communicate(timeout=60) for racer in racers]

    assert [out for out, _ in outputs] == ["done 6 1\n"] * 2, outputs
    assert sorted(log.read_text().splitlines()) == ["a", "b", "c", "model 0", "model 1", "model 2"]


HANGING = """
import asyncio, sys
import lash
from lash.testing import ScriptedModel, calls, says

@lash.tool
async def hang() -> str:
    print("hanging", flush=True)
    await asyncio.Event().wait()
    return "never"

async def main():
    model = ScriptedModel([calls("hang"), says("never")])
    async with lash.StandardCore(model=model, tools=[hang], store=sys.argv[1]) as core:
        async with core.session("s") as session:
            turn = await session.run("go", turn_id="t")
            print(turn.outcome.reason, len(session.messages), flush=True)

asyncio.run(main())
"""


async def test_a_turn_in_another_process_can_be_cancelled(file: Place, tmp_path: Path) -> None:
    script = tmp_path / "hanging.py"
    script.write_text(HANGING)
    core = await file.core(ScriptedModel([]), recover=False)
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(tmp_path / "agent.db"), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    async with asyncio.timeout(60):
        assert await child.stdout.readline() == b"hanging\n"

    async with core.session("s") as session:
        is_cancelled = await session.cancel()
        async with asyncio.timeout(60):
            said = await child.stdout.readline()
            await child.wait()
        await session.refresh()

        assert is_cancelled
        assert said == b"cancelled 3\n"
        assert unsettled_tool_calls(session.messages) == []
