"""Servers that are not ours, as their registries have them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="mcp is not installed")

import lash
from lash.stock.mcp import McpServers, Stdio
from lash.testing import ScriptedModel, calls, says

SERVICES = Path(__file__).parents[3] / ".services"


def _find(name: str, *places: Path) -> str:
    for place in places:
        if (place / name).is_file():
            return str(place / name)
    reason = f"{name} is not installed (scripts/setup-services.sh)"
    if os.environ.get("REQUIRE_SERVICES"):
        pytest.fail(f"{reason} and REQUIRE_SERVICES is set")
    pytest.skip(reason)


@pytest.fixture
def time_server() -> Stdio:
    """The reference server for times and zones, from PyPI."""
    places = [SERVICES / "mcp" / "bin", Path(os.environ.get("MCP_SERVERS_BIN", "."))]
    return Stdio(_find("mcp-server-time", *places), ["--local-timezone", "Europe/Paris"])


@pytest.fixture
def everything_server() -> Stdio:
    """The reference server with one of everything, from npm. Nothing installs it: it is used where it is."""
    found = shutil.which("mcp-server-everything")
    if found is None:
        pytest.skip("mcp-server-everything is not on the PATH")
    return Stdio(found)


async def test_the_time_server_from_pypi(time_server: Stdio) -> None:
    mcp = McpServers({"time": time_server})
    asked = {"source_timezone": "Europe/Paris", "time": "12:00", "target_timezone": "Asia/Tokyo"}
    model = ScriptedModel(
        [
            calls("mcp__time__convert_time", **asked),
            calls("mcp__time__convert_time", **{**asked, "target_timezone": "Nowhere/At_All"}),
            says("done"),
        ]
    )
    async with lash.StandardCore(model=model, plugins=[mcp]) as core, core.session("s") as session:
        converted, refused = [call.output for call in (await session.run("go")).tool_calls]

    assert "Asia/Tokyo" in str(converted.value)
    assert refused.error is not None
    assert "Nowhere/At_All" in refused.error.message


async def test_the_everything_server_from_npm(everything_server: Stdio) -> None:
    mcp = McpServers({"all": everything_server})
    model = ScriptedModel([calls("mcp__all__echo", message="hello"), says("done")])
    async with lash.StandardCore(model=model, plugins=[mcp]) as core, core.session("s") as session:
        [call] = (await session.run("go")).tool_calls

    assert "hello" in str(call.output.value)
