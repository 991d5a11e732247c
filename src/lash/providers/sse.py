"""Server-sent events out of bytes. Sans IO.

Bytes may be cut anywhere: inside a character, between CR and LF, inside a field name.
Lines are put together before they are read, so that a cut never shows
(https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lash.base.errors import LashError

# The largest events are a whole answer repeated at its end; beyond this nobody is talking sense.
MAX_EVENT_BYTES: Final = 16 * 1024 * 1024

# What is kept of lines that belong to no event, to say what came instead of a stream.
_HEAD_BYTES: Final = 2_000


class EventTooLarge(LashError):
    """An event stream holds an event that no wire sends."""

    code = "event_too_large"


class SseDecoder:
    """Yields the data of each event. Names, ids and comments are left out: no wire here needs them."""

    __slots__ = ("_data", "_is_after_cr", "_line", "_size", "head")

    def __init__(self) -> None:
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._size = 0
        self._is_after_cr = False
        self.head = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Takes more bytes; yields the data of the events that they complete. Raises `EventTooLarge`."""
        if self._is_after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._is_after_cr = False
        if not data:
            return
        self._is_after_cr = data.endswith(b"\r")
        for piece in data.splitlines(keepends=True):
            self._size += len(piece)
            if self._size > MAX_EVENT_BYTES:
                raise EventTooLarge(f"an event of the stream is larger than {MAX_EVENT_BYTES} bytes")
            self._line.append(piece)
            if piece.endswith((b"\n", b"\r")):
                yield from self._end_line()

    def end(self) -> Iterator[bytes]:
        """The stream has ended; yields the event that it left open."""
        if self._line:
            yield from self._end_line()
        yield from self._end_event()

    def _end_line(self) -> Iterator[bytes]:
        line = b"".join(self._line).rstrip(b"\r\n")
        self._line.clear()
        if not line:
            yield from self._end_event()
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            return
        self._size -= len(line)
        if name not in (b"", b"event", b"id", b"retry") and len(self.head) < _HEAD_BYTES:
            self.head = (self.head + line + b"\n")[:_HEAD_BYTES]

    def _end_event(self) -> Iterator[bytes]:
        data = b"\n".join(self._data)
        self._data.clear()
        self._size = 0
        if data:
            yield data
