"""What is peculiar to Messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lash.base.usage import TokenUsage
from lash.machine.capability import ModelCapability
from lash.machine.llm import (
    Generation,
    LlmMessage,
    LlmRequest,
    LlmResponse,
    OutputSpec,
    ReasoningBlock,
    ReasoningPart,
    TextBlock,
    TextPart,
    ToolCallBlock,
    ToolCallPart,
    ToolResultBlock,
    ToolSpec,
)
from lash.models import ProviderFailure, ProviderOptions
from lash.providers import AnthropicMessages, MissingApiKey
from lash.providers.anthropic import messages_body
from providers.wire_server import QUICK, REQUEST, WireServer, streams

MARK = {"type": "ephemeral"}
TOOL = ToolSpec("f", "does", {"type": "object"})
UNCACHED = ProviderOptions(cache_retention="none")


@pytest.fixture
async def wire(server: WireServer) -> AsyncIterator[AnthropicMessages]:
    provider = AnthropicMessages(base_url=server.root, api_key="k", options=QUICK)
    yield provider
    await provider.aclose()


def user(*blocks: Any) -> LlmMessage:
    return LlmMessage("user", list(blocks))


def assistant(*blocks: Any) -> LlmMessage:
    return LlmMessage("assistant", list(blocks))


class TestTheRequest:
    async def test_it_carries_key_and_version(self, server: WireServer, wire: AnthropicMessages) -> None:
        server.plays(streams({"type": "message_stop"}, done=False))

        await wire.complete(REQUEST)

        [asked] = server.asked
        # How the key is presented is the SDK's choice; it has changed before.
        assert "k" in (asked.headers.get("x-api-key"), asked.headers.get("authorization", "").removeprefix("Bearer "))
        assert "anthropic-version" in asked.headers
        assert "anthropic-beta" not in asked.headers
        assert asked.body == {
            "model": "m",
            "max_tokens": 8192,
            "stream": True,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": MARK}]}],
        }

    async def test_a_budget_with_tools_asks_for_thinking_between_calls(
        self, server: WireServer, wire: AnthropicMessages
    ) -> None:
        server.plays(streams({"type": "message_stop"}, done=False))
        capability = ModelCapability(reasoning="budget")

        await wire.complete(
            LlmRequest("m", [user(TextBlock("hi"))], [TOOL], model_variant="4096", capability=capability)
        )

        assert server.asked[0].headers["anthropic-beta"] == "interleaved-thinking-2025-05-14"

    def test_roles_alternate_and_results_come_first(self) -> None:
        messages = [
            LlmMessage("system", [TextBlock("be kind")]),
            user(TextBlock("go")),
            assistant(
                ReasoningBlock("hm", {"signature": "sig"}),
                ReasoningBlock("", {"redacted_data": "xyz"}),
                ReasoningBlock("another model's", {"encrypted_content": "e"}),
                ToolCallBlock("c0", "f", "oops"),
            ),
            user(TextBlock("and?"), ToolResultBlock("c0", "7")),
            LlmMessage("system", [TextBlock("Runtime note: last step")]),
            user(TextBlock(" ")),
        ]

        body = messages_body(LlmRequest("m", messages), {}, UNCACHED)

        assert body["system"] == [{"type": "text", "text": "be kind"}]
        assert body["messages"] == [
            {"role": "user", "content": [{"type": "text", "text": "go"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "xyz"},
                    {"type": "tool_use", "id": "c0", "name": "f", "input": {"invalid_arguments": "oops"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c0", "content": "7"},
                    {"type": "text", "text": "and?"},
                    {"type": "text", "text": "Runtime note: last step"},
                ],
            },
        ]

    @pytest.mark.parametrize(
        ("capability", "variant", "exposed", "expected"),
        [
            (ModelCapability(), None, True, {}),
            (ModelCapability(reasoning="none"), "high", True, {}),
            (ModelCapability(), "none", False, {"thinking": {"type": "disabled"}}),
            (ModelCapability(), "high", False, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
            (
                ModelCapability(reasoning="budget", budgets=(("high", 9_000),)),
                "high",
                True,
                {
                    "thinking": {"type": "enabled", "budget_tokens": 9_000, "display": "summarized"},
                    "max_tokens": 17_192,
                },
            ),
        ],
    )
    def test_thinking_is_asked_for_as_the_model_knows_it(
        self, capability: ModelCapability, variant: str | None, exposed: bool, expected: dict[str, Any]
    ) -> None:
        request = LlmRequest("m", [], model_variant=variant, capability=capability)

        body = messages_body(request, {}, ProviderOptions(expose_thinking=exposed))

        assert body == {"model": "m", "max_tokens": 8_192, "messages": [], **expected}

    def test_a_thinking_model_gets_no_temperature_and_another_one_does(self) -> None:
        warm = Generation(temperature=0.5)

        assert "temperature" not in messages_body(LlmRequest("m", [], model_variant="low", generation=warm), {})
        assert messages_body(LlmRequest("m", [], generation=warm), {})["temperature"] == 0.5

    def test_the_limit_is_the_caps_then_the_options_then_the_models(self) -> None:
        options = ProviderOptions(max_output_tokens=20)

        assert messages_body(LlmRequest("m", [], generation=Generation(10)), {}, options)["max_tokens"] == 10
        assert messages_body(LlmRequest("m", [], output_token_capacity=30), {}, options)["max_tokens"] == 20
        assert messages_body(LlmRequest("m", [], output_token_capacity=30), {})["max_tokens"] == 30

    def test_a_schema_binds_the_answer_beside_the_effort(self) -> None:
        spec = OutputSpec("json_schema", "out", {"type": "object"})

        body = messages_body(LlmRequest("m", [], model_variant="low", output_spec=spec), {})

        format_ = {"type": "json_schema", "schema": {"type": "object"}}
        assert body["output_config"] == {"effort": "low", "format": format_}

    @pytest.mark.parametrize(
        "request_",
        [
            LlmRequest("m", [], output_spec=OutputSpec("json_object")),
            LlmRequest("m", [], generation=Generation(seed=1)),
        ],
    )
    def test_what_the_dialect_cannot_do_is_refused(self, request_: LlmRequest) -> None:
        with pytest.raises(ProviderFailure) as caught:
            messages_body(request_, {})

        assert (caught.value.kind, caught.value.retryable) == ("unsupported", False)


class TestCaching:
    def marks(self, options: ProviderOptions, *messages: LlmMessage) -> list[Any]:
        request = LlmRequest("m", [LlmMessage("system", [TextBlock("be kind")]), *messages], [TOOL, TOOL])
        body: Any = messages_body(request, {}, options)
        blocks = [*body["system"], *body["tools"], *(b for message in body["messages"] for b in message["content"])]
        return [block.get("cache_control") for block in blocks]

    def test_instructions_tools_and_the_end_of_the_conversation_are_marked(self) -> None:
        talk = (user(TextBlock("go")), assistant(ToolCallBlock("c", "f", "{}")), user(ToolResultBlock("c", "7")))

        assert self.marks(ProviderOptions(), *talk) == [MARK, None, MARK, None, None, MARK]

    def test_breakpoints_of_the_host_replace_the_end(self) -> None:
        marked = [user(TextBlock(str(n), cache_breakpoint=True)) for n in range(3)]

        assert self.marks(ProviderOptions(), *marked, user(TextBlock("x"))) == [
            MARK,
            None,
            MARK,
            None,
            MARK,
            MARK,
            None,
        ]

    def test_long_and_none_are_the_hosts_choice(self) -> None:
        hour = {"type": "ephemeral", "ttl": "1h"}

        assert self.marks(ProviderOptions(cache_retention="long")) == [hour, None, hour]
        assert self.marks(UNCACHED) == [None, None, None]


class TestTheStream:
    async def test_thinking_is_kept_with_its_signature(self, server: WireServer, wire: AnthropicMessages) -> None:
        deltas: list[Any] = [
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "si"},
        ]
        deltas.append({"type": "signature_delta", "signature": "g"})
        server.plays(
            streams(
                {
                    "type": "message_start",
                    "message": {"model": "m-1", "usage": {"input_tokens": 4, "output_tokens": 1}},
                },
                {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
                *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
                {"type": "content_block_stop", "index": 0},
                {
                    "type": "content_block_start",
                    "index": 1,
                    "content_block": {"type": "redacted_thinking", "data": "x"},
                },
                {"type": "content_block_stop", "index": 1},
                {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": "so"}},
                {"type": "content_block_stop", "index": 2},
                {"type": "something_new"},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
                {"type": "message_stop"},
                done=False,
            )
        )

        assert await wire.complete(REQUEST) == LlmResponse(
            [
                ReasoningPart("hm", {"signature": "sig"}),
                ReasoningPart("", {"redacted_data": "x"}),
                TextPart("so"),
            ],
            usage=TokenUsage(4, 5),
            served_model="m-1",
        )

    async def test_a_call_whose_input_is_given_whole_keeps_it(
        self, server: WireServer, wire: AnthropicMessages
    ) -> None:
        blocks = [{"type": "tool_use", "id": name, "name": "find", "input": {"q": name}} for name in ("a", "b")]
        server.plays(
            streams(
                {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
                *({"type": "content_block_start", "index": at, "content_block": one} for at, one in enumerate(blocks)),
                *({"type": "content_block_stop", "index": at} for at in (1, 0)),
                {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
                {"type": "message_stop"},
                done=False,
            )
        )

        answer = await wire.complete(REQUEST)

        calls = [part for part in answer.parts if isinstance(part, ToolCallPart)]
        assert sorted((call.call_id, call.input_json) for call in calls) == [("a", '{"q": "a"}'), ("b", '{"q": "b"}')]

    @pytest.mark.parametrize(
        ("stop", "reason"),
        [
            ("end_turn", "stop"),
            ("stop_sequence", "stop"),
            ("pause_turn", "stop"),
            ("tool_use", "tool_use"),
            ("max_tokens", "output_limit"),
            ("model_context_window_exceeded", "context_overflow"),
            ("refusal", "content_filter"),
            ("bored", "provider_error"),
        ],
    )
    async def test_a_stop_reason_is_understood(
        self, server: WireServer, wire: AnthropicMessages, stop: str, reason: str
    ) -> None:
        server.plays(
            streams({"type": "message_delta", "delta": {"stop_reason": stop}}, {"type": "message_stop"}, done=False)
        )

        assert (await wire.complete(REQUEST)).terminal_reason == reason

    async def test_what_went_into_the_cache_is_input_too(self, server: WireServer, wire: AnthropicMessages) -> None:
        usage = {"input_tokens": 1, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 300}
        server.plays(
            streams(
                {"type": "message_start", "message": {"usage": usage}},
                {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 5, "cache_read_input_tokens": None}},
                {"type": "message_stop"},
                done=False,
            )
        )

        assert (await wire.complete(REQUEST)).usage == TokenUsage(321, 5, 20)


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)

    with pytest.raises(MissingApiKey, match="ANTHROPIC_API_KEY"):
        AnthropicMessages()
