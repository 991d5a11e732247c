"""Responses over real HTTP, on good days."""

from __future__ import annotations

from typing import Any

import pytest

from lash.base.messages import AttachmentRef
from lash.base.usage import TokenUsage
from lash.machine.llm import (
    Generation,
    ImageBlock,
    LlmMessage,
    LlmRequest,
    LlmResponse,
    LlmStreamEvent,
    PartDone,
    ReasoningBlock,
    ReasoningDelta,
    ReasoningPart,
    TextBlock,
    TextDelta,
    TextPart,
    ToolCallBlock,
    ToolCallPart,
    ToolResultBlock,
    ToolSpec,
    UsageSoFar,
)
from lash.models import ProviderFailure, ProviderOptions, call_model
from lash.providers import OpenAIResponses
from lash.providers.attachments import InlineImage
from lash.providers.openai_responses import responses_body
from providers.wire_server import REQUEST, WireServer, streams

THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "hm"}],
    "encrypted_content": "enc",
}
SAID = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "phase": "commentary",
    "content": [{"type": "output_text", "text": "Grüße 🙂"}],
}
CALLED = [
    {"type": "function_call", "id": f"fc_{n}", "call_id": f"c{n}", "name": "f", "arguments": f'{{"n":{n}}}'}
    for n in range(2)
]
DONE = [{"type": "response.output_item.done", "item": item} for item in (THOUGHT, SAID, *CALLED)]
USAGE = {
    "input_tokens": 20,
    "output_tokens": 9,
    "input_tokens_details": {"cached_tokens": 16},
    "output_tokens_details": {"reasoning_tokens": 4},
}


def closing(**fields: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"status": "completed", "model": "m-1", "usage": USAGE, **fields}}


TURN = [
    {"type": "response.created", "response": {"id": "r"}},
    {"type": "response.reasoning_summary_text.delta", "delta": "hm"},
    DONE[0],
    {"type": "response.output_text.delta", "delta": "Grüße "},
    {"type": "response.output_text.delta", "delta": "🙂"},
    DONE[1],
    {"type": "response.function_call_arguments.delta", "delta": "{"},
    *DONE[2:],
    closing(output=[THOUGHT, SAID, *CALLED]),
]
ANSWER = LlmResponse(
    [
        ReasoningPart("hm", {"summary": THOUGHT["summary"], "item_id": "rs_1", "encrypted_content": "enc"}),  # type: ignore[dict-item]
        TextPart("Grüße 🙂", {"id": "msg_1", "status": "completed", "phase": "commentary"}),
        ToolCallPart("c0", "f", '{"n":0}', {"item_id": "fc_0"}),
        ToolCallPart("c1", "f", '{"n":1}', {"item_id": "fc_1"}),
    ],
    usage=TokenUsage(20, 5, 16, 4),
    terminal_reason="tool_use",
    served_model="m-1",
)


class TestTheStream:
    async def test_it_is_told_as_it_arrives_and_answered_whole(
        self, server: WireServer, responses: OpenAIResponses
    ) -> None:
        server.plays(streams(*TURN, done=False))
        heard: list[LlmStreamEvent] = []

        answer = await responses.complete(REQUEST, heard.append)

        assert answer == ANSWER
        assert [event for event in heard if not isinstance(event, UsageSoFar)] == [
            ReasoningDelta("hm"),
            PartDone(ANSWER.parts[0]),
            TextDelta("Grüße "),
            TextDelta("🙂"),
            *(PartDone(part) for part in ANSWER.parts[1:]),
        ]

    async def test_items_count_where_the_closing_event_repeats_none(
        self, server: WireServer, responses: OpenAIResponses
    ) -> None:
        server.plays(streams(*DONE, closing()))

        assert (await responses.complete(REQUEST)).parts == ANSWER.parts

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"status": "completed"}, "stop"),
            ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "output_limit"),
            ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
            ({"status": "incomplete"}, "provider_error"),
            ({"status": "cancelled"}, "cancelled"),
        ],
    )
    async def test_a_closing_status_is_understood(
        self, server: WireServer, responses: OpenAIResponses, fields: dict[str, Any], reason: str
    ) -> None:
        server.plays(streams(closing(output=[SAID], **fields)))

        assert (await responses.complete(REQUEST)).terminal_reason == reason

    async def test_a_failed_response_is_a_failure(self, server: WireServer, responses: OpenAIResponses) -> None:
        error = {"code": "server_error", "message": "sorry"}
        server.plays(streams({"type": "response.failed", "response": {"status": "failed", "error": error}}))

        with pytest.raises(ProviderFailure, match="sorry") as caught:
            await responses.complete(REQUEST)

        assert (caught.value.provider_code, caught.value.retryable) == ("server_error", True)

    async def test_the_result_is_the_same_whether_or_not_anybody_watches(
        self, server: WireServer, responses: OpenAIResponses
    ) -> None:
        server.plays(streams(*TURN))

        assert (await call_model(responses, REQUEST)).result == ANSWER


class TestTheRequest:
    async def test_nothing_is_stored_over_there(self, server: WireServer, responses: OpenAIResponses) -> None:
        server.plays(streams(*TURN))

        await responses.complete(REQUEST)

        [asked] = server.asked
        assert asked.path == "/v1/responses"
        assert asked.body == {
            "model": "m",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "stream": True,
        }

    def test_an_answer_goes_back_with_its_reasoning_and_its_ids(self) -> None:
        thought, said, called, _ = ANSWER.parts
        assert isinstance(thought, ReasoningPart)
        assert isinstance(said, TextPart)
        assert isinstance(called, ToolCallPart)
        messages = [
            LlmMessage(
                "assistant",
                [
                    ReasoningBlock(thought.text, thought.replay),
                    TextBlock(said.text, said.response_meta),
                    ToolCallBlock(called.call_id, called.tool_name, called.input_json, called.replay),
                ],
            ),
            LlmMessage("user", [ToolResultBlock("c0", "7"), TextBlock("and?")]),
        ]

        assert responses_body(LlmRequest("m", messages), {})["input"] == [
            THOUGHT,
            {
                **SAID,
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Grüße 🙂", "annotations": []}],
            },
            CALLED[0],
            {"type": "function_call_output", "call_id": "c0", "output": "7"},
            {"role": "user", "content": [{"type": "input_text", "text": "and?"}]},
        ]

    def test_what_another_provider_said_goes_along_without_ids(self) -> None:
        said = LlmMessage(
            "assistant", [ReasoningBlock("hm", {"signature": "x"}), TextBlock("hello"), ToolCallBlock("c", "f", "")]
        )

        assert responses_body(LlmRequest("m", [said]), {})["input"] == [
            {"role": "assistant", "content": "hello"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        ]

    def test_tools_and_options_are_mapped(self) -> None:
        request = LlmRequest(
            "m",
            [LlmMessage("user", [ImageBlock(AttachmentRef("a1", "image/png", 3))])],
            tools=[ToolSpec("f", "does", {"type": "object"})],
            model_variant="high",
            generation=Generation(output_token_cap=10),
            session_id="s",
        )

        body = responses_body(request, {"a1": InlineImage("image/png", "eA==")}, ProviderOptions(expose_thinking=True))

        assert body["input"] == [
            {
                "role": "user",
                "content": [{"type": "input_image", "image_url": "data:image/png;base64,eA==", "detail": "auto"}],
            }
        ]
        assert body["tools"] == [
            {"type": "function", "name": "f", "description": "does", "parameters": {"type": "object"}, "strict": False}
        ]
        assert (body["tool_choice"], body["parallel_tool_calls"]) == ("auto", True)
        assert body["reasoning"] == {"effort": "high", "summary": "auto"}
        assert (body["max_output_tokens"], body["prompt_cache_key"]) == (10, "s")

    def test_a_seed_is_refused(self) -> None:
        with pytest.raises(ProviderFailure, match="seed"):
            responses_body(LlmRequest("m", [], generation=Generation(seed=1)), {})
