"""The turn machine under any answers, in any order, with restores and interruptions anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from lash.base.messages import unsettled_tool_calls, user_message
from lash.base.usage import TokenUsage
from lash.machine.llm import LlmCallError, LlmPart, LlmResponse, ReasoningPart, TerminalReason, TextPart, ToolCallPart
from lash.machine.outcome import Stopped
from lash.machine.turn import TurnMachine
from lash.machine.values import (
    AnsweredEffect,
    Checkpoint,
    CheckpointDelivered,
    CompletedCall,
    Done,
    Environment,
    EnvironmentSynced,
    ExecCode,
    FailTurn,
    FinishTurn,
    LlmAnswered,
    LlmCall,
    MachineAnswer,
    MachineEffect,
    SwitchFrame,
    SyncEnvironment,
    ToolCalls,
    ToolsCompleted,
    TurnCause,
    TurnControl,
)
from machine.plans import config

REASONS: list[TerminalReason] = [
    "stop",
    "tool_use",
    "unknown",
    "output_limit",
    "context_overflow",
    "content_filter",
    "cancelled",
]
CONTROLS: list[TurnControl | None] = [
    None,
    None,
    None,
    FinishTurn(1),
    FailTurn("no"),
    SwitchFrame("f", "go on"),
    SwitchFrame("", "go on"),
    SwitchFrame("f"),
]


@dataclass
class Run:
    """One turn: every effect that came out, and ids of the calls the model made."""

    data: st.DataObject
    effects: list[MachineEffect] = field(default_factory=list)
    calls: int = 0

    def answer(self, effect: AnsweredEffect) -> MachineAnswer:
        draw = self.data.draw
        match effect:
            case SyncEnvironment():
                if draw(st.integers(0, 15)) == 0:
                    return EnvironmentSynced(effect.id, error="trouble")
                return EnvironmentSynced(effect.id, draw(st.sampled_from([None, Environment("e", "x")])))
            case LlmCall():
                if draw(st.integers(0, 11)) == 0:
                    return LlmAnswered(effect.id, error=LlmCallError("http", "no"))
                return LlmAnswered(effect.id, self.response())
            case ToolCalls(calls=calls):
                status: st.SearchStrategy[Literal["success", "failure", "cancelled"]] = st.sampled_from(
                    ["success", "failure", "cancelled"]
                )
                return ToolsCompleted(
                    effect.id,
                    [
                        CompletedCall(
                            call.call_id, call.tool_name, "r", draw(status), [], draw(st.sampled_from(CONTROLS))
                        )
                        for call in calls
                    ],
                )
            case Checkpoint():
                if draw(st.booleans()):
                    return CheckpointDelivered(effect.id)
                return CheckpointDelivered(
                    effect.id,
                    messages=[user_message("", "more")] * draw(st.integers(0, 2)),
                    transient_messages=[user_message("", "psst")] * draw(st.integers(0, 1)),
                    turn_causes=[TurnCause("w", "wake", "up")] * draw(st.integers(0, 2)),
                )
            case ExecCode():
                raise AssertionError("standard mode runs no cells")

    def response(self) -> LlmResponse:
        draw = self.data.draw
        parts: list[LlmPart] = []
        for kind in draw(st.lists(st.sampled_from(["text", "blank", "reasoning", "call", "bad call"]), max_size=4)):
            match kind:
                case "text" | "blank":
                    parts.append(TextPart("hello" if kind == "text" else " \n"))
                case "reasoning":
                    parts.append(ReasoningPart("hm", {"signed": True}))
                case _:
                    self.calls += 1
                    parts.append(ToolCallPart(f"c{self.calls}", "look", "{}" if kind == "call" else "{oops"))
        return LlmResponse(parts, TokenUsage(10, 1), draw(st.sampled_from(REASONS)))

    def poll(self, turn: TurnMachine) -> AnsweredEffect | Done:
        while True:
            effect = turn.poll()
            assert effect is not None
            self.effects.append(effect)
            if isinstance(effect, AnsweredEffect | Done):
                return effect


limits = st.one_of(st.none(), st.integers(1, 3))


@settings(max_examples=150, deadline=None)
@given(st.data(), limits)
def test_every_turn_ends_with_a_history_that_a_provider_accepts(data: st.DataObject, max_turns: int | None) -> None:
    run = Run(data)
    turn = TurnMachine(config(max_turns=max_turns), [user_message("t3.0", "hello")])
    steps_left = data.draw(st.integers(0, 40))

    while not isinstance(effect := run.poll(turn), Done):
        if steps_left == 0:
            turn.interrupt(Stopped("cancelled"))
            continue
        steps_left -= 1
        turn.answer(run.answer(effect))

    ids = [effect.id for effect in run.effects if isinstance(effect, AnsweredEffect)]
    assert ids == list(range(1, len(ids) + 1))
    assert unsettled_tool_calls(turn.messages) == []
    assert len({message.id for message in turn.messages}) == len(turn.messages)
    assert sum(isinstance(effect, Done) for effect in run.effects) == 1
    assert turn.poll() is None
    assert effect.records == turn.records


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(1, 3))
def test_a_limited_turn_ends_by_itself(data: st.DataObject, max_turns: int) -> None:
    run = Run(data)
    turn = TurnMachine(config(max_turns=max_turns), [user_message("t3.0", "hello")])

    while not isinstance(effect := run.poll(turn), Done):
        turn.answer(run.answer(effect))

    asked = sum(isinstance(effect, LlmCall) for effect in run.effects)
    assert asked <= max_turns + 1


@settings(max_examples=80, deadline=None)
@given(st.data(), limits)
def test_a_machine_restored_at_every_effect_goes_the_same_way(data: st.DataObject, max_turns: int | None) -> None:
    run, twin_run = Run(data), Run(data)
    plain = TurnMachine(config(max_turns=max_turns), [user_message("t3.0", "hello")])
    twin = TurnMachine(config(max_turns=max_turns), [user_message("t3.0", "hello")])
    steps_left = 25

    while True:
        effect = run.poll(plain)
        assert twin_run.poll(twin) == effect
        if isinstance(effect, Done):
            break
        # The outstanding effect is delivered again, once, and nothing comes after it.
        twin = TurnMachine.restore(config(max_turns=max_turns), twin.checkpoint())
        assert twin.poll() == effect
        assert twin.poll() is None
        if steps_left == 0:
            plain.interrupt(Stopped("cancelled"))
            twin.interrupt(Stopped("cancelled"))
            continue
        steps_left -= 1
        answer = run.answer(effect)
        plain.answer(answer)
        twin.answer(answer)

    assert twin.checkpoint() == plain.checkpoint()
    assert twin_run.effects == run.effects


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_an_interruption_of_a_restored_machine_leaves_a_valid_history(data: st.DataObject) -> None:
    run = Run(data)
    turn = TurnMachine(config(), [user_message("t3.0", "hello")])
    for _ in range(data.draw(st.integers(0, 12))):
        effect = run.poll(turn)
        if isinstance(effect, Done):
            break
        turn.answer(run.answer(effect))

    restored = TurnMachine.restore(config(), turn.checkpoint())
    restored.interrupt(Stopped("cancelled"))

    assert restored.outcome is not None
    assert unsettled_tool_calls(restored.messages) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_answers_that_nobody_awaits_are_ignored_everywhere(data: st.DataObject) -> None:
    run = Run(data)
    turn = TurnMachine(config(max_turns=2), [user_message("t3.0", "hello")])

    while not isinstance(effect := run.poll(turn), Done):
        before = turn.checkpoint()
        wrong = effect.id + data.draw(st.sampled_from([-1, 1, 7]))
        for stale in (
            EnvironmentSynced(wrong, error="late"),
            LlmAnswered(wrong, LlmResponse([])),
            ToolsCompleted(wrong, []),
            CheckpointDelivered(wrong),
        ):
            turn.answer(stale)
        assert turn.checkpoint() == before
        turn.answer(run.answer(effect))
