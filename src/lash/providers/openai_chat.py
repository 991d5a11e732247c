"""Chat Completions: the dialect that most servers understand.

`OpenAIChat` reaches any of them by `base_url`. Requests are mapped here, streams are
read in `openai_chat_stream.py` (docs/spec/runtime.md §8.5).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, assert_never

from lash.base.clock import Clock
from lash.base.json import Json, JsonObject
from lash.machine.capability import NO_REASONING, ModelCapability
from lash.machine.llm import (
    ImageBlock,
    LlmMessage,
    LlmRequest,
    LoadAttachment,
    OutputSpec,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    ToolSpec,
)
from lash.models.provider import ProviderOptions, StreamSink
from lash.providers.attachments import InlineImages
from lash.providers.caching import cache_marker, cache_positions
from lash.providers.openai_chat_stream import ChatReader
from lash.providers.openai_client import MissingBaseUrl, OpenAIWire
from lash.providers.reading import arguments_text, text_at
from lash.providers.stainless import raw_bytes

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CapField: TypeAlias = Literal["max_tokens", "max_completion_tokens"]


class OpenAIChat(OpenAIWire):
    """A server that speaks Chat Completions, e.g. `OpenAIChat(base_url="http://localhost:8000/v1")`. Added in 0.1.

    `base_url` defaults to OPENAI_BASE_URL, `api_key` to OPENAI_API_KEY; nothing is
    guessed beyond that, so that no key reaches a server it is not meant for.
    `cap_field` is the name by which the server knows a limit on output tokens.
    Raises `MissingBaseUrl`, `MissingApiKey` and `MissingExtra`.
    """

    kind: ClassVar[str] = "openai-compatible"

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        options: ProviderOptions = ProviderOptions(),  # noqa: B008  # a frozen value
        cap_field: CapField = "max_tokens",
        load_attachment: LoadAttachment | None = None,
        clock: Clock | None = None,
    ) -> None:
        found = base_url or os.environ.get("OPENAI_BASE_URL")
        if not found:
            raise MissingBaseUrl("no server: set OPENAI_BASE_URL or pass OpenAIChat(base_url=…)")
        super().__init__(base_url=found, api_key=api_key, options=options, load_attachment=load_attachment, clock=clock)
        self._cap_field: CapField = cap_field

    def _body(self, request: LlmRequest, images: InlineImages) -> JsonObject:
        return chat_body(request, images, self._cap_field, self.options)

    def _open(
        self, sdk: AsyncOpenAI, request: LlmRequest, body: JsonObject
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        del request
        create: Any = sdk.chat.completions.with_streaming_response.create  # typed for bodies that it checks itself
        return raw_bytes(create(model=body["model"], messages=[], stream=True, extra_body=body))

    def _reader(self, request: LlmRequest, stream: StreamSink | None) -> ChatReader:
        return ChatReader(stream, request.capability.replays_reasoning)

    def _warm_up(self, sdk: AsyncOpenAI) -> None:
        _ = sdk.chat.completions.with_streaming_response.create


def chat_body(
    request: LlmRequest,
    images: InlineImages,
    cap_field: CapField = "max_tokens",
    options: ProviderOptions = ProviderOptions(),  # noqa: B008  # a frozen value
) -> JsonObject:
    """The request as the server gets it. `images` are its attachments."""
    generation, capability = request.generation, request.capability
    marker = cache_marker(options.cache_retention) if capability.cache_control else None
    body: JsonObject = {
        "model": request.model,
        "messages": _messages(request, images, marker),
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        tools = [_tool(tool) for tool in request.tools]
        if marker is not None:
            tools[-1]["cache_control"] = marker
        body["tools"] = list(tools)
        body["tool_choice"] = request.tool_choice
    if request.output_spec is not None:
        body["response_format"] = _response_format(request.output_spec)
    if request.model_variant is not None:
        body |= _reasoning(capability, request.model_variant)
    if (cap := generation.output_token_cap or options.max_output_tokens) is not None:
        body[cap_field] = cap
    if generation.temperature is not None:
        body["temperature"] = generation.temperature
    if generation.seed is not None:
        body["seed"] = generation.seed
    return body


def _reasoning(capability: ModelCapability, variant: str) -> JsonObject:
    if capability.reasoning == "none":
        return {}
    if capability.reasoning == "budget" and variant != NO_REASONING:
        # The gateways' way; the dialect's own field knows names only.
        return {"reasoning": {"max_tokens": capability.budget_of(variant)}}
    return {"reasoning_effort": variant}


def _messages(request: LlmRequest, images: InlineImages, marker: JsonObject | None) -> list[Json]:
    positions = cache_positions(request, lambda block: isinstance(block, TextBlock)) if marker else frozenset()
    entries: list[Json] = []
    instructions: JsonObject | None = None
    for number, message in enumerate(request.messages):
        marked = {index: marker for at, index in positions if at == number and marker}
        for entry in _entries(message, images, marked):
            entries.append(entry)
            if entry["role"] == "system":
                instructions = entry
    if instructions is not None and marker is not None:
        instructions["content"] = [{"type": "text", "text": instructions["content"], "cache_control": marker}]
    return entries


def _entries(message: LlmMessage, images: InlineImages, marked: dict[int, JsonObject]) -> list[JsonObject]:
    """The dialect's messages for one of ours: results of calls are messages of their own, and come first."""
    match message.role:
        case "system":
            return [{"role": "system", "content": message.text}] if message.text else []
        case "user":
            return _user_entries(message, images, marked)
        case "assistant":
            return _assistant_entries(message, marked)
        case other:
            assert_never(other)


def _user_entries(message: LlmMessage, images: InlineImages, marked: dict[int, JsonObject]) -> list[JsonObject]:
    results: list[JsonObject] = []
    content: list[Json] = []
    for index, block in enumerate(message.blocks):
        match block:
            case TextBlock(text=text):
                content.append(_text(text, marked.get(index)))
            case ImageBlock(attachment=attachment):
                content.append({"type": "image_url", "image_url": {"url": images[attachment.id].data_url}})
            case ToolResultBlock(call_id=call_id, content=result):
                results.append({"role": "tool", "tool_call_id": call_id, "content": result})
            case ToolCallBlock() | ReasoningBlock():
                pass  # only a model says these
            case other:
                assert_never(other)
    if not content:
        return results
    # Plain text where it will do: not every server knows lists of parts.
    is_plain = not marked and all(text_at(part, "type") == "text" for part in content)
    return [*results, {"role": "user", "content": message.text if is_plain else content}]


def _assistant_entries(message: LlmMessage, marked: dict[int, JsonObject]) -> list[JsonObject]:
    calls: list[Json] = []
    thoughts: JsonObject = {}
    content: list[Json] = []
    for index, block in enumerate(message.blocks):
        match block:
            case TextBlock(text=text):
                content.append(_text(text, marked.get(index)))
            case ToolCallBlock():
                calls.append(_call(block))
            case ReasoningBlock(text=text, replay=replay):
                _think(thoughts, text, replay)
            case ImageBlock() | ToolResultBlock():
                pass  # a model says none of these
            case other:
                assert_never(other)
    if not content and not calls:
        return []
    said: Json = content if marked else message.text
    entry: JsonObject = {"role": "assistant", "content": said or None, **thoughts}
    if calls:
        entry["tool_calls"] = calls
    return [entry]


def _text(text: str, marker: JsonObject | None) -> JsonObject:
    part: JsonObject = {"type": "text", "text": text}
    return part if marker is None else {**part, "cache_control": marker}


def _call(block: ToolCallBlock) -> Json:
    return {
        "id": block.call_id,
        "type": "function",
        "function": {"name": block.tool_name, "arguments": arguments_text(block.input_json)},
    }


def _think(thoughts: JsonObject, text: str, replay: Json) -> None:
    """Adds an earlier thought under the field in which it goes back."""
    match text_at(replay, "field"):
        case "reasoning_details":
            details = replay.get("details") if isinstance(replay, dict) else None
            earlier = thoughts.get("reasoning_details")
            if isinstance(details, list):
                thoughts["reasoning_details"] = [*(earlier if isinstance(earlier, list) else []), *details]
        case "reasoning_content" | "reasoning" as field:
            thoughts[field] = text_at(thoughts, field) + text


def _tool(tool: ToolSpec) -> JsonObject:
    schema = tool.input_schema_projections.get(OpenAIChat.kind, tool.input_schema)
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": schema},
    }


def _response_format(spec: OutputSpec) -> Json:
    if spec.kind == "json_object" or spec.schema is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "json_schema": {"name": spec.name or "output", "schema": spec.schema, "strict": spec.strict},
    }
