"""What a host says of a model and a provider, as OpenAI's two dialects tell it."""

from __future__ import annotations

from typing import Any

import pytest

from lash.machine.capability import InvalidModelVariant, ModelCapability
from lash.machine.llm import LlmMessage, LlmRequest, ReasoningBlock, ReasoningPart, TextBlock, ToolSpec
from lash.models import ModelSpec, ProviderOptions
from lash.providers import OpenAIChat
from lash.providers.openai_chat import chat_body
from lash.providers.openai_responses import responses_body
from providers.wire_server import QUICK, WireServer, streams

MARK = {"type": "ephemeral"}
TOOL = ToolSpec("f", "does", {"type": "object"})
TALK = [
    LlmMessage("system", [TextBlock("be kind")]),
    LlmMessage("user", [TextBlock("one")]),
    LlmMessage("assistant", [TextBlock("two")]),
]


class TestCachingOverChat:
    def body(self, *messages: LlmMessage, **options: Any) -> Any:
        request = LlmRequest("m", list(messages), [TOOL], capability=ModelCapability(cache_control=True))
        return chat_body(request, {}, options=ProviderOptions(**options))

    def test_instructions_tools_and_the_last_text_are_marked(self) -> None:
        body = self.body(*TALK)

        assert [entry["content"] for entry in body["messages"]] == [
            [{"type": "text", "text": "be kind", "cache_control": MARK}],
            "one",
            [{"type": "text", "text": "two", "cache_control": MARK}],
        ]
        assert body["tools"][-1]["cache_control"] == MARK

    def test_a_breakpoint_of_the_host_replaces_the_end(self) -> None:
        body = self.body(LlmMessage("user", [TextBlock("one", cache_breakpoint=True), TextBlock("two")]), TALK[2])

        assert [entry["content"] for entry in body["messages"]] == [
            [{"type": "text", "text": "one", "cache_control": MARK}, {"type": "text", "text": "two"}],
            "two",
        ]

    def test_servers_that_know_no_markers_see_none(self) -> None:
        assert "cache_control" not in str(chat_body(LlmRequest("m", TALK, [TOOL]), {}))
        assert "cache_control" not in str(self.body(*TALK, cache_retention="none"))


class TestCachingOverResponses:
    @pytest.mark.parametrize(
        ("retention", "expected"),
        [
            ("none", {}),
            ("short", {"prompt_cache_key": "s"}),
            ("long", {"prompt_cache_key": "s", "prompt_cache_retention": "24h"}),
        ],
    )
    def test_the_key_is_the_session(self, retention: Any, expected: dict[str, str]) -> None:
        body = responses_body(LlmRequest("m", TALK, session_id="s"), {}, ProviderOptions(cache_retention=retention))

        assert {key: value for key, value in body.items() if key.startswith("prompt_cache")} == expected


class TestReasoning:
    def test_a_model_that_does_not_reason_hears_nothing_of_it(self) -> None:
        request = LlmRequest("m", [], model_variant="high", capability=ModelCapability(reasoning="none"))

        assert responses_body(request, {}, ProviderOptions(expose_thinking=True)).keys() == {"model", "input", "store"}
        assert "reasoning_effort" not in chat_body(request, {})

    def test_a_budget_goes_as_gateways_take_it(self) -> None:
        capability = ModelCapability(reasoning="budget", budgets=(("high", 9_000),))

        assert chat_body(LlmRequest("m", [], model_variant="high", capability=capability), {})["reasoning"] == {
            "max_tokens": 9_000
        }

    def test_a_summary_is_asked_for_only_where_thinking_is_exposed(self) -> None:
        request = LlmRequest("m", [])

        assert "reasoning" not in responses_body(request, {})
        assert responses_body(request, {}, ProviderOptions(expose_thinking=True))["reasoning"] == {"summary": "auto"}

    async def test_details_are_joined_and_go_back_as_they_came(self, server: WireServer) -> None:
        def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
            return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}

        pieces = [
            {"type": "reasoning.text", "index": 0, "text": "h"},
            {"type": "reasoning.text", "index": 0, "text": "m", "signature": "sig"},
            {"type": "reasoning.encrypted", "index": 1, "data": "x"},
        ]
        details: list[Any] = [
            {"type": "reasoning.text", "index": 0, "text": "hm", "signature": "sig"},
            {"type": "reasoning.encrypted", "index": 1, "data": "x"},
        ]
        capability = ModelCapability(replays_reasoning="reasoning_details")
        chat = OpenAIChat(base_url=server.base_url, api_key="k", options=QUICK)
        server.plays(
            streams(
                *(delta(reasoning="hm" if n == 0 else "", reasoning_details=[p]) for n, p in enumerate(pieces)),
                delta("stop", content="so"),
            )
        )

        answer = await chat.complete(LlmRequest("m", TALK, capability=capability))
        await chat.aclose()

        thought = answer.parts[0]
        assert thought == ReasoningPart("hm", {"field": "reasoning_details", "details": details})
        assert isinstance(thought, ReasoningPart)
        back = LlmMessage("assistant", [ReasoningBlock(thought.text, thought.replay), TextBlock("so")])
        body: Any = chat_body(LlmRequest("m", [back]), {})
        assert body["messages"] == [{"role": "assistant", "content": "so", "reasoning_details": details}]


class TestVariants:
    def spec(self, variant: str | None, **capability: Any) -> ModelSpec:
        return ModelSpec(
            "m", OpenAIChat(base_url="http://x", api_key="k"), variant, capability=ModelCapability(**capability)
        )

    def test_the_default_is_taken_where_none_is_asked_for(self) -> None:
        assert self.spec(None, variants=("low", "high"), default_variant="low").facts.variant == "low"

    def test_a_model_that_always_reasons_cannot_be_told_not_to(self) -> None:
        with pytest.raises(InvalidModelVariant, match="always reasons"):
            self.spec("none", always_reasons=True)

    def test_a_budget_must_be_known_or_a_number(self) -> None:
        assert self.spec("512", reasoning="budget").facts.variant == "512"
        with pytest.raises(InvalidModelVariant, match="budgets="):
            self.spec("high", reasoning="budget")
