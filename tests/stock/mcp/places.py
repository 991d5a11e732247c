"""The example server over every transport, where a test may kill it and start it again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from lash.stock.mcp import McpServer, Sse, Stdio, StreamableHttp
from lash.stock.mcp.servers import McpTransport
from stock.mcp.example_server import make_server

EXAMPLE = Path(__file__).with_name("example_server.py")


@dataclass
class ServerPlace:
    """One server at one place. `stdio` starts when it is connected to, the others when they are told."""

    name: str
    notes: Path
    seen_headers: list[dict[str, str]] = field(default_factory=list)
    _port: int = 0
    _server: uvicorn.Server | None = None
    _serving: asyncio.Task[None] | None = None

    @property
    def transport(self) -> McpTransport:
        """How to reach it."""
        if self.name == "stdio":
            return Stdio(sys.executable, [str(EXAMPLE), str(self.notes)])
        headers = {"authorization": "Bearer secret"}
        if self.name == "sse":
            return Sse(f"http://127.0.0.1:{self._port}/sse", headers)
        return StreamableHttp(f"http://127.0.0.1:{self._port}/mcp", headers)

    def server(self, **options: Any) -> McpServer:
        """It, with options, connected to again at once."""
        return McpServer(self.transport, reconnect_ms=20, **options)

    def done(self) -> list[str]:
        """What its tools did."""
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    async def start(self) -> None:
        """Serves, at the same port each time."""
        if self.name == "stdio":
            return
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self._port))
        self._port = listening.getsockname()[1]
        example = make_server(str(self.notes))
        app = example.sse_app() if self.name == "sse" else example.streamable_http_app()

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                self.seen_headers.append({key.decode(): value.decode() for key, value in scope["headers"]})
            await app(scope, receive, send)

        config = uvicorn.Config(noting, log_level="critical", timeout_graceful_shutdown=0, ws="none")
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started:  # noqa: ASYNC110 - the server sets no event
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Cuts every connection."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = self._server.force_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving
            self._server = self._serving = None
