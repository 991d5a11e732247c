"""A model server of ours: real HTTP on loopback, answering the bytes that a test scripts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from lash.machine.llm import LlmMessage, LlmRequest, TextBlock
from lash.models import ModelRetry, ProviderOptions, Reliability

# What the server does after its bytes.
Ending = Literal["end", "abort", "hang"]

# Roomy: the first call of a process imports an SDK, and the machine may be busy.
QUICK = ProviderOptions(Reliability(60_000, 30_000, ModelRetry(attempts=1)))
REQUEST = LlmRequest("m", [LlmMessage("user", [TextBlock("hi")])])


@dataclass
class Reply:
    """One answer: its pieces are HTTP chunks, and reach the client as such."""

    pieces: list[bytes] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    ending: Ending = "end"


@dataclass
class Asked:
    """A request that reached the server."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class WireServer:
    """Answers requests in order with `replies`; the last one answers all further requests."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[Asked] = []
        self.decide: Callable[[Asked], Reply] | None = None
        self.connections = 0
        self.root = ""
        self.base_url = ""
        self._open: set[asyncio.StreamWriter] = set()
        self._idle = asyncio.Event()

    def plays(self, *replies: Reply) -> None:
        """Forgets the past and answers so from now on."""
        self.replies = list(replies)
        self.decide = None
        self.asked.clear()

    def decides(self, decide: Callable[[Asked], Reply]) -> None:
        """Forgets the past and answers each request by what it asks."""
        self.plays()
        self.decide = decide

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        self._idle.clear()
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()
            if not self._open:
                self._idle.set()

    async def idle(self) -> None:
        """Waits until every connection has ended."""
        await self._idle.wait()

    def hang_up(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.asked.append(Asked(head[0].split(" ")[1], headers, json.loads(body)))
        if self.decide is not None:
            reply = self.decide(self.asked[-1])
        else:
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        lines = [f"{name}: {value}" for name, value in reply.headers.items()]
        start = "\r\n".join([f"HTTP/1.1 {reply.status} Said", "transfer-encoding: chunked", *lines, "", ""])
        writer.write(start.encode())
        for piece in reply.pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        if reply.ending == "end":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return True
        if reply.ending == "hang":
            await reader.read()  # until the client has enough
        return False


@asynccontextmanager
async def wire_server() -> AsyncIterator[WireServer]:
    """A server on a free port of loopback."""
    double = WireServer()
    server = await asyncio.start_server(double.serve, "127.0.0.1", 0)
    double.root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    double.base_url = f"{double.root}/v1"
    try:
        yield double
    finally:
        server.close()
        double.hang_up()


def sse(events: Iterable[Any], *, done: bool = True) -> bytes:
    """The bytes of a stream of events."""
    text = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events)
    return (text + ("data: [DONE]\n\n" if done else "")).encode()


def streams(*events: Any, ending: Ending = "end", done: bool = True) -> Reply:
    """A reply of one piece that streams `events`."""
    return Reply([sse(events, done=done)], ending=ending)


def refuses(status: int, error: Any, **headers: str) -> Reply:
    """A reply that is an error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply([json.dumps(error).encode()], status, {"content-type": "application/json", **named})
