"""`lash chat` where the model writes programs: at a real terminal, and through a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from cli.chats import Chat, piped, terminals, what_ran
from cli.ptys import CTRL_C, CTRL_D
from lash.base.messages import Message, Part, PluginOrigin
from lash.cli.chat.told import Told, cells_of, last_exchange, told_of


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    """Starts `lash chat` in RLM mode, in a folder of its own."""
    with terminals("rlm_chat_app", tmp_path) as start:
        yield start


def test_programs_are_shown_and_a_later_chat_begins_with_what_was_said_last(chat: Chat) -> None:
    terminal = chat()

    terminal.enter("RUN t = await orders.total({ order: 7 })? print t ;; y = t + nope ;; submit { sum: t }")
    terminal.sees('{"sum":700}')
    terminal.enter("hello")
    terminal.sees("\nheard hello")
    terminal.type(CTRL_D)
    terminal.ends()

    shown = terminal.screen.text
    calls = ["│ t = await", "→ total(order=7)", "← total: 700"]
    in_order = ["· Program 1 of 3.", *calls, "▪ 700", "· Program 2", "✗ unknown", "--> line 1, column 9", "│ submit"]
    places = [shown.index(words) for words in [*in_order, '{"sum":700}']]
    assert places == sorted(places)
    assert shown.count("Program 1 of 3.") == 1
    assert shown.count("heard hello") == 1  # what was thought is said, not both

    again = chat()

    again.sees("agent: heard hello")
    assert "you: hello" in again.screen.text


def test_variables_and_whole_programs_can_be_looked_at(chat: Chat, tmp_path: Path) -> None:
    terminal = chat()
    lines = "; ".join(f"x{number} = {number}" for number in range(3))
    terminal.type("\x1b[200~RUN " + "\n".join(f"a{number} = {number}" for number in range(40)) + "\x1b[201~")
    terminal.enter(f" {lines} print a39 ;; submit await tools.wait({{ number: 1 }})?")
    terminal.sees("│ … 20 more lines; /cell shows all of it")
    terminal.sees("a turn runs, its program runs")

    terminal.enter("/cell")
    terminal.sees("submit await tools.wait({ number: 1 })?", times=3)
    (tmp_path / "go").touch()
    terminal.sees("← wait: 1")
    terminal.enter("/cell 1")
    terminal.sees("a20 = 20")
    terminal.enter("/globals")
    terminal.sees("a39 = 39")
    terminal.enter("/globals nothing")

    terminal.sees("/globals nothing: no such variable")


def test_an_approval_in_a_program_is_answered_in_place_and_survives_a_kill(chat: Chat, tmp_path: Path) -> None:
    killed = chat()
    killed.enter("RUN t = await orders.total({ order: 7 })? submit await tools.pay({ amount: t })?")
    killed.sees("? 1  pay(amount=700)")
    killed.kill()

    terminal = chat()
    terminal.sees("waits for its answer again")
    terminal.sees("? 1  pay(amount=700)")
    terminal.enter("y")

    terminal.sees("\npaid 700")
    assert what_ran(tmp_path) == ["total 7", "pay 700"]


def test_a_background_process_begins_a_turn_and_ctrl_c_stops_a_program_that_never_ends(chat: Chat) -> None:
    terminal = chat()
    terminal.enter('RUN process p() { sleep for "1s" wake 7 finish 1 } job = start p() submit 5')
    terminal.sees("a turn begins that was not typed in this chat")
    terminal.sees("heard Runtime event: Background process wake")

    terminal.enter("RUN n = 0 while true { n = n + 1 }")
    terminal.sees("its program runs")

    terminal.type(CTRL_C)
    terminal.sees("the turn was cancelled")
    terminal.sees("cancelled\n")
    terminal.type(CTRL_C)

    assert terminal.ends() == 130


def test_through_a_pipe_only_answers_come_out(tmp_path: Path) -> None:
    typed = 'hello\nRUN print 1 ;; nope ;; submit { sum: 2 }\nRUN x = [1, 2] submit "done"\n'

    chat = piped("rlm_chat_app", tmp_path)
    said, complained = chat.communicate(f"{typed}/globals\n/globals x\n/cell 9\n", timeout=60)

    assert said == 'heard hello\n{"sum":2}\ndone\nx = [1, 2]\n[\n  1,\n  2\n]\n'
    assert complained == "lash: /cell 9: the session has 4 programs; write /cell and a number of them\n"
    assert chat.returncode == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--mode", "rlm", "--app", "cli.rlm_chat_app:core"], "has its own mode"),
        (["--mode", "rlm"], "name your own core"),
        (["--mode", "rlm", "--model", "nothing:x"], "nothing"),
    ],
)
def test_a_mode_belongs_to_a_model(cli: Callable[..., Result], line: list[str], said: str) -> None:
    done = cli("chat", *line)

    assert done.exit_code in (2, 3)
    assert said in done.stderr
    assert done.stderr.strip().count("\n") == 0


def test_a_refused_value_is_no_answer_and_reminders_are_not_told() -> None:
    origin = PluginOrigin("rlm_protocol")
    messages = [
        Message("m0", "user", [Part("a", "text", "How many?")]),
        Message("m1", "assistant", [Part("b", "prose", "Let me see."), Part("c", "code", "submit 1")], origin),
        Message("m2", "user", [Part("h.final_output", "output", "1"), Part("h.error", "error", "no")], origin),
        Message("m3", "system", [Part("d", "text", "Submit.")], origin),
        Message("m4", "assistant", [Part("e", "code", "submit 2")], origin),
        Message("m5", "user", [Part("i.final_output", "output", "2")], origin),
    ]

    assert [told.kind for told in told_of(messages)] == [
        "you",
        "thought",
        "program",
        "printed",
        "problem",
        "program",
        "agent",
    ]
    assert [cell.code for cell in cells_of(messages)] == ["submit 1", "submit 2"]
    assert last_exchange(messages) == [Told("you", "How many?"), Told("agent", "2")]
