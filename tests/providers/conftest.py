"""A model server, and providers that reach it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lash.providers import OpenAIChat, OpenAIResponses
from providers.wire_server import QUICK, WireServer, wire_server


@pytest.fixture
async def server() -> AsyncIterator[WireServer]:
    async with wire_server() as double:
        yield double


@pytest.fixture
async def chat(server: WireServer) -> AsyncIterator[OpenAIChat]:
    provider = OpenAIChat(base_url=server.base_url, api_key="k", options=QUICK)
    yield provider
    await provider.aclose()


@pytest.fixture
async def responses(server: WireServer) -> AsyncIterator[OpenAIResponses]:
    provider = OpenAIResponses(base_url=server.base_url, api_key="k", options=QUICK)
    yield provider
    await provider.aclose()
