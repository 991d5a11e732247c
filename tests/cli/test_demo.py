"""The demo as a stranger runs it: a real process that starts and kills real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "src"


def _lash(*args: str, scratch: Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    scratch.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-P", "-m", "lash.cli.main", *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=cwd or scratch,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(scratch), "LASH_STORE": "/nowhere/at/all.db"},
    )


def _json(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.stderr == ""
    return json.loads(done.stdout)


def _assert_kept(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    facts: dict[str, Any] = _json(done)
    assert done.returncode == 0, facts
    assert facts["ok"] is True
    assert facts["kills"] >= 3
    assert facts["turns_committed"] == 1
    assert facts["effects_recorded"] >= 10
    assert facts["recorded_effects_executed_again"] == 0
    assert facts["lost"] == 0
    assert facts["duplicate_commits"] == 0
    assert facts["next_request_valid"] is True
    return facts


def _assert_programs_kept(facts: dict[str, Any]) -> dict[str, Any]:
    assert facts["ok"] is True, facts
    programs: dict[str, Any] = facts["programs"]
    assert programs["kills"] == 3
    assert programs["recorded_effects_executed_again"] == programs["lost"] == 0
    assert programs["executed_twice"] == ["count"]  # killed in its middle: at least once
    assert [(sleep["background"], sleep["kept"]) for sleep in programs["sleeps"]] == [(False, True), (True, True)]
    assert programs["turns_committed"] == 2
    assert programs["woken_after_restart"] is programs["value_is_typed"] is programs["asked_again_for_nothing"] is True
    return programs


def test_the_demo_keeps_its_promise_on_our_own_source_and_leaves_a_picture_behind(tmp_path: Path) -> None:
    scratch = tmp_path / "tmp"

    facts = _assert_kept(_lash("demo", str(SOURCE / "lash/cli"), "--json", scratch=scratch))

    programs = _assert_programs_kept(facts)
    assert list(scratch.iterdir()) == [Path(programs["picture"])]
    assert "fingerprint" in Path(programs["picture"]).read_text()
    assert programs["submitted"][0]["files"] > 50
    assert len(programs["submitted"][1]["largest"]) == 3
    by_name = {effect["effect"]: effect for effect in facts["effects"]}
    assert by_name["find_markers"]["executed"] == 2  # killed in the middle: at least once
    assert by_name["count_lines"]["executed"] == 1  # its sibling was recorded
    assert by_name["publish_report"]["executed"] == 1
    assert by_name["publish_report #2"]["executed"] == 2
    assert facts["deliveries"] == 1
    assert facts["asked_again_for_nothing"] is True


def test_the_demo_works_on_files_that_cannot_be_read_and_keeps_its_database_on_request(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "binary.bin").write_bytes(bytes(range(256)) * 64)
    (odd / os.fsdecode(b"caf\xe9.py")).write_text("# TODO name\n")
    (odd / "secret.py").write_text("x = 1\n")
    (odd / "secret.py").chmod(0)
    (odd / "closed").mkdir(mode=0)
    (odd / "loop").symlink_to(odd)
    (odd / "gone").symlink_to("nowhere")
    os.mkfifo(odd / "pipe")
    (odd / "types.py").write_text("raise SystemExit('a file of the folder became a module')\n")

    facts = _assert_kept(_lash("demo", "--json", "--keep", "--act", "1", scratch=tmp_path / "tmp", cwd=odd))

    turn = [facts["session_id"], facts["turn_id"], "--store", facts["store"], "--json"]
    explained = _json(_lash("turns", "explain", *turn, scratch=tmp_path / "tmp"))
    assert len(explained["effects"]) == facts["effects_recorded"]


def test_without_a_terminal_the_demo_is_plain_text_and_leaves_a_store_of_ones_own_as_it_was(tmp_path: Path) -> None:
    empty, store = tmp_path / "empty", str(tmp_path / "own.db")
    empty.mkdir()

    done = _lash("demo", str(empty), "--store", store, scratch=tmp_path / "tmp")

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert done.stdout.count("SIGKILL  ") == 9
    said = ("The model is scripted and says so.", "find_markers", "process fingerprint(limit: int)", "is woken by it")
    for words in (*said, "0 recorded effects executed again", "Nothing recorded was lost or repeated."):
        assert words in done.stdout
    assert _json(_lash("sessions", "ls", "--store", store, "--json", scratch=tmp_path / "tmp")) == []


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(scratch)}

    with subprocess.Popen(
        [sys.executable, "-P", "-m", "lash.cli.main", "demo", str(SOURCE / "lash/base")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "SIGKILL  " in line:
                break
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)

    assert running.returncode == 130
    assert errors.strip().count("\n") == 0
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("path", ["missing", "file.txt"])
def test_a_path_that_is_no_folder_is_wrong_usage(tmp_path: Path, path: str) -> None:
    (tmp_path / "file.txt").write_text("x")

    done = _lash("demo", str(tmp_path / path), "--json", scratch=tmp_path / "tmp")

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip().count("\n") == 0
    assert path in done.stderr
