"""Results and values read back as they were written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.canonical import canonical_json
from lash.base.codec import decode, encode, from_json, to_json
from lash.base.messages import AttachmentRef
from lash.tools import FailTurn, FinishTurn, SwitchAgentFrame, ToolCallOutput, ToolCallRecord, ToolFailure, ToolResult
from lash.tools.model_view import model_return, model_text
from lash.tools.result import RetryExhausted, RetrySafe, Succeeded
from lash.tools.value import MARKER, NotAToolValue, attachments_of, decode_tool_value, encode_tool_value

CHART = AttachmentRef("ab" * 32, "image/png", 10, label="chart.png")

attachments = st.builds(
    AttachmentRef, id=st.text("0123456789abcdef", min_size=64, max_size=64), media_type=st.just("image/png"),
    byte_len=st.integers(0, 10**9),
)  # fmt: skip
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = texts | st.sampled_from([MARKER, "ref", "entries"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts | attachments,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


class TestValues:
    @given(values)
    def test_read_back_exactly_with_attachments_and_escapes(self, value: Any) -> None:
        written = encode_tool_value(value)

        canonical_json(written)
        assert decode_tool_value(written) == value

    @given(values)
    def test_list_their_attachments_in_order(self, value: Any) -> None:
        def walk(part: Any) -> list[AttachmentRef]:
            if isinstance(part, AttachmentRef):
                return [part]
            inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
            return [found for item in inner for found in walk(item)]

        assert attachments_of(encode_tool_value(value)) == walk(value)

    def test_an_object_that_looks_like_an_attachment_is_escaped(self) -> None:
        lookalike = {MARKER: "attachment", "ref": {"id": "x"}}

        assert encode_tool_value(lookalike) == {MARKER: "object", "entries": lookalike}

    def test_classes_have_their_obvious_form(self) -> None:
        class Level(Enum):
            HIGH = "high"

        @dataclass
        class Row:
            level: Level
            chart: AttachmentRef

        class Item(msgspec.Struct, tag="item", tag_field="type"):
            at: datetime
            names: set[str]

        class Model(pydantic.BaseModel):
            n: int

        written = encode_tool_value(
            [Row(Level.HIGH, CHART), Item(datetime(2024, 1, 2, tzinfo=UTC), {"a"}), Model(n=1), {3: (1, 2)}]
        )

        assert written == [
            {"level": "high", "chart": {MARKER: "attachment", "ref": to_json(CHART)}},
            {"type": "item", "at": "2024-01-02T00:00:00Z", "names": ["a"]},
            {"n": 1},
            {"3": [1, 2]},
        ]

    def test_what_has_no_json_form_is_refused_by_its_type(self) -> None:
        with pytest.raises(NotAToolValue, match="type object has no JSON form"):
            encode_tool_value({"a": [object()]})


class TestOutputs:
    @pytest.mark.parametrize(
        ("output", "wire"),
        [
            (ToolResult.ok(None), {"outcome": {"status": "success", "payload": None}}),
            (
                ToolResult.retryable("external", "busy", "later", 50),
                {
                    "outcome": {
                        "status": "failure",
                        "payload": {
                            "class": "external",
                            "code": "busy",
                            "message": "later",
                            "source": "tool",
                            "retry": {"type": "safe", "after_ms": 50},
                        },
                    }
                },
            ),
            (
                ToolResult.cancelled("stopped"),
                {"outcome": {"status": "cancelled", "payload": {"message": "stopped", "source": "cancellation"}}},
            ),
            (
                ToolResult.ok(1).with_control(FinishTurn(1)),
                {"outcome": {"status": "success", "payload": 1}, "control": {"type": "finish", "value": 1}},
            ),
            (
                ToolResult.ok().with_control(SwitchAgentFrame("f", task="go on")),
                {
                    "outcome": {"status": "success", "payload": None},
                    "control": {"type": "switch_agent_frame", "frame_id": "f", "initial_nodes": [], "task": "go on"},
                },
            ),
        ],
    )
    def test_have_the_wire_form_of_the_spec(self, output: ToolCallOutput, wire: object) -> None:
        assert output.to_json() == wire
        assert ToolCallOutput.of_json(output.to_json()) == output

    def test_read_back_inside_a_record(self) -> None:
        failure = ToolFailure("internal", "broken", "no", retry=RetryExhausted(3))
        record = ToolCallRecord("c", "t", {"a": 1}, ToolResult.ok([CHART]).with_control(FailTurn(failure)), 5)

        again = decode(encode(record), ToolCallRecord)

        assert again == record
        assert again.output.value == [CHART]

    @given(values)
    def test_carry_any_value(self, value: Any) -> None:
        output = ToolResult.ok(value)

        assert from_json(output.to_json(), ToolCallOutput).value == value

    def test_an_error_value_is_kept_beside_the_message(self) -> None:
        output = ToolResult.err({"why": "because"})

        assert output.error == ToolFailure(
            "execution", "tool_error", "the tool reported an error", raw={"why": "because"}
        )
        assert not output.is_success
        assert output.value is None

    def test_an_exception_becomes_its_text(self) -> None:
        output = ToolResult.err(ValueError("no"))

        assert output.error == ToolFailure("execution", "tool_error", "ValueError: no")

    @pytest.mark.parametrize(
        "payload",
        [{MARKER: "attachment"}, {MARKER: "attachment", "ref": {}}, {MARKER: "object", "entries": 1}, {MARKER: 1}],
    )
    def test_a_marker_put_there_by_hand_can_still_be_shown(self, payload: Any) -> None:
        output = ToolCallOutput(Succeeded(payload))

        assert output.value == payload
        assert model_text(output) == canonical_json(payload)
        assert attachments_of(payload) == []

    def test_a_retryable_failure_says_so(self) -> None:
        output = ToolResult.retryable("timeout", "slow", "again")

        assert output.error is not None
        assert output.error.retry == RetrySafe(None)


class TestWhatTheModelSees:
    def test_text_is_verbatim(self) -> None:
        assert model_text(ToolResult.ok('say "hi"\n')) == 'say "hi"\n'

    def test_other_values_are_compact_json(self) -> None:
        assert model_text(ToolResult.ok({"b": [1, 2.5], "a": None})) == '{"a":null,"b":[1,2.5]}'
        assert model_text(ToolResult.ok(None)) == "null"

    def test_attachments_keep_their_place_and_follow(self) -> None:
        shown = model_return(ToolResult.ok({"chart": CHART, MARKER: 1}))

        assert shown.text == '{"$lash_tool_value":1,"chart":"[attachment chart.png: image/png, 10 bytes]"}'
        assert shown.attachments == [CHART]

    def test_an_attachment_alone_is_its_label(self) -> None:
        assert model_text(ToolResult.ok(CHART)) == "[attachment chart.png: image/png, 10 bytes]"

    def test_failures_and_cancellations_are_bracketed_lines_and_their_message(self) -> None:
        failed = ToolResult.failure("execution", "x", "no such row", raw=[CHART])

        assert model_text(failed) == "[tool execution failed]\nno such row"
        assert model_return(failed).attachments == [CHART]
        assert model_text(ToolResult.cancelled("by you")) == "[tool execution cancelled]\nby you"
