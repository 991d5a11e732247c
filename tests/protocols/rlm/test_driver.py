"""What a turn in RLM mode does next, pure."""

from __future__ import annotations

import pytest

from lash.base.json import JsonObject
from lash.base.messages import Message, Part, PluginOrigin, user_message
from lash.machine.driver import Advance, Append, DriverContext, Finish, StartCheckpoint, StartExec, StartLlm
from lash.machine.llm import LlmResponse, ReasoningPart, TextPart
from lash.machine.outcome import FrameSwitch, Stopped, SubmittedValue
from lash.machine.values import ProtocolRecord, Said
from lash.protocols.rlm.cells import FencedCells
from lash.protocols.rlm.driver import RlmDriver
from lash.protocols.rlm.history import history_items
from lash.protocols.rlm.options import Ending, ObserveLimits, RlmConfig
from lash.protocols.rlm.output import clipped, images_in, observed
from lash.protocols.rlm.projection import RlmProjection

DRIVER = RlmDriver(RlmConfig(), Ending(), FencedCells())


def context(*, iteration: int = 0, max_turns: int | None = None, options: JsonObject | None = None) -> DriverContext:
    said = [user_message("t1.0", "go")]
    return DriverContext(1, said, [], iteration, max_turns, "env", 1, False, turn_options=options or {})


def test_options_that_cannot_be_read_end_the_turn_before_the_model_is_asked() -> None:
    (action,) = DRIVER.prepare_iteration(context(options={"termination": {"kind": "never"}}))

    assert isinstance(action, Finish)
    assert action.outcome == Stopped("runtime_error")
    assert action.error is not None
    assert (action.error.kind, action.error.code) == ("rlm_turn_options", "invalid_turn_options")


def test_where_the_turn_stands_is_told_and_enters_no_history() -> None:
    (action,) = DRIVER.prepare_iteration(context(iteration=2, max_turns=5))

    assert isinstance(action, StartLlm)
    assert not action.request.use_tools
    assert action.request.messages[-1].is_transient
    assert action.request.messages[-1].text.startswith("Iteration 3 of 5.")


def test_a_cell_is_said_and_run() -> None:
    response = LlmResponse([ReasoningPart("hm"), TextPart("so:\n```lashlang\nsubmit 1\n```\nmore")])

    said, run = DRIVER.handle_llm_success(context(), response, None)

    assert isinstance(said, Append)
    (record,) = said.records
    assert isinstance(record, Said)
    assert [(part.kind, part.content) for part in record.message.parts] == [
        ("reasoning", "hm"),
        ("prose", "so:"),
        ("code", "submit 1\n"),
    ]
    assert run == StartExec("lashlang", "submit 1\n")


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ({"submitted": {"value": None}}, SubmittedValue(None)),
        (
            {
                "ended_by": {
                    "call_id": "c",
                    "tool_name": "continue_as",
                    "content": "",
                    "control": {"type": "switch_agent_frame", "frame_id": "f", "task": "t"},
                }
            },
            FrameSwitch("f", "t"),
        ),
    ],
)
def test_what_ends_the_turn_goes_through_a_checkpoint(response: JsonObject, outcome: object) -> None:
    actions = DRIVER.handle_exec_result(context(), response, None, None)

    assert actions[1:] == [StartCheckpoint("before_completion", outcome)]  # type: ignore[arg-type]


def test_what_was_observed_is_recorded_beside_what_came_of_the_cell() -> None:
    response: JsonObject = {"address": "history[1]", "output": ["a"], "error": "b", "seen": {"nodes": {"n": [1, 1, 0]}}}

    said, *rest = DRIVER.handle_exec_result(context(), response, None, None)

    assert isinstance(said, Append)
    record, came_of = said.records
    assert record == ProtocolRecord("rlm_protocol", {"type": "rlm_cell", "seen": {"nodes": {"n": [1, 1, 0]}}})
    assert isinstance(came_of, Said)
    assert [(part.id, part.kind) for part in came_of.message.parts] == [
        ("history[1].output[0]", "output"),
        ("history[1].error", "error"),
    ]
    assert rest == [Advance(), StartCheckpoint("after_work", "prepare_iteration")]


def test_an_answer_that_cannot_be_read_ends_the_turn() -> None:
    (action,) = DRIVER.handle_exec_result(context(), {"output": 7}, None, None)

    assert isinstance(action, Finish)
    assert action.error is not None
    assert action.error.code == "invalid_driver_state"


def test_projecting_piece_by_piece_is_projecting_the_whole() -> None:
    origin = PluginOrigin("rlm_protocol")
    messages = [
        user_message("t1.0", "go"),
        Message("t1.1", "assistant", [Part("p0", "prose", "so"), Part("code:0", "code", "x = 1\n")]),
        Message("t1.2", "user", [Part("history[1].output[0]", "output", "1")], origin),
        Message("t1.3", "system", [Part("p0", "text", "note")], origin),
        Message("t1.4", "assistant", [Part("p0", "prose", "done")]),
    ]
    projection = RlmProjection(FencedCells(), 100, lambda: "")

    whole = projection.project(messages)

    assert [one for message in messages for one in projection.project([message])] == whole
    assert [(one.role, one.text) for one in whole] == [
        ("user", "go"),
        ("assistant", "so\n\n```lashlang\nx = 1\n```"),
        ("user", "Output 1:\n1"),
        ("system", "Runtime note: note"),
        ("assistant", "done"),
    ]
    assert [item["kind"] for item in history_items(messages) if isinstance(item, dict)] == [
        "message",
        "rlm_step",
        "message",
        "message",
    ]


def test_a_printed_value_is_cut_at_lines_and_bytes() -> None:
    limits = ObserveLimits(max_bytes=10, max_lines=2)

    assert observed("a\nb", limits)[0] == "a\nb"
    assert observed("a\nb\nc", limits)[0].startswith("a\nb\n… 2 of 5 characters")
    assert observed("ä" * 20, limits)[0].startswith("äääää\n… 15 of 20")
    cut = observed("x" * 20, limits)[1]
    assert (cut.truncated, cut.original_chars, cut.original_lines, cut.limit, cut.max_lines) == (True, 20, 1, 10, 2)


def test_a_clipped_text_keeps_head_and_tail_and_names_its_place() -> None:
    assert clipped("abc", 3, "history[0]") == "abc"
    assert (
        clipped("a" * 10 + "z" * 10, 6, "history[0]")
        == "aaaa\n… 14 characters left out, all of it is `history[0]` …\nzz"
    )


def test_images_are_found_inside_values_in_order() -> None:
    image: JsonObject = {"type": "image", "id": "one"}

    assert list(images_in({"a": [image, {"b": {"type": "image", "id": "two"}}], "c": image})) == ["one", "two", "one"]
