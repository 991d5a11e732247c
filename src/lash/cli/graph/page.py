"""The page: one HTML file without a script that asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Final

from lash.cli.graph.facts import CellFacts, SessionCells, TurnCells
from lash.cli.graph.svg import svg
from lash.cli.output import shortened, when

# What a page shows of one printed value: the conversation itself is in `lash sessions export`.
SHOWN_CHARS: Final = 4_000


def page(session: SessionCells) -> str:
    """The document."""
    title = escape(f"Session {session.session_id}: cells and processes")
    template = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    head, rest = template.split("@BODY@")
    return "".join([head.replace("@TITLE@", title), *_body(session), rest])


def _body(session: SessionCells) -> Iterator[str]:
    for turn in session.turns:
        yield from _turn(turn, session)
    if session.processes:
        yield "<h2>Processes</h2>\n<table><tr><th>process<th>state<th>started<th>last change<th>what came of it</tr>\n"
        for process in (run.facts for run in session.processes):
            cells = [
                process.label or process.kind,
                process.state,
                when(process.created_at_ms),
                when(process.updated_at_ms),
                shortened(process.outcome_text, 300),
            ]
            shown = "".join(f"<td>{escape(text)}" for text in cells)
            yield f'<tr id="{escape(_anchor(process.id))}">{shown}</tr>\n'
        yield "</table>\n"
    if not session.processes and not any(turn.cells for turn in session.turns):
        yield "<p>No program ran in this session, and it started no process.</p>\n"


def _turn(turn: TurnCells, session: SessionCells) -> Iterator[str]:
    labels = {run.facts.id: run.facts.label for run in session.processes}
    yield f'<h2>Turn {escape(turn.turn_id)} <span class="outcome">{escape(turn.outcome)}</span></h2>\n'
    for process_id in turn.woken_by:
        name = labels.get(process_id) or process_id
        yield f'<p>Woken by <a href="#{escape(_anchor(process_id))}">{escape(name)}</a></p>\n'
    if turn.asked:
        yield f"<p>{escape(shortened(turn.asked, SHOWN_CHARS))}</p>\n"
    for number, cell in enumerate(turn.cells, 1):
        yield from _cell(number, cell, session)


def _cell(number: int, cell: CellFacts, session: SessionCells) -> Iterator[str]:
    yield f'<section class="cell"><div><h3>Cell {number}</h3>\n'
    yield _pre("program", cell.graph.code)
    for text in cell.printed:
        yield _pre("printed", text)
    if cell.problem is not None:
        yield _pre("problem", cell.problem)
    if cell.answer is not None:
        yield _pre("answer", cell.answer)
    yield '</div><div class="picture">'
    picture = session.picture(cell)
    if picture.places:
        yield svg(picture, f"Cell {number}")
    elif cell.problem is None and cell.graph.problem is not None:
        yield f'<p class="dim">{escape(cell.graph.problem)}</p>'
    yield "</div></section>\n"


def _pre(kind: str, text: str) -> str:
    shown = text.strip("\n")
    if len(shown) > SHOWN_CHARS:
        shown = f"{shown[:SHOWN_CHARS]}\n… {len(text) - SHOWN_CHARS} more characters"
    return f'<pre class="{kind}">{escape(shown)}</pre>\n'


def _anchor(process_id: str) -> str:
    return f"process-{process_id}"
