"""Sinks that need no thread."""

from __future__ import annotations

import io
import json

import pytest

from lash.tracing import CallableTrace, InMemoryTrace, StderrTrace, TeeTrace, TraceContext, TraceRecord


def record(name: str) -> TraceRecord:
    return TraceRecord(name, "custom", 1, TraceContext(session_id="s"), {"name": name})


def test_memory_takes_a_record_offered_again_once() -> None:
    sink = InMemoryTrace()
    sink.append(record("a"))

    for name in ("a", "b", "b"):
        sink.append_once(record(name))

    assert [kept.id for kept in sink.records] == ["a", "b"]


def test_stderr_gets_one_line_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    StderrTrace().append(record("a"))
    text = io.StringIO()
    StderrTrace(text).append(record("b"))

    assert json.loads(capsys.readouterr().err)["id"] == "a"
    assert json.loads(text.getvalue())["context"] == {"session_id": "s"}


def test_a_tee_tells_every_sink_also_when_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_record: TraceRecord) -> None:
        raise OSError("broken")

    first, last = InMemoryTrace(), InMemoryTrace()
    tee = TeeTrace([first, CallableTrace(fail), last])

    tee.append(record("a"))
    tee.append_once(record("a"))
    tee.close()

    assert first.records == last.records == [record("a")]
    assert caplog.text.count("trace sink CallableTrace failed") == 1
