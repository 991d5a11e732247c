"""Responses: OpenAI's own dialect.

Nothing is stored over there (`store=false`): reasoning comes back encrypted and is
replayed with the ids of messages and calls, so that the model goes on thinking where
it left off. Streams are read in `openai_responses_stream.py` (docs/spec/runtime.md §8.5).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, ClassVar, assert_never

from lash.base.clock import Clock
from lash.base.json import Json, JsonObject
from lash.machine.llm import (
    ImageBlock,
    LlmBlock,
    LlmRequest,
    LlmRole,
    LoadAttachment,
    OutputSpec,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    ToolSpec,
)
from lash.models.failure import ProviderFailure
from lash.models.provider import ProviderOptions, StreamSink
from lash.providers.attachments import InlineImages
from lash.providers.openai_client import OpenAIWire
from lash.providers.openai_responses_stream import ResponsesReader
from lash.providers.reading import arguments_text, text_at
from lash.providers.stainless import raw_bytes

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class OpenAIResponses(OpenAIWire):
    """OpenAI's models. Added in 0.1.

    `api_key` defaults to OPENAI_API_KEY, `base_url` to OPENAI_BASE_URL and then to OpenAI.
    Raises `MissingApiKey` and `MissingExtra`.
    """

    kind: ClassVar[str] = "openai"

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        options: ProviderOptions = ProviderOptions(),  # noqa: B008  # a frozen value
        load_attachment: LoadAttachment | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            base_url=base_url or os.environ.get("OPENAI_BASE_URL") or None,
            api_key=api_key,
            options=options,
            load_attachment=load_attachment,
            clock=clock,
        )

    def _body(self, request: LlmRequest, images: InlineImages) -> JsonObject:
        return responses_body(request, images, self.options)

    def _open(
        self, sdk: AsyncOpenAI, request: LlmRequest, body: JsonObject
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        del request
        return raw_bytes(sdk.responses.with_streaming_response.create(stream=True, extra_body=body))

    def _reader(self, request: LlmRequest, stream: StreamSink | None) -> ResponsesReader:
        del request
        return ResponsesReader(stream)

    def _warm_up(self, sdk: AsyncOpenAI) -> None:
        _ = sdk.responses.with_streaming_response.create


def responses_body(
    request: LlmRequest,
    images: InlineImages,
    options: ProviderOptions = ProviderOptions(),  # noqa: B008  # a frozen value
) -> JsonObject:
    """The request as the server gets it. `images` are its attachments. Raises `ProviderFailure`."""
    generation, capability = request.generation, request.capability
    if generation.seed is not None:
        raise ProviderFailure(
            "unsupported", f"seed={generation.seed}: the Responses API takes none; leave it out, or use OpenAIChat"
        )
    body: JsonObject = {
        "model": request.model,
        "input": [item for message in request.messages for item in _items(message.role, message.blocks, images)],
        "store": False,
    }
    if capability.reasoning != "none":
        body["include"] = ["reasoning.encrypted_content"]
        if reasoning := _reasoning(request.model_variant, options):
            body["reasoning"] = reasoning
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = request.tool_choice
        body["parallel_tool_calls"] = True
    if request.output_spec is not None:
        body["text"] = {"format": _format(request.output_spec)}
    if options.cache_retention != "none" and request.session_id is not None:
        body["prompt_cache_key"] = request.session_id
        if options.cache_retention == "long":
            body["prompt_cache_retention"] = "24h"
    if (cap := generation.output_token_cap or options.max_output_tokens) is not None:
        body["max_output_tokens"] = cap
    if generation.temperature is not None:
        body["temperature"] = generation.temperature
    return body


def _reasoning(variant: str | None, options: ProviderOptions) -> JsonObject:
    reasoning: JsonObject = {}
    if variant is not None:
        reasoning["effort"] = variant
    if options.expose_thinking:
        reasoning["summary"] = "auto"
    return reasoning


def _items(role: LlmRole, blocks: list[LlmBlock], images: InlineImages) -> list[Json]:
    """The dialect's items for one message; neighbouring texts and images of a user share one."""
    items: list[Json] = []
    content: list[Json] = []

    def close() -> None:
        if content:
            items.append({"role": role, "content": list(content)})
            content.clear()

    for block in blocks:
        match block:
            case TextBlock(text=text, response_meta=meta):
                if role == "assistant":
                    items.append(_said(text, meta))
                else:
                    content.append({"type": "input_text", "text": text})
            case ImageBlock(attachment=attachment):
                content.append({"type": "input_image", "image_url": images[attachment.id].data_url, "detail": "auto"})
            case ToolCallBlock():
                items.append(_call(block))
            case ToolResultBlock(call_id=call_id, content=result):
                close()
                items.append({"type": "function_call_output", "call_id": call_id, "output": result})
            case ReasoningBlock(replay=replay):
                items += _thought(replay)
            case other:
                assert_never(other)
    close()
    return items


def _said(text: str, meta: Json) -> Json:
    item_id = text_at(meta, "id")
    if not item_id:
        return {"role": "assistant", "content": text}
    item: JsonObject = {
        "type": "message",
        "role": "assistant",
        "id": item_id,
        "status": text_at(meta, "status") or "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    if phase := text_at(meta, "phase"):
        item["phase"] = phase
    return item


def _call(block: ToolCallBlock) -> Json:
    item: JsonObject = {
        "type": "function_call",
        "call_id": block.call_id,
        "name": block.tool_name,
        "arguments": arguments_text(block.input_json),
    }
    if item_id := text_at(block.replay, "item_id"):
        item["id"] = item_id
    return item


def _thought(replay: Json) -> list[Json]:
    # Without its encrypted content the server would look for an item that it never stored.
    encrypted = text_at(replay, "encrypted_content")
    if not encrypted or not isinstance(replay, dict):
        return []
    item: JsonObject = {"type": "reasoning", "summary": replay.get("summary") or [], "encrypted_content": encrypted}
    if item_id := text_at(replay, "item_id"):
        item["id"] = item_id
    return [item]


def _tool(tool: ToolSpec) -> Json:
    schema = tool.input_schema_projections.get(OpenAIResponses.kind, tool.input_schema)
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": schema,
        "strict": False,
    }


def _format(spec: OutputSpec) -> Json:
    if spec.kind == "json_object" or spec.schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "name": spec.name or "output", "schema": spec.schema, "strict": spec.strict}
