"""The transition rules of the turn machine, one by one (docs/spec/runtime.md §3.5)."""

from __future__ import annotations

import pytest

from lash.base.json import JsonObject
from lash.base.messages import Message, Part, PluginOrigin, unsettled_tool_calls, user_message
from lash.base.usage import TokenUsage
from lash.machine.conversation import tool_results_message
from lash.machine.driver import Advance, Append, Finish, ScheduleTurnLimit, StartCheckpoint, StartExec, StartLlm, Tell
from lash.machine.llm import LlmCallError, TerminalReason
from lash.machine.outcome import AssistantMessage, Stopped, SubmittedValue, TurnOutcome
from lash.machine.turn import TurnMachine
from lash.machine.values import (
    Checkpoint,
    CheckpointDelivered,
    Done,
    Emit,
    Environment,
    EnvironmentSynced,
    ErrorReported,
    ExecCode,
    ExecCompleted,
    LlmAnswered,
    LlmCall,
    MachineEffect,
    MachineEvent,
    ModelRequestStarted,
    ModelResponded,
    OutcomeReached,
    Progress,
    ProtocolRecord,
    Said,
    SyncEnvironment,
    ToolCalls,
    TurnCause,
    UsageReported,
)
from machine.plans import (
    PlannedDriver,
    arrived,
    config,
    found,
    machine,
    next_effect,
    nothing,
    results,
    run_with,
    stopped,
    synced,
    text,
    wants,
)


def all_effects(turn: TurnMachine) -> list[MachineEffect]:
    effects: list[MachineEffect] = []
    while (effect := turn.poll()) is not None:
        effects.append(effect)
    return effects


# rule 1: the environment


def test_every_iteration_starts_by_syncing_its_environment() -> None:
    turn = machine()

    first = next_effect(turn)
    assert isinstance(first, SyncEnvironment)
    turn.answer(synced(first.id))
    call = next_effect(turn)
    turn.answer(wants("a")(2))
    batch = next_effect(turn)
    turn.answer(results(found("a"))(3))
    checkpoint = next_effect(turn)
    turn.answer(nothing(4))
    second = next_effect(turn)

    assert isinstance(call, LlmCall)
    assert isinstance(batch, ToolCalls)
    assert isinstance(checkpoint, Checkpoint)
    assert isinstance(second, SyncEnvironment)
    assert (first.id, call.id, batch.id, checkpoint.id, second.id) == (1, 2, 3, 4, 5)


def test_a_request_names_the_environment_it_was_made_with() -> None:
    turn = machine()
    next_effect(turn)

    turn.answer(EnvironmentSynced(1, Environment("env-7", "Be kind.")))
    call = next_effect(turn)

    assert isinstance(call, LlmCall)
    assert call.request.environment_ref == "env-7"
    assert turn.environment == Environment("env-7", "Be kind.")


def test_a_sync_without_news_keeps_the_environment() -> None:
    turn = machine()
    run_with(turn, wants("a"), results(found("a")))
    before = turn.environment

    turn.answer(nothing(4))
    next_effect(turn)
    turn.answer(EnvironmentSynced(5))
    call = next_effect(turn)

    assert isinstance(call, LlmCall)
    assert turn.environment is before


def test_messages_of_the_preparation_come_before_the_first_request() -> None:
    turn = machine()
    next_effect(turn)

    turn.answer(EnvironmentSynced(1, Environment("e", "x"), messages=[user_message("", "a hint")]))
    call = next_effect(turn)

    assert isinstance(call, LlmCall)
    assert [message.text for message in call.request.messages] == ["hello", "a hint"]
    assert [message.id for message in call.request.messages] == ["t3.0", "t3.1"]


def test_a_failed_sync_ends_the_turn() -> None:
    turn = machine()
    told: list[MachineEvent] = []
    next_effect(turn)

    turn.answer(EnvironmentSynced(1, error="no prompt"))
    done = next_effect(turn, told)

    assert isinstance(done, Done)
    assert done.outcome == Stopped("runtime_error")
    assert ErrorReported("execution_environment", "reconfigure_failed", "no prompt") in told


# rule 2: the request


def test_a_model_call_is_announced_before_it_is_made() -> None:
    turn = machine()
    told: list[MachineEvent] = []

    next_effect(turn)
    turn.answer(synced(1))
    next_effect(turn, told)

    assert told == [ModelRequestStarted(0, 1, [])]


# rule 3: the response


def test_usage_is_added_up_and_told_after_each_answer() -> None:
    turn = machine()
    run_with(turn, wants("a"), results(found("a")), nothing)
    told: list[MachineEvent] = []

    turn.answer(text("done", TokenUsage(20, 3))(6))
    next_effect(turn, told)

    usage = [event for event in told if isinstance(event, UsageReported)]
    assert usage == [UsageReported(1, TokenUsage(20, 3), TokenUsage(30, 5))]
    assert turn.totals.usage == TokenUsage(30, 5)
    assert turn.totals.model_calls == 2


def test_the_last_prompt_says_how_full_the_context_is() -> None:
    turn = machine(window=1_000)

    run_with(turn, text("done", TokenUsage(400, 3, cached_input_tokens=150)))

    prompt = turn.totals.last_prompt
    assert prompt is not None
    assert (prompt.prompt_context_tokens, prompt.input_tokens, prompt.cached_input_tokens) == (400, 250, 150)
    assert prompt.context_budget_tokens == 1_000


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("output_limit", Stopped("incomplete")),
        ("context_overflow", Stopped("provider_error")),
        ("content_filter", Stopped("provider_error")),
        ("provider_error", Stopped("provider_error")),
        ("cancelled", Stopped("cancelled")),
    ],
)
def test_a_reason_that_is_not_the_modes_business_ends_the_turn(reason: TerminalReason, outcome: TurnOutcome) -> None:
    turn = machine()
    told: list[MachineEvent] = []
    run_with(turn)

    turn.answer(stopped(reason, "so far", TokenUsage(10, 1))(2))
    done = next_effect(turn, told)

    assert isinstance(done, Done)
    assert done.outcome == outcome
    assert turn.messages[-1].text == "so far"
    assert ModelResponded("so far", text_streamed=False) in told
    errors = [event for event in told if isinstance(event, ErrorReported)]
    assert [(error.kind, error.code) for error in errors] == [("llm_provider", reason)]


@pytest.mark.parametrize("reason", ["stop", "tool_use", "unknown"])
def test_other_reasons_are_handed_to_the_mode(reason: TerminalReason) -> None:
    driver = PlannedDriver(llm=[lambda _: [Finish(SubmittedValue(1))]])
    turn = machine(driver)

    done = run_with(turn, stopped(reason, "text"))

    assert isinstance(done, Done)
    assert done.outcome == SubmittedValue(1)


@pytest.mark.parametrize(
    ("usage", "window", "is_overflow"),
    [
        (TokenUsage(950, 0), 1_000, True),
        (TokenUsage(949, 0), 1_000, False),
        (TokenUsage(800, 0, cached_input_tokens=150), 1_000, True),
        (TokenUsage(950, 1), 1_000, False),
        (TokenUsage(950, 0), None, False),
    ],
)
def test_an_answer_of_nothing_at_a_full_window_is_an_overflow(
    usage: TokenUsage, window: int | None, is_overflow: bool
) -> None:
    turn = machine(window=window)

    done = run_with(turn, stopped("output_limit", usage=usage))

    assert isinstance(done, Done)
    assert done.outcome == Stopped("provider_error" if is_overflow else "incomplete")


# rule 4: a failed call


def test_a_failed_call_ends_the_turn_with_its_error() -> None:
    turn = machine()
    told: list[MachineEvent] = []
    run_with(turn)

    turn.answer(LlmAnswered(2, error=LlmCallError("http", "503", "overloaded"), attempts=3))
    done = next_effect(turn, told)

    assert isinstance(done, Done)
    assert done.outcome == Stopped("provider_error")
    assert turn.totals.model_calls == 3
    assert any(isinstance(event, ErrorReported) and event.code == "overloaded" for event in told)


def test_an_answer_with_neither_response_nor_error_is_a_failure() -> None:
    turn = machine()
    run_with(turn)

    turn.answer(LlmAnswered(2))
    done = next_effect(turn)

    assert isinstance(done, Done)
    assert done.outcome == Stopped("provider_error")


# rule 5: checkpoints


def test_an_empty_checkpoint_goes_where_the_mode_said() -> None:
    turn = machine()

    done = run_with(turn, text("bye"), nothing)

    assert isinstance(done, Done)
    assert done.outcome == AssistantMessage("bye")


def test_input_at_the_last_checkpoint_extends_the_turn() -> None:
    turn = machine()

    call = run_with(turn, text("bye"), arrived("wait, one more"))

    assert isinstance(call, LlmCall)
    assert call.request.iteration == 1
    assert [message.text for message in call.request.messages] == ["hello", "bye", "wait, one more"]


def test_input_after_work_joins_the_next_request_without_another_iteration() -> None:
    turn = machine()

    call = run_with(turn, wants("a"), results(found("a")), arrived("hurry"))

    assert isinstance(call, LlmCall)
    assert call.request.iteration == 1
    assert call.request.messages[-1].text == "hurry"


def test_transient_messages_are_marked_whoever_sent_them() -> None:
    turn = machine()
    run_with(turn, text("bye"))
    sent = [user_message("", "psst"), user_message("", "psst", origin=PluginOrigin("nudge"))]

    turn.answer(CheckpointDelivered(3, transient_messages=sent))

    assert [message.origin for message in turn.messages[-2:]] == [
        PluginOrigin("runtime", transient=True),
        PluginOrigin("nudge", transient=True),
    ]


def test_a_cause_is_told_once_as_an_event_message() -> None:
    turn = machine()
    run_with(turn, wants("a"), results(found("a")))
    wake = TurnCause("w1", "done", "the build is green")

    turn.answer(CheckpointDelivered(4, turn_causes=[wake, wake]))
    run_with(turn, text("good"))
    turn.answer(CheckpointDelivered(7, turn_causes=[wake]))

    events = [message for message in turn.messages if message.role == "event"]
    assert [message.text for message in events] == ["the build is green"]


# rule 6: the turn limit


def test_the_limit_grants_exactly_one_grace_iteration() -> None:
    turn = machine(max_turns=1)

    call = run_with(turn, text("one"), arrived("and?"))

    assert isinstance(call, LlmCall)
    assert call.request.messages[-1].role == "system"
    assert call.request.messages[-1].id == "t3.3"


def test_input_after_the_grace_iteration_stops_the_turn() -> None:
    turn = machine(max_turns=1)

    done = run_with(turn, text("one"), arrived("and?"), text("two"), arrived("and??"))

    assert isinstance(done, Done)
    assert done.outcome == Stopped("max_turns")
    notices = [message for message in turn.messages if message.role == "system"]
    assert len(notices) == 1
    assert turn.messages[-1].text == "and??"


def test_a_grace_iteration_that_answers_ends_the_turn_well() -> None:
    turn = machine(max_turns=1)

    done = run_with(turn, text("one"), arrived("and?"), text("two"), nothing)

    assert isinstance(done, Done)
    assert done.outcome == AssistantMessage("two")


def test_a_limit_is_scheduled_once_whatever_the_mode_asks() -> None:
    notice = Message("t3.1", "system", [Part("p0", "text", "last step")])
    driver = PlannedDriver(
        prepare=[lambda c: [ScheduleTurnLimit(notice), ScheduleTurnLimit(notice), StartLlm(c.request())]],
        llm=[lambda _: [Finish(SubmittedValue(None))]],
    )
    turn = machine(driver)

    run_with(turn, text("x"))

    assert turn.messages.count(notice) == 1


def test_without_a_limit_a_turn_goes_on() -> None:
    turn = machine()

    call = run_with(turn, *[step for number in range(30) for step in (text(f"n{number}"), arrived("more"))])

    assert isinstance(call, LlmCall)
    assert call.request.iteration == 30


# rule 7: the end, and the contract of actions


def test_the_end_is_told_before_it_is_handed_over() -> None:
    turn = machine()
    run_with(turn, text("bye"))

    turn.answer(nothing(3))
    effects = all_effects(turn)

    assert effects == [
        Emit(OutcomeReached(AssistantMessage("bye"))),
        Done(AssistantMessage("bye"), turn.records, 0),
    ]
    assert turn.poll() is None


def test_actions_after_a_finish_are_dropped() -> None:
    error = ErrorReported("mode", "odd", "odd")
    driver = PlannedDriver(
        prepare=[lambda c: [Finish(Stopped("tool_failure"), error), Append([Said(user_message("t3.1", "late"))])]]
    )
    turn = machine(driver)
    told: list[MachineEvent] = []
    run_with(turn)

    assert [message.text for message in turn.messages] == ["hello"]
    assert turn.outcome == Stopped("tool_failure")
    assert told == []


def test_work_that_was_recorded_is_announced_once_and_first() -> None:
    record = ProtocolRecord("planned", {"n": 1})
    driver = PlannedDriver(
        prepare=[lambda c: [Append([record]), Advance(), Tell(ErrorReported("a", "b", "c")), StartLlm(c.request())]]
    )
    turn = machine(driver)
    next_effect(turn)
    turn.answer(synced(1))

    effects = all_effects(turn)

    assert [type(effect).__name__ for effect in effects] == ["Progress", "Emit", "Emit", "LlmCall"]
    assert effects[0] == Progress(2, 1)
    assert record in turn.records


def test_a_cell_gets_its_driver_state_back() -> None:
    state: JsonObject = {"cell": 1}
    driver = PlannedDriver(
        prepare=[lambda _: [StartExec("lashlang", "1 + 1", state)]],
        cells=[lambda _: [Finish(SubmittedValue(2))]],
    )
    turn = machine(driver)

    effect = run_with(turn)
    assert isinstance(effect, ExecCode)
    turn.answer(ExecCompleted(effect.id, {"value": 2}))
    done = next_effect(turn)

    assert (effect.language, effect.code) == ("lashlang", "1 + 1")
    assert isinstance(done, Done)
    assert driver.driver_states == [state]


def test_a_mode_that_does_nothing_is_an_error_not_a_hang() -> None:
    turn = machine(PlannedDriver(prepare=[lambda _: []]))
    next_effect(turn)
    turn.answer(synced(1))

    with pytest.raises(AssertionError, match="without doing anything"):
        turn.poll()


def test_a_mode_that_only_looks_for_input_goes_round() -> None:
    driver = PlannedDriver(prepare=[lambda _: [StartCheckpoint("after_work", "prepare_iteration")]])
    turn = machine(driver)

    call = run_with(turn, nothing)

    assert isinstance(call, LlmCall)
    assert len(driver.contexts) == 2


# answers that nobody waits for


def test_an_answer_with_another_id_changes_nothing() -> None:
    turn = machine()
    run_with(turn)
    before = turn.checkpoint()

    turn.answer(text("stale")(1))
    turn.answer(text("early")(9))

    assert turn.checkpoint() == before


def test_an_answer_of_another_kind_changes_nothing() -> None:
    turn = machine()
    run_with(turn)
    before = turn.checkpoint()

    turn.answer(nothing(2))

    assert turn.checkpoint() == before


def test_an_answer_after_the_end_changes_nothing() -> None:
    turn = machine()
    run_with(turn, text("bye"), nothing)
    before = turn.checkpoint()

    turn.answer(nothing(3))
    turn.interrupt(Stopped("cancelled"))

    assert turn.checkpoint() == before
    assert turn.poll() is None


# interruption


def test_an_interrupted_batch_is_answered_as_cancelled() -> None:
    turn = machine()
    run_with(turn, wants("a", "b"))

    turn.interrupt(Stopped("cancelled"))
    done = next_effect(turn)

    assert isinstance(done, Done)
    assert unsettled_tool_calls(turn.messages) == []
    assert [part.tool_call_id for part in turn.messages[-1].parts] == ["a", "b"]


def test_a_batch_that_was_not_started_yet_is_answered_as_cancelled_too() -> None:
    turn = machine()
    run_with(turn)
    turn.answer(wants("a")(2))

    turn.interrupt(Stopped("cancelled"))
    next_effect(turn)

    assert unsettled_tool_calls(turn.messages) == []


def test_a_restored_machine_can_be_interrupted_at_once() -> None:
    turn = machine()
    run_with(turn, wants("a"))
    restored = TurnMachine.restore(config(), turn.checkpoint())

    restored.interrupt(Stopped("cancelled"))
    next_effect(restored)

    assert unsettled_tool_calls(restored.messages) == []


def test_an_interruption_may_carry_its_error() -> None:
    turn = machine()
    told: list[MachineEvent] = []
    error = ErrorReported("plugin", "veto", "no")
    next_effect(turn)

    turn.interrupt(Stopped("runtime_error"), error)
    done = next_effect(turn, told)

    assert isinstance(done, Done)
    assert told == [error, OutcomeReached(Stopped("runtime_error"))]


# messages


def test_messages_are_numbered_without_gaps_within_the_turn() -> None:
    turn = machine()

    run_with(turn, wants("a"), results(found("a")), arrived("hurry"), text("bye"), nothing)

    assert [message.id for message in turn.messages] == [f"t3.{number}" for number in range(5)]


def test_images_follow_the_result_they_belong_to() -> None:
    from lash.base.messages import AttachmentRef
    from lash.machine.values import CompletedCall

    picture = AttachmentRef("ab", "image/png", 3)

    message = tool_results_message(
        "t1.2", [CompletedCall("a", "draw", "see", attachments=[picture]), CompletedCall("b", "look", "x")]
    )

    assert [(part.kind, part.tool_call_id) for part in message.parts] == [
        ("tool_result", "a"),
        ("image", None),
        ("tool_result", "b"),
    ]
    assert len({part.id for part in message.parts}) == 3
