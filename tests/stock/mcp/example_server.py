"""An MCP server made with the official package: what the tests of the client talk to, over every transport."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Order(BaseModel):
    """An order."""

    number: int
    state: str


def make_server(notes: str = "") -> MCPServer:
    """The server. `notes` is a file in which it writes what its tools did."""
    server = MCPServer("example")

    def note(what: str) -> None:
        if notes:
            with Path(notes).open("a") as file:
                file.write(f"{what}\n")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def order(number: int) -> Order:
        """Finds an order."""
        note(f"order {number}")
        return Order(number=number, state="shipped")

    @server.tool(structured_output=False)
    def say(text: str) -> str:
        """Says it."""
        note(f"say {text}")
        return text

    @server.tool(structured_output=False)
    def picture() -> list[Any]:
        """Draws a pixel."""
        return ["a pixel:", Image(data=PIXEL, format="png")]

    @server.tool()
    def refuse(why: str) -> str:
        """Fails."""
        raise ToolError(why)

    @server.tool(structured_output=False)
    async def slow(ctx: Context[Any]) -> str:
        """Takes its time."""
        note("slow began")
        await ctx.report_progress(1, 2, "half of it")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            note("slow was cancelled")
            raise
        return "done"

    @server.tool(structured_output=False)
    async def learn(ctx: Context[Any], name: str) -> str:
        """Has one tool more from now on."""
        server.add_tool(lambda: name, name=name, description="Learned.")
        await ctx.notify_tools_changed()
        await ctx.session.send_tool_list_changed()
        return f"learned {name}"

    @server.tool(structured_output=False)
    def die() -> str:
        """Ends its process."""
        note("die")
        os._exit(1)

    return server


if __name__ == "__main__":
    make_server(sys.argv[1] if len(sys.argv) > 1 else "").run("stdio")
