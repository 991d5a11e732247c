"""Messages: Anthropic's dialect.

Thinking comes signed, or redacted, and goes back verbatim. Instructions stand apart
from the conversation, results of calls belong to the user. Streams are read in
`anthropic_stream.py` (docs/spec/runtime.md §8.5).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Final, assert_never

from lash.base.canonical import parse_json
from lash.base.clock import Clock
from lash.base.json import Json, JsonObject
from lash.machine.capability import NO_REASONING, ModelCapability
from lash.machine.llm import (
    ImageBlock,
    LlmBlock,
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
from lash.models.failure import ProviderFailure
from lash.models.provider import ProviderOptions, StreamSink
from lash.providers.anthropic_stream import MessagesReader
from lash.providers.attachments import InlineImages
from lash.providers.caching import cache_marker, cache_positions
from lash.providers.reading import arguments_text, text_at
from lash.providers.stainless import failure_of, raw_bytes
from lash.providers.wire import MissingApiKey, Wire

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

# The API demands a limit. This one fits every current model and most answers.
DEFAULT_OUTPUT_TOKENS: Final = 8_192

# Lets models with a thinking budget think between calls too; adaptive ones do so anyway.
_INTERLEAVED: Final = "interleaved-thinking-2025-05-14"

_TOOL_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any"}


class AnthropicMessages(Wire["AsyncAnthropic"]):
    """Anthropic's models. Added in 0.1.

    `api_key` defaults to ANTHROPIC_API_KEY, `base_url` to ANTHROPIC_BASE_URL and then to
    Anthropic. Raises `MissingApiKey` and `MissingExtra`.
    """

    kind: ClassVar[str] = "anthropic"
    extra: ClassVar[str] = "anthropic"
    module: ClassVar[str] = "anthropic"

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        options: ProviderOptions = ProviderOptions(),  # noqa: B008  # a frozen value
        load_attachment: LoadAttachment | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(options=options, load_attachment=load_attachment, clock=clock)
        found = api_key or os.environ.get("ANTHROPIC_API_KEY")
        if not found:
            raise MissingApiKey("no API key: set ANTHROPIC_API_KEY or pass AnthropicMessages(api_key=…)")
        self._api_key = found
        self._base_url = base_url or os.environ.get("ANTHROPIC_BASE_URL") or None

    def _connect(self) -> AsyncAnthropic:
        from anthropic import AsyncAnthropic

        sdk = AsyncAnthropic(api_key=self._api_key, base_url=self._base_url, max_retries=0, timeout=None)
        _ = sdk.messages.with_streaming_response.create  # loads the modules behind it while nobody waits
        return sdk

    async def _disconnect(self, sdk: AsyncAnthropic) -> None:
        await sdk.close()

    def _body(self, request: LlmRequest, images: InlineImages) -> JsonObject:
        return messages_body(request, images, self.options)

    def _open(
        self, sdk: AsyncAnthropic, request: LlmRequest, body: JsonObject
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        del request
        headers = {"anthropic-beta": _INTERLEAVED} if "tools" in body and _has_budget(body) else {}
        create: Any = sdk.messages.with_streaming_response.create  # typed for bodies that it checks itself
        return raw_bytes(
            create(
                model=body["model"],
                max_tokens=body["max_tokens"],
                messages=[],
                stream=True,
                extra_body=body,
                extra_headers=headers,
            )
        )

    def _reader(self, request: LlmRequest, stream: StreamSink | None) -> MessagesReader:
        del request
        return MessagesReader(stream)

    def _failure(self, error: Exception, now_ms: int) -> ProviderFailure:
        import anthropic

        return failure_of(anthropic, error, now_ms)

    def __repr__(self) -> str:
        return f"AnthropicMessages(base_url={self._base_url!r})"


def messages_body(
    request: LlmRequest,
    images: InlineImages,
    options: ProviderOptions = ProviderOptions(),  # noqa: B008  # a frozen value
) -> JsonObject:
    """The request as the server gets it. `images` are its attachments. Raises `ProviderFailure`."""
    generation = request.generation
    if generation.seed is not None:
        raise ProviderFailure("unsupported", f"seed={generation.seed}: the Messages API takes none; leave it out")
    marker = cache_marker(options.cache_retention)
    system, messages = _conversation(request, images, marker)
    body: JsonObject = {"model": request.model, "max_tokens": _cap(request, options), "messages": messages}
    if system:
        body["system"] = system
    if request.tools:
        tools = [_tool(tool) for tool in request.tools]
        if marker is not None:
            tools[-1]["cache_control"] = marker
        body["tools"] = list(tools)
        body["tool_choice"] = {"type": _TOOL_CHOICES[request.tool_choice]}
    body |= _thinking(request.capability, request.model_variant, options)
    if request.output_spec is not None:
        config = body.get("output_config")
        body["output_config"] = {**(config if isinstance(config, dict) else {}), "format": _format(request.output_spec)}
    if _has_budget(body) and isinstance(body["max_tokens"], int):
        # The budget is part of the limit, and what is left is for the answer.
        budget = request.capability.budget_of(request.model_variant or "") or 0
        if body["max_tokens"] <= budget:
            body["max_tokens"] += budget
    if generation.temperature is not None and text_at(body.get("thinking"), "type") in ("", "disabled"):
        body["temperature"] = generation.temperature  # a thinking model takes none
    return body


def _cap(request: LlmRequest, options: ProviderOptions) -> int:
    return (
        request.generation.output_token_cap
        or options.max_output_tokens
        or request.output_token_capacity
        or DEFAULT_OUTPUT_TOKENS
    )


def _thinking(capability: ModelCapability, variant: str | None, options: ProviderOptions) -> JsonObject:
    if capability.reasoning == "none" or variant is None:
        return {}
    if variant == NO_REASONING:
        return {"thinking": {"type": "disabled"}}
    display: JsonObject = {"display": "summarized"} if options.expose_thinking else {}
    if capability.reasoning == "budget":
        return {"thinking": {"type": "enabled", "budget_tokens": capability.budget_of(variant), **display}}
    return {"thinking": {"type": "adaptive", **display}, "output_config": {"effort": variant}}


def _format(spec: OutputSpec) -> JsonObject:
    if spec.schema is None:
        raise ProviderFailure(
            "unsupported", "output_spec='json_object': the Messages API knows only schemas; give one with json_schema"
        )
    return {"type": "json_schema", "schema": spec.schema}


def _has_budget(body: JsonObject) -> bool:
    return text_at(body.get("thinking"), "type") == "enabled"


def _conversation(
    request: LlmRequest, images: InlineImages, marker: JsonObject | None
) -> tuple[list[Json], list[Json]]:
    """Instructions, and messages of alternating roles. Notes between messages are told by the user."""
    positions = cache_positions(request, _can_carry) if marker is not None else frozenset()
    system: list[JsonObject] = []
    messages: list[tuple[str, list[Json]]] = []
    for number, message in enumerate(request.messages):
        if message.role == "system" and not messages:
            system += [found for block in message.blocks if (found := _block("user", block, images)) is not None]
            continue
        role = "assistant" if message.role == "assistant" else "user"
        content: list[Json] = []
        for index, block in _results_first(message):
            found = _block(role, block, images)
            if found is not None and (number, index) in positions and marker is not None:
                found["cache_control"] = marker
            if found is not None:
                content.append(found)
        if messages and messages[-1][0] == role:
            messages[-1][1].extend(content)
        elif content:
            messages.append((role, content))
    if system and marker is not None:
        system[-1]["cache_control"] = marker
    return list(system), [{"role": role, "content": content} for role, content in messages]


def _results_first(message: LlmMessage) -> list[tuple[int, LlmBlock]]:
    """The blocks with their numbers; results of calls come first, as the API wants them."""
    numbered = list(enumerate(message.blocks))
    return sorted(numbered, key=lambda pair: not isinstance(pair[1], ToolResultBlock))


def _is_text(block: LlmBlock) -> bool:
    return isinstance(block, TextBlock) and bool(block.text.strip())


def _can_carry(block: LlmBlock) -> bool:
    return not isinstance(block, ReasoningBlock) and (not isinstance(block, TextBlock) or _is_text(block))


def _block(role: str, block: LlmBlock, images: InlineImages) -> JsonObject | None:
    """The dialect's block; None for what it refuses: blank text, and thinking that is not its own."""
    match block:
        case TextBlock(text=text):
            return {"type": "text", "text": text} if text.strip() else None
        case ImageBlock(attachment=attachment):
            image = images[attachment.id]
            source: JsonObject = {"type": "base64", "media_type": image.media_type, "data": image.base64}
            return {"type": "image", "source": source}
        case ToolCallBlock(call_id=call_id, tool_name=name, input_json=input_json):
            arguments = parse_json(arguments_text(input_json))
            return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}
        case ToolResultBlock(call_id=call_id, content=content):
            result: JsonObject = {"type": "tool_result", "tool_use_id": call_id}
            return {**result, "content": content} if content else result
        case ReasoningBlock(text=text, replay=replay):
            return _thought(text, replay) if role == "assistant" else None
        case other:
            assert_never(other)


def _thought(text: str, replay: Json) -> JsonObject | None:
    if data := text_at(replay, "redacted_data"):
        return {"type": "redacted_thinking", "data": data}
    signature = text_at(replay, "signature")
    return {"type": "thinking", "thinking": text, "signature": signature} if signature else None


def _tool(tool: ToolSpec) -> JsonObject:
    schema = tool.input_schema_projections.get(AnthropicMessages.kind, tool.input_schema)
    return {"name": tool.name, "description": tool.description, "input_schema": schema}
