"""Turns in RLM mode, as a host and as the model see them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

import lash
from lash.attachments.store import AttachmentMeta
from lash.base.errors import InvalidArgument
from lash.base.json import Json
from lash.lashlang.execution.budgets import Budgets
from lash.machine.llm import ImageBlock
from lash.machine.outcome import AssistantMessage, Stopped, SubmittedValue, ToolValue
from lash.plugins.directives import CustomEvent
from lash.protocols.rlm.options import Ending, ObserveLimits, ProseOrSubmit, RlmConfig
from lash.protocols.rlm.submitting import SubmittedValueMismatch
from lash.runtime import activity
from lash.sessions.commit import CommitResult, RuntimeCommit
from lash.sessions.errors import ValueTooLarge
from lash.testing import ScriptedModel, cell, fails, says, thinks
from lash.testing.script import Step
from lash.tools import ToolResult
from lash.tools.result import FinishTurn


@lash.tool(module="shop")
async def price(name: str) -> dict[str, int]:
    """What something costs."""
    if name == "none":
        raise ValueError("not sold here")
    return {"cents": len(name) * 100}


@lash.tool
async def stop_here(answer: str) -> ToolResult:
    """Ends the turn."""
    return ToolResult.ok(None).with_control(FinishTurn(answer))


PROSE = RlmConfig(ending=Ending(ProseOrSubmit()))


def core_of(*steps: Step, rlm: RlmConfig | None = None, projected: dict[str, Json] | None = None) -> lash.RlmCore:
    return lash.RlmCore(model=ScriptedModel(list(steps)), tools=[price, stop_here], rlm=rlm, projected=projected)


def model_of(core: lash.RlmCore) -> ScriptedModel:
    model = core._plan.models.default.provider
    assert isinstance(model, ScriptedModel)
    return model


async def run(core: lash.RlmCore, text: str = "go", **options: object) -> lash.TurnResult:
    async with core, core.session("s") as session:
        return await session.run(text, **options)  # type: ignore[arg-type]


def said(core: lash.RlmCore, number: int) -> str:
    """What a request told the model last, without the system prompt."""
    return "\n\n".join(message.text for message in model_of(core).requests[number].messages[1:])


# what ends a turn


async def test_a_submitted_value_ends_the_turn() -> None:
    turn = await run(core_of(cell("submit { a: [1, 2.5, null] }")))

    assert turn.outcome == SubmittedValue({"a": [1, 2.5, None]})
    assert turn.value == {"a": [1, 2.5, None]}
    assert turn.execution.had_code_execution


async def test_a_call_that_ends_the_turn_ends_the_cell_too() -> None:
    core = core_of(cell('await tools.stop_here({ answer: "enough" })\nprint "never"\nsubmit 1'))

    turn = await run(core)

    assert turn.outcome == ToolValue("stop_here", "enough")


async def test_prose_is_answered_with_a_reminder_where_only_submit_ends_the_turn() -> None:
    core = core_of(says("It is done."), cell("submit 1"))

    turn = await run(core)

    assert turn.value == 1
    assert "That was prose, and it does not end the turn." in said(core, 1)
    assert "It is done." in said(core, 1)


async def test_prose_ends_the_turn_where_it_may() -> None:
    turn = await run(core_of([thinks("hm"), says("It is done.")], rlm=PROSE))

    assert turn.outcome == AssistantMessage("It is done.")


async def test_prose_may_end_one_turn_alone() -> None:
    turn = await run(core_of(says("It is done.")), submit=ProseOrSubmit())

    assert turn.outcome == AssistantMessage("It is done.")
    assert turn.text == "It is done."


async def test_a_model_that_says_nothing_is_an_error() -> None:
    turn = await run(core_of(says("  ")))

    assert turn.outcome == Stopped("provider_error")
    assert [issue.code for issue in turn.errors] == ["empty_response"]


async def test_the_limit_of_iterations_stops_a_turn_that_must_submit() -> None:
    turn = await run(core_of(cell("print 1"), cell("print 2")), max_turns=2)

    assert turn.outcome == Stopped("max_turns")


async def test_a_turn_that_may_end_in_prose_gets_one_last_word() -> None:
    core = core_of(cell("print 1"), says("Half done."), rlm=PROSE)

    turn = await run(core, max_turns=1)

    assert turn.outcome == AssistantMessage("Half done.")
    assert "This is the last step of this turn." in said(core, 1)


# repair


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = = 1", "line 1, column 5"),
        ("x = 1\ny = shop.buy()", "line 2"),
        ("x = 1\nprint x + missing", "unknown name `missing`"),
        ('await shop.price({ name: "none" })?', "ValueError: not sold here"),
        ("x = return", "hint: end a cell with `submit value`"),
        ("fail 3", "fail"),
    ],
)
async def test_what_is_wrong_with_a_program_is_told_and_can_be_mended(source: str, problem: str) -> None:
    core = core_of(cell(source), cell("submit 1"))

    turn = await run(core)

    assert turn.value == 1
    assert "Error:\n" in said(core, 1)
    assert problem in said(core, 1)


async def test_a_failed_cell_keeps_what_it_assigned() -> None:
    turn = await run(core_of(cell("x = 1\ny = x + missing"), cell("submit x")))

    assert turn.value == 1


async def test_a_failed_call_is_a_value() -> None:
    source = 'r = await { good: shop.price({ name: "fig" }), bad: shop.price({ name: "none" }) }\nsubmit r'

    turn = await run(core_of(cell(source)))

    assert turn.value["good"] == {"ok": True, "value": {"cents": 300}}
    assert turn.value["bad"]["ok"] is False
    assert [call.tool for call in turn.tool_calls] == ["price", "price"]
    assert len({call.call_id for call in turn.tool_calls}) == 2


# what is submitted


@dataclass
class Answer:
    status: str
    count: int = 0


async def test_a_value_must_match_the_type_and_is_decoded_into_it() -> None:
    core = core_of(cell("submit { status: 1 }"), cell('submit { status: "ok", count: 2 }'))

    turn = await run(core, submit=Answer)

    assert turn.value == Answer("ok", 2)
    assert "the submitted value does not match the required schema" in said(core, 1)
    assert "$.status" in said(core, 1)
    assert "status: str" in said(core, 0)


async def test_a_schema_is_as_good_as_a_type() -> None:
    turn = await run(core_of(cell('submit "a"'), cell("submit 3")), submit={"type": "integer"})

    assert turn.value == 3


async def test_what_a_type_refuses_though_its_schema_does_not_is_raised() -> None:
    import datetime

    with pytest.raises(SubmittedValueMismatch, match="not a date"):
        await run(core_of(cell('submit "not a date"')), submit=datetime.date)


async def test_a_schema_that_does_not_compile_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgument, match="submit="):
        await run(core_of(), submit={"type": 7})


async def test_standard_mode_has_nothing_to_submit() -> None:
    core = lash.StandardCore(model=ScriptedModel([]))
    async with core, core.session("s") as session:
        with pytest.raises(InvalidArgument, match="RlmCore"):
            await session.run("go", submit=int)


async def test_options_that_cannot_be_read_end_the_turn() -> None:
    core = core_of(cell("submit 1"))
    with pytest.raises(lash.LashError, match="kind"):
        async with core, core.session("s", plugin_options={"rlm_protocol": {"termination": {"kind": "never"}}}):
            pass


async def test_a_session_says_how_its_turns_end() -> None:
    core = core_of(says("fine"))
    options: dict[str, Json] = {"rlm_protocol": {"termination": {"kind": "prose_or_submit"}}}
    async with core, core.session("s", plugin_options=options) as session:
        assert (await session.run("go")).text == "fine"


@pytest.mark.parametrize(
    ("form", "told", "untold"),
    [
        ("markdown", "Markdown", "Form of"),
        ("raw_submit_value", "The turn ends only", "Markdown"),
        ({"kind": "custom", "guidance": "a haiku"}, "Form of the final answer: a haiku", "Markdown"),
    ],
)
async def test_the_form_of_the_answer_is_told(form: Json, told: str, untold: str) -> None:
    core = core_of(cell("submit 1"))
    async with core, core.session("s", plugin_options={"rlm_protocol": {"final_answer_format": form}}) as session:
        await session.run("go")

    assert told in said(core, 0)
    assert untold not in said(core, 0)


# what the model is shown


async def test_a_step_is_shown_as_the_model_wrote_it_and_what_came_of_it() -> None:
    core = core_of(cell('x = shop.price({ name: "fig" })?\nprint x', prose="Let me look."), cell("submit x.cents"))

    await run(core)

    shown = [(message.role, message.text) for message in model_of(core).requests[1].messages[1:]]
    assert shown[:3] == [
        ("user", "go"),
        ("assistant", 'Let me look.\n\n```lashlang\nx = shop.price({ name: "fig" })?\nprint x\n```'),
        ("user", 'Output 1:\n{"cents":300}'),
    ]
    assert "Iteration 2." in shown[3][1]
    assert '- `x` (record): {"cents": 300}' in shown[3][1]
    assert len(shown) == 4


async def test_what_comes_before_the_end_of_a_request_is_the_same_in_the_next() -> None:
    core = core_of(cell("print 1"), cell("print 2"), cell("submit 3"))

    await run(core)

    first, second, third = (request.messages for request in model_of(core).requests)
    assert [m.text for m in second[: len(first) - 1]] == [m.text for m in first[:-1]]
    assert [m.text for m in third[: len(second) - 1]] == [m.text for m in second[:-1]]
    assert [b.cache_breakpoint for b in third[-2].blocks] == [True]  # type: ignore[union-attr]


async def test_a_long_output_is_cut_and_found_in_history() -> None:
    config = RlmConfig(max_output_chars=90)
    core = core_of(
        cell('print join(range(200), " ")'), cell('submit find(history[1].output[0], "199") > 0'), rlm=config
    )

    turn = await run(core)

    assert turn.value is True
    assert "characters left out, all of it is `history[1].output[0]`" in said(core, 1)


async def test_a_printed_value_beyond_the_limits_is_cut_and_says_so() -> None:
    config = RlmConfig(observe=ObserveLimits(max_bytes=40, max_lines=3))
    core = core_of(cell('print join(range(5), "\\n")\nprint join(range(90), ",")'), cell("submit 1"), rlm=config)

    await run(core)

    assert "0\n1\n2\n… 4 of 9 characters left out; print a smaller part" in said(core, 1)


async def test_a_cell_that_prints_nothing_says_so() -> None:
    core = core_of(cell("x = 1"), cell("submit x"))

    await run(core)

    assert "The cell ran and printed nothing." in said(core, 1)


async def test_large_variables_are_told_by_their_beginning() -> None:
    core = core_of(cell('big = range(10000)\ntext = join(big, "-")'), cell("submit 1"))

    await run(core)

    assert "- `big` (list, 10000 items): [0, 1, 2, " in said(core, 1)
    assert '- `text` (string, 48889 characters): "0-1-2-' in said(core, 1)
    assert len(said(core, 1)) < 3_000


async def test_the_context_budget_is_told_with_advice() -> None:
    model = ScriptedModel([cell("print 1"), cell("submit 1")], usage=lash.TokenUsage(95, 1))
    core = lash.RlmCore(model=model, rlm=RlmConfig(continue_as_soft_warn_tokens=100))

    await run(core)

    assert "Context: 95 of 100 tokens (95 %). Finish this step, then switch" in said(core, 1)
    assert "Context" not in said(core, 0).replace("continue_as", "")


async def test_a_printed_image_is_shown_to_the_model_once(tmp_path: Path) -> None:
    held: list[lash.RlmCore] = []

    @lash.tool
    async def draw() -> object:
        """Draws."""
        png = b"\x89PNG\r\n\x1a\nxx"
        ref = await held[0].store.attachments.put(png, AttachmentMeta("image/png", label="chart.png"))
        return {"chart": ref, "title": "sales"}

    steps = [cell("x = tools.draw()?"), cell("print [x.chart, x.chart]"), cell("submit x.chart.label")]
    where = str(tmp_path / "agent.db")
    for life in range(2):  # what it knows of the image outlives the process
        model = ScriptedModel(steps if life == 0 else [*steps, cell("print x.chart"), cell("submit 1")])
        core = lash.RlmCore(model=model, tools=[draw], store=where)
        held[:] = [core]
        async with core, core.session("s") as session:
            turn = await session.run("go")
        images = [b for b in model.requests[-1].messages[-2].blocks if isinstance(b, ImageBlock)]

        assert turn.value == ("chart.png" if life == 0 else 1)
        assert len(images) == 1
        assert (images[0].attachment.media_type, images[0].attachment.label) == ("image/png", "chart.png")


# streams


async def test_a_program_is_held_back_while_it_streams() -> None:
    core = core_of(cell("submit 1", prose="I think."), rlm=None)
    async with core, core.session("s") as session:
        output = await session.turn("go").collect()

    events = [item.event for item in output.activities]
    reasoning = "".join(event.text for event in events if isinstance(event, activity.ReasoningDelta))
    assert reasoning == "I think.\n"
    assert not any(isinstance(event, activity.AssistantProseDelta) for event in events)
    assert activity.PluginRuntime("rlm_protocol", CustomEvent("rlm_fence_start")) in events
    started = next(event for event in events if isinstance(event, activity.CodeBlockStarted))
    completed = next(event for event in events if isinstance(event, activity.CodeBlockCompleted))
    assert started.code == "submit 1\n"
    assert (completed.success, completed.graph_key) == (True, started.graph_key)


async def test_what_follows_the_cell_ends_the_call_and_is_not_kept() -> None:
    model = ScriptedModel([cell("print 1", extra="\nOutput: 1\n" * 50), cell("submit 1")], chunk_chars=8)
    core = lash.RlmCore(model=model)

    await run(core)

    assert "Output: 1" not in said(core, 1).replace("Output 1", "")
    assert said(core, 1).count("```lashlang") == 1


async def test_a_stream_that_breaks_off_in_a_cell_is_asked_again() -> None:
    turn = await run(core_of(fails("stream", after_text="```lashlang\nsubmit "), cell("submit 2")))

    assert turn.value == 2


async def test_prose_that_answers_is_told_as_prose() -> None:
    core = core_of(says("It is done."), rlm=PROSE)
    async with core, core.session("s") as session:
        output = await session.turn("go").collect()

    told = [item.event.text for item in output.activities if isinstance(item.event, activity.AssistantProseDelta)]
    assert told == ["It is done."]


# variables


async def test_variables_live_on_in_later_turns_and_in_the_next_process(tmp_path: Path) -> None:
    where = str(tmp_path / "agent.db")
    steps = [cell("xs = [1, 2]\nr = { b: 1, a: xs }"), cell("submit 1"), cell("xs = push(xs, 3)\nsubmit xs")]
    first = lash.RlmCore(model=ScriptedModel(steps), store=where)
    async with first, first.session("s") as session:
        await session.run("one")
        assert session.globals == {"r": {"b": 1, "a": [1, 2]}, "xs": [1, 2]}

    second = lash.RlmCore(model=ScriptedModel(steps), store=where)
    async with second, second.session("s") as session:
        assert (await session.run("two")).value == [1, 2, 3]
        assert session.globals["xs"] == [1, 2, 3]
        assert session.globals["r"] == {"b": 1, "a": [1, 2]}
        assert session.view.frames[0].execution_state_ref is not None


async def test_history_is_read_only_and_holds_messages_and_steps() -> None:
    steps = [
        cell("print 7", prose="Why."),
        cell("history = []"),
        cell("submit [history[0], history[1], history[2].error]"),
    ]

    turn = await run(core_of(*steps))

    first, second, third = turn.value
    assert (first["kind"], first["role"], first["content"]) == ("message", "user", "go")
    assert (second["kind"], second["reasoning"], second["code"], second["output"]) == (
        "rlm_step",
        "Why.",
        "print 7\n",
        ["7"],
    )
    assert "read-only" in third


async def test_seeds_fill_in_what_is_not_set() -> None:
    core = core_of(cell("n = n + 1\nsubmit n"), cell("submit [n, m]"))
    async with core, core.session("s") as session:
        await session.seed(n=5)
        assert session.globals == {"n": 5}
        assert (await session.run("one")).value == 6
        await session.seed(n=0, m=1)
        assert (await session.run("two")).value == [6, 1]
        with pytest.raises(InvalidArgument, match="history"):
            await session.seed(history=[])


async def test_projected_names_are_bound_and_read_only() -> None:
    core = core_of(cell("docs = 1"), cell("submit docs.a"), projected={"docs": {"a": 3}})

    turn = await run(core)

    assert turn.value == 3
    assert "`docs` is a read-only projected binding" in said(core, 1)
    assert '- `docs` (read-only record): {"a": 3}' in said(core, 0)


async def test_continue_as_goes_on_in_a_fresh_frame_with_task_and_seed_alone() -> None:
    steps = [
        cell('big = range(5)\nawait control.continue_as({ task: "sum up", seed: { total: len(big) } })\nprint 1'),
        cell("print len(history)\nprint big"),
        cell("submit total"),
    ]
    core = core_of(*steps)
    async with core, core.session("s") as session:
        turn = await session.run("go", submit={"type": "integer"})

        assert turn.value == 5
        assert session.globals == {"total": 5}
        assert [frame.status for frame in session.view.frames] == ["superseded", "active"]
        assert [frame.execution_state_ref is not None for frame in session.view.frames] == [True, True]
    assert "go" not in [message.text for message in model_of(core).requests[1].messages]
    assert "sum up" in [message.text for message in model_of(core).requests[1].messages]
    assert "unknown name `big`" in said(core, 2)
    # What the first turn had to submit, the second has to as well.
    assert "must match int" in said(core, 1)


async def test_a_seed_may_not_take_a_name_of_the_host() -> None:
    source = 'r = await control.continue_as({ task: "t", seed: { history: 1 } })\nsubmit r'

    turn = await run(core_of(cell(source)))

    assert turn.value["ok"] is False
    assert "bound by the host" in turn.value["error"]


# limits, cancellation, graphs


async def test_a_program_that_does_not_end_is_stopped_and_told() -> None:
    config = RlmConfig(budgets=Budgets(active_ms=20))
    core = core_of(cell("n = 0\nwhile true { n = n + 1 }"), cell("submit n > 0"), rlm=config)

    turn = await run(core)

    assert turn.value is True
    assert "active time budget of 20 ms exceeded" in said(core, 1)


async def test_a_cancelled_cell_stops_and_its_turn_is_committed() -> None:
    arrived = asyncio.Event()

    @lash.tool
    async def wait() -> None:
        """Waits for ever."""
        arrived.set()
        await asyncio.Event().wait()

    model = ScriptedModel([cell("print 1\nawait tools.wait({})\nawait tools.wait({})\nprint 2")])
    core = lash.RlmCore(model=model, tools=[wait])
    async with core, core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await arrived.wait()
        await session.cancel()
        turn = await running

        assert turn.outcome == Stopped("cancelled")
        parts = [part.content for message in session.messages for part in message.parts]
        assert "1" in parts
        assert "2" not in parts
        assert any("cancelled" in part for part in parts)


async def test_the_execution_graph_says_what_ran() -> None:
    source = """
    for name in ["fig", "apple"] {
      r = await shop.price({ name: name })
      if r.value.cents > 400 { print "dear" } else { print "cheap" }
    }
    if false { await shop.price({ name: "none" })? }
    submit 1
    """
    core = core_of(cell("x = ("), cell(source))
    async with core, core.session("s") as session:
        await session.run("go", turn_id="t")
        graph = await session.execution_graph("t")

        assert [one.problem is None for one in graph.cells] == [False, True]
        nodes = [(node.kind, node.status, node.completed) for node in graph.cells[1].nodes]
        assert nodes.count(("resource_operation", "completed", 2)) == 1
        assert nodes.count(("resource_operation", "unobserved", 0)) == 1
        arms = [(edge.label, edge.status) for edge in graph.cells[1].edges if edge.label in ("then", "else")]
        assert arms == [("then", "selected"), ("else", "selected"), ("then", "rejected"), ("else", "selected")]
        with pytest.raises(InvalidArgument, match="no execution graph"):
            await session.execution_graph("other")


async def test_variables_that_cannot_be_stored_cost_the_turn_and_not_the_session(tmp_path: Path) -> None:
    steps = [cell("x = 1\nsubmit x"), cell("x = 2\nsubmit x"), cell("submit x")]
    core = lash.RlmCore(model=ScriptedModel(steps), store=str(tmp_path / "agent.db"))
    async with core, core.session("s") as session:
        await session.run("one")
        store = session._actor.store
        commit = store.commit

        async def narrow(plan: RuntimeCommit) -> CommitResult:
            if plan.checkpoint.execution_state is not None:
                raise ValueTooLarge("agent.db", 2, 1)
            return await commit(plan)

        store.commit = narrow  # type: ignore[method-assign,assignment]
        lost = await session.run("two")
        store.commit = commit  # type: ignore[method-assign]

        assert lost.outcome == Stopped("runtime_error")
        assert session.globals == {"x": 1}
        assert (await session.run("three")).ok


async def test_calls_of_cells_are_there_when_the_turn_is_answered_from_its_commit(tmp_path: Path) -> None:
    source = 'a = await shop.price({ name: "fig" })?\nb = await shop.price({ name: "none" })\nsubmit a.cents'
    where = str(tmp_path / "agent.db")
    core = lash.RlmCore(model=ScriptedModel([cell(source)]), tools=[price], store=where)
    async with core, core.session("s") as session:
        await session.run("go", turn_id="t")
    again = lash.RlmCore(model=ScriptedModel([]), tools=[price], store=where)
    async with again, again.session("s") as session:
        turn = await session.run("go", turn_id="t")

    good, bad = turn.tool_calls
    assert turn.replayed
    assert (good.tool, good.args, good.output.value) == ("price", {"name": "fig"}, '{"cents":300}')
    assert bad.output.error is not None
    assert turn.execution.had_tool_calls


async def test_a_full_context_is_warned_of_once_a_frame() -> None:
    rlm = RlmConfig(continue_as_soft_warn_tokens=10)
    core = core_of(cell("print 1"), cell("print 2"), cell("submit 3"), rlm=rlm)
    async with core, core.session("s") as session:
        output = await session.turn("go").collect()

    events = [item.event for item in output.activities]
    told = [one.event for one in events if isinstance(one, activity.PluginRuntime)]
    [warning] = [one for one in told if isinstance(one, CustomEvent) and one.name == "rlm_context_budget_warning"]
    assert isinstance(warning.payload, dict)
    assert warning.payload["limit_tokens"] == 10
