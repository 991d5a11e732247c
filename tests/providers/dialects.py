"""The four dialects as servers speak them: one script, four streams; four requests, one reading.

A test says what the model says (`Said`) and asks what the server heard (`Heard`); each
dialect turns the first into its own events and its own requests into the second. So one
table of conversations and faults serves all wires.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lash.models import ProviderOptions
from lash.providers import AnthropicMessages, GoogleGemini, OpenAIChat, OpenAIResponses, Wire
from providers.wire_server import Ending, Reply, WireServer, refuses, streams

Event: TypeAlias = dict[str, Any]
Finish: TypeAlias = Literal["stop", "cut", "filtered"]


@dataclass(frozen=True)
class Text:
    """The model says this."""

    text: str


@dataclass(frozen=True)
class Thought:
    """The model thinks this; `seal` is what must come back for it."""

    text: str
    seal: str


@dataclass(frozen=True)
class Call:
    """The model calls a tool."""

    call_id: str
    name: str
    args: dict[str, Any]


Said: TypeAlias = Text | Thought | Call

# What a server read in a request: ("user", text), ("call", id, name, args), ("result", id, content), …
Heard: TypeAlias = tuple[Any, ...]

# 20 tokens asked, 16 of them from a cache, 9 answered, 4 of them thought.
INPUT, CACHED, OUTPUT, REASONED = 20, 16, 9, 4


@dataclass(frozen=True)
class Dialect:
    """How one dialect is spoken by a server."""

    kind: str
    path: str
    environment: dict[str, str]
    make: Callable[[WireServer, ProviderOptions], Wire[Any]]
    events: Callable[[list[Said], Finish], list[Event]]
    hears: Callable[[dict[str, Any]], list[Heard]]
    error: Callable[[int, str, str], Any]
    has_sentinel: bool = False

    def plays(self, *said: Said, finish: Finish = "stop", ending: Ending = "end") -> Reply:
        """A reply that says all this and finishes."""
        return streams(*self.events(list(said), finish), ending=ending, done=self.has_sentinel)

    def breaks_off(self, *said: Said, ending: Ending = "end") -> Reply:
        """A reply that says all this and never finishes."""
        return streams(*self.opening(*said), ending=ending, done=False)

    def opening(self, *said: Said) -> list[Event]:
        """The events of an answer without those that end it."""
        return [event for event in self.events(list(said), "stop") if not _ends(event)]

    def refuses(self, status: int, code: str, message: str, **headers: str) -> Reply:
        """A reply that is an error."""
        return refuses(status, self.error(status, code, message), **headers)


def _ends(event: Event) -> bool:
    if event.get("type") in ("response.completed", "message_delta", "message_stop"):
        return True
    if any(choice.get("finish_reason") for choice in event.get("choices", [])):
        return True
    return any("finishReason" in candidate for candidate in event.get("candidates", []))


# Chat Completions

_CHAT_USAGE = {
    "prompt_tokens": INPUT,
    "completion_tokens": OUTPUT,
    "prompt_tokens_details": {"cached_tokens": CACHED},
    "completion_tokens_details": {"reasoning_tokens": REASONED},
}


def _chat_events(said: list[Said], finish: Finish) -> list[Event]:
    def delta(reason: str | None = None, **fields: Any) -> Event:
        return {"model": "m-1", "choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}

    events: list[Event] = []
    calls = 0
    for item in said:
        match item:
            case Text(text):
                events += [delta(content=piece) for piece in _pieces(text)]
            case Thought(text):
                events += [delta(reasoning_content=piece) for piece in _pieces(text)]
            case Call(call_id, name, args):
                first, second = _halves(json.dumps(args))
                start = {"index": calls, "id": call_id, "function": {"name": name, "arguments": first}}
                events.append(delta(tool_calls=[start]))
                events.append(delta(tool_calls=[{"index": calls, "function": {"arguments": second}}]))
                calls += 1
    reason = {"stop": "tool_calls" if calls else "stop", "cut": "length", "filtered": "content_filter"}[finish]
    return [*events, delta(reason), {"choices": [], "usage": _CHAT_USAGE}]


def _chat_hears(body: dict[str, Any]) -> list[Heard]:
    heard: list[Heard] = []
    for entry in body["messages"]:
        content = entry.get("content")
        parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        if entry["role"] == "tool":
            heard.append(("result", entry["tool_call_id"], content))
            continue
        if thought := entry.get("reasoning_content"):
            heard.append(("thought", thought))
        for part in parts:
            if part["type"] == "text":
                heard.append((entry["role"], part["text"]))
            else:
                heard.append(("image", part["image_url"]["url"]))
        heard += [
            ("call", call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in entry.get("tool_calls", [])
        ]
    return heard


# Responses

_RESPONSES_USAGE = {
    "input_tokens": INPUT,
    "output_tokens": OUTPUT,
    "input_tokens_details": {"cached_tokens": CACHED},
    "output_tokens_details": {"reasoning_tokens": REASONED},
}


def _responses_events(said: list[Said], finish: Finish) -> list[Event]:
    events: list[Event] = []
    output: list[Event] = []
    for number, item in enumerate(said):
        match item:
            case Text(text):
                events += [{"type": "response.output_text.delta", "delta": piece} for piece in _pieces(text)]
                content = [{"type": "output_text", "text": text}]
                output.append({"type": "message", "id": f"msg_{number}", "status": "completed", "content": content})
            case Thought(text, seal):
                events += [{"type": "response.reasoning_summary_text.delta", "delta": p} for p in _pieces(text)]
                summary = [{"type": "summary_text", "text": text}]
                output.append(
                    {"type": "reasoning", "id": f"rs_{number}", "summary": summary, "encrypted_content": seal}
                )
            case Call(call_id, name, args):
                called = {"type": "function_call", "id": f"fc_{number}", "call_id": call_id, "name": name}
                output.append({**called, "arguments": json.dumps(args)})
        events.append({"type": "response.output_item.done", "item": output[-1]})
    closing: Event = {"model": "m-1", "status": "completed", "output": output, "usage": _RESPONSES_USAGE}
    if finish != "stop":
        why = "max_output_tokens" if finish == "cut" else "content_filter"
        closing |= {"status": "incomplete", "incomplete_details": {"reason": why}}
    return [*events, {"type": "response.completed", "response": closing}]


def _responses_hears(body: dict[str, Any]) -> list[Heard]:
    heard: list[Heard] = []
    for item in body["input"]:
        match item.get("type"):
            case "function_call":
                heard.append(("call", item["call_id"], item["name"], json.loads(item["arguments"])))
            case "function_call_output":
                heard.append(("result", item["call_id"], item["output"]))
            case "reasoning":
                heard.append(("thought", item["encrypted_content"]))
            case _:
                content = item["content"]
                parts = [{"text": content}] if isinstance(content, str) else content
                heard += [
                    (item["role"], part["text"]) if "text" in part else ("image", part["image_url"]) for part in parts
                ]
    return heard


# Messages


def _messages_events(said: list[Said], finish: Finish) -> list[Event]:
    usage = {"input_tokens": INPUT - CACHED, "cache_read_input_tokens": CACHED, "output_tokens": 1}
    events: list[Event] = [{"type": "message_start", "message": {"model": "m-1", "content": [], "usage": usage}}]
    for index, item in enumerate(said):
        match item:
            case Text(text):
                block: Event = {"type": "text", "text": ""}
                deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(text)]
            case Thought(text, seal):
                block = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(text)]
                deltas.append({"type": "signature_delta", "signature": seal})
            case Call(call_id, name, args):
                block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
                deltas = [{"type": "input_json_delta", "partial_json": half} for half in _halves(json.dumps(args))]
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events += [{"type": "content_block_stop", "index": index}, {"type": "ping"}]
    has_called = any(isinstance(item, Call) for item in said)
    reason = {"stop": "tool_use" if has_called else "end_turn", "cut": "max_tokens", "filtered": "refusal"}[finish]
    counts = {"output_tokens": OUTPUT, "output_tokens_details": {"thinking_tokens": REASONED}}
    closing = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": counts}
    return [*events, closing, {"type": "message_stop"}]


def _messages_hears(body: dict[str, Any]) -> list[Heard]:
    heard: list[Heard] = [("system", block["text"]) for block in body.get("system", [])]
    for message in body["messages"]:
        for block in message["content"]:
            match block["type"]:
                case "text":
                    heard.append((message["role"], block["text"]))
                case "thinking":
                    heard.append(("thought", block["signature"]))
                case "tool_use":
                    heard.append(("call", block["id"], block["name"], block["input"]))
                case "tool_result":
                    heard.append(("result", block["tool_use_id"], block.get("content", "")))
                case "image":
                    source = block["source"]
                    heard.append(("image", f"data:{source['media_type']};base64,{source['data']}"))
    return heard


# generateContent


def _gemini_events(said: list[Said], finish: Finish) -> list[Event]:
    parts: list[Event] = []
    seal = ""
    for item in said:
        match item:
            case Text(text):
                parts += [{"text": piece} for piece in _pieces(text)]
            case Thought(text):
                parts += [{"text": piece, "thought": True} for piece in _pieces(text)]
                seal = item.seal
                continue
            case Call(call_id, name, args):
                parts.append({"functionCall": {"id": call_id, "name": name, "args": args}})
        if seal:  # thoughts are sealed on what comes after them
            parts[-1]["thoughtSignature"] = seal
            seal = ""
    events: list[Event] = [
        {"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}], "modelVersion": "m-1"}
        for part in parts
    ]
    reason = {"stop": "STOP", "cut": "MAX_TOKENS", "filtered": "SAFETY"}[finish]
    usage = {
        "promptTokenCount": INPUT,
        "cachedContentTokenCount": CACHED,
        "candidatesTokenCount": OUTPUT - REASONED,
        "thoughtsTokenCount": REASONED,
    }
    last = {"index": 0, "content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": reason}
    return [*events, {"candidates": [last], "usageMetadata": usage}]


def _gemini_hears(body: dict[str, Any]) -> list[Heard]:
    heard: list[Heard] = [("system", part["text"]) for part in body.get("systemInstruction", {}).get("parts", [])]
    for content in body["contents"]:
        role = "assistant" if content["role"] == "model" else "user"
        for part in content["parts"]:
            if seal := part.get("thoughtSignature"):
                heard.append(("thought", seal))
            if "text" in part:
                heard.append((role, part["text"]))
            elif call := part.get("functionCall"):
                heard.append(("call", call["id"], call["name"], call["args"]))
            elif result := part.get("functionResponse"):
                heard.append(("result", result["id"], result["response"]["result"]))
            elif image := part.get("inlineData"):
                heard.append(("image", f"data:{image['mimeType']};base64,{image['data']}"))
    return heard


def _pieces(text: str) -> list[str]:
    return [text[at : at + 4] for at in range(0, len(text), 4)]


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


CHAT = Dialect(
    "openai-compatible",
    "/v1/chat/completions",
    {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "{root}/v1"},
    lambda server, options: OpenAIChat(base_url=server.base_url, api_key="k", options=options),
    _chat_events,
    _chat_hears,
    lambda status, code, message: {"error": {"code": code, "message": message, "type": "x"}},
    has_sentinel=True,
)
RESPONSES = Dialect(
    "openai",
    "/v1/responses",
    {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "{root}/v1"},
    lambda server, options: OpenAIResponses(base_url=server.base_url, api_key="k", options=options),
    _responses_events,
    _responses_hears,
    lambda status, code, message: {"error": {"code": code, "message": message, "type": "x"}},
)
MESSAGES = Dialect(
    "anthropic",
    "/v1/messages",
    {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "{root}"},
    lambda server, options: AnthropicMessages(base_url=server.root, api_key="k", options=options),
    _messages_events,
    _messages_hears,
    lambda status, code, message: {"type": "error", "error": {"type": code, "message": message}},
)
GEMINI = Dialect(
    "google",
    "/v1beta/models/m:streamGenerateContent?alt=sse",
    {"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": "{root}"},
    lambda server, options: GoogleGemini(base_url=server.root, api_key="k", options=options),
    _gemini_events,
    _gemini_hears,
    lambda status, code, message: {"error": {"code": status, "message": message, "status": code}},
)
DIALECTS = (CHAT, RESPONSES, MESSAGES, GEMINI)
