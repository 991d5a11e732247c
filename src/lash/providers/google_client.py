"""The Google SDK as our wire uses it: one POST, bytes as they arrive.

The SDK has no public way to a raw stream: its models drop what they do not know and
take the end of a body for the end of an answer. So it makes the request (address, key,
headers) and a transport of ours, which it is given too, sends it. That takes one
method below its public face, and this file alone knows it (docs/decisions/wires.md).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from lash.base.json import Json, JsonObject
from lash.models.failure import ProviderFailure, classify
from lash.providers.google_errors import error_of_google
from lash.providers.wire import words

if TYPE_CHECKING:
    from google.genai import Client
    from httpx2 import AsyncClient

# Schemas of tools, thinking and signatures are told in this one.
_API_VERSION = "v1beta"

# Enough of an error page to say what it was.
_QUOTED_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class GoogleSdk:
    """The SDK's client, and the transport under it."""

    client: Client
    transport: AsyncClient

    async def aclose(self) -> None:
        """Closes the connections."""
        await self.client.aio.aclose()
        await self.transport.aclose()


class Refused(Exception):
    """The server answered with an error status."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = body


def connect(api_key: str, base_url: str | None) -> GoogleSdk:
    """A client without retries and timeouts of its own."""
    from google.genai import Client
    from google.genai.types import HttpOptions
    from httpx2 import AsyncClient

    transport = AsyncClient(timeout=None, follow_redirects=True)
    options = HttpOptions(base_url=base_url, api_version=_API_VERSION, httpx_async_client=transport)
    return GoogleSdk(Client(api_key=api_key, vertexai=False, http_options=options), transport)


@asynccontextmanager
async def raw_bytes(sdk: GoogleSdk, model: str, body: JsonObject) -> AsyncIterator[AsyncIterator[bytes]]:
    """The bytes of the answer of a model. Raises `Refused`."""
    api: Any = sdk.client._api_client
    name = model if "/" in model else f"models/{model}"
    request = api._build_request("post", f"{name}:streamGenerateContent?alt=sse", {})
    data = msgspec.json.encode(body)
    async with sdk.transport.stream("POST", request.url, headers=request.headers, content=data) as answer:
        if answer.status_code != 200:
            raise Refused(answer.status_code, dict(answer.headers), await answer.aread())
        yield answer.aiter_bytes()


def failure_of(error: Exception, now_ms: int) -> ProviderFailure:
    """What an exception of the wire means."""
    from httpx2 import HTTPError, TimeoutException

    match error:
        case Refused():
            text = error.body[:_QUOTED_BYTES].decode("utf-8", "replace")
            return error_of_google(
                _error_object(error.body),
                status=error.status,
                otherwise=f"HTTP {error.status}: {text}",
                headers=error.headers,
                now_ms=now_ms,
            )
        case TimeoutException():
            return classify(words(error), kind="timeout")
        case HTTPError():
            return classify(words(error), kind="transport")
        case _:
            return ProviderFailure("unknown", words(error))


def _error_object(body: bytes) -> JsonObject:
    """The error in an answer; some are wrapped in a list of one."""
    try:
        found: Json = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return found if isinstance(found, dict) else {}
