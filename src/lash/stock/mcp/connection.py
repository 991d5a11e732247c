"""One connection to one MCP server: opened, watched and opened again by a task of its own.

The client library ties a connection to the task that opened it, so that task does nothing
else; calls come from anywhere. A server that dies is found out at once where its stream
ends, else by the next call, and connected to again after growing pauses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from lash.base.clock import Clock
from lash.base.errors import MissingExtra
from lash.stock.mcp.servers import McpServer, McpServerUnavailable, Sse, Stdio, StreamableHttp

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult, Tool

logger = logging.getLogger("lash.mcp")

# A server that never ends its list of tools is cut off here.
MAX_TOOLS = 1_000
# Closing gets so long before the task is cancelled.
CLOSE_SECONDS = 10.0


class NotConnected(Exception):
    """The server is not there now: the call was not sent."""


class ConnectionLost(Exception):
    """The server went while the call ran: it may have had its effect."""


class Connection:
    """Keeps one server connected."""

    def __init__(self, name: str, server: McpServer, clock: Clock, changed: Callable[[list[Tool]], None]) -> None:
        """`changed` is told the server's tools whenever they were listed."""
        self.name = name
        self.server = server
        self.problem: str | None = None
        self._clock = clock
        self._changed = changed
        self._client: Client | None = None
        self._tried = asyncio.Event()
        self._closing = asyncio.Event()
        self._lost = asyncio.Event()
        self._stale = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether calls can be sent."""
        return self._client is not None and not self._lost.is_set()

    async def open(self) -> None:
        """Returns when the first try has succeeded or failed. Raises `McpServerUnavailable` when it must succeed."""
        _client_library()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"mcp {self.name}")
        await self._tried.wait()
        if self.server.required and not self.is_connected:
            problem = self.problem
            await self.close()
            raise McpServerUnavailable(f"MCP server {self.name!r}: {problem}; start it, or leave required= out")

    async def close(self) -> None:
        """Ends the connection; a program that was started is stopped."""
        self._closing.set()
        task, self._task = self._task, None
        if task is None:
            return
        if self._client is None:
            task.cancel()
        _, pending = await asyncio.wait({task}, timeout=CLOSE_SECONDS)
        if pending:
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("MCP server %s: closing failed: %s", self.name, _told(error))

    async def call(self, tool: str, args: dict[str, Any], on_progress: Callable[[str], None]) -> CallToolResult:
        """Calls a tool. Raises `NotConnected`, `ConnectionLost`, and the library's `MCPError` for a refusal."""
        from mcp import MCPError

        client = self._client
        if client is None or not self.is_connected:
            raise NotConnected(self.problem or "it is being connected to")

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            of = "" if total is None else f"/{total:g}"
            on_progress(message or f"{progress:g}{of}")

        calling = asyncio.ensure_future(client.call_tool(tool, args, progress_callback=tell))
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({calling, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not calling.done():
                raise ConnectionLost("its connection ended")
            return calling.result()
        except MCPError as error:
            if is_session_gone(error.code, error.message):
                self._lose(error.message)
                raise NotConnected("it has forgotten our session") from error
            if error.code == _connection_closed():
                self._lose(error.message)
                raise ConnectionLost(error.message) from error
            raise
        finally:
            for task in (calling, lost):
                if not task.done():
                    task.cancel()
            await asyncio.wait({calling, lost})

    def _lose(self, why: str) -> None:
        self.problem = why
        self._lost.set()

    async def _run(self) -> None:
        pause_ms = self.server.reconnect_ms
        while not self._closing.is_set():
            was_connected = False
            try:
                async with AsyncExitStack() as stack:
                    self._lost, self._stale = asyncio.Event(), asyncio.Event()
                    async with asyncio.timeout(self.server.startup_timeout_ms / 1_000):
                        client = await stack.enter_async_context(self._new_client(stack))
                        self._changed(await _all_tools(client))
                    self._client, self.problem, was_connected = client, None, True
                    pause_ms = self.server.reconnect_ms
                    self._tried.set()
                    await self._watch(client)
            except Exception as error:
                self.problem = self._startup_problem(error) if not was_connected else _told(error)
            finally:
                self._client = None
                self._lost.set()
                self._tried.set()
            if self._closing.is_set():
                return
            logger.warning("MCP server %s is gone: %s; it is tried again in %d ms", self.name, self.problem, pause_ms)
            await _first_of(self._closing.wait(), self._clock.sleep(pause_ms))
            pause_ms = min(pause_ms * 2, self.server.reconnect_limit_ms)

    async def _watch(self, client: Client) -> None:
        """Returns when the connection is lost or to be closed; lists the tools anew whenever they changed."""
        listening = asyncio.ensure_future(self._listen(client))
        try:
            while True:
                await _first_of(self._closing.wait(), self._lost.wait(), self._stale.wait())
                if self._closing.is_set() or self._lost.is_set():
                    self.problem = self.problem or "its connection ended"
                    return
                self._stale.clear()
                async with asyncio.timeout(self.server.startup_timeout_ms / 1_000):
                    self._changed(await _all_tools(client))
        finally:
            listening.cancel()
            await asyncio.wait({listening})

    async def _listen(self, client: Client) -> None:
        """Newer servers tell of changes to those who listen; older ones tell everybody (`_heard`)."""
        from mcp.client.subscriptions import ListenNotSupportedError

        with contextlib.suppress(ListenNotSupportedError):
            try:
                async with client.listen(tools_list_changed=True) as events:
                    async for _event in events:
                        self._stale.set()
            except ListenNotSupportedError:
                raise
            except Exception as error:
                logger.debug("MCP server %s does not tell of changes: %s", self.name, _told(error))

    async def _heard(self, message: object) -> None:
        from mcp_types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._stale.set()

    def _new_client(self, stack: AsyncExitStack) -> Client:
        from mcp import Client

        return Client(
            self._watched(self._transport(stack)),
            message_handler=self._heard,
            cache=None,
        )

    def _transport(self, stack: AsyncExitStack) -> Any:
        match self.server.transport:
            case Stdio(command=command, args=args, env=env, cwd=cwd):
                from mcp.client.stdio import StdioServerParameters, stdio_client

                return stdio_client(StdioServerParameters(command=command, args=args, env=env or None, cwd=cwd))
            case StreamableHttp(url=url, headers=headers):
                from mcp.client.streamable_http import streamable_http_client
                from mcp.shared._httpx_utils import create_mcp_http_client

                return _with_http_client(create_mcp_http_client(headers=dict(headers)), url, streamable_http_client)
            case Sse(url=url, headers=headers):
                from mcp.client.sse import sse_client

                return sse_client(url, headers=dict(headers))

    @asynccontextmanager
    async def _watched(self, transport: Any) -> AsyncIterator[Any]:
        """The transport, telling when what comes from the server has ended."""
        lost = self._lost
        async with transport as (read, write):
            yield _WatchedStream(read, lost), write

    def _startup_problem(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self.server.startup_timeout_ms} ms"
        return _told(error)


class _WatchedStream:
    """A read stream that sets an event at its end."""

    def __init__(self, stream: Any, ended: asyncio.Event) -> None:
        self._stream = stream
        self._ended = ended

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        try:
            return await self._stream.receive()
        except Exception:
            self._ended.set()
            raise

    def __aiter__(self) -> _WatchedStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except Exception:
            self._ended.set()
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> _WatchedStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)


@asynccontextmanager
async def _with_http_client(http: Any, url: str, connect: Any) -> AsyncIterator[Any]:
    async with http, connect(url, http_client=http) as streams:
        yield streams


async def _all_tools(client: Client) -> list[Tool]:
    tools: list[Tool] = []
    cursor: str | None = None
    while len(tools) < MAX_TOOLS:
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return tools[:MAX_TOOLS]


async def _first_of(*waits: Any) -> None:
    tasks = {asyncio.ensure_future(wait) for wait in waits}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def is_session_gone(code: int, message: str) -> bool:
    """Whether a server that was started anew does not know us any more; it has run nothing then."""
    return code in (-32600, -32001) and "session" in message.lower()


def _connection_closed() -> int:
    from mcp_types import CONNECTION_CLOSED

    return CONNECTION_CLOSED


def _client_library() -> None:
    try:
        import mcp  # noqa: F401
    except ImportError as error:
        raise MissingExtra("mcp", "McpServers") from error


def _told(error: BaseException) -> str:
    """One line; of several failures at once, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
