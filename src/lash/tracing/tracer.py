"""The tracer of a core: puts records into its context and hands them to the sink.

Nothing of a turn depends on it. A core without a sink has no tracer at all.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from lash.base.canonical import sha256_hex
from lash.base.clock import Clock
from lash.base.ids import IdSource
from lash.base.json import JsonObject
from lash.tracing.records import (
    ClosingSink,
    RecallingSink,
    RecordType,
    TraceContext,
    TraceLevel,
    TraceRecord,
    TraceSink,
)

logger = logging.getLogger("lash.tracing")


class Tracer:
    """Emits records of one core."""

    def __init__(
        self,
        sink: TraceSink,
        *,
        level: TraceLevel,
        context: TraceContext,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._sink = sink
        self._recalling = sink if isinstance(sink, RecallingSink) else None
        self._context = context
        self.is_extended = level == "extended"
        self.clock = clock
        self._ids = ids

    @property
    def recalls(self) -> bool:
        """Whether the sink can tell what it has."""
        return self._recalling is not None

    def emit(
        self, kind: RecordType, context: TraceContext, payload: JsonObject, *, record_id: str | None = None
    ) -> None:
        """Emits a record of something that happened now."""
        record = TraceRecord(
            record_id or self._ids.new_id(), kind, self.clock.now_ms(), _merged(self._context, context), payload
        )
        try:
            self._sink.append(record)
        except Exception:
            logger.exception("trace sink %s failed on %s", type(self._sink).__name__, kind)

    def emit_once(
        self, kind: RecordType, context: TraceContext, payload: JsonObject, *, record_id: str, timestamp_ms: int | None
    ) -> None:
        """Emits what an earlier process should have emitted, to a sink that knows whether it did."""
        if self._recalling is None:
            return
        when = self.clock.now_ms() if timestamp_ms is None else timestamp_ms
        record = TraceRecord(record_id, kind, when, _merged(self._context, context), payload)
        try:
            self._recalling.append_once(record)
        except Exception:
            logger.exception("trace sink %s failed on %s", type(self._sink).__name__, kind)

    def session_started(self, session_id: str, *, revision: int) -> None:
        """A session was opened in this core; at revision 0 it is new."""
        self.emit("session_started", TraceContext(session_id=session_id), {"metadata": {"revision": revision}})

    async def close(self) -> None:
        """Lets the sink write what it holds back."""
        if isinstance(self._sink, ClosingSink):
            try:
                await asyncio.to_thread(self._sink.close)
            except Exception:
                logger.exception("trace sink %s failed to close", type(self._sink).__name__)


def stable_id(*parts: str) -> str:
    """The same id for the same thing in every process: 32 hex digits."""
    return sha256_hex("\0".join(("lash-trace", *parts)).encode())[:32]


def _merged(base: TraceContext, own: TraceContext) -> TraceContext:
    """The application's context under the record's own."""
    given = {name: value for name in _FIELDS if (value := getattr(own, name)) is not None and name != "metadata"}
    metadata = {**base.metadata, **own.metadata} if own.metadata else base.metadata
    return msgspec.structs.replace(base, **given, metadata=metadata)


_FIELDS = TraceContext.__struct_fields__
