"""generateContent: Google's dialect.

Thoughts are signed, and the signature sits on whatever part came after the thinking:
mostly a call. It goes back on that very part. Calls arrive whole and may have no id;
results name their function. Streams are read in `google_stream.py`
(docs/spec/runtime.md §8.5).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Final, assert_never

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
from lash.providers.attachments import InlineImages
from lash.providers.google_client import GoogleSdk, connect, failure_of, raw_bytes
from lash.providers.google_stream import GeminiReader
from lash.providers.reading import arguments_text, text_at
from lash.providers.wire import MissingApiKey, Wire

# What Google takes for the signature of a call that it did not make itself: one of
# another model, or one that was made before there were signatures.
UNSIGNED: Final = "skip_thought_signature_validator"

_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


class GoogleGemini(Wire[GoogleSdk]):
    """Google's models, by the Gemini API. Added in 0.1.

    `api_key` defaults to GEMINI_API_KEY and then GOOGLE_API_KEY, `base_url` to
    GOOGLE_GEMINI_BASE_URL and then to Google. Raises `MissingApiKey` and `MissingExtra`.
    """

    kind: ClassVar[str] = "google"
    extra: ClassVar[str] = "google"
    module: ClassVar[str] = "google.genai"
    image_types: ClassVar[frozenset[str]] = frozenset(
        {"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"}
    )

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
        found = api_key or os.environ.get("GEMINI_API_KEY") or os.environ.get("GOOGLE_API_KEY")
        if not found:
            raise MissingApiKey("no API key: set GEMINI_API_KEY or pass GoogleGemini(api_key=…)")
        self._api_key = found
        self._base_url = base_url or os.environ.get("GOOGLE_GEMINI_BASE_URL") or None

    def _connect(self) -> GoogleSdk:
        return connect(self._api_key, self._base_url)

    async def _disconnect(self, sdk: GoogleSdk) -> None:
        await sdk.aclose()

    def _body(self, request: LlmRequest, images: InlineImages) -> JsonObject:
        return gemini_body(request, images, self.options)

    def _open(
        self, sdk: GoogleSdk, request: LlmRequest, body: JsonObject
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return raw_bytes(sdk, request.model, body)

    def _reader(self, request: LlmRequest, stream: StreamSink | None) -> GeminiReader:
        del request
        return GeminiReader(stream)

    def _failure(self, error: Exception, now_ms: int) -> ProviderFailure:
        return failure_of(error, now_ms)

    def __repr__(self) -> str:
        return f"GoogleGemini(base_url={self._base_url!r})"


def gemini_body(
    request: LlmRequest,
    images: InlineImages,
    options: ProviderOptions = ProviderOptions(),  # noqa: B008  # a frozen value
) -> JsonObject:
    """The request as the server gets it. `images` are its attachments."""
    system, contents = _conversation(request, images)
    body: JsonObject = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_tool(tool) for tool in request.tools]}]
        body["toolConfig"] = {"functionCallingConfig": {"mode": _MODES[request.tool_choice]}}
    if config := _config(request, options):
        body["generationConfig"] = config
    return body


def _config(request: LlmRequest, options: ProviderOptions) -> JsonObject:
    generation = request.generation
    config: JsonObject = {}
    if (cap := generation.output_token_cap or options.max_output_tokens) is not None:
        config["maxOutputTokens"] = cap
    if generation.temperature is not None:
        config["temperature"] = generation.temperature
    if generation.seed is not None:
        config["seed"] = generation.seed
    if request.output_spec is not None:
        config |= _format(request.output_spec)
    if thinking := _thinking(request.capability, request.model_variant, options):
        config["thinkingConfig"] = thinking
    return config


def _format(spec: OutputSpec) -> JsonObject:
    format_: JsonObject = {"responseMimeType": "application/json"}
    return format_ if spec.schema is None else {**format_, "responseJsonSchema": spec.schema}


def _thinking(capability: ModelCapability, variant: str | None, options: ProviderOptions) -> JsonObject:
    if capability.reasoning == "none":
        return {}
    exposed: JsonObject = {"includeThoughts": True} if options.expose_thinking else {}
    if variant is None:
        return exposed
    if variant == NO_REASONING:
        return {"thinkingBudget": 0}
    if capability.reasoning == "budget":
        return {"thinkingBudget": capability.budget_of(variant), **exposed}
    return {"thinkingLevel": variant.upper(), **exposed}


def _conversation(request: LlmRequest, images: InlineImages) -> tuple[list[Json], list[Json]]:
    """Instructions, and contents of alternating roles. Notes between messages are told by the user."""
    names = {
        block.call_id: block
        for message in request.messages
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    }
    system: list[Json] = []
    contents: list[tuple[str, list[Json]]] = []
    for message in request.messages:
        if message.role == "system" and not contents:
            system += [{"text": block.text} for block in message.blocks if isinstance(block, TextBlock)]
            continue
        role = "model" if message.role == "assistant" else "user"
        parts = _parts(role, message, images, names)
        if contents and contents[-1][0] == role:
            contents[-1][1].extend(parts)
        elif parts:
            contents.append((role, parts))
    return system, [{"role": role, "parts": parts} for role, parts in contents]


def _parts(role: str, message: LlmMessage, images: InlineImages, calls: dict[str, ToolCallBlock]) -> list[Json]:
    parts: list[Json] = []
    has_called = False
    for block in message.blocks:
        part = _part(role, block, images, calls)
        if part is None:
            continue
        if isinstance(block, ToolCallBlock):
            # Of calls that were made together only the first is signed.
            if not has_called and "thoughtSignature" not in part:
                part["thoughtSignature"] = UNSIGNED
            has_called = True
        parts.append(part)
    return parts


def _part(role: str, block: LlmBlock, images: InlineImages, calls: dict[str, ToolCallBlock]) -> JsonObject | None:
    match block:
        case TextBlock(text=text, response_meta=meta):
            return {"text": text, **_signature(meta)} if text else None
        case ImageBlock(attachment=attachment):
            image = images[attachment.id]
            return {"inlineData": {"mimeType": image.media_type, "data": image.base64}}
        case ToolCallBlock(tool_name=name, input_json=input_json, replay=replay):
            call: JsonObject = {"name": name, "args": parse_json(arguments_text(input_json)), **_id(replay)}
            return {"functionCall": call, **_signature(replay)}
        case ToolResultBlock(call_id=call_id, content=content, tool_name=name):
            called = calls.get(call_id)
            answer: JsonObject = {
                "name": name or (called.tool_name if called is not None else call_id),
                "response": {"result": content},
                **_id(called.replay if called is not None else None),
            }
            return {"functionResponse": answer}
        case ReasoningBlock(text=text, replay=replay):
            signature = _signature(replay)
            return {"text": text, **signature} if signature and role == "model" else None
        case other:
            assert_never(other)


def _signature(replay: Json) -> JsonObject:
    signature = text_at(replay, "thought_signature")
    return {"thoughtSignature": signature} if signature else {}


def _id(replay: Json) -> JsonObject:
    """The id that the model gave a call; ours mean nothing to it."""
    given = text_at(replay, "id")
    return {"id": given} if given else {}


def _tool(tool: ToolSpec) -> Json:
    schema = tool.input_schema_projections.get(GoogleGemini.kind, tool.input_schema)
    declaration: JsonObject = {"name": tool.name, "description": tool.description}
    # A function without parameters is declared without a schema.
    return {**declaration, "parametersJsonSchema": schema} if schema.get("properties") else declaration
