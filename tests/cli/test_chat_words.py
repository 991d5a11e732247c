"""The line being typed, and what it means."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.cli.chat.editor import Ended, Entered, Interrupted, LineEditor, Typed
from lash.cli.chat.face import harmless
from lash.cli.chat.words import Answer, Command, Message, Nothing, Said, Unknown, understand, understand_answer


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("hello\r", "hello"),
        ("helo\x1b[Dl\r", "hello"),
        ("x\x1b[Ha\x1b[Fb\r", "axb"),
        ("wrong\x15right\r", "right"),
        ("one two\x17three\r", "one three"),
        ("abc\x7f\x7fd\r", "ad"),
        ("ab\x1b[D\x1b[3~c\r", "ac"),
        ("ab\x01\x0bc\r", "c"),
        ("one\x1b\rtwo\r", "one\ntwo"),
        ("\x1b[200~a\rb\x03\x1b[201~\r", "a\nb"),
        ("\x1b[15~x\x1b[1;5Cy\r", "xy"),
        ("grüße 👋\r", "grüße 👋"),
        ("ab\x1b[D\x04\r", "a"),
    ],
)
def test_keys_become_a_line(keys: str, line: str) -> None:
    assert LineEditor().feed(keys.encode()) == [Entered(line)]


def test_control_d_ends_only_an_empty_line() -> None:
    editor = LineEditor()

    assert editor.feed(b"x\x04") == []
    assert editor.feed(b"\x15\x04") == [Ended()]
    assert editor.feed(b"\x03") == [Interrupted()]


def test_arrows_walk_through_what_was_said_and_back_to_the_draft() -> None:
    editor = LineEditor()
    editor.feed(b"one\rtwo\rdra")

    seen = [editor.text]
    for key in (b"\x1b[A", b"\x1b[A", b"\x1b[A", b"\x1b[B", b"\x1b[B"):
        editor.feed(key)
        seen.append(editor.text)

    assert seen == ["dra", "two", "one", "one", "two", "dra"]


@given(st.binary(max_size=60), st.integers(0, 60))
def test_it_does_not_matter_where_the_terminal_cuts(data: bytes, cut: int) -> None:
    whole, halves = LineEditor(), LineEditor()

    typed: list[Typed] = halves.feed(data[:cut])
    typed = typed + halves.feed(data[cut:])

    assert typed == whole.feed(data)
    assert (halves.text, halves.cursor) == (whole.text, whole.cursor)
    assert 0 <= whole.cursor <= len(whole.text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf", "Zs", "Co", "Cn"]), min_size=1))
def test_what_is_printable_arrives_as_it_was_typed(text: str) -> None:
    assert LineEditor().feed(f"{text}\r".encode()) == [Entered(text)]


@given(st.text())
def test_shown_text_holds_nothing_that_steers_a_terminal(text: str) -> None:
    out = StringIO(harmless(text)).getvalue()

    assert not any(ord(char) < 32 and char not in "\n\t" for char in out)
    assert "\x7f" not in out
    assert not any(0x80 <= ord(char) <= 0x9F for char in out)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("", Nothing()),
        ("  ", Nothing()),
        ("hi there ", Message("hi there")),
        ("//path", Message("/path")),
        ("/fork", Command("fork")),
        ("/NOW  do it ", Command("now", "do it")),
        ("/etc/passwd", Unknown("etc/passwd")),
    ],
)
def test_a_line_is_a_message_or_a_command(line: str, meant: Said) -> None:
    assert understand(line) == meant


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("y", Answer(True, 1)),
        ("YES 2", Answer(True, 2)),
        ("y all", Answer(True, 0)),
        ("n", Answer(False, 1)),
        ("n too much", Answer(False, 1, "too much")),
        ("no 3 too much", Answer(False, 3, "too much")),
        ("n all never", Answer(False, 0, "never")),
        ("yes please do", None),
        ("nothing", None),
        ("", None),
    ],
)
def test_a_question_is_answered_with_one_word(line: str, meant: Answer | None) -> None:
    assert understand_answer(line) == meant
