"""Tools of MCP servers: `McpServers({"files": Stdio("server-files")})` as a plugin. Extra `mcp`."""

from lash.stock.mcp.plugin import McpServers as McpServers
from lash.stock.mcp.servers import McpServer as McpServer
from lash.stock.mcp.servers import McpServerStatus as McpServerStatus
from lash.stock.mcp.servers import McpServerUnavailable as McpServerUnavailable
from lash.stock.mcp.servers import Sse as Sse
from lash.stock.mcp.servers import Stdio as Stdio
from lash.stock.mcp.servers import StreamableHttp as StreamableHttp
