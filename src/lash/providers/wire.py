"""What all wires share: one attempt through an official SDK, bytes as they arrive, and a life.

An SDK brings authentication, the connection pool and its own idea of requests; its
retries, its timeouts and its event models stay off, because those are
`models/call.py`'s and because an event costs it more than the network does. It is
imported with the first call, on another thread: that takes half a second.

A dialect says how its request looks (`_body`), how it is sent (`_open`), how its events
read (`_reader`) and what its SDK's errors mean (`_failure`).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from importlib.util import find_spec
from typing import ClassVar, Generic, TypeVar

from lash.base.cancel import CancelToken
from lash.base.clock import Clock, SystemClock
from lash.base.errors import ConfigurationError, MissingExtra
from lash.base.json import JsonObject
from lash.machine.llm import LlmRequest, LlmResponse, LoadAttachment
from lash.models.failure import ProviderFailure
from lash.models.limits import RateLimiter
from lash.models.provider import ProviderOptions, StreamSink
from lash.providers.attachments import IMAGE_TYPES, InlineImages, inline_images
from lash.providers.stream import BrokenTransport, StreamReader, read_stream

SdkT = TypeVar("SdkT")


class MissingApiKey(ConfigurationError):
    """A provider has no key to present."""

    code = "missing_api_key"


class Connection(Generic[SdkT]):
    """One SDK client, made with the first call and shared by all calls of a provider on one event loop."""

    def __init__(self, make: Callable[[], SdkT], close: Callable[[SdkT], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._sdk: SdkT | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def get(self) -> SdkT:
        """The client of this event loop: connections belong to the loop that opened them."""
        loop = asyncio.get_running_loop()
        if self._sdk is None or self._loop is not loop:
            made = await asyncio.to_thread(self._make)
            if self._sdk is None or self._loop is not loop:
                self._sdk, self._loop = made, loop
            else:  # another first call was faster
                await self._close(made)
        return self._sdk

    async def aclose(self) -> None:
        """Closes the connections. A later call opens new ones."""
        sdk, self._sdk = self._sdk, None
        if sdk is not None and self._loop is asyncio.get_running_loop():
            await self._close(sdk)


class Wire(ABC, Generic[SdkT]):
    """A provider over an official SDK. Raises `MissingExtra` when that is not installed."""

    kind: ClassVar[str]
    extra: ClassVar[str]
    module: ClassVar[str]
    image_types: ClassVar[frozenset[str]] = IMAGE_TYPES

    def __init__(
        self, *, options: ProviderOptions, load_attachment: LoadAttachment | None, clock: Clock | None
    ) -> None:
        if not _is_installed(self.module):
            raise MissingExtra(self.extra, f"the model wire {self.kind!r}")
        self.options = options
        self._load_attachment = load_attachment
        self._clock: Clock = clock or SystemClock()
        limits = options.reliability.rate_limits
        self._limiter = None if limits is None else RateLimiter(limits)
        self._connection: Connection[SdkT] = Connection(self._connect, self._disconnect)

    @property
    def limiter(self) -> RateLimiter | None:
        """Where the limits of `options` are kept."""
        return self._limiter

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        """One attempt. Raises `ProviderFailure`."""
        images = await inline_images(request, self._load_attachment, self.image_types)
        body = self._body(request, images)
        reader = self._reader(request, stream)
        accepts_eof = request.capability.stream_termination == "eof"
        sdk = await self._connection.get()
        try:
            async with self._open(sdk, request, body) as answer, aclosing(_received(answer)) as received:
                return await read_stream(received, reader, stream, accepts_eof=accepts_eof)
        except (ProviderFailure, asyncio.CancelledError):
            raise
        except Exception as error:
            raise self._failure(error, self._clock.now_ms()) from error

    async def aclose(self) -> None:
        """Closes the connections; a later call opens new ones."""
        await self._connection.aclose()

    @abstractmethod
    def _connect(self) -> SdkT:
        """Imports the SDK and makes a client; runs on another thread."""

    @abstractmethod
    async def _disconnect(self, sdk: SdkT) -> None:
        """Closes a client."""

    @abstractmethod
    def _body(self, request: LlmRequest, images: InlineImages) -> JsonObject:
        """The request as the server gets it. Raises `ProviderFailure`."""

    @abstractmethod
    def _open(
        self, sdk: SdkT, request: LlmRequest, body: JsonObject
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Sends the request; gives the bytes of the answer, once its status is good."""

    @abstractmethod
    def _reader(self, request: LlmRequest, stream: StreamSink | None) -> StreamReader:
        """What reads the events of one answer."""

    @abstractmethod
    def _failure(self, error: Exception, now_ms: int) -> ProviderFailure:
        """What an exception of the SDK means."""


def words(error: BaseException | None) -> str:
    """An exception in one line."""
    return "" if error is None else f"{type(error).__name__}: {error}"


async def _received(answer: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    try:
        async for data in answer:
            yield data
    except Exception as error:
        raise BrokenTransport(words(error)) from error


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
