"""The OpenAI SDK under both of its dialects."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from lash.base.clock import Clock
from lash.base.errors import ConfigurationError
from lash.machine.llm import LoadAttachment
from lash.models.failure import ProviderFailure
from lash.models.provider import ProviderOptions
from lash.providers.stainless import failure_of
from lash.providers.wire import MissingApiKey, Wire

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class MissingBaseUrl(ConfigurationError):
    """A provider for many servers was not told which one."""

    code = "missing_base_url"


class OpenAIWire(Wire["AsyncOpenAI"]):
    """What both dialects share: the client and its errors."""

    extra: ClassVar[str] = "openai"
    module: ClassVar[str] = "openai"

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str | None,
        options: ProviderOptions,
        load_attachment: LoadAttachment | None,
        clock: Clock | None,
    ) -> None:
        super().__init__(options=options, load_attachment=load_attachment, clock=clock)
        found = api_key or os.environ.get("OPENAI_API_KEY")
        if not found:
            raise MissingApiKey(
                "no API key: set OPENAI_API_KEY or pass api_key= (any text for a server that asks for none)"
            )
        self._api_key = found
        self._base_url = base_url

    def _connect(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        sdk = AsyncOpenAI(api_key=self._api_key, base_url=self._base_url, max_retries=0, timeout=None)
        self._warm_up(sdk)
        return sdk

    def _warm_up(self, sdk: AsyncOpenAI) -> None:
        """Loads the modules behind an endpoint while nobody waits."""

    async def _disconnect(self, sdk: AsyncOpenAI) -> None:
        await sdk.close()

    def _failure(self, error: Exception, now_ms: int) -> ProviderFailure:
        import openai

        return failure_of(openai, error, now_ms)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._base_url!r})"
