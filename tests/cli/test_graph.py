"""`lash sessions graph`: the programs of a session as pictures, from the store alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import Result

import lash
from lash.cli.graph.layout import laid_out
from lash.cli.graph.picture import Picture, Place, Way
from lash.testing import ScriptedModel, cell

Cli = Callable[..., Result]

LOOPS = """
sum = 0
for id in [1, 2, 3] {
  got = await orders.total({ id: id })
  if got.ok { sum = sum + got.value } else { sleep for "1ms" }
}
print "<script>alert(1)</script>"
"""

LAST = """
for id in [3, 2] { last = await orders.total({ id: id })? }
"""

STARTS = """
process add(ids: list[int]) {
  sum = 0
  for id in ids { sum = sum + await orders.total({ id: id })? }
  finish sum
}
job = start add(ids: [1, 3, 4])
submit "started"
"""


@lash.tool(module="orders", repeat="idempotent")
async def total(id: int) -> int:  # noqa: A002 - what a program writes
    """What an order costs."""
    if id == 2:
        raise ValueError("gone")
    return id * 100


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with a session `s`: a turn of four cells, one of them no program."""
    where = str(tmp_path / "agent.db")
    model = ScriptedModel([cell(LOOPS), cell("x = = 1"), cell(LAST), cell("submit sum")])

    async def fill() -> None:
        async with lash.RlmCore(model=model, tools=[total], store=where) as core, core.session("s") as session:
            await session.run('What do they "cost"?', turn_id="t")

    asyncio.run(fill())
    return where


class Tags(HTMLParser):
    """The tags of a page, and the text inside its boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.places: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "g":
            self.places.append(dict(attrs).get("class") or "")


def test_the_page_shows_what_each_program_did_and_asks_nobody_for_anything(
    cli: Cli, store: str, tmp_path: Path
) -> None:
    target = tmp_path / "out.html"

    said = cli("sessions", "graph", "s", "--store", store, "-o", str(target)).stdout

    assert said == f"{target}: 4 cells in 1 turns, 0 processes\n"
    text = target.read_text()
    page = Tags()
    page.feed(text)
    first, last = ["start", "done", "done", "done"], ["start", "failed"]
    assert page.places == [f"place {state}" for state in [*first, *last, "start", "done"]]
    assert {"script", "link", "img"} & set(page.tags) == {"link"}
    assert "default-src 'none'" in text
    for words in ("orders.total", "1 of 2 failed", "3×", "gone", "&lt;script&gt;", "unexpected `=`", ">400</pre>"):
        assert words in text


def test_the_same_as_a_flowchart_as_text_and_as_json(cli: Cli, store: str) -> None:
    chart, text, read = (
        cli("sessions", "graph", "s", "--turn", "t", "--store", store, "--format", form).stdout
        for form in ("mermaid", "text", "json")
    )

    assert chart.startswith("flowchart TD\n")
    assert 't1c3n2["orders.total<br/>1 of 2 failed"]:::failed' in chart
    assert '-->|"else"| t1c1n4' in chart
    assert "orders.total: 1 of 2 failed" in text
    assert "cell 2: unexpected `=`" in text
    assert json.loads(read)["turns"][0]["cells"][3]["answer"] == "400"


def test_a_process_is_drawn_where_it_was_started_with_what_it_did(cli: Cli, tmp_path: Path) -> None:
    where = str(tmp_path / "agent.db")
    model = ScriptedModel([cell(STARTS), cell("submit (await job)?")])

    async def fill() -> None:
        async with lash.RlmCore(model=model, tools=[total], store=where) as core, core.session("s") as session:
            await session.run("Go.", turn_id="t")
            await session.run("And?", turn_id="u")

    asyncio.run(fill())
    chart = cli("sessions", "graph", "s", "--store", where, "--format", "mermaid").stdout
    text = cli("sessions", "graph", "s", "--store", where, "--format", "text").stdout

    assert '(["add<br/>completed"]):::done' in chart
    assert '["orders.total<br/>at least 2×"]:::done' in chart
    assert '-->|"starts"|' in chart
    assert "process add (process:lashlang:" in text


def test_what_is_not_there_is_said(cli: Cli, store: str) -> None:
    no_session = cli("sessions", "graph", "other", "--store", store)
    no_turn = cli("sessions", "graph", "s", "--turn", "t9", "--store", store)

    assert (no_session.exit_code, no_turn.exit_code) == (1, 1)
    assert "session 'other' is not in" in no_session.stderr
    assert "turn 't9' of session 's' is not settled" in no_turn.stderr


def test_a_session_without_programs_has_an_empty_picture(cli: Cli, settled_store: str, tmp_path: Path) -> None:
    target = tmp_path / "out.html"

    cli("sessions", "graph", "chat", "--store", settled_store, "-o", str(target))

    assert "No program ran in this session" in target.read_text()


def test_no_place_stands_above_what_leads_to_it_and_none_on_another() -> None:
    places = {name: Place(name, "step", name, "idle") for name in "abcde"}
    ways = [Way(source, target) for source, target in ("ab", "ac", "bd", "cd", "ad", "de")]

    corners = laid_out(Picture(places, ways)).corners

    assert len(set(corners.values())) == len(places)
    assert all(corners[way.source][1] < corners[way.target][1] for way in ways)
