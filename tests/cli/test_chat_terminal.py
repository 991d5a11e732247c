"""`lash chat` at a real terminal."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.chats import Chat, terminals, what_ran
from cli.ptys import CTRL_C, CTRL_D


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    """Starts `lash chat` with the app of these tests, in a folder of its own."""
    with terminals("chat_app", tmp_path) as start:
        yield start


def test_an_answer_is_shown_and_the_terminal_is_left_as_it_was(chat: Chat) -> None:
    terminal = chat()
    terminal.sees("session s; /help lists the commands")

    terminal.enter("hello")
    terminal.sees("› hello")
    terminal.sees("heard hello")
    terminal.type(CTRL_D)

    assert terminal.ends() == 0
    assert terminal.mode == terminal.mode_before
    assert b"\x1b[?25h" in terminal.raw.split(b"\x1b[?25l")[-1]


def test_text_is_shown_while_it_streams(chat: Chat, tmp_path: Path) -> None:
    terminal = chat()

    terminal.enter("STREAM once upon")
    terminal.sees("once")
    (tmp_path / "go").touch()

    terminal.sees("onceupon")


def test_text_that_is_reset_is_taken_back(chat: Chat, tmp_path: Path) -> None:
    terminal = chat()

    terminal.enter("RESET wrong right")
    terminal.sees("\nwrong")
    (tmp_path / "go").touch()

    terminal.sees("\nright")
    terminal.sees_no_more("\nwrong")


def test_what_a_tool_does_is_shown(chat: Chat) -> None:
    terminal = chat()

    terminal.enter("LOOK 7")

    terminal.sees("→ look(number=7)")
    terminal.sees("← look: 7")
    terminal.sees("results are in")


def test_what_is_typed_ahead_is_queued_and_runs_in_order(chat: Chat, tmp_path: Path) -> None:
    terminal = chat()
    terminal.enter("WAIT 1")
    terminal.sees("→ wait(number=1)")

    terminal.enter("second")
    terminal.enter("third")
    terminal.sees("queued: third")
    terminal.sees("2 queued")
    terminal.enter("/queue")
    terminal.sees("2  third")
    (tmp_path / "go").touch()

    terminal.sees("heard third")
    shown = terminal.screen.text
    assert (
        shown.index("results are in") < shown.index("› second") < shown.index("heard second") < shown.index("› third")
    )


def test_queued_input_is_taken_back_by_its_number(chat: Chat, tmp_path: Path) -> None:
    terminal = chat()
    terminal.enter("WAIT 1")
    terminal.sees("→ wait(number=1)")
    terminal.enter("second")
    terminal.enter("third")
    terminal.sees("2 queued")

    terminal.enter("/queue drop 1")
    terminal.sees("taken back: second")
    (tmp_path / "go").touch()

    terminal.sees("heard third")
    assert "heard second" not in terminal.screen.text


def test_now_joins_the_running_turn(chat: Chat, tmp_path: Path) -> None:
    terminal = chat()
    terminal.enter("WAIT 1")
    terminal.sees("→ wait(number=1)")

    terminal.enter("/now listen")
    terminal.sees("to join the running turn: listen")
    (tmp_path / "go").touch()

    terminal.sees("your message joined the running turn")
    terminal.sees("heard listen")


def test_now_behind_a_queued_message_says_that_it_is_queued(chat: Chat, tmp_path: Path) -> None:
    terminal = chat()
    terminal.enter("WAIT 1")
    terminal.sees("→ wait(number=1)")
    terminal.enter("second")
    terminal.sees("1 queued")

    terminal.enter("/now listen")
    terminal.sees("queued: listen")
    (tmp_path / "go").touch()

    terminal.sees("heard listen")
    assert "to join the running turn" not in terminal.screen.text


def test_several_approvals_are_answered_in_place(chat: Chat, tmp_path: Path) -> None:
    terminal = chat()
    terminal.enter("PAY 1 2 3")
    terminal.sees("? 3  pay(amount=3)")

    terminal.enter("n 2 too much")
    terminal.sees("pay is not approved: too much")
    terminal.sees("? 2  pay(amount=3)")
    terminal.enter("y all")

    terminal.sees("results are in")
    assert sorted(what_ran(tmp_path)) == ["pay 1", "pay 3"]


def test_ctrl_c_cancels_the_turn_and_a_second_one_leaves(chat: Chat) -> None:
    terminal = chat()
    terminal.enter("WAIT 1")
    terminal.sees("→ wait(number=1)")

    terminal.type(CTRL_C)
    terminal.sees("cancelling; Ctrl-C again leaves")
    terminal.sees("cancelled\n")
    terminal.type(CTRL_C)

    assert terminal.ends() == 130
    assert terminal.mode == terminal.mode_before


def test_after_a_cancelled_turn_the_conversation_goes_on(chat: Chat) -> None:
    terminal = chat()
    terminal.enter("WAIT 1")
    terminal.sees("→ wait(number=1)")
    terminal.type(CTRL_C)
    terminal.sees("cancelled\n")

    terminal.enter("still there?")
    terminal.sees("heard still there?")
    terminal.type(CTRL_C)
    terminal.sees("Ctrl-C again leaves", times=2)
    terminal.enter("/quit")

    assert terminal.ends() == 0


def test_a_kill_in_the_middle_loses_nothing_and_the_next_chat_says_so(chat: Chat, tmp_path: Path) -> None:
    killed = chat()
    killed.enter("WAIT 1")
    killed.sees("→ wait(number=1)")
    killed.enter("second")
    killed.sees("queued: second")
    killed.kill()

    terminal = chat()
    terminal.sees("recovered: turn ")
    terminal.sees("recovered: 1 queued")
    (tmp_path / "go").touch()

    terminal.sees("heard second")
    assert "results are in" in terminal.screen.text
    assert set(what_ran(tmp_path)) == {"wait 1"}


def test_an_approval_survives_a_kill_and_is_asked_again(chat: Chat, tmp_path: Path) -> None:
    killed = chat()
    killed.enter("PAY 5")
    killed.sees("? 1  pay(amount=5)")
    killed.kill()

    terminal = chat()
    terminal.sees("waits for its answer again")
    terminal.sees("? 1  pay(amount=5)")
    terminal.enter("y")

    terminal.sees("results are in")
    assert what_ran(tmp_path) == ["pay 5"]


def test_another_session_is_resumed_and_its_turn_goes_on(chat: Chat, tmp_path: Path) -> None:
    killed = chat()
    killed.enter("WAIT 1")
    killed.sees("→ wait(number=1)")
    killed.kill()

    terminal = chat("--session", "other")
    terminal.sees("recovered: 1 turns of other sessions")
    terminal.enter("/resume nothing")
    terminal.sees("/resume nothing: no such session")
    terminal.enter("/resume s")
    terminal.sees("this is session s now")
    terminal.sees("a turn runs")
    (tmp_path / "go").touch()

    terminal.sees("results are in")


def test_a_fork_goes_its_own_way(chat: Chat, tmp_path: Path) -> None:
    terminal = chat()
    terminal.enter("one")
    terminal.sees("heard one")

    terminal.enter("/fork copy")
    terminal.sees("copy is a copy of s")
    terminal.sees("session copy, 2 messages so far")
    terminal.enter("two")
    terminal.sees("heard two")
    terminal.enter("/quit")
    terminal.ends()

    with sqlite3.connect(tmp_path / "agent.db") as database:
        heads = dict(database.execute("SELECT session_id, turn_index FROM lash_sessions").fetchall())
    assert heads["copy"] == heads["s"] + 1


def test_usage_compact_and_export_answer_in_place(chat: Chat, tmp_path: Path) -> None:
    terminal = chat()
    terminal.enter("one")
    terminal.sees("heard one")

    terminal.enter("/usage")
    terminal.sees("tokens in (0 cached)")
    terminal.enter("/compact")
    terminal.sees("nothing was compacted")
    terminal.enter("/export talk.md")
    terminal.sees("s is written to talk.md")
    terminal.enter("/export nowhere/talk.md")
    terminal.sees("give another file")
    terminal.enter("/nonsense")
    terminal.sees("/nonsense is no command")

    assert "heard one" in (tmp_path / "talk.md").read_text()


def test_a_turn_that_fails_says_why_and_the_chat_goes_on(chat: Chat) -> None:
    terminal = chat()

    terminal.enter("FAIL")
    terminal.sees("no such model")
    terminal.sees("the turn ended as stopped.provider_error")
    terminal.enter("on")

    terminal.sees("heard on")


def test_a_model_cannot_steer_the_terminal(chat: Chat) -> None:
    terminal = chat()

    terminal.type("\x1b[200~line one\nline \x1b[31mtwo\x1b[201~\r")
    terminal.sees("heard line one")

    assert b"\x1b[31mtwo" not in terminal.raw


def test_leaving_a_running_turn_says_how_to_go_on(chat: Chat, tmp_path: Path) -> None:
    terminal = chat()
    terminal.enter("WAIT 1")
    terminal.sees("→ wait(number=1)")
    terminal.type(CTRL_D)
    terminal.sees("go on with `lash chat --session s`")
    assert terminal.ends() == 0

    again = chat()
    again.sees("recovered: turn ")
    (tmp_path / "go").touch()
    again.sees("results are in")
