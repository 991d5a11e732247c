"""A response stream, read to its end: bytes in, events to the dialect's reader, a response out.

The same for every wire: what counts as complete, what may be tried again, and what
is a sign of life (docs/spec/runtime.md §8.5).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

import msgspec

from lash.base.errors import LashError
from lash.base.json import Json, JsonObject
from lash.base.usage import TokenUsage
from lash.machine.llm import LlmPart, LlmResponse, LlmStreamEvent, PartDone, UsageSoFar
from lash.models.failure import FailureKind, ProviderFailure, classify
from lash.models.provider import StreamSink
from lash.providers.reading import object_at, text_at
from lash.providers.sse import EventTooLarge, SseDecoder

# After the last event: long enough for the end of the body, which lets the connection be used again.
_DRAIN_S = 0.25

_SENTINEL = b"[DONE]"


class BrokenTransport(LashError):
    """The transport failed while the body was read."""

    code = "broken_transport"


class StreamReader(Protocol):
    """Makes a response out of a dialect's events."""

    @property
    def is_complete(self) -> bool:
        """Whether the dialect's terminal evidence was heard."""
        ...

    @property
    def spoken(self) -> int:
        """How many stream events it has told of."""
        ...

    def take(self, event: JsonObject) -> bool:
        """Takes an event; whether it was the last one. Raises `ProviderFailure`."""
        ...

    def take_sentinel(self) -> None:
        """The server said that it has said everything."""
        ...

    def response(self) -> LlmResponse:
        """What was answered. Only once `is_complete`, or where the end of the body is evidence enough."""
        ...


class PartTeller:
    """What every dialect's reader does alike: it collects parts and tells what is new."""

    def __init__(self, stream: StreamSink | None) -> None:
        self._stream = stream
        self._parts: list[LlmPart] = []
        self.spoken = 0

    def take_sentinel(self) -> None:
        """Most dialects have none; gateways that add one change nothing."""

    def _done(self, part: LlmPart) -> None:
        self._parts.append(part)
        self._tell(PartDone(part))

    def _tell(self, event: LlmStreamEvent) -> None:
        self.spoken += 1
        if self._stream is not None:
            self._stream(event)


async def read_stream(
    received: AsyncIterator[bytes], reader: StreamReader, stream: StreamSink | None, *, accepts_eof: bool = False
) -> LlmResponse:
    """Reads to the end. Raises `ProviderFailure`.

    `received` raises `BrokenTransport` where the connection breaks. `accepts_eof` takes
    the orderly end of a body that said something for evidence that it is whole.
    """
    framing = SseDecoder()
    broke: str | None = None
    try:
        async for data in received:
            before = reader.spoken
            if _take_all(framing.feed(data), reader):
                await _drain(received)
                break
            if stream is not None and reader.spoken == before:
                stream(UsageSoFar(TokenUsage()))  # a sign of life for whoever watches the clock
        else:
            _take_all(framing.end(), reader)
    except BrokenTransport as error:
        broke = error.message
    except EventTooLarge as error:
        raise ProviderFailure("stream", error.message, retryable=True) from error
    if reader.is_complete or (accepts_eof and broke is None and reader.spoken):
        return reader.response()
    if broke is not None:
        raise classify(f"the stream broke off: {broke}", kind="transport")
    head = framing.head.decode("utf-8", "replace")
    what = f"; it began with: {head[:400]}" if head else ""
    raise ProviderFailure("stream", f"the stream ended without saying that it is complete{what}", retryable=True)


def error_of(
    error: JsonObject,
    *,
    otherwise: str,
    status: int | None = None,
    kind: FailureKind | None = None,
    headers: dict[str, str] | None = None,
    now_ms: int = 0,
) -> ProviderFailure:
    """The failure that an error object of any dialect stands for. Some put a status into its code."""
    inner = object_at(error, "error") or error
    code: Json = inner.get("code")
    if isinstance(code, int) and not isinstance(code, bool) and status is None and 400 <= code < 600:
        status = code
    return classify(
        text_at(inner, "message", "detail") or otherwise,
        status=status,
        kind=kind,
        code=text_at(inner, "code", "type", "status") or None,
        headers=headers,
        now_ms=now_ms,
        raw=error or None,
    )


def _take_all(events: Iterable[bytes], reader: StreamReader) -> bool:
    """Hands events to the reader; whether the stream is over."""
    for data in events:
        if data == _SENTINEL:
            reader.take_sentinel()
            return True
        if reader.take(_parsed(data)):
            return True
    return False


def _parsed(data: bytes) -> JsonObject:
    try:
        event = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderFailure("stream", f"the stream holds no JSON: {error}: {data[:200]!r}", retryable=True) from error
    if not isinstance(event, dict):
        raise ProviderFailure("stream", f"the stream holds no JSON object: {data[:200]!r}", retryable=True)
    return event


async def _drain(received: AsyncIterator[bytes]) -> None:
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in received:
                pass
    except (TimeoutError, BrokenTransport):
        pass  # the answer is complete; only the connection is lost
