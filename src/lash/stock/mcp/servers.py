"""What an application says of its MCP servers, and what it is told of them."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.errors import InvalidArgument, LashError
from lash.tools.definition import ApprovalPolicy, Repeat

# As for any tool, or what the server's own annotations say: `hints` believes them.
McpRepeat: TypeAlias = Repeat | Literal["hints"]


class Stdio(msgspec.Struct, frozen=True, tag="stdio", tag_field="transport"):
    """A program that is started and spoken to over its standard input and output.

    `env` is added to a small safe environment (`PATH`, `HOME` and the like), not to ours.
    """

    command: str
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str | None = None


class StreamableHttp(msgspec.Struct, frozen=True, tag="streamable_http", tag_field="transport"):
    """A server at a URL, spoken to by the streamable HTTP transport."""

    url: str
    headers: dict[str, str] = {}


class Sse(msgspec.Struct, frozen=True, tag="sse", tag_field="transport"):
    """A server at a URL, spoken to by the older transport of server-sent events."""

    url: str
    headers: dict[str, str] = {}


McpTransport: TypeAlias = Stdio | StreamableHttp | Sse


class McpServer(msgspec.Struct, frozen=True):
    """One server and how its tools are run. A transport alone is a server with the defaults.

    `prefix` stands before each tool's name, `mcp__{server}__` unless given. `repeat` is what
    recovery may do with a call whose outcome nobody knows (docs/design/decisions.md 12);
    nothing is known of a server's tools, so it is `never`. `tools`, when given, is all that
    is offered. A `required` server that does not answer keeps the core from opening.
    """

    transport: McpTransport
    prefix: str | None = None
    tools: list[str] | None = None
    repeat: McpRepeat = "never"
    approve: Literal["never", "always"] = "never"
    required: bool = False
    startup_timeout_ms: int = 30_000
    call_timeout_ms: int = 60_000
    reconnect_ms: int = 200
    reconnect_limit_ms: int = 30_000

    def __post_init__(self) -> None:
        times = (self.startup_timeout_ms, self.call_timeout_ms, self.reconnect_ms)
        if min(times) <= 0 or self.reconnect_limit_ms < self.reconnect_ms:
            raise InvalidArgument(
                f"McpServer: startup_timeout_ms={times[0]}, call_timeout_ms={times[1]}, reconnect_ms={times[2]}, "
                f"reconnect_limit_ms={self.reconnect_limit_ms}; all are positive and the limit is the largest wait"
            )

    @property
    def approval(self) -> ApprovalPolicy:
        """Whether a person is asked before each call."""
        return self.approve


class McpServerStatus(msgspec.Struct, frozen=True):
    """How a server is doing. `problem` is why it is not connected."""

    name: str
    is_connected: bool
    tools: list[str]
    problem: str | None = None


class McpServerUnavailable(LashError):
    """A required server could not be reached when the core was opened, or when it was attached."""

    code = "mcp_server_unavailable"
