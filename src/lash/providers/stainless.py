"""Wires over the SDKs of OpenAI and Anthropic, which are built alike.

Both give raw responses through `with_streaming_response` and name their errors the
same way, so what an error means is said once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

from lash.models.failure import ProviderFailure, classify
from lash.providers.stream import error_of
from lash.providers.wire import words


@asynccontextmanager
async def raw_bytes(request: Any) -> AsyncIterator[AsyncIterator[bytes]]:
    """The bytes of the answer to a request made through `with_streaming_response`."""
    async with request as answer:
        yield answer.iter_bytes()


def failure_of(sdk: ModuleType, error: Exception, now_ms: int) -> ProviderFailure:
    """What an exception of the SDK means. `sdk` is its module."""
    if isinstance(error, sdk.APIStatusError):
        return error_of(
            error.body if isinstance(error.body, dict) else {},
            status=error.status_code,
            otherwise=error.message,
            headers=dict(error.response.headers),
            now_ms=now_ms,
        )
    if isinstance(error, sdk.APITimeoutError):
        return classify(error.message, kind="timeout")
    if isinstance(error, sdk.APIConnectionError):
        return classify(f"{error.message} {words(error.__cause__)}", kind="transport")
    return ProviderFailure("unknown", words(error))
