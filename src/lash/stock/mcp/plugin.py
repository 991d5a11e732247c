"""The MCP client as a plugin: one pool of connections per core, its tools in every session."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lash.base.errors import InvalidArgument
from lash.base.json import JsonObject
from lash.models.text import readable
from lash.plugins.hooks import PluginSessionContext
from lash.plugins.plugin import CoreServices
from lash.plugins.registrar import PluginRegistrar
from lash.stock.mcp.connection import Connection, ConnectionLost, NotConnected
from lash.stock.mcp.results import output_of, refused
from lash.stock.mcp.servers import McpServer, McpServerStatus, McpTransport
from lash.tools.calls import ToolExecution
from lash.tools.definition import Repeat, ToolContract, ToolDefinition, ToolManifest
from lash.tools.provider import ToolProvider
from lash.tools.result import RetrySafe, ToolCallOutput

if TYPE_CHECKING:
    from mcp_types import Tool

PLUGIN_ID = "mcp"
# What every provider of models takes as a tool's name.
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
MAX_NAME_CHARS = 64


class McpServers:
    """Offers the tools of MCP servers. Connects when the core opens and closes with it. Added in 0.1.

    `servers` is by name; a transport alone is a server with the defaults. A server that
    cannot be reached is tried again and again; until then its tools are not offered, or,
    once they were known, fail as `mcp_server_unavailable`. An object serves one core.
    """

    id = PLUGIN_ID

    def __init__(self, servers: Mapping[str, McpServer | McpTransport]) -> None:
        self._servers = {_name(name): _server(server) for name, server in servers.items()}
        self._pool: dict[str, Connection] = {}
        self._services: CoreServices | None = None
        self._offer = _Offer(self)

    def build(self, context: PluginSessionContext) -> McpServers:
        """The pool is the core's: the same object serves every session."""
        del context
        return self

    def register(self, registrar: PluginRegistrar) -> None:
        """Offers the tools."""
        registrar.tools.provider(self._offer)

    async def core_opened(self, services: CoreServices) -> None:
        """Connects to every server, side by side. Raises `McpServerUnavailable`, `MissingExtra`."""
        if self._services is not None:
            raise InvalidArgument("these McpServers belong to another open core; make one for each")
        self._services = services
        try:
            async with asyncio.TaskGroup() as group:
                for name, server in self._servers.items():
                    group.create_task(self._connect(name, server))
        except BaseExceptionGroup as failures:
            await self.core_closed()
            raise failures.exceptions[0] from None

    async def core_closed(self) -> None:
        """Ends every connection; programs that were started are stopped."""
        self._services = None
        pool, self._pool = self._pool, {}
        if pool:
            await asyncio.wait([asyncio.ensure_future(connection.close()) for connection in pool.values()])
        self._offer.clear()

    async def attach(self, name: str, server: McpServer | McpTransport) -> McpServerStatus:
        """Adds a server; its tools are there from the next turn on. Raises `InvalidArgument` for a name in use."""
        if _name(name) in self._servers:
            raise InvalidArgument(f"there is an MCP server {name!r} already; detach it first, or choose another name")
        self._servers[name] = _server(server)
        if self._services is not None:
            try:
                await self._connect(name, self._servers[name])
            except BaseException:
                del self._servers[name]
                raise
        return self.status()[name]

    async def detach(self, name: str) -> None:
        """Takes a server away. Sessions keep its tools as orphans, and have them back when it is attached again."""
        if self._servers.pop(name, None) is None:
            raise InvalidArgument(f"there is no MCP server {name!r}; there are: {', '.join(sorted(self._servers))}")
        self._offer.forget(name)
        connection = self._pool.pop(name, None)
        if connection is not None:
            await connection.close()

    def status(self) -> dict[str, McpServerStatus]:
        """Every server by its name."""
        found: dict[str, McpServerStatus] = {}
        for name in self._servers:
            connection = self._pool.get(name)
            is_connected = connection is not None and connection.is_connected
            problem = None if is_connected else "the core is not open" if connection is None else connection.problem
            found[name] = McpServerStatus(name, is_connected, self._offer.names_of(name), problem)
        return found

    def names(self) -> list[str]:
        """The servers, in the order in which they were given."""
        return list(self._servers)

    async def call(self, server: str, tool: str, execution: ToolExecution) -> ToolCallOutput:
        """Calls a tool of a server; every failure is an output."""
        from mcp import MCPError

        connection, services = self._pool.get(server), self._services
        if connection is None or services is None:
            return _unavailable(server, "it is detached")
        try:
            result = await connection.call(tool, execution.call.args, execution.context.progress)
        except NotConnected as error:
            return _unavailable(server, str(error))
        except ConnectionLost as error:
            message = f"MCP server {server} was lost during the call ({error}); it may still have had its effect"
            return ToolCallOutput.failure("external", "mcp_connection_lost", readable(message))
        except MCPError as error:
            return refused(error)
        return await output_of(result, services.attachments)

    async def _connect(self, name: str, server: McpServer) -> None:
        assert self._services is not None
        connection = Connection(
            name, server, self._services.clock, lambda tools: self._offer.learn(name, server, tools)
        )
        self._pool[name] = connection
        try:
            await connection.open()
        except BaseException:
            self._pool.pop(name, None)
            await connection.close()
            raise


class _Offer(ToolProvider):
    """The tools of all servers, as last listed."""

    def __init__(self, plugin: McpServers) -> None:
        self._plugin = plugin
        self._by_server: dict[str, dict[str, tuple[ToolDefinition, str]]] = {}
        # What comes of them, until one changes.
        self._found: dict[str, tuple[str, ToolDefinition]] | None = None

    def learn(self, name: str, server: McpServer, tools: Sequence[Tool]) -> None:
        """What a server offers now."""
        known: dict[str, tuple[ToolDefinition, str]] = {}
        for tool in tools:
            if server.tools is None or tool.name in server.tools:
                definition = definition_of(name, server, tool)
                known.setdefault(definition.name, (definition, tool.name))
        self._by_server[name] = known
        self._found = None

    def forget(self, name: str) -> None:
        """A server is gone for good."""
        self._by_server.pop(name, None)
        self._found = None

    def clear(self) -> None:
        """All are."""
        self._by_server.clear()
        self._found = None

    def names_of(self, server: str) -> list[str]:
        """How the tools of a server are called here, without those that an earlier server has."""
        return [name for name, (owner, _) in self._offered().items() if owner == server]

    def tool_manifests(self) -> Sequence[ToolManifest]:
        """By server, in its order. A name that two servers have is the first one's."""
        return [definition.manifest for _, definition in self._offered().values()]

    def resolve_contract(self, name: str) -> ToolContract | None:
        """The schemas a server gave."""
        found = self._offered().get(name)
        return None if found is None else found[1].contract

    def _offered(self) -> dict[str, tuple[str, ToolDefinition]]:
        """Every name with its server: in the application's order, not in that of who answered first."""
        if self._found is None:
            self._found = {}
            for server in self._plugin.names():
                for name, (definition, _) in self._by_server.get(server, {}).items():
                    self._found.setdefault(name, (server, definition))
        return self._found

    async def execute(self, call: ToolExecution) -> object:
        """Calls the server that the tool's id names."""
        _, server, tool = call.call.tool_id.split(":", 2)
        return await self._plugin.call(server, tool, call)


def definition_of(name: str, server: McpServer, tool: Tool) -> ToolDefinition:
    """A server's tool as one of ours."""
    prefix = f"mcp__{name}__" if server.prefix is None else server.prefix
    manifest = ToolManifest(
        id=f"mcp:{name}:{tool.name}",
        name=_NOT_IN_A_NAME.sub("_", f"{prefix}{tool.name}")[:MAX_NAME_CHARS],
        description=readable(tool.description or tool.title or ""),
        repeat=_repeat(server, tool),
        timeout_ms=server.call_timeout_ms,
        approve=server.approval,
    )
    input_schema: JsonObject = {"type": "object", **tool.input_schema}
    return ToolDefinition(manifest, ToolContract(input_schema, tool.output_schema))


def _repeat(server: McpServer, tool: Tool) -> Repeat:
    if server.repeat != "hints":
        return server.repeat
    hints: Any = tool.annotations
    if hints is not None and hints.read_only_hint:
        return "safe"
    return "idempotent" if hints is not None and hints.idempotent_hint else "never"


def _name(name: str) -> str:
    if not name or ":" in name or _NOT_IN_A_NAME.search(name):
        raise InvalidArgument(f"MCP server name {name!r}: use letters, digits, '-' and '_'; it becomes part of names")
    return name


def _server(server: McpServer | McpTransport) -> McpServer:
    return server if isinstance(server, McpServer) else McpServer(server)


def _unavailable(server: str, why: str) -> ToolCallOutput:
    message = f"MCP server {server} is not available: {why}"
    return ToolCallOutput.failure("unavailable", "mcp_server_unavailable", readable(message), retry=RetrySafe())
