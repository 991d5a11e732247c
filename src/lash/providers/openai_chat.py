"""Chat Completions: the dialect that most servers understand.

`OpenAIChat` reaches any of them by `base_url`. Requests are mapped here, streams are
read in `openai_chat_stream.py` (docs/spec/runtime.md §8.5).
"""

from __future__ import annotations

import os
from typing import Literal, TypeAlias, assert_never

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.json import Json, JsonObject
from lash.machine.llm import (
    ImageBlock,
    LlmMessage,
    LlmRequest,
    LlmResponse,
    OutputSpec,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    ToolSpec,
)
from lash.models.provider import ProviderOptions, StreamSink
from lash.providers.images import LoadAttachment, data_urls
from lash.providers.openai_chat_stream import ChatReader
from lash.providers.openai_client import MissingBaseUrl, OpenAIClient
from lash.providers.reading import arguments_text

CapField: TypeAlias = Literal["max_tokens", "max_completion_tokens"]


class OpenAIChat:
    """A server that speaks Chat Completions, e.g. `OpenAIChat(base_url="http://localhost:8000/v1")`. Added in 0.1.

    `base_url` defaults to OPENAI_BASE_URL, `api_key` to OPENAI_API_KEY; nothing is
    guessed beyond that, so that no key reaches a server it is not meant for.
    `cap_field` is the name by which the server knows a limit on output tokens.
    """

    kind = "openai-compatible"

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
        """Raises `MissingBaseUrl`, `MissingApiKey` and `MissingExtra`."""
        found = base_url or os.environ.get("OPENAI_BASE_URL")
        if not found:
            raise MissingBaseUrl("no server: set OPENAI_BASE_URL or pass OpenAIChat(base_url=…)")
        self._client = OpenAIClient(
            lambda sdk: sdk.chat.completions.with_streaming_response.create,
            api_key=api_key,
            base_url=found,
            clock=clock,
        )
        self._base_url = found
        self._cap_field: CapField = cap_field
        self._load_attachment = load_attachment
        self.options = options

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        """One attempt. Raises `ProviderFailure`."""
        urls = await data_urls(request, self._load_attachment)
        body = chat_body(request, urls, self._cap_field)
        return await self._client.converse(body, ChatReader(stream), stream)

    async def aclose(self) -> None:
        """Closes the connections; a later call opens new ones."""
        await self._client.aclose()

    def __repr__(self) -> str:
        return f"OpenAIChat(base_url={self._base_url!r})"


def chat_body(request: LlmRequest, urls: dict[str, str], cap_field: CapField = "max_tokens") -> JsonObject:
    """The request as the server gets it. `urls` are the data URLs of its attachments."""
    body: JsonObject = {
        "model": request.model,
        "messages": [entry for message in request.messages for entry in _entries(message, urls)],
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = request.tool_choice
    if request.output_spec is not None:
        body["response_format"] = _response_format(request.output_spec)
    if request.model_variant is not None:
        body["reasoning_effort"] = request.model_variant
    generation = request.generation
    if generation.output_token_cap is not None:
        body[cap_field] = generation.output_token_cap
    if generation.temperature is not None:
        body["temperature"] = generation.temperature
    if generation.seed is not None:
        body["seed"] = generation.seed
    return body


def _entries(message: LlmMessage, urls: dict[str, str]) -> list[Json]:
    """The dialect's messages for one of ours: results of calls are messages of their own, and come first."""
    match message.role:
        case "system":
            return [{"role": "system", "content": message.text}] if message.text else []
        case "user":
            return _user_entries(message, urls)
        case "assistant":
            return _assistant_entries(message)
        case other:
            assert_never(other)


def _user_entries(message: LlmMessage, urls: dict[str, str]) -> list[Json]:
    results: list[Json] = []
    content: list[Json] = []
    has_image = False
    for block in message.blocks:
        match block:
            case TextBlock(text=text):
                content.append({"type": "text", "text": text})
            case ImageBlock(attachment=attachment):
                has_image = True
                content.append({"type": "image_url", "image_url": {"url": urls[attachment.id]}})
            case ToolResultBlock(call_id=call_id, content=result):
                results.append({"role": "tool", "tool_call_id": call_id, "content": result})
            case ToolCallBlock() | ReasoningBlock():
                pass  # only a model says these
            case other:
                assert_never(other)
    if has_image:
        return [*results, {"role": "user", "content": content}]
    # Plain text where it will do: not every server knows lists of parts.
    return [*results, {"role": "user", "content": message.text}] if content else results


def _assistant_entries(message: LlmMessage) -> list[Json]:
    calls: list[Json] = [
        {
            "id": block.call_id,
            "type": "function",
            "function": {"name": block.tool_name, "arguments": arguments_text(block.input_json)},
        }
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    ]
    text = message.text
    if not text and not calls:
        return []
    entry: JsonObject = {"role": "assistant", "content": text or None}
    if calls:
        entry["tool_calls"] = calls
    return [entry]


def _tool(tool: ToolSpec) -> Json:
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
