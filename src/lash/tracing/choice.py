"""The tracer that the options of a core ask for."""

from __future__ import annotations

import os
from typing import get_args

from lash.base.clock import Clock
from lash.base.errors import InvalidArgument
from lash.base.ids import IdSource
from lash.tracing.records import TraceContext, TraceLevel, TraceSink
from lash.tracing.tracer import Tracer


def choose_tracer(
    sink: TraceSink | None,
    jsonl_path: str | os.PathLike[str] | None,
    level: TraceLevel,
    context: TraceContext | None,
    *,
    clock: Clock,
    ids: IdSource,
) -> Tracer | None:
    """A tracer, or None when there is no sink. Raises `InvalidArgument`."""
    if level not in get_args(TraceLevel):
        raise InvalidArgument(f"trace_level={level!r}: choose 'standard' or 'extended'")
    if sink is not None and not callable(getattr(sink, "append", None)):
        raise InvalidArgument(f"trace_sink={sink!r} has no append(record); pass a sink of lash.tracing")
    if sink is None and jsonl_path is None:
        return None
    if jsonl_path is not None:
        from lash.tracing.jsonl import JsonlTrace
        from lash.tracing.sinks import TeeTrace

        file = JsonlTrace(jsonl_path)
        sink = file if sink is None else TeeTrace([file, sink])
    assert sink is not None
    return Tracer(sink, level=level, context=context or TraceContext(), clock=clock, ids=ids)
