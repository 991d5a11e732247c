"""`lash chat` through a pipe: lines in, answers out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.chats import piped


def _chat(tmp_path: Path, typed: str, *args: str) -> tuple[str, str, int]:
    chat = piped("chat_app", tmp_path, *args)
    said, complained = chat.communicate(typed, timeout=60)
    return said, complained, chat.returncode


def test_lines_go_in_and_answers_come_out(tmp_path: Path) -> None:
    said, complained, code = _chat(tmp_path, "one\n\nLOOK 7\n//etc is a folder\n")

    assert said == "heard one\nresults are in\nheard /etc is a folder\n"
    assert (complained, code) == ("", 0)


def test_a_failed_turn_is_exit_code_1_and_the_lines_behind_it_run(tmp_path: Path) -> None:
    said, complained, code = _chat(tmp_path, "FAIL\nafter\n")

    assert said == "heard after\n"
    assert "no such model" in complained
    assert "stopped.provider_error" in complained
    assert code == 1


def test_text_that_was_reset_never_comes_out(tmp_path: Path) -> None:
    (tmp_path / "go").touch()

    said, _, _ = _chat(tmp_path, "RESET wrong right\n")

    assert said == "right\n"


def test_the_next_line_answers_an_approval(tmp_path: Path) -> None:
    said, complained, code = _chat(tmp_path, "PAY 1 2\ny\nn too much\nand now?\n")

    assert said == "results are in\nheard and now?\n"
    assert (complained, code) == ("", 0)
    assert (tmp_path / "ran.log").read_text() == "pay 1\n"


def test_without_an_answer_nothing_is_approved(tmp_path: Path) -> None:
    said, complained, code = _chat(tmp_path, "PAY 1\nand now?\nPAY 2\n")

    assert said == "results are in\nheard and now?\nresults are in\n"
    assert complained.count("was not approved") == 2
    assert code == 0
    assert not (tmp_path / "ran.log").exists()


def test_commands_answer_like_the_agent(tmp_path: Path) -> None:
    said, complained, code = _chat(
        tmp_path, "one\n/fork copy\ntwo\n/resume\n/export copy.json\n/nonsense\n/quit\nthree\n"
    )

    assert "copy is a copy of s" in said
    assert "* copy" in said
    assert "heard two" in said
    assert "heard three" not in said
    assert "/nonsense is no command" in complained
    assert (tmp_path / "copy.json").exists()
    assert code == 1


def test_a_killed_chat_goes_on_in_the_next_one(tmp_path: Path) -> None:
    killed = piped("chat_app", tmp_path)
    assert killed.stdin is not None
    killed.stdin.write("WAIT 1\n")
    killed.stdin.flush()
    _until_ran(tmp_path, "wait 1", killed)
    killed.kill()
    killed.communicate()
    (tmp_path / "go").touch()

    said, complained, code = _chat(tmp_path, "after\n")

    assert said == "heard after\n"
    assert "recovered: turn " in complained
    assert code == 0
    stored = _chat(tmp_path, "/export all.md\n")
    assert stored[2] == 0
    assert (tmp_path / "all.md").read_text().index("results are in") < (tmp_path / "all.md").read_text().index(
        "heard after"
    )


def test_ctrl_c_cancels_the_turn_and_ends_the_script(tmp_path: Path) -> None:
    chat = piped("chat_app", tmp_path)
    assert chat.stdin is not None
    chat.stdin.write("WAIT 1\nafter\n")
    chat.stdin.flush()
    _until_ran(tmp_path, "wait 1", chat)

    chat.send_signal(signal.SIGINT)
    said, complained = chat.communicate(timeout=60)

    assert "cancelled" in complained
    assert said == ""
    assert chat.returncode == 130


@pytest.mark.parametrize("line", [[], ["--app", "nowhere:core"]], ids=["nothing", "no such app"])
def test_without_an_agent_there_is_no_chat(tmp_path: Path, line: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lash.cli.main", "chat", *line],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={key: value for key, value in os.environ.items() if not key.startswith("LASH_")},
    )

    assert done.returncode in (2, 3)
    assert "--app" in done.stderr


def _until_ran(tmp_path: Path, what: str, chat: subprocess.Popen[str]) -> None:
    """Returns when the tool has written its line."""
    import time

    deadline = time.monotonic() + 30
    log = tmp_path / "ran.log"
    while not (log.exists() and what in log.read_text()):
        assert chat.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
