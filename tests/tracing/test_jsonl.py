"""The JSONL sink: whole lines, in every situation a file on a disk can be in."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lash.tracing import JsonlTrace, TraceContext, TraceRecord


def record(number: int, *, turn: str = "t", text: str = "") -> TraceRecord:
    return TraceRecord(
        f"id-{number}", "custom", 1_000 + number, TraceContext(session_id="s", turn_id=turn), {"name": text}
    )


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def test_records_are_lines_in_order(tmp_path: Path) -> None:
    sink = JsonlTrace(tmp_path / "a" / "b" / "trace.jsonl")

    for number in range(1_000):
        sink.append(record(number))
    sink.close()

    assert ids(sink.path) == [f"id-{number}" for number in range(1_000)]
    assert json.loads(sink.path.read_text().splitlines()[0]) == {
        "schema_version": 2,
        "id": "id-0",
        "timestamp": 1_000,
        "context": {"session_id": "s", "turn_id": "t"},
        "type": "custom",
        "name": "",
    }


def test_a_file_that_is_rotated_away_is_left_and_a_new_one_begun(tmp_path: Path) -> None:
    sink = JsonlTrace(tmp_path / "trace.jsonl")
    sink.append(record(1))
    sink.flush()

    os.rename(sink.path, tmp_path / "trace.jsonl.1")
    sink.append(record(2))
    sink.append_once(record(1))  # it is in the file before
    sink.close()

    assert ids(tmp_path / "trace.jsonl.1") == ["id-1"]
    assert ids(sink.path) == ["id-2"]


def test_a_record_offered_again_is_written_unless_it_is_there(tmp_path: Path) -> None:
    first = JsonlTrace(tmp_path / "trace.jsonl")
    first.append(record(1))
    first.close()
    second = JsonlTrace(tmp_path / "trace.jsonl")

    for number in (1, 2, 2):
        second.append_once(record(number))
    second.append_once(record(1, turn="another"))
    second.append(record(3))
    second.append_once(record(3))
    second.close()

    assert ids(second.path) == ["id-1", "id-2", "id-1", "id-3"]


def test_half_a_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b'{"schema_version":2,"id":"id-1","conte')
    sink = JsonlTrace(path)

    sink.append_once(record(2))
    sink.close()

    assert json.loads(path.read_text().splitlines()[1])["id"] == "id-2"


def test_a_disk_that_fails_costs_records_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sink = JsonlTrace(tmp_path / "trace.jsonl")
    sink.append(record(1))
    sink.flush()

    def full(_fd: int, _data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for number in (2, 3):
        sink.append(record(number))
        sink.flush()
    monkeypatch.undo()
    sink.append(record(4))
    sink.close()

    assert ids(sink.path) == ["id-1", "id-4"]
    assert sink.dropped == 2
    assert caplog.text.count("its records are lost") == 1


def test_a_folder_that_cannot_be_made_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    sink = JsonlTrace(tmp_path / "file" / "trace.jsonl")

    sink.append(record(1))
    sink.close()

    assert sink.dropped == 1
    assert "cannot be written" in caplog.text


def test_what_the_disk_cannot_keep_up_with_is_dropped_and_counted(tmp_path: Path) -> None:
    sink = JsonlTrace(tmp_path / "trace.jsonl", max_waiting_bytes=10)

    sink.append(record(1))
    sink.close()

    assert sink.dropped == 1
    assert not sink.path.exists()


def test_a_sink_goes_on_after_it_was_closed(tmp_path: Path) -> None:
    sink = JsonlTrace(tmp_path / "trace.jsonl")
    sink.append(record(1))
    sink.close()
    sink.close()

    sink.append(record(2))
    sink.close()

    assert ids(sink.path) == ["id-1", "id-2"]


def test_several_processes_share_a_file_and_a_process_that_ends_writes_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    program = textwrap.dedent(
        """
        import sys
        from lash.tracing import JsonlTrace, TraceContext, TraceRecord
        sink = JsonlTrace(sys.argv[1])
        for number in range(300):
            sink.append(TraceRecord(f"{sys.argv[2]}-{number}", "custom", 0, TraceContext(), {"name": "x" * 500}))
        """
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in ("a", "b")]

    assert [writer.wait(60) for writer in writers] == [0, 0]

    assert sorted(ids(path)) == sorted(f"{name}-{number}" for name in ("a", "b") for number in range(300))
