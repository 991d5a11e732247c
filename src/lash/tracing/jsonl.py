"""The JSONL sink: one file, one line a record, written by a thread of its own.

A turn only encodes its record and puts it into a bounded queue. The thread appends whole
lines with single writes to a file opened for appending, so several processes may share
it, and looks before each write whether the path still leads to the file it holds open, so
it may be rotated by renaming. A disk that fails costs records, which are counted, and
never a turn.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import threading
from collections import deque
from pathlib import Path
from typing import NamedTuple

import msgspec

from lash.tracing.records import SCHEMA_VERSION, TraceRecord

logger = logging.getLogger("lash.tracing")

# What may wait for the disk; beyond it records are dropped and counted.
MAX_WAITING_BYTES = 64 * 1024 * 1024
# One write takes at most so much, so that the lines of several processes interleave whole.
MAX_WRITE_BYTES = 1024 * 1024
# So long the thread gathers lines before it writes them.
GATHER_SECONDS = 0.02


class _Line(NamedTuple):
    data: bytes
    id: str
    turn: tuple[str | None, str | None]
    is_once: bool


class JsonlTrace:
    """Appends records to a file. Makes its folder; the file appears with the first record. Added in 0.1."""

    def __init__(self, path: str | os.PathLike[str], *, max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        self.path = Path(path)
        self.dropped = 0
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[_Line] = deque()
        self._waiting_bytes = 0
        self._is_writing = False
        self._is_closed = False
        self._flushing = 0
        self._has_complained = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        # The thread's own.
        self._fd: int | None = None
        self._known_turn: tuple[str | None, str | None] | None = None
        self._known_ids: set[str] = set()

    def append(self, record: TraceRecord) -> None:
        """Queues the record; drops and counts it when the disk is too far behind."""
        self._put(record, is_once=False)

    def append_once(self, record: TraceRecord) -> None:
        """The same, unless the file, or the one it was rotated from last, has a record of that id."""
        self._put(record, is_once=True)

    def flush(self) -> None:
        """Returns when everything queued before is written or given up; waits for the disk."""
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._is_writing)
            self._flushing -= 1

    def close(self) -> None:
        """Writes what is queued and ends the thread. A later record starts it again."""
        with self._changed:
            thread = self._thread
            self._is_closed = True
            self._changed.notify_all()
        if thread is None:
            return
        thread.join()
        with self._changed:
            self._thread = None
            atexit.unregister(self.close)
            if self._waiting:  # came while the thread was ending
                self._start()

    def _put(self, record: TraceRecord, *, is_once: bool) -> None:
        data = msgspec.json.encode(record.to_json()) + b"\n"
        line = _Line(data, record.id, (record.context.session_id, record.context.turn_id), is_once)
        with self._changed:
            if self._waiting_bytes + len(data) > self._max_waiting_bytes:
                self.dropped += 1
                return
            self._waiting.append(line)
            self._waiting_bytes += len(data)
            if self._thread is None:
                self._start()
            if len(self._waiting) == 1:
                self._changed.notify_all()

    def _start(self) -> None:
        self._is_closed = False
        self._thread = threading.Thread(target=self._write_all, name="lash-trace", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    # the thread

    def _write_all(self) -> None:
        told = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if not self._waiting:
                    break
                self._changed.wait_for(self._must_write, GATHER_SECONDS)
                lines = self._take()
                self._is_writing = True
                dropped = self.dropped
            try:
                if dropped > told:
                    logger.warning("trace %s: %d records were dropped, the disk is too slow", self.path, dropped - told)
                    told = dropped
                self._write(lines)
                self._has_complained = False
            except OSError as error:
                with self._changed:
                    self.dropped += len(lines)
                    told += len(lines)
                if not self._has_complained:
                    self._has_complained = True
                    logger.error("trace %s cannot be written, its records are lost: %s", self.path, error)
                self._leave()
            finally:
                with self._changed:
                    self._is_writing = False
                    self._changed.notify_all()
        self._leave()

    def _must_write(self) -> bool:
        return self._is_closed or self._flushing > 0 or self._waiting_bytes >= MAX_WRITE_BYTES

    def _take(self) -> list[_Line]:
        lines: list[_Line] = []
        size = 0
        while self._waiting and (not lines or size + len(self._waiting[0].data) <= MAX_WRITE_BYTES):
            line = self._waiting.popleft()
            size += len(line.data)
            lines.append(line)
        self._waiting_bytes -= size
        return lines

    def _write(self, lines: list[_Line]) -> None:
        fd = self._current_file()
        data = bytearray()
        for line in lines:
            if line.is_once:
                if line.turn != self._known_turn:
                    self._known_turn, self._known_ids = line.turn, self._ids_of(line.turn)
                    self._known_ids.update(written.id for written in lines if not written.is_once)
                if line.id in self._known_ids:
                    continue
            if line.turn == self._known_turn:
                self._known_ids.add(line.id)
            data += line.data
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def _current_file(self) -> int:
        """The file that the path leads to now."""
        if self._fd is not None:
            held = os.fstat(self._fd)
            try:
                found = os.stat(self.path)
            except FileNotFoundError:
                found = None
            if found is not None and (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino):
                return self._fd
            self._leave()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        size = os.fstat(self._fd).st_size
        if size and _byte_at(self.path, size - 1) != b"\n":
            os.write(self._fd, b"\n")  # somebody died in the middle of a line: only that one is lost
        return self._fd

    def _ids_of(self, turn: tuple[str | None, str | None]) -> set[str]:
        needle = json.dumps(turn[1], ensure_ascii=False).encode() if turn[1] is not None else b""
        found: set[str] = set()
        for path in (self.path, self.path.with_name(f"{self.path.name}.1")):
            try:
                with path.open("rb") as file:
                    for line in file:
                        if needle in line and (written := _id_of(line, turn)) is not None:
                            found.add(written)
            except OSError:
                continue
        return found

    def _leave(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class _Written(msgspec.Struct):
    schema_version: int
    id: str
    context: dict[str, object]


_decoder = msgspec.json.Decoder(_Written)


def _id_of(line: bytes, turn: tuple[str | None, str | None]) -> str | None:
    try:
        written = _decoder.decode(line)
    except msgspec.MsgspecError:
        return None
    place = (written.context.get("session_id"), written.context.get("turn_id"))
    return written.id if place == turn and written.schema_version == SCHEMA_VERSION else None


def _byte_at(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(1)
