"""Where the program stands in a text, whole and while it streams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.plugins.directives import CustomEvent
from lash.plugins.execution import Screened
from lash.protocols.rlm.cells import OPENED, Emission, FencedCells

GRAMMAR = FencedCells()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no program", Emission("no program")),
        ("look:\n```lashlang\nprint 1\n```", Emission("look:\n", "print 1\n")),
        ("```lashlang\nprint 1\n```\nand then?", Emission("", "print 1\n")),
        ("```lashlang\nprint 1", Emission("", "print 1")),
        ("```lashlang", Emission("", "")),
        ("```  lashlang  \r\nprint 1\n```", Emission("", "print 1\n")),
        ("```python\nprint(1)\n```", Emission("```python\nprint(1)\n```")),
        ("``lashlang\nprint 1\n``", Emission("``lashlang\nprint 1\n``")),
        ("```lashlang2\n1\n```", Emission("```lashlang2\n1\n```")),
        ('````lashlang\na = "```"\n````', Emission("", 'a = "```"\n')),
        ("```lashlang\na\n```\n```lashlang\nb\n```", Emission("", "a\n", True)),
        ("```lashlang\na = 1\n---\nb = 2\n```", Emission("", "a = 1\nb = 2\n")),
        ("```text\nx\n```\n```lashlang\na\n```", Emission("```text\nx\n```\n", "a\n")),
    ],
)
def test_the_first_cell_counts(text: str, found: Emission) -> None:
    assert GRAMMAR.find(text) == found


@given(st.text(alphabet='ab`\n "', max_size=60).filter(lambda code: bool(code.strip())))
def test_a_shown_program_is_found_again(code: str) -> None:
    found = GRAMMAR.find(f"because\n{GRAMMAR.shown(code)}\n")

    assert found.code == code.rstrip() + "\n"


_PIECES = st.lists(
    st.sampled_from(["`", "``", "```", "````", "lash", "lang", "lashlang", "\n", " ", "a", "x = 1", "---\n", "\r\n"]),
    max_size=24,
)


@given(_PIECES, st.data())
def test_a_stream_tells_what_stands_before_the_cell_however_it_is_cut(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    screen = GRAMMAR.screen("rlm")
    told: list[Screened] = []
    at = 0
    while at < len(text) and not any(one.is_over for one in told):
        size = data.draw(st.integers(1, 7))
        told.append(screen.feed(text[at : at + size]))
        at += size
    fed = text[:at]
    if not any(one.is_over for one in told):
        told.append(screen.rest())
        fed = text

    whole = GRAMMAR.find(fed)

    assert "".join(one.text for one in told) == whole.prose
    assert sum(one.event is not None for one in told) == (whole.code is not None)
    # What was cut off would not have counted.
    assert GRAMMAR.find(text).code == whole.code


def test_the_call_ends_only_when_something_follows_the_cell() -> None:
    screen = GRAMMAR.screen("rlm")

    assert [screen.feed(piece).is_over for piece in ("```lashlang\nx\n``", "`", "\n\n")] == [False, False, False]
    assert screen.feed("Output").is_over
    assert screen.rest() == Screened()


def test_a_screen_begins_anew() -> None:
    screen = GRAMMAR.screen("rlm")
    screen.feed("```lashlang\n")
    screen.reset()

    assert screen.feed("hello ```lashlang\n") == Screened("hello ", CustomEvent(OPENED))
