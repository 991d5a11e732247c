"""Every hook, and every directive at every place (docs/spec/runtime.md §7.2 and §7.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import lash
from face.places import Gate, Place, asked, texts
from lash.base.messages import Message, Part, PluginOrigin, unsettled_tool_calls, user_message
from lash.machine.outcome import AssistantMessage, Stopped
from lash.machine.prompt import PromptContribution, PromptGate
from lash.plugins import (
    AbortTurn,
    AfterToolCall,
    AfterTurn,
    AtCheckpoint,
    BeforeToolCall,
    BeforeTurn,
    CustomEvent,
    EmitRuntimeEvents,
    EnqueueMessages,
    PluginRegistrar,
    PluginRegistrationError,
    PluginSessionContext,
    PluginSpecFactory,
    PromptContext,
    ReplaceToolArgs,
    SessionRestored,
    ShortCircuitTool,
    StaticPluginFactory,
    StatusEvent,
    TurnFinalized,
    TurnPersisted,
)
from lash.plugins.directives import Directive
from lash.plugins.registrations import ProtocolBinding
from lash.protocols.standard import StandardDriver, StandardProtocol, project, project_turn
from lash.runtime.activity import PluginRuntime
from lash.testing import ScriptedModel, calls, says
from lash.tools import ToolResult

NOTE = EnqueueMessages([user_message("", "a note")])
EVENTS = EmitRuntimeEvents([StatusEvent("k", "working"), CustomEvent("seen", {"n": 1})])
ABORT = AbortTurn("not_today", "come back tomorrow")
ARGS = ReplaceToolArgs({"number": 10})
ANSWER = ShortCircuitTool(ToolResult.ok("from the plugin"))


@lash.tool
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


def model() -> ScriptedModel:
    return ScriptedModel([calls("double", number=1), says("done"), says("extra"), says("more"), says("still")])


async def turn_with(
    place: Place, plugin: lash.Plugin, script: ScriptedModel | None = None
) -> tuple[lash.TurnResult, list[str], list[object]]:
    """A turn of one tool call under a plugin: its result, what was kept, and what plugins told."""
    core = await place.core(script or model(), tools=[double], plugins=[plugin])
    async with core.session("s") as session:
        output = await session.turn("go", turn_id="t").collect()
        told = [activity.event.event for activity in output.activities if isinstance(activity.event, PluginRuntime)]
        return output.result, texts(session.messages), list(told)


PLAIN = [
    "user: go",
    "assistant: <tool_call double>",
    "user: <tool_result double>",
    "assistant: done",
]


# before_turn


async def test_before_turn_sees_input_and_history(memory: Place) -> None:
    seen: list[BeforeTurn] = []
    core = await memory.core(ScriptedModel(lambda _: says("ok")), plugins=[lash.Plugin("p").before_turn(seen.append)])
    async with core.session("s") as session:
        await session.run("one")
        await session.run("two", turn_id="second")

    assert [len(context.history) for context in seen] == [0, 2]
    assert [context.messages[0].text for context in seen] == ["one", "two"]
    assert (seen[1].turn_id, seen[1].turn_index, seen[1].session_id) == ("second", 2, "s")


async def test_before_turn_may_add_messages_that_are_kept(memory: Place) -> None:
    script = ScriptedModel([says("done")])
    result, kept, _ = await turn_with(memory, lash.Plugin("p").before_turn(lambda _: NOTE), script)

    assert result.ok
    assert kept == ["user: go", "user: a note", "assistant: done"]
    assert asked(script) == ["user: go", "user: a note"]


async def test_before_turn_may_add_transient_messages_that_are_not_kept(memory: Place) -> None:
    whisper = EnqueueMessages([user_message("", "psst", origin=PluginOrigin("p", transient=True))])
    script = ScriptedModel([says("done")])
    _, kept, _ = await turn_with(memory, lash.Plugin("p").before_turn(lambda _: whisper), script)

    assert asked(script) == ["user: go", "user: psst"]
    assert kept == ["user: go", "assistant: done"]


async def test_before_turn_may_refuse_the_turn(memory: Place) -> None:
    script = ScriptedModel([says("done")])
    refusing = [True]
    plugin = lash.Plugin("p").before_turn(lambda _: ABORT if refusing else None)
    core = await memory.core(script, plugins=[plugin])
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")
        again = await session.run("go", turn_id="t")
        refusing.clear()
        retried = await session.run("go", turn_id="t", retry=True)

        assert turn.outcome == again.outcome == Stopped("plugin_abort")
        assert [(issue.kind, issue.code, issue.message) for issue in turn.errors] == [
            ("plugin", "not_today", "come back tomorrow")
        ]
        assert retried.text == "done"
        assert texts(session.messages) == ["user: go", "assistant: done"]
    assert len(script.requests) == 1


async def test_before_turn_may_tell_events(memory: Place) -> None:
    _, kept, told = await turn_with(memory, lash.Plugin("p").before_turn(lambda _: EVENTS))

    assert told == EVENTS.events
    assert kept == PLAIN


# checkpoint


async def test_checkpoints_come_after_work_and_before_completion(memory: Place) -> None:
    seen: list[AtCheckpoint] = []
    await turn_with(memory, lash.Plugin("p").checkpoint(seen.append))

    assert [context.checkpoint for context in seen] == ["after_work", "before_completion"]
    assert [len(context.messages) for context in seen] == [3, 4]


async def test_a_checkpoint_may_add_messages_once(memory: Place) -> None:
    plugin = lash.Plugin("p").checkpoint(lambda context: NOTE if context.checkpoint == "after_work" else None)
    _, kept, _ = await turn_with(memory, plugin)

    assert kept == [*PLAIN[:3], "user: a note", "assistant: done"]


async def test_a_message_before_completion_goes_on_with_the_turn(memory: Place) -> None:
    notes = [NOTE]
    plugin = lash.Plugin("p").checkpoint(
        lambda context: notes.pop() if notes and context.checkpoint == "before_completion" else None
    )
    result, kept, _ = await turn_with(memory, plugin)

    assert kept == [*PLAIN, "user: a note", "assistant: extra"]
    assert result.outcome == AssistantMessage("extra")


async def test_transient_messages_of_a_checkpoint_are_shown_and_not_kept(memory: Place) -> None:
    whisper = EnqueueMessages([user_message("", "psst", origin=PluginOrigin("p", transient=True))])
    script = model()
    plugin = lash.Plugin("p").checkpoint(lambda context: whisper if context.checkpoint == "after_work" else None)
    _, kept, _ = await turn_with(memory, plugin, script)

    assert asked(script)[-1] == "user: psst"
    assert kept == PLAIN


async def test_an_abort_at_a_checkpoint_is_an_error_with_its_code(memory: Place) -> None:
    result, kept, _ = await turn_with(memory, lash.Plugin("p").checkpoint(lambda _: ABORT))

    assert result.outcome == Stopped("runtime_error")
    assert [(issue.kind, issue.code) for issue in result.errors] == [("plugin", "not_today")]
    assert kept == PLAIN[:3]


async def test_a_checkpoint_may_tell_events(memory: Place) -> None:
    _, kept, told = await turn_with(memory, lash.Plugin("p").checkpoint(lambda _: EVENTS))

    assert told == EVENTS.events * 2
    assert kept == PLAIN


# after_turn


async def test_after_turn_sees_the_outcome_before_it_is_committed(memory: Place) -> None:
    seen: list[AfterTurn] = []
    await turn_with(memory, lash.Plugin("p").after_turn(seen.append))

    assert [(context.outcome, len(context.messages)) for context in seen] == [(AssistantMessage("done"), 4)]


async def test_after_turn_may_add_messages(memory: Place) -> None:
    _, kept, _ = await turn_with(memory, lash.Plugin("p").after_turn(lambda _: NOTE))

    assert kept == [*PLAIN, "user: a note"]


@pytest.mark.parametrize("directive", [ABORT, ARGS, ANSWER])
async def test_after_turn_may_not_change_what_happened(memory: Place, directive: Directive) -> None:
    result, kept, _ = await turn_with(memory, lash.Plugin("p").after_turn(lambda _: directive))

    assert result.text == "done"
    assert [issue.kind for issue in result.errors] == ["plugin"]
    assert kept == PLAIN


async def test_after_turn_may_tell_events(memory: Place) -> None:
    _, _, told = await turn_with(memory, lash.Plugin("p").after_turn(lambda _: EVENTS))

    assert told == EVENTS.events


# before_tool_call


async def test_before_tool_call_sees_the_call(memory: Place) -> None:
    seen: list[BeforeToolCall] = []
    await turn_with(memory, lash.Plugin("p").before_tool_call(seen.append))

    assert [(context.manifest.name, context.args, context.call_id) for context in seen] == [
        ("double", {"number": 1}, "call_0_0")
    ]


async def test_before_tool_call_may_replace_the_arguments(memory: Place) -> None:
    result, _, _ = await turn_with(memory, lash.Plugin("p").before_tool_call(lambda _: ARGS))

    assert result.tool_calls[0].output.value == 20
    assert result.tool_calls[0].args == {"number": 10}


async def test_replaced_arguments_are_checked_again(memory: Place) -> None:
    wrong = ReplaceToolArgs({"number": "ten"})
    result, _, _ = await turn_with(memory, lash.Plugin("p").before_tool_call(lambda _: wrong))

    error = result.tool_calls[0].output.error
    assert error is not None
    assert error.code == "invalid_tool_args"


async def test_before_tool_call_may_answer_in_the_tools_place(memory: Place) -> None:
    result, kept, _ = await turn_with(memory, lash.Plugin("p").before_tool_call(lambda _: ANSWER))

    assert result.tool_calls[0].output.value == "from the plugin"
    assert kept == PLAIN


async def test_before_tool_call_may_refuse_the_call(memory: Place) -> None:
    result, _, _ = await turn_with(memory, lash.Plugin("p").before_tool_call(lambda _: ABORT))

    error = result.tool_calls[0].output.error
    assert error is not None
    assert (error.code, error.message, error.source) == ("not_today", "come back tomorrow", "plugin")
    assert result.text == "done"


async def test_the_most_restrictive_word_wins_before_a_tool_call(memory: Place) -> None:
    denial = ShortCircuitTool(ToolResult.err("denied"))
    plugin = lash.Plugin("p").before_tool_call(lambda _: [ANSWER, denial, ANSWER])
    result, _, _ = await turn_with(memory, plugin)

    assert result.tool_calls[0].output.error is not None


async def test_an_abort_beats_an_answer_whoever_was_first(memory: Place) -> None:
    plugin = lash.Plugin("p").before_tool_call(lambda _: [ANSWER, ABORT])
    result, _, _ = await turn_with(memory, plugin)

    error = result.tool_calls[0].output.error
    assert error is not None
    assert error.code == "not_today"


async def test_messages_before_a_tool_call_are_an_error_of_the_call(memory: Place) -> None:
    result, kept, _ = await turn_with(memory, lash.Plugin("p").before_tool_call(lambda _: NOTE))

    error = result.tool_calls[0].output.error
    assert error is not None
    assert error.code == "before_tool_call_failed"
    assert kept == PLAIN


async def test_before_tool_call_may_tell_events(memory: Place) -> None:
    result, _, told = await turn_with(memory, lash.Plugin("p").before_tool_call(lambda _: EVENTS))

    assert told == EVENTS.events
    assert result.tool_calls[0].output.value == 2


# after_tool_call


async def test_after_tool_call_sees_the_result(memory: Place) -> None:
    seen: list[AfterToolCall] = []
    await turn_with(memory, lash.Plugin("p").after_tool_call(seen.append))

    assert [(context.args, context.output.value) for context in seen] == [({"number": 1}, 2)]


async def test_after_tool_call_may_replace_the_result(memory: Place) -> None:
    result, _, _ = await turn_with(memory, lash.Plugin("p").after_tool_call(lambda _: ANSWER))

    assert result.tool_calls[0].output.value == "from the plugin"


async def test_an_abort_after_a_tool_call_is_an_error_result(memory: Place) -> None:
    result, _, _ = await turn_with(memory, lash.Plugin("p").after_tool_call(lambda _: ABORT))

    error = result.tool_calls[0].output.error
    assert error is not None
    assert error.code == "not_today"
    assert result.text == "done"


async def test_messages_after_a_tool_call_wait_for_the_next_checkpoint(memory: Place) -> None:
    _, kept, _ = await turn_with(memory, lash.Plugin("p").after_tool_call(lambda _: NOTE))

    assert kept == [*PLAIN[:3], "user: a note", "assistant: done"]


async def test_new_arguments_after_a_tool_call_are_an_error(memory: Place) -> None:
    result, _, _ = await turn_with(memory, lash.Plugin("p").after_tool_call(lambda _: ARGS))

    error = result.tool_calls[0].output.error
    assert error is not None
    assert error.code == "after_tool_call_failed"


async def test_after_tool_call_may_tell_events(memory: Place) -> None:
    _, _, told = await turn_with(memory, lash.Plugin("p").after_tool_call(lambda _: EVENTS))

    assert told == EVENTS.events


# places that refuse what belongs to tools


@pytest.mark.parametrize("directive", [ARGS, ANSWER])
@pytest.mark.parametrize("where", ["before_turn", "checkpoint"])
async def test_tool_directives_outside_a_tool_call_are_an_error(
    memory: Place, where: str, directive: Directive
) -> None:
    plugin = lash.Plugin("p")
    getattr(plugin, where)(lambda _: directive)
    result, _, _ = await turn_with(memory, plugin)

    assert result.outcome == Stopped("runtime_error")
    assert [(issue.kind, issue.code) for issue in result.errors] == [("plugin", "plugin_invoke")]


@pytest.mark.parametrize("where", ["before_turn", "checkpoint", "after_turn"])
async def test_only_user_and_system_messages_may_be_added(memory: Place, where: str) -> None:
    plugin = lash.Plugin("p")
    forged = EnqueueMessages([Message("", "assistant", [Part("p0", "prose", "I said so")])])
    getattr(plugin, where)(lambda _: forged)
    result, kept, _ = await turn_with(memory, plugin)

    assert [issue.code for issue in result.errors] == ["plugin_invoke"]
    assert "assistant: I said so" not in kept


# hooks that fail


@pytest.mark.parametrize("where", ["before_turn", "checkpoint"])
async def test_a_hook_that_raises_ends_the_turn_by_name(memory: Place, where: str) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("oops")

    plugin = lash.Plugin("the-culprit")
    getattr(plugin, where)(broken)
    result, _, _ = await turn_with(memory, plugin)

    assert result.outcome == Stopped("runtime_error")
    assert "the-culprit" in result.errors[0].message
    assert "oops" in result.errors[0].message


@pytest.mark.parametrize("where", ["before_tool_call", "after_tool_call"])
async def test_a_tool_hook_that_raises_is_a_failure_of_the_call(memory: Place, where: str) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("oops")

    plugin = lash.Plugin("p")
    getattr(plugin, where)(broken)
    result, kept, _ = await turn_with(memory, plugin)

    error = result.tool_calls[0].output.error
    assert error is not None
    assert (error.kind, error.code, error.source) == ("internal", f"{where}_failed", "plugin")
    assert kept == PLAIN


async def test_after_turn_that_raises_leaves_the_turn_as_it_was(memory: Place) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("oops")

    result, kept, _ = await turn_with(memory, lash.Plugin("p").after_turn(broken))

    assert result.text == "done"
    assert [issue.kind for issue in result.errors] == ["plugin"]
    assert kept == PLAIN


async def test_a_hook_that_returns_nonsense_is_told_so(memory: Place) -> None:
    result, _, _ = await turn_with(memory, lash.Plugin("p").before_turn(lambda _: "hello"))

    assert result.outcome == Stopped("runtime_error")
    assert "return directives or None" in result.errors[0].message


async def test_a_prompt_hook_that_raises_ends_the_turn_by_name(memory: Place) -> None:
    def broken(_: PromptContext) -> str:
        raise ZeroDivisionError("oops")

    result, _, _ = await turn_with(memory, lash.Plugin("the-culprit").prompt(broken))

    assert result.outcome == Stopped("runtime_error")
    assert "the-culprit" in result.errors[0].message


async def test_the_session_is_usable_after_a_failing_hook(memory: Place) -> None:
    failing = [True]

    def sometimes(_: object) -> None:
        if failing:
            raise ZeroDivisionError("oops")

    core = await memory.core(ScriptedModel(lambda _: says("ok")), plugins=[lash.Plugin("p").checkpoint(sometimes)])
    async with core.session("s") as session:
        await session.run("one")
        failing.clear()

        assert (await session.run("two")).text == "ok"
        assert unsettled_tool_calls(session.messages) == []


# order, lifecycle, prompt


async def test_hooks_run_in_registration_order_and_may_be_async(memory: Place) -> None:
    order: list[str] = []

    def first(_: BeforeTurn) -> None:
        order.append("first")

    async def second(_: BeforeTurn) -> None:
        await asyncio.sleep(0)
        order.append("second")

    plugins = [lash.Plugin("a").before_turn(first).before_turn(second), lash.Plugin("b").before_turn(first)]
    core = await memory.core(ScriptedModel([says("ok")]), plugins=plugins)
    async with core.session("s") as session:
        await session.run("go")

    assert order == ["first", "second", "first"]


async def test_lifecycle_hooks_hear_of_turns_and_their_failures_change_nothing(memory: Place) -> None:
    heard: list[object] = []

    def broken(_: object) -> None:
        raise ZeroDivisionError("oops")

    plugins = [lash.Plugin("loud").on_event(broken), lash.Plugin("p").on_event(heard.append)]
    core = await memory.core(ScriptedModel([says("ok")]), plugins=plugins)
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")

    assert turn.ok
    assert heard == [TurnFinalized("s", "t", AssistantMessage("ok")), TurnPersisted("s", "t", 1)]


async def test_a_reopened_session_is_announced(file: Place) -> None:
    heard: list[object] = []
    first = await file.core(ScriptedModel([says("ok")]))
    async with first.session("s") as session:
        await session.run("go")
    await first.close()

    second = await file.core(ScriptedModel([]), plugins=[lash.Plugin("p").on_event(heard.append)])
    await second.session("s").open()

    assert heard == [SessionRestored("s", 1)]


async def test_prompt_hooks_are_asked_before_every_model_call(memory: Place) -> None:
    seen: list[PromptContext] = []

    def contribute(context: PromptContext) -> object:
        seen.append(context)
        return [
            f"STEP {context.iteration}",
            PromptContribution("guidance", "NEVER SEEN", gate=PromptGate(["no_such_tool"])),
            PromptContribution("guidance", "SEEN WITH TOOL", gate=PromptGate(["double"])),
        ]

    script = model()
    # What another plugin says in the same words stands there once.
    await turn_with(
        memory, lash.Plugin("p").prompt(contribute).prompt(lambda context: f"STEP {context.iteration}"), script
    )

    prompts = [request.messages[0].text for request in script.requests]
    assert [context.iteration for context in seen] == [0, 1]
    assert [list(context.tool_names) for context in seen] == [["double"], ["double"]]
    assert ["STEP 0" in prompts[0], "STEP 1" in prompts[1], "STEP 0" in prompts[1]] == [True, True, False]
    assert prompts[0].count("STEP 0") == 1
    assert "SEEN WITH TOOL" in prompts[0]
    assert "NEVER SEEN" not in prompts[0]


# building


async def test_a_class_of_marked_methods_is_a_plugin(memory: Place) -> None:
    class Audit(lash.Plugin):
        id = "audit"

        def __init__(self) -> None:
            super().__init__()
            self.log: list[str] = []

        @lash.hook.before_turn
        def begin(self, context: BeforeTurn) -> None:
            self.log.append(f"begin {context.turn_id}")

        @lash.hook.after_tool_call
        async def called(self, context: AfterToolCall) -> None:
            self.log.append(f"called {context.manifest.name}")

    audit = Audit()
    await turn_with(memory, audit)

    assert audit.log == ["begin t", "called double"]


async def test_a_factory_makes_one_plugin_a_session(memory: Place) -> None:
    made: list[str] = []

    def build(context: PluginSessionContext) -> lash.Plugin:
        made.append(context.session_id)
        return lash.Plugin("inner")

    core = await memory.core(ScriptedModel(lambda _: says("ok")), plugins=[PluginSpecFactory("each", build)])
    await core.session("a").open()
    await core.session("b").open()

    assert made == ["probe", "a", "b"]


async def test_a_static_factory_hands_out_one_plugin_under_its_own_id(memory: Place) -> None:
    seen: list[BeforeTurn] = []
    factory = StaticPluginFactory("mine", lash.Plugin("inner").before_turn(seen.append))
    core = await memory.core(ScriptedModel([says("ok")]), plugins=[factory])
    async with core.session("s") as session:
        await session.run("go")

    assert len(seen) == 1


def test_two_plugins_with_one_id_are_refused_by_name() -> None:
    with pytest.raises(PluginRegistrationError, match="'twin'"):
        lash.StandardCore(model=ScriptedModel([]), plugins=[lash.Plugin("twin"), lash.Plugin("twin")])


def test_a_plugin_without_an_id_is_refused() -> None:
    with pytest.raises(PluginRegistrationError, match="no id"):
        lash.Plugin()


class Registers:
    """A plugin that does one thing when it registers."""

    def __init__(self, plugin_id: str, register: Callable[[PluginRegistrar], None]) -> None:
        self.id = plugin_id
        self._register = register

    def build(self, context: PluginSessionContext) -> Registers:
        return self

    def register(self, registrar: PluginRegistrar) -> None:
        self._register(registrar)


def test_two_execution_modes_are_refused_naming_both() -> None:
    other = Registers(
        "other_mode",
        lambda registrar: registrar.protocol.driver(ProtocolBinding(StandardDriver(), project, project_turn)),
    )

    with pytest.raises(PluginRegistrationError, match="'standard_protocol' and 'other_mode'"):
        lash.StandardCore(model=ScriptedModel([]), plugins=[other])


def test_a_core_without_a_mode_is_refused() -> None:
    with pytest.raises(PluginRegistrationError, match="protocol driver"):
        lash.LashCore(protocol=lash.Plugin("no mode at all"), model=ScriptedModel([]))


async def test_a_plugin_is_told_when_all_have_registered(memory: Place) -> None:
    told: list[str] = []

    class Late(lash.Plugin):
        id = "late"

        def session_ready(self, context: PluginSessionContext) -> None:
            told.append(f"ready {context.session_id}")

    last = Registers("last", lambda _: told.append("last registers"))
    core = await memory.core(model(), tools=[double], plugins=[Late(), last])
    await core.session("s").open()

    assert told[-2:] == ["last registers", "ready s"]


def test_two_projectors_are_refused_naming_both() -> None:
    plugins = [
        Registers(name, lambda registrar: registrar.tool_results.projector(lambda _, text: text)) for name in ("a", "b")
    ]

    with pytest.raises(PluginRegistrationError, match="'a' and 'b'"):
        lash.StandardCore(model=ScriptedModel([]), plugins=plugins)


async def test_a_projector_shapes_what_the_model_sees_and_not_the_record(memory: Place) -> None:
    shaping = Registers("short", lambda registrar: registrar.tool_results.projector(lambda _, text: f"<{text}>"))
    core = await memory.core(model(), tools=[double], plugins=[shaping])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert session.messages[2].parts[0].content == "<2>"
        assert turn.tool_calls[0].output.value == 2


async def test_a_mode_of_ones_own_runs_in_a_core(memory: Place) -> None:
    core = lash.LashCore(
        protocol=StandardProtocol(), model=ScriptedModel([says("ok")]), store=await memory.open_store()
    )
    memory.cores.append(core)  # type: ignore[arg-type]
    await core.open()
    async with core.session("s") as session:
        assert (await session.run("go")).text == "ok"


# replay


async def test_hooks_of_recorded_effects_do_not_run_again(file: Place) -> None:
    gate = Gate()
    ran: list[str] = []

    def note(what: str, directive: Directive | None) -> Callable[[object], Directive | None]:
        def hook(_context: object) -> Directive | None:
            ran.append(what)
            return directive

        return hook

    def plugin() -> lash.Plugin:
        made = lash.Plugin("p").before_turn(note("before_turn", NOTE))
        return made.before_tool_call(note("before_tool", None)).after_tool_call(note("after_tool", NOTE))

    @lash.tool(repeat="idempotent")
    async def work(step: int) -> int:
        if step == 2 and not gate.visits:
            await gate.wait()
        return step

    script = [calls("work", step=1), calls("work", step=2), says("done")]
    dying = await file.core(ScriptedModel(script), tools=[work], plugins=[plugin()])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await file.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)
    assert ran == ["before_turn", "before_tool", "after_tool", "before_tool"]

    core = await file.core(ScriptedModel(script), tools=[work], plugins=[plugin()])
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")

        assert turn.text == "done"
        assert ran[4:] == ["before_tool", "after_tool"]
        assert [text for text in texts(again.messages) if text == "user: a note"] == ["user: a note"] * 3


async def test_a_refusal_stays_when_the_plugin_has_gone(file: Place) -> None:
    first = await file.core(ScriptedModel([says("never")]), plugins=[lash.Plugin("p").before_turn(lambda _: ABORT)])
    async with first.session("s") as session:
        await session.run("go", turn_id="t")
    await first.close()

    second = await file.core(ScriptedModel([says("now")]))
    async with second.session("s") as session:
        turn = await session.run("go", turn_id="t")

        assert turn.outcome == Stopped("plugin_abort")
        assert turn.errors[0].code == "not_today"
