"""What is peculiar to generateContent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lash.base.messages import AttachmentRef
from lash.base.usage import TokenUsage
from lash.machine.capability import ModelCapability
from lash.machine.llm import (
    Generation,
    ImageBlock,
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
from lash.providers import GoogleGemini, MissingApiKey
from lash.providers.google import UNSIGNED, gemini_body
from providers.wire_server import QUICK, REQUEST, WireServer, refuses, streams


@pytest.fixture
async def wire(server: WireServer) -> AsyncIterator[GoogleGemini]:
    provider = GoogleGemini(base_url=server.root, api_key="k", options=QUICK)
    yield provider
    await provider.aclose()


def piece(*parts: Any, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})], **fields}


class TestTheRequest:
    async def test_it_carries_the_key_and_nothing_that_was_not_asked_for(
        self, server: WireServer, wire: GoogleGemini
    ) -> None:
        server.plays(streams(piece({"text": "x"}, finish="STOP"), done=False))

        await wire.complete(REQUEST)

        [asked] = server.asked
        assert asked.headers["x-goog-api-key"] == "k"
        assert asked.body == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}

    def test_a_conversation_is_mapped_with_signatures_on_their_parts(self) -> None:
        messages = [
            LlmMessage("system", [TextBlock("be kind")]),
            LlmMessage("user", [TextBlock("go")]),
            LlmMessage(
                "assistant",
                [
                    ReasoningBlock("unsigned", {"summary": []}),
                    ReasoningBlock("", {"thought_signature": "s0"}),
                    TextBlock("on it", {"thought_signature": "s1"}),
                    ToolCallBlock("g0", "f", '{"n":1}', {"id": "g0", "thought_signature": "s2"}),
                    ToolCallBlock("ours", "f", "oops"),
                ],
            ),
            LlmMessage("user", [ToolResultBlock("g0", "7"), ToolResultBlock("ours", "8")]),
            LlmMessage("system", [TextBlock("Runtime note: hurry")]),
        ]

        body = gemini_body(LlmRequest("m", messages), {})

        assert body["systemInstruction"] == {"parts": [{"text": "be kind"}]}
        assert body["contents"] == [
            {"role": "user", "parts": [{"text": "go"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "", "thoughtSignature": "s0"},
                    {"text": "on it", "thoughtSignature": "s1"},
                    {"functionCall": {"name": "f", "args": {"n": 1}, "id": "g0"}, "thoughtSignature": "s2"},
                    {"functionCall": {"name": "f", "args": {"invalid_arguments": "oops"}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "f", "response": {"result": "7"}, "id": "g0"}},
                    {"functionResponse": {"name": "f", "response": {"result": "8"}}},
                    {"text": "Runtime note: hurry"},
                ],
            },
        ]

    def test_calls_of_another_model_are_marked_as_unsigned(self) -> None:
        calls: list[Any] = [ToolCallBlock(f"c{n}", "f", "{}", {"item_id": "fc"}) for n in range(2)]

        body: Any = gemini_body(LlmRequest("m", [LlmMessage("assistant", calls)]), {})

        assert [part.get("thoughtSignature") for part in body["contents"][0]["parts"]] == [UNSIGNED, None]

    def test_tools_and_options_are_mapped(self) -> None:
        schema: Any = {"type": "object", "properties": {"n": {"type": "integer"}}}
        request = LlmRequest(
            "m",
            [],
            tools=[ToolSpec("f", "does", schema), ToolSpec("g", "", {"type": "object"})],
            tool_choice="required",
            model_variant="high",
            generation=Generation(10, 0.5, 3),
            output_spec=OutputSpec("json_schema", "out", schema),
        )

        body = gemini_body(request, {}, ProviderOptions(expose_thinking=True))

        assert body["tools"] == [
            {
                "functionDeclarations": [
                    {"name": "f", "description": "does", "parametersJsonSchema": schema},
                    {"name": "g", "description": ""},
                ]
            }
        ]
        assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
        assert body["generationConfig"] == {
            "maxOutputTokens": 10,
            "temperature": 0.5,
            "seed": 3,
            "responseMimeType": "application/json",
            "responseJsonSchema": schema,
            "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True},
        }

    @pytest.mark.parametrize(
        ("capability", "variant", "expected"),
        [
            (ModelCapability(), "none", {"thinkingBudget": 0}),
            (ModelCapability(reasoning="budget"), "512", {"thinkingBudget": 512}),
            (ModelCapability(reasoning="none"), "high", None),
            (ModelCapability(), None, None),
        ],
    )
    def test_thinking_is_asked_for_as_the_model_knows_it(
        self, capability: ModelCapability, variant: str | None, expected: dict[str, Any] | None
    ) -> None:
        config: Any = gemini_body(LlmRequest("m", [], model_variant=variant, capability=capability), {})

        assert config.get("generationConfig", {}).get("thinkingConfig") == expected

    async def test_a_format_that_it_does_not_take_is_refused(self, wire: GoogleGemini) -> None:
        animated = LlmRequest("m", [LlmMessage("user", [ImageBlock(AttachmentRef("a", "image/gif", 3))])])

        with pytest.raises(ProviderFailure, match="image/heic"):
            await wire.complete(animated)


class TestTheStream:
    async def test_thoughts_texts_and_calls_keep_their_signatures(self, server: WireServer, wire: GoogleGemini) -> None:
        server.plays(
            streams(
                piece({"text": "h", "thought": True}, modelVersion="m-1"),
                piece({"text": "m", "thought": True}),
                piece({"text": "Grü"}),
                piece({"text": "ße"}),
                piece({"functionCall": {"name": "f", "args": {"ö": 1}}, "thoughtSignature": "s1"}),
                piece({"functionCall": {"id": "g1", "name": "f"}}),
                piece({"text": "", "thoughtSignature": "s2"}, finish="STOP"),
                done=False,
            )
        )

        assert await wire.complete(REQUEST) == LlmResponse(
            [
                ReasoningPart("hm"),
                TextPart("Grüße"),
                ToolCallPart("", "f", '{"ö": 1}', {"thought_signature": "s1"}),
                ToolCallPart("g1", "f", "{}", {"id": "g1"}),
                ReasoningPart("", {"thought_signature": "s2"}),
            ],
            terminal_reason="tool_use",
            served_model="m-1",
        )

    async def test_a_signature_at_the_end_belongs_to_the_text(self, server: WireServer, wire: GoogleGemini) -> None:
        server.plays(
            streams(piece({"text": "so"}), piece({"text": "", "thoughtSignature": "s"}, finish="STOP"), done=False)
        )

        assert (await wire.complete(REQUEST)).parts == [TextPart("so", {"thought_signature": "s"})]

    @pytest.mark.parametrize(
        ("finish", "reason"),
        [
            ("STOP", "stop"),
            ("MAX_TOKENS", "output_limit"),
            ("SAFETY", "content_filter"),
            ("RECITATION", "content_filter"),
            ("PROHIBITED_CONTENT", "content_filter"),
            ("MALFORMED_FUNCTION_CALL", "provider_error"),
        ],
    )
    async def test_a_finish_reason_is_understood(
        self, server: WireServer, wire: GoogleGemini, finish: str, reason: str
    ) -> None:
        server.plays(streams(piece({"text": "x"}, finish=finish), done=False))

        assert (await wire.complete(REQUEST)).terminal_reason == reason

    async def test_a_blocked_prompt_is_a_refusal(self, server: WireServer, wire: GoogleGemini) -> None:
        server.plays(streams({"promptFeedback": {"blockReason": "SAFETY"}}, done=False))

        answer = await wire.complete(REQUEST)

        assert (answer.terminal_reason, answer.terminal_diagnostic) == (
            "content_filter",
            "the prompt was blocked: SAFETY",
        )

    async def test_usage_is_read(self, server: WireServer, wire: GoogleGemini) -> None:
        usage = {
            "promptTokenCount": 9,
            "cachedContentTokenCount": 8,
            "candidatesTokenCount": 2,
            "thoughtsTokenCount": 5,
        }
        server.plays(
            streams(
                piece(
                    {"text": "x"},
                    finish="STOP",
                ),
                {"usageMetadata": usage},
                done=False,
            )
        )

        assert (await wire.complete(REQUEST)).usage == TokenUsage(9, 2, 8, 5)


class TestQuotas:
    def refusal(self, *details: dict[str, Any]) -> Any:
        message = "You exceeded your current quota, please check your plan."
        return {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": message, "details": list(details)}}

    async def failure(self, server: WireServer, wire: GoogleGemini, *details: dict[str, Any]) -> ProviderFailure:
        server.plays(refuses(429, self.refusal(*details)))
        with pytest.raises(ProviderFailure) as caught:
            await wire.complete(REQUEST)
        return caught.value

    async def test_one_of_the_minute_is_a_rate_limit(self, server: WireServer, wire: GoogleGemini) -> None:
        limit = {"violations": [{"quotaId": "GenerateRequestsPerMinutePerProject"}]}

        failure = await self.failure(server, wire, limit, {"retryDelay": "12.5s"})

        assert (failure.kind, failure.retryable, failure.retry_after_ms) == ("http", True, 12_500)

    async def test_one_of_the_day_is_final(self, server: WireServer, wire: GoogleGemini) -> None:
        limit = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}

        failure = await self.failure(server, wire, limit, {"retryDelay": "12.5s"})

        assert (failure.kind, failure.retryable) == ("quota", False)

    async def test_a_wrong_key_is_no_bad_request(self, server: WireServer, wire: GoogleGemini) -> None:
        server.plays(
            refuses(400, {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}})
        )

        with pytest.raises(ProviderFailure) as caught:
            await wire.complete(REQUEST)

        assert (caught.value.kind, caught.value.retryable) == ("auth", False)


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)

    with pytest.raises(MissingApiKey, match="GEMINI_API_KEY"):
        GoogleGemini()
