"""The official SDK as our wires use it: one POST, bytes as they arrive, failures classified.

The SDK brings authentication, the connection pool and its own idea of requests; its
retries, its timeouts and its event models stay off, because those are
`models/call.py`'s and because an event costs it more than the network does. It is
imported with the first call, on another thread: that takes half a second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from lash.base.clock import Clock, SystemClock
from lash.base.errors import ConfigurationError, MissingExtra
from lash.base.json import Json, JsonObject
from lash.base.usage import TokenUsage
from lash.machine.llm import LlmResponse, UsageSoFar
from lash.models.failure import FailureKind, ProviderFailure, classify
from lash.models.provider import StreamSink
from lash.providers.reading import object_at, text_at
from lash.providers.sse import EventTooLarge, SseDecoder

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# After the last event: long enough for the end of the body, which lets the connection be used again.
_DRAIN_S = 0.25

_SENTINEL = b"[DONE]"


class MissingApiKey(ConfigurationError):
    """A provider has no key to present."""

    code = "missing_api_key"


class MissingBaseUrl(ConfigurationError):
    """A provider for many servers was not told which one."""

    code = "missing_base_url"


# Which call of the SDK to make. Typed loosely: its parameters are checked by the server.
Endpoint: TypeAlias = "Callable[[AsyncOpenAI], Any]"


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
        """What was answered. Only once `is_complete`."""
        ...


class OpenAIClient:
    """A connection to one server, shared by all calls of a provider."""

    def __init__(self, endpoint: Endpoint, *, api_key: str | None, base_url: str | None, clock: Clock | None) -> None:
        """Raises `MissingExtra` and `MissingApiKey`."""
        if find_spec("openai") is None:
            raise MissingExtra("openai", "a model wire of OpenAI's dialects")
        found = api_key or os.environ.get("OPENAI_API_KEY")
        if not found:
            raise MissingApiKey(
                "no API key: set OPENAI_API_KEY or pass api_key= (any text for a server that asks for none)"
            )
        self._api_key = found
        self._base_url = base_url
        self._endpoint = endpoint
        self._clock: Clock = clock or SystemClock()
        self._sdk: AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def converse(self, body: JsonObject, reader: StreamReader, stream: StreamSink | None) -> LlmResponse:
        """Sends one request and reads its stream to the end. Raises `ProviderFailure`."""
        sdk = await self._connected()
        try:
            async with self._endpoint(sdk)(**body, stream=True) as answer:
                return await self._read(answer, reader, stream)
        except (ProviderFailure, asyncio.CancelledError):
            raise
        except Exception as error:
            raise self._failure(error) from error

    async def aclose(self) -> None:
        """Closes the connections. A later call opens new ones."""
        sdk, self._sdk = self._sdk, None
        if sdk is not None and self._loop is asyncio.get_running_loop():
            await sdk.close()

    async def _connected(self) -> AsyncOpenAI:
        # Connections belong to the event loop that opened them.
        loop = asyncio.get_running_loop()
        if self._sdk is None or self._loop is not loop:
            made = await asyncio.to_thread(self._make)
            if self._sdk is None or self._loop is not loop:
                self._sdk, self._loop = made, loop
            else:  # another first call was faster
                await made.close()
        return self._sdk

    def _make(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        sdk = AsyncOpenAI(api_key=self._api_key, base_url=self._base_url, max_retries=0, timeout=None)
        self._endpoint(sdk)  # loads the modules behind it while nobody waits
        return sdk

    async def _read(self, answer: Any, reader: StreamReader, stream: StreamSink | None) -> LlmResponse:
        framing = SseDecoder()
        received = _received(answer)
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
        except _Broke as error:
            broke = str(error)
        except EventTooLarge as error:
            raise ProviderFailure("stream", error.message, retryable=True) from error
        finally:
            await received.aclose()
        if reader.is_complete:
            return reader.response()
        if broke is not None:
            raise classify(f"the stream broke off: {broke}", kind="transport")
        head = framing.head.decode("utf-8", "replace")
        what = f"; it began with: {head[:400]}" if head else ""
        raise ProviderFailure("stream", f"the stream ended without saying that it is complete{what}", retryable=True)

    def _failure(self, error: Exception) -> ProviderFailure:
        import openai

        now_ms = self._clock.now_ms()
        match error:
            case openai.APIStatusError():
                return error_of(
                    error.body if isinstance(error.body, dict) else {},
                    status=error.status_code,
                    otherwise=error.message,
                    headers=dict(error.response.headers),
                    now_ms=now_ms,
                )
            case openai.APITimeoutError():
                return classify(error.message, kind="timeout")
            case openai.APIConnectionError():
                return classify(f"{error.message} {_words(error.__cause__)}", kind="transport")
            case _:
                return ProviderFailure("unknown", _words(error))


def error_of(
    error: JsonObject,
    *,
    otherwise: str,
    status: int | None = None,
    kind: FailureKind | None = None,
    headers: dict[str, str] | None = None,
    now_ms: int = 0,
) -> ProviderFailure:
    """The failure that an error object of either dialect stands for. Gateways put a status into its code."""
    inner = object_at(error, "error") or error
    code: Json = inner.get("code")
    if isinstance(code, int) and not isinstance(code, bool) and status is None and 400 <= code < 600:
        status = code
    return classify(
        text_at(inner, "message", "detail") or otherwise,
        status=status,
        kind=kind,
        code=text_at(inner, "code", "type") or None,
        headers=headers,
        now_ms=now_ms,
        raw=error or None,
    )


class _Broke(Exception):
    """The transport failed while the body was read."""


async def _received(answer: Any) -> Any:
    try:
        async for data in answer.iter_bytes():
            yield data
    except Exception as error:
        raise _Broke(_words(error)) from error


def _take_all(events: Any, reader: StreamReader) -> bool:
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
    except (TimeoutError, _Broke):
        pass  # the answer is complete; only the connection is lost


def _words(error: BaseException | None) -> str:
    return "" if error is None else f"{type(error).__name__}: {error}"
