"""`lash lang` from the outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lash.cli.lang import lang


def _run(tmp_path: Path, source: str, *args: str) -> Result:
    file = tmp_path / "program.lash"
    file.write_text(source, encoding="utf-8")
    return CliRunner().invoke(lang, [args[0], str(file), *args[1:]])


def test_check_is_silent_about_a_good_program(tmp_path: Path) -> None:
    result = _run(tmp_path, "submit 1", "check")

    assert (result.exit_code, result.output) == (0, "")


def test_check_shows_the_diagnostic_of_a_bad_one(tmp_path: Path) -> None:
    result = _run(tmp_path, "submit (1", "check")

    assert result.exit_code == 1
    assert "expected `)`, found end of input\n--> line 1, column 10" in result.output


def test_run_prints_the_value_as_json(tmp_path: Path) -> None:
    result = _run(tmp_path, 'submit { n: n + 1, s: "é" }', "run", "--globals", '{"n": 1}')

    assert json.loads(result.output) == {"n": 2, "s": "é"}


def test_run_runs_a_process_with_arguments(tmp_path: Path) -> None:
    source = "process p(n: int) { finish n * 2 }"

    good = _run(tmp_path, source, "run", "--process", "p", "--args", '{"n": 4}')
    bad = _run(tmp_path, source, "run", "--process", "p", "--args", '{"n": "x"}')
    unknown = _run(tmp_path, source, "run", "--process", "q")

    assert good.output == "8\n"
    assert (bad.exit_code, bad.output) == (1, "process `p` argument `n`: expected int, got string\n")
    assert unknown.exit_code == 1


def test_run_reaches_the_case_host_only_when_asked(tmp_path: Path) -> None:
    source = "submit await tools.echo({ value: 5 })?"

    assert _run(tmp_path, source, "run", "--case-host").output == "5\n"
    assert _run(tmp_path, source, "run").exit_code == 1


@pytest.mark.parametrize(
    ("source", "options", "text"),
    [
        ("while true {}", ["--active-ms", "50"], "active time budget of 50 ms exceeded"),
        ("while true {}", ["--instructions", "5000"], "instruction budget of 5000 exceeded"),
        ("x = []\nwhile true { x = push(x, range(1000)) }", ["--memory-mib", "20"], "memory budget of 20 MiB exceeded"),
        ('process p() { fail "why" }', ["--process", "p"], "process failed: why"),
        ('submit 1 - "x"', [], "expected a number"),
    ],
)
def test_run_fails_with_a_diagnostic(tmp_path: Path, source: str, options: list[str], text: str) -> None:
    result = _run(tmp_path, source, "run", *options)

    assert result.exit_code == 1
    assert text in result.output


def test_fmt_is_stable(tmp_path: Path) -> None:
    once = _run(tmp_path, "x=1;submit x+1 # c", "fmt").output
    twice = _run(tmp_path, once, "fmt").output

    assert once == twice == "x = 1\nsubmit (x + 1)\n"


@pytest.mark.parametrize(
    ("form", "start"), [("text", "main main"), ("json", "{"), ("svg", "<svg"), ("html", "<!doctype")]
)
def test_graph_has_four_forms(tmp_path: Path, form: str, start: str) -> None:
    source = "if true { x = await tools.echo({}) }\nsubmit x"

    result = _run(tmp_path, source, "graph", "--case-host", "--format", form)

    assert result.exit_code == 0
    assert result.output.startswith(start)
    assert "http" not in result.output.replace("http://www.w3.org/2000/svg", "")


def test_cases_reports_what_fails(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    lines = [
        {"id": "good", "source": "submit 1", "expect": 1},
        {"id": "bad", "source": "submit 1", "expect": 2},
        {"id": "guess", "source": "submit 1", "expect": 2, "unsure": True},
    ]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")

    result = CliRunner().invoke(lang, ["cases", str(file), "--json"])

    report = json.loads(result.output)
    assert result.exit_code == 1
    assert (report["total"], report["passed"]) == (3, 1)
    assert report["failed"] == [{"id": "bad", "why": "expect: expected 2, got 1"}]
    assert [entry["id"] for entry in report["unsure"]] == ["guess"]


def test_cases_reads_markdown_in_both_settings() -> None:
    file = Path(__file__).parent / "cases" / "reference.md"

    for options in ([], ["--compat"]):
        result = CliRunner().invoke(lang, ["cases", str(file), *options])
        assert result.exit_code == 0
        assert "391 of 391 cases pass" in result.output


@pytest.mark.parametrize("command", ["check", "run", "fmt", "graph", "cases"])
@pytest.mark.parametrize(
    ("data", "code"),
    [(None, 2), (b"\xff\xfe\x00", 1), (b"x = \x00\x01\x02", 1), (b" " * (4 * 1024 * 1024 + 1), 1), ("folder", 2)],
    ids=["missing", "not UTF-8", "binary", "huge", "folder"],
)
def test_a_file_that_is_no_program_is_told_in_a_line(
    tmp_path: Path, command: str, data: bytes | str | None, code: int
) -> None:
    file = tmp_path / "bad.jsonl"
    if isinstance(data, bytes):
        file.write_bytes(data)
    elif data is not None:
        file.mkdir()

    result = CliRunner().invoke(lang, [command, str(file)])

    if not (command == "cases" and isinstance(data, bytes) and data.startswith(b" ")):
        assert result.exit_code == code
        assert "Traceback" not in result.output
        assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("command", ["check", "run", "fmt", "graph"])
def test_an_empty_file_is_a_program_that_does_nothing(tmp_path: Path, command: str) -> None:
    assert _run(tmp_path, "", command).exit_code == 0


def test_run_really_sleeps_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "program.lash"
    file.write_text('print "asleep"\nsleep for "1h"\nsubmit 1', encoding="utf-8")
    command = [sys.executable, "-m", "lash.cli.lang", "run", str(file), "--waiting-ms", "7200000"]

    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "asleep\n"
        process.send_signal(signal.SIGINT)
        try:
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()

    assert process.returncode != 0
    assert output == ""


@pytest.mark.parametrize(
    ("sleep", "text"),
    [
        ('sleep for "2h"', "sleep failed: waiting budget of 60000 ms exceeded; allow more with --waiting-ms"),
        ('sleep for "30s"\nsleep for "31s"', "sleep failed: waiting budget of 60000 ms exceeded"),
        ('sleep for "soon"', "sleep failed: invalid duration `soon`"),
        ("sleep for 0 - 1", "sleep failed: `sleep for` expects a non-negative millisecond number"),
        ("sleep until null", "sleep failed: `sleep until` expects RFC3339 text"),
    ],
)
def test_a_sleep_is_bounded_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sleep: str, text: str) -> None:
    monkeypatch.setattr("lash.cli.lang.time.sleep", lambda _seconds: None)

    result = _run(tmp_path, f"{sleep}\nsubmit 1", "run")

    assert result.exit_code == 1
    assert text in result.output


def test_a_deadline_in_the_past_is_over(tmp_path: Path) -> None:
    result = _run(tmp_path, 'sleep until "2020-01-01T00:00:00Z"\nsleep for 1\nsubmit 1', "run")

    assert result.output == "1\n"
