"""Tracing: what a turn did, how long it took and what it cost, for people and for other tools.

`StandardCore(trace_jsonl_path="trace.jsonl")` is enough; `lash trace view trace.jsonl`
shows it. Sinks of your own implement `TraceSink`.
"""

from lash.tracing.jsonl import JsonlTrace as JsonlTrace
from lash.tracing.records import RecallingSink as RecallingSink
from lash.tracing.records import RecordType as RecordType
from lash.tracing.records import TraceContext as TraceContext
from lash.tracing.records import TraceLevel as TraceLevel
from lash.tracing.records import TraceRecord as TraceRecord
from lash.tracing.records import TraceSink as TraceSink
from lash.tracing.sinks import CallableTrace as CallableTrace
from lash.tracing.sinks import InMemoryTrace as InMemoryTrace
from lash.tracing.sinks import StderrTrace as StderrTrace
from lash.tracing.sinks import TeeTrace as TeeTrace
