"""The port through which models are asked.

A provider turns one request into one response and tells what happens meanwhile. It
makes one attempt: retries, timeouts and cancellation are `models/call.py`'s, the same
for every wire. Decorating one is subclassing `ProviderWrapper`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec
from msgspec.structs import replace

from lash.base.cancel import CancelToken
from lash.base.errors import ConfigurationError, InvalidArgument
from lash.machine.llm import LlmRequest, LlmResponse, LlmStreamEvent
from lash.models.limits import Limited, RateLimiter, RateLimits
from lash.models.retry import ModelRetry
from lash.models.spec import ModelFacts

# Called for each event as it arrives; must not block.
StreamSink: TypeAlias = Callable[[LlmStreamEvent], None]


class Reliability(msgspec.Struct, frozen=True):
    """How long a call may take and how often it is tried. None means no limit."""

    # 5 minutes: long reasoning fits in. 2 minutes of silence: nobody is there any more.
    request_timeout_ms: int | None = 300_000
    chunk_timeout_ms: int | None = 120_000
    retry: ModelRetry = ModelRetry()
    rate_limits: RateLimits | None = None


# How long a server is asked to remember a prompt: not at all, for minutes, for an hour or a day.
CacheRetention: TypeAlias = Literal["none", "short", "long"]


class ProviderOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options that every provider understands. Added in 0.1.

    `expose_thinking` asks for reasoning in readable form, where a dialect must be asked;
    whatever a server says is told either way. `max_output_tokens` stands in where a
    request sets no cap. `cache_retention` is what the wire asks for, in its dialect's
    way: markers, a key, or nothing where the server caches by itself.
    """

    reliability: Reliability = Reliability()
    expose_thinking: bool = False
    max_output_tokens: int | None = None
    cache_retention: CacheRetention = "short"

    def __post_init__(self) -> None:
        if self.max_output_tokens is not None and self.max_output_tokens < 1:
            raise InvalidArgument(f"max_output_tokens={self.max_output_tokens}: give a positive number")


@runtime_checkable
class Provider(Protocol):
    """One way to reach models. Added in 0.1."""

    @property
    def kind(self) -> str:
        """What it is, e.g. `openai`; the part before the colon of a model name."""
        ...

    @property
    def options(self) -> ProviderOptions:
        """How it is to be used."""
        ...

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        """One attempt. Raises `ProviderFailure`."""
        ...


@runtime_checkable
class SelfDescribedModel(Provider, Protocol):
    """A provider that is one model and knows its facts, so that it can be passed as `model=`."""

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        ...


class ProviderWrapper:
    """A provider around another one. Override `complete` to throttle, log, cache or refuse. Added in 0.1."""

    def __init__(self, inner: Provider) -> None:
        self.inner = inner

    @property
    def kind(self) -> str:
        """The kind of the inner one."""
        return self.inner.kind

    @property
    def options(self) -> ProviderOptions:
        """The options of the inner one."""
        return self.inner.options

    @property
    def limiter(self) -> RateLimiter | None:
        """The limiter of the inner one, if it has any."""
        return self.inner.limiter if isinstance(self.inner, Limited) else None

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        """Asks the inner one."""
        return await self.inner.complete(request, stream, cancel)


class RateLimited(ProviderWrapper):
    """Any provider within limits: `RateLimited(provider, RateLimits(max_concurrency=4))`. Added in 0.1.

    The wires need no wrapping: they take `ProviderOptions(Reliability(rate_limits=…))`.
    """

    def __init__(self, inner: Provider, limits: RateLimits) -> None:
        super().__init__(inner)
        reliability = replace(inner.options.reliability, rate_limits=limits)
        self._options = replace(inner.options, reliability=reliability)
        self._limiter = RateLimiter(limits)

    @property
    def options(self) -> ProviderOptions:
        """The options of the inner one, with these limits."""
        return self._options

    @property
    def limiter(self) -> RateLimiter:
        """Where the limits are kept."""
        return self._limiter


def limiter_of(provider: Provider) -> RateLimiter | None:
    """Where a provider's limits are kept; None when it has none. Raises `ConfigurationError`."""
    if provider.options.reliability.rate_limits is None:
        return None
    found = provider.limiter if isinstance(provider, Limited) else None
    if found is None:
        raise ConfigurationError(
            f"provider {provider.kind!r} has rate_limits and nowhere to count: wrap it in RateLimited(provider, limits)"
        )
    return found
