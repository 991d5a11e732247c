"""Standard mode: projection and decisions, pure (docs/spec/runtime.md §4)."""

from __future__ import annotations

import pytest

from lash.base.messages import AttachmentRef, Message, Part, ProcessOrigin, user_message
from lash.machine.driver import Action, Advance, Append, DriverContext, Finish, StartCheckpoint, StartLlm, StartTools
from lash.machine.llm import (
    ImageBlock,
    LlmPart,
    LlmResponse,
    ReasoningBlock,
    ReasoningPart,
    TextBlock,
    TextPart,
    ToolCallBlock,
    ToolCallPart,
    ToolResultBlock,
)
from lash.machine.outcome import AssistantMessage, FrameSwitch, Stopped, ToolValue
from lash.machine.values import (
    CompletedCall,
    FailTurn,
    FinishTurn,
    PendingCall,
    Said,
    SwitchFrame,
    TurnCause,
    TurnControl,
)
from lash.protocols.standard import StandardDriver, project, project_turn


def context(*messages: Message, iteration: int = 0, max_turns: int | None = None, grace: bool = False) -> DriverContext:
    said = list(messages) or [user_message("t1.0", "go")]
    return DriverContext(1, said, [], iteration, max_turns, "env", len(said), grace)


def after(*parts: LlmPart, said: DriverContext | None = None) -> list[Action]:
    return StandardDriver().handle_llm_success(said or context(), LlmResponse(list(parts)), None)


def appended(actions: list[Action]) -> list[Message]:
    return [
        record.message
        for action in actions
        if isinstance(action, Append)
        for record in action.records
        if isinstance(record, Said)
    ]


TOOL_RESULTS = Message("t1.2", "user", [Part("p0", "tool_result", "4", tool_call_id="a")])


# after a response


def test_every_iteration_asks_the_model() -> None:
    [action] = StandardDriver().prepare_iteration(context())

    assert isinstance(action, StartLlm)
    assert action.request.use_tools


def test_text_is_joined_by_one_blank_line_and_blank_parts_go() -> None:
    actions = after(TextPart("one\n"), TextPart("  \n"), TextPart("\ntwo"))

    assert actions[-1] == StartCheckpoint("before_completion", AssistantMessage("one\n\ntwo"))
    assert [part.content for part in appended(actions)[0].parts] == ["one", "two"]


def test_calls_are_kept_with_what_was_said_around_them_in_order() -> None:
    actions = after(
        ReasoningPart("hm", {"sig": 1}), TextPart("let me"), ToolCallPart("a", "look", '{"x":1}'), TextPart("and")
    )

    [message] = appended(actions)
    assert [part.kind for part in message.parts] == ["reasoning", "prose", "tool_call", "prose"]
    assert message.id == "t1.1"
    assert actions[-1] == StartTools([PendingCall("a", "look", {"x": 1})])


def test_all_calls_of_a_response_run_as_one_batch_in_order() -> None:
    actions = after(ToolCallPart("a", "look", "{}"), ToolCallPart("b", "see", "{}"))

    [batch] = [action for action in actions if isinstance(action, StartTools)]
    assert [call.call_id for call in batch.calls] == ["a", "b"]


@pytest.mark.parametrize("text", ["{oops", "[]", "1", "null", '"x"'])
def test_arguments_that_are_no_object_are_marked(text: str) -> None:
    [batch] = [action for action in after(ToolCallPart("a", "look", text)) if isinstance(action, StartTools)]

    assert batch.calls[0].args is None


def test_no_arguments_are_an_empty_object() -> None:
    [batch] = [action for action in after(ToolCallPart("a", "look", " ")) if isinstance(action, StartTools)]

    assert batch.calls[0].args == {}


def test_reasoning_alone_ends_the_turn_without_text() -> None:
    actions = after(ReasoningPart("hm"))

    assert actions[-1] == StartCheckpoint("before_completion", AssistantMessage(""))


def test_nothing_at_all_is_an_error() -> None:
    [action] = after()

    assert isinstance(action, Finish)
    assert action.outcome == Stopped("provider_error")
    assert action.error is not None
    assert (action.error.kind, action.error.code) == ("llm_provider", "empty_response")


def test_whitespace_is_nothing() -> None:
    [action] = after(TextPart(" \n\t"))

    assert isinstance(action, Finish)


def test_a_model_may_end_silently_after_tools() -> None:
    actions = after(said=context(user_message("t1.0", "go"), TOOL_RESULTS))

    assert actions == [StartCheckpoint("before_completion", AssistantMessage(""))]


# after tools


def with_control(control: TurnControl | None, status: str = "success") -> list[Action]:
    result = CompletedCall("a", "act", "x", status, control=control)  # type: ignore[arg-type]
    return StandardDriver().handle_tool_results(context(), [result])


def test_results_go_back_as_one_message_in_call_order() -> None:
    results = [CompletedCall("a", "look", "1"), CompletedCall("b", "look", "2", "failure")]

    actions = StandardDriver().handle_tool_results(context(), results)

    [message] = appended(actions)
    assert message.role == "user"
    assert [(part.tool_call_id, part.content) for part in message.parts] == [("a", "1"), ("b", "2")]
    assert actions[1:] == [Advance(), StartCheckpoint("after_work", "prepare_iteration")]


@pytest.mark.parametrize(
    ("control", "outcome"),
    [
        (FinishTurn({"n": 1}), ToolValue("act", {"n": 1})),
        (FailTurn("no"), Stopped("tool_error", "no", "act")),
        (SwitchFrame("f", "go on"), FrameSwitch("f", "go on")),
    ],
)
def test_a_control_of_a_success_ends_the_turn_after_its_results(control: TurnControl, outcome: object) -> None:
    actions = with_control(control)

    assert len(appended(actions)) == 1
    assert actions[-1] == Finish(outcome)  # type: ignore[arg-type]


@pytest.mark.parametrize("control", [SwitchFrame("", "task"), SwitchFrame("f"), SwitchFrame("f", "")])
def test_a_switch_without_frame_or_task_is_ignored(control: TurnControl) -> None:
    assert isinstance(with_control(control)[-1], StartCheckpoint)


@pytest.mark.parametrize("status", ["failure", "cancelled"])
def test_a_control_of_what_failed_is_ignored(status: str) -> None:
    assert isinstance(with_control(FinishTurn(1), status)[-1], StartCheckpoint)


def test_the_limit_stops_after_tools_without_a_grace_iteration() -> None:
    actions = StandardDriver().handle_tool_results(context(iteration=1, max_turns=2), [CompletedCall("a", "look", "1")])

    assert actions[-1] == Finish(Stopped("max_turns"))
    results, notice = appended(actions)
    assert (notice.role, notice.parts[0].kind) == ("system", "error")
    assert (results.id, notice.id) == ("t1.1", "t1.2")


def test_tools_in_the_grace_iteration_stop_the_turn() -> None:
    actions = StandardDriver().handle_tool_results(context(grace=True), [CompletedCall("a", "look", "1")])

    assert actions[-1] == Finish(Stopped("max_turns"))


# projection


def test_each_role_becomes_its_own_kind_of_message() -> None:
    messages = [
        user_message("1", "hello"),
        Message("2", "assistant", [Part("p0", "prose", "hi")]),
        Message("3", "system", [Part("p0", "text", "be quick")]),
        Message("4", "event", [Part("p0", "text", "it rains")]),
    ]

    assert [(message.role, message.text) for message in project(messages)] == [
        ("user", "hello"),
        ("assistant", "hi"),
        ("system", "Runtime note: be quick"),
        ("user", "Runtime event: it rains"),
    ]


def test_each_part_becomes_its_own_kind_of_block() -> None:
    picture = AttachmentRef("ab", "image/png", 3)
    parts = [
        Part("p0", "prose", "text"),
        Part("p1", "reasoning", "kept", reasoning_meta={"sig": 1}),
        Part("p2", "reasoning", "dropped"),
        Part("p3", "tool_call", "{}", tool_call_id="a", tool_name="look", tool_replay={"r": 1}),
        Part("p4", "tool_result", "4", tool_call_id="a", tool_name="look"),
        Part("p5", "image", attachment=picture),
        Part("p6", "text", "   "),
    ]

    [message] = project([Message("1", "assistant", parts)])

    assert message.blocks == [
        TextBlock("text"),
        ReasoningBlock("kept", {"sig": 1}),
        ToolCallBlock("a", "look", "{}", {"r": 1}),
        ToolResultBlock("a", "4", "look"),
        ImageBlock(picture),
    ]


def test_a_message_of_nothing_is_left_out() -> None:
    assert project([Message("1", "assistant", [Part("p0", "reasoning", "hidden")])]) == []


def test_causes_are_shown_once_at_the_end() -> None:
    origin = ProcessOrigin("p1", "done", 1)
    cause = TurnCause("c1", "process.done", "  the build is green\n", origin)
    said = [Message("t1.0", "event", [Part("p0", "text", cause.text)], origin), user_message("t1.1", "so?")]

    first, last = project_turn(said, [cause])

    assert first.text == "so?"
    assert last.role == "user"
    assert last.text.startswith("Turn events:")
    assert "1. process.done (c1)" in last.text
    assert last.text.endswith("the build is green")


def test_projecting_piece_by_piece_is_projecting_the_whole() -> None:
    messages = [user_message(str(number), f"m{number}") for number in range(5)]

    assert project(messages) == [projected for message in messages for projected in project([message])]
