"""What was streamed against what was finally answered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lash.base.usage import TokenUsage
from lash.machine.llm import (
    AttemptReset,
    LlmPart,
    LlmResponse,
    LlmStreamEvent,
    PartDone,
    ReasoningDelta,
    ReasoningPart,
    RetryStatus,
    TextDelta,
    TextPart,
    ToolCallPart,
    UsageSoFar,
)
from lash.models import Streamed, reconcile, text_to_emit

CALL = ToolCallPart("c1", "t", "{}")


def stream(*events: LlmStreamEvent) -> Streamed:
    streamed = Streamed()
    for event in events:
        streamed.add(event)
    return streamed


def parts(streamed: Streamed, *final: LlmPart) -> list[LlmPart]:
    return reconcile(streamed, LlmResponse(list(final))).parts


def test_without_a_stream_the_final_response_is_all() -> None:
    response = LlmResponse([TextPart("hi"), CALL])

    assert reconcile(Streamed(), response) == response
    assert text_to_emit(Streamed(), response) == "hi"


def test_streamed_text_is_not_emitted_again() -> None:
    assert text_to_emit(stream(TextDelta("h")), LlmResponse([TextPart("hi")])) == ""


def test_streamed_parts_are_kept_when_the_final_response_is_empty() -> None:
    streamed = stream(ReasoningDelta("hm"), TextDelta("hel"), TextDelta("lo"), PartDone(CALL))

    assert parts(streamed) == [ReasoningPart("hm"), TextPart("hello"), CALL]


def test_a_final_call_replaces_the_streamed_one_of_the_same_call_id() -> None:
    streamed = stream(PartDone(ToolCallPart("c1", "t", "{par")))

    assert parts(streamed, ToolCallPart("c1", "t", "{}", {"item_id": "i"})) == [
        ToolCallPart("c1", "t", "{}", {"item_id": "i"})
    ]


def test_or_of_the_same_item_id() -> None:
    streamed = stream(PartDone(ToolCallPart("draft", "t", "{}", {"item_id": "i"})))

    assert parts(streamed, ToolCallPart("real", "t", "{}", {"item_id": "i"})) == [
        ToolCallPart("real", "t", "{}", {"item_id": "i"})
    ]


def test_missing_parts_are_appended() -> None:
    streamed = stream(TextDelta("a"), PartDone(TextPart("a")), TextDelta("b"), PartDone(TextPart("b")))

    assert parts(streamed, TextPart("b"), CALL) == [TextPart("a"), TextPart("b"), CALL]


def test_the_final_order_counts_where_it_covers_the_stream() -> None:
    streamed = stream(TextDelta("answer"))

    assert parts(streamed, ReasoningPart("hm"), TextPart("answer", {"id": 1})) == [
        ReasoningPart("hm"),
        TextPart("answer", {"id": 1}),
    ]


def test_a_stream_that_broke_off_is_completed_by_the_final_text() -> None:
    assert parts(stream(TextDelta("ans")), TextPart("answer")) == [TextPart("answer")]


def test_a_reset_voids_everything_before_it() -> None:
    streamed = stream(TextDelta("bad"), PartDone(CALL), RetryStatus(1, 1, 2, "x"), AttemptReset(), TextDelta("good"))

    assert parts(streamed, TextPart("good")) == [TextPart("good")]


def test_later_usage_wins_where_it_is_known() -> None:
    streamed = stream(UsageSoFar(TokenUsage(10, 1)), UsageSoFar(TokenUsage(0, 5)))

    response = reconcile(streamed, LlmResponse([], TokenUsage(0, 7, 3)))

    assert response.usage == TokenUsage(10, 7, 3)


final_parts = st.lists(
    st.builds(TextPart, st.text("ab", min_size=1, max_size=3))
    | st.builds(ReasoningPart, st.text("cd", min_size=1, max_size=3)),
    max_size=4,
)


@given(final_parts, st.data())
def test_a_faithful_stream_changes_nothing(said: list[LlmPart], data: st.DataObject) -> None:
    calls: list[LlmPart] = [ToolCallPart(f"c{n}", "t", "{}") for n in range(data.draw(st.integers(0, 2)))]
    whole = [*said, *calls]

    streamed = stream(*(PartDone(part) for part in whole))

    assert parts(streamed, *whole) == whole
