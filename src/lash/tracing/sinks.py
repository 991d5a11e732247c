"""Sinks that need no thread: memory, a function, the terminal, several at once."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

import msgspec

from lash.tracing.records import ClosingSink, RecallingSink, RecordType, TraceRecord, TraceSink

logger = logging.getLogger("lash.tracing")


class InMemoryTrace:
    """Keeps every record; for tests and notebooks. Added in 0.1."""

    def __init__(self) -> None:
        self.records: list[TraceRecord] = []
        self._ids: set[str] = set()

    def append(self, record: TraceRecord) -> None:
        """Keeps it."""
        self.records.append(record)
        self._ids.add(record.id)

    def append_once(self, record: TraceRecord) -> None:
        """Keeps it unless it is there."""
        if record.id not in self._ids:
            self.append(record)

    def of(self, *types: RecordType) -> list[TraceRecord]:
        """The records of these types, in order."""
        return [record for record in self.records if record.type in types]


class CallableTrace:
    """Hands every record to a function. Added in 0.1."""

    def __init__(self, take: Callable[[TraceRecord], None]) -> None:
        self._take = take

    def append(self, record: TraceRecord) -> None:
        """Calls the function."""
        self._take(record)


class StderrTrace:
    """Writes every record as one line of JSON to stderr, or to another text stream. Added in 0.1."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def append(self, record: TraceRecord) -> None:
        """Writes one line."""
        stream = self._stream or sys.stderr
        stream.write(msgspec.json.encode(record.to_json()).decode() + "\n")


class TeeTrace:
    """Hands every record to several sinks; one that fails keeps none of the others from it. Added in 0.1."""

    def __init__(self, sinks: Sequence[TraceSink]) -> None:
        self.sinks = list(sinks)

    def append(self, record: TraceRecord) -> None:
        """To each, in order."""
        for sink in self.sinks:
            try:
                sink.append(record)
            except Exception:
                logger.exception("trace sink %s failed on %s", type(sink).__name__, record.type)

    def append_once(self, record: TraceRecord) -> None:
        """To each that knows what it has."""
        for sink in self.sinks:
            if isinstance(sink, RecallingSink):
                try:
                    sink.append_once(record)
                except Exception:
                    logger.exception("trace sink %s failed on %s", type(sink).__name__, record.type)

    def close(self) -> None:
        """Closes each that needs it."""
        for sink in self.sinks:
            if isinstance(sink, ClosingSink):
                try:
                    sink.close()
                except Exception:
                    logger.exception("trace sink %s failed to close", type(sink).__name__)
