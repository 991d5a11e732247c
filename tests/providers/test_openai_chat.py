"""Chat Completions over real HTTP, on good days."""

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
    OutputSpec,
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
from lash.models import ProviderFailure, call_model
from lash.providers import MissingApiKey, MissingBaseUrl, OpenAIChat
from lash.providers.openai_chat import chat_body
from providers.wire_server import REQUEST, Reply, WireServer, sse, streams


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"model": "m-1", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def call_piece(index: int, arguments: str = "", **fields: Any) -> dict[str, Any]:
    name = {"name": fields.pop("name")} if "name" in fields else {}
    return {"index": index, **fields, "function": {**name, "arguments": arguments}}


USAGE = {
    "choices": [],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 16},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
}
TURN = [
    delta(role="assistant", content=""),
    delta(reasoning_content="hm"),
    delta(content="Grüße "),
    delta(content="🙂"),
    delta(tool_calls=[call_piece(0, '{"n"', id="c0", name="one")]),
    delta(tool_calls=[call_piece(1, "", id="c1", name="two"), call_piece(0, ":1}")]),
    delta("tool_calls"),
    USAGE,
]
ANSWER = LlmResponse(
    [
        ReasoningPart("hm"),
        TextPart("Grüße 🙂"),
        ToolCallPart("c0", "one", '{"n":1}'),
        ToolCallPart("c1", "two", "{}"),
    ],
    usage=TokenUsage(20, 5, 16, 4),
    terminal_reason="tool_use",
    served_model="m-1",
)


class TestTheStream:
    async def test_it_is_told_as_it_arrives_and_answered_whole(self, server: WireServer, chat: OpenAIChat) -> None:
        server.plays(streams(*TURN))
        heard: list[LlmStreamEvent] = []

        answer = await chat.complete(REQUEST, heard.append)

        assert answer == ANSWER
        assert [event for event in heard if not isinstance(event, UsageSoFar)] == [
            ReasoningDelta("hm"),
            PartDone(ReasoningPart("hm")),
            TextDelta("Grüße "),
            TextDelta("🙂"),
            *(PartDone(part) for part in ANSWER.parts[1:]),
        ]

    async def test_it_may_arrive_byte_by_byte(self, server: WireServer, chat: OpenAIChat) -> None:
        server.plays(Reply([bytes([byte]) for byte in sse(TURN)]))

        assert await chat.complete(REQUEST) == ANSWER

    async def test_connections_are_used_again(self, server: WireServer, chat: OpenAIChat) -> None:
        server.plays(streams(*TURN))

        for _ in range(3):
            await chat.complete(REQUEST)

        assert server.connections == 1

    async def test_a_server_that_never_hangs_up_is_not_waited_for(self, server: WireServer, chat: OpenAIChat) -> None:
        server.plays(streams(*TURN, ending="hang"))

        assert await chat.complete(REQUEST) == ANSWER

    @pytest.mark.parametrize(
        ("finish", "reason"),
        [
            ("stop", "stop"),
            ("length", "output_limit"),
            ("max_tokens", "output_limit"),
            ("content_filter", "content_filter"),
            ("SAFETY", "content_filter"),
            ("function_call", "stop"),
            ("tired", "provider_error"),
            ("", "stop"),
        ],
    )
    async def test_a_finish_reason_is_understood(
        self, server: WireServer, chat: OpenAIChat, finish: str, reason: str
    ) -> None:
        server.plays(streams(delta(finish, content="x")))

        answer = await chat.complete(REQUEST)

        assert (answer.full_text, answer.terminal_reason) == ("x", reason)

    @pytest.mark.parametrize(
        ("usage", "expected"),
        [
            ({"input_tokens": 3, "output_tokens": 2}, TokenUsage(3, 2)),
            ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}, TokenUsage(9, 1, 8)),
            ({"prompt_tokens": None, "completion_tokens": "7"}, TokenUsage()),
        ],
    )
    async def test_usage_is_read_under_other_names(
        self, server: WireServer, chat: OpenAIChat, usage: dict[str, Any], expected: TokenUsage
    ) -> None:
        server.plays(streams(delta("stop", content="x"), {"choices": [], "usage": usage}))

        assert (await chat.complete(REQUEST)).usage == expected

    async def test_calls_without_an_index_stay_apart(self, server: WireServer, chat: OpenAIChat) -> None:
        whole = [{"id": f"c{n}", "function": {"name": "f", "arguments": f'{{"n":{n}}}'}} for n in range(2)]
        server.plays(streams(delta("stop", tool_calls=whole)))

        answer = await chat.complete(REQUEST)

        assert answer.tool_calls == [ToolCallPart(f"c{n}", "f", f'{{"n":{n}}}') for n in range(2)]
        assert answer.terminal_reason == "tool_use"


class TestTheRequest:
    async def test_it_goes_to_the_base_url_with_the_key(self, server: WireServer, chat: OpenAIChat) -> None:
        server.plays(streams(*TURN))

        await chat.complete(REQUEST)

        [asked] = server.asked
        assert asked.path == "/v1/chat/completions"
        assert asked.headers["authorization"] == "Bearer k"
        assert asked.body == {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def test_a_conversation_is_mapped_message_by_message(self) -> None:
        messages = [
            LlmMessage("system", [TextBlock("be kind")]),
            LlmMessage(
                "assistant",
                [ReasoningBlock("hm", {"a": 1}), TextBlock("on it"), ToolCallBlock("c0", "f", "oops")],
            ),
            LlmMessage("user", [ToolResultBlock("c0", "7"), TextBlock("and?"), TextBlock("well?")]),
        ]

        assert chat_body(LlmRequest("m", messages), {})["messages"] == [
            {"role": "system", "content": "be kind"},
            {
                "role": "assistant",
                "content": "on it",
                "tool_calls": [
                    {
                        "id": "c0",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"invalid_arguments": "oops"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c0", "content": "7"},
            {"role": "user", "content": "and?\n\nwell?"},
        ]

    def test_tools_and_options_are_mapped(self) -> None:
        request = LlmRequest(
            "m",
            [],
            tools=[ToolSpec("f", "does", {"type": "object"})],
            tool_choice="required",
            model_variant="high",
            generation=Generation(10, 0.5, 3),
            output_spec=OutputSpec("json_schema", "out", {"type": "object"}),
        )

        body = chat_body(request, {}, "max_completion_tokens")

        assert body["tools"] == [
            {"type": "function", "function": {"name": "f", "description": "does", "parameters": {"type": "object"}}}
        ]
        assert body["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "out", "schema": {"type": "object"}, "strict": True},
        }
        assert {key: body[key] for key in ("tool_choice", "reasoning_effort", "temperature", "seed")} == {
            "tool_choice": "required",
            "reasoning_effort": "high",
            "temperature": 0.5,
            "seed": 3,
        }
        assert body["max_completion_tokens"] == 10


class TestImages:
    REQUEST = LlmRequest("m", [LlmMessage("user", [TextBlock("?"), ImageBlock(AttachmentRef("a1", "image/png", 3))])])

    async def test_an_image_is_loaded_just_before_the_call(self, server: WireServer) -> None:
        async def load(attachment_id: str) -> bytes:
            return attachment_id.encode()

        chat = OpenAIChat(base_url=server.base_url, api_key="k", load_attachment=load)
        server.plays(streams(*TURN))

        await chat.complete(self.REQUEST)
        await chat.aclose()

        assert server.asked[0].body["messages"][0]["content"] == [
            {"type": "text", "text": "?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,YTE="}},
        ]

    async def test_without_access_to_attachments_an_image_is_refused(self, chat: OpenAIChat) -> None:
        with pytest.raises(ProviderFailure, match="load_attachment=") as caught:
            await chat.complete(self.REQUEST)

        assert caught.value.provider_code == "attachments_unavailable"

    async def test_a_format_that_servers_do_not_take_is_refused(self, chat: OpenAIChat) -> None:
        image = ImageBlock(AttachmentRef("a1", "image/tiff", 3))

        with pytest.raises(ProviderFailure, match="image/tiff") as caught:
            await chat.complete(LlmRequest("m", [LlmMessage("user", [image])]))

        assert caught.value.provider_code == "unsupported_image_format"


class TestConfiguration:
    def test_a_missing_key_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)

        with pytest.raises(MissingApiKey, match="OPENAI_API_KEY"):
            OpenAIChat(base_url="http://127.0.0.1:1/v1")

    def test_a_missing_server_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_BASE_URL", raising=False)

        with pytest.raises(MissingBaseUrl, match="OPENAI_BASE_URL"):
            OpenAIChat(api_key="k")

    def test_no_key_is_shown(self) -> None:
        assert "secret" not in repr(OpenAIChat(base_url="http://127.0.0.1:1/v1", api_key="secret"))


async def test_the_result_is_the_same_whether_or_not_anybody_watches(server: WireServer, chat: OpenAIChat) -> None:
    server.plays(streams(*TURN))

    call = await call_model(chat, REQUEST)

    assert call.result == ANSWER
