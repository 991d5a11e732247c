"""The port through which models are asked.

A provider turns one request into one response and tells what happens meanwhile. It
makes one attempt: retries, timeouts and cancellation are `models/call.py`'s, the same
for every wire. Decorating one is subclassing `ProviderWrapper`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import msgspec

from lash.base.cancel import CancelToken
from lash.machine.llm import LlmRequest, LlmResponse, LlmStreamEvent
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


class ProviderOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options that every provider understands."""

    reliability: Reliability = Reliability()


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

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        """Asks the inner one."""
        return await self.inner.complete(request, stream, cancel)
