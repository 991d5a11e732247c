"""The same as text, for terminals."""

from __future__ import annotations

from collections.abc import Iterator

from lash.cli.graph.facts import SessionCells
from lash.cli.output import shortened


def outline(session: SessionCells) -> str:
    """A line for each turn, cell, place and process."""
    return "\n".join(_lines(session))


def _lines(session: SessionCells) -> Iterator[str]:
    for turn in session.turns:
        woken = f", woken by {', '.join(turn.woken_by)}" if turn.woken_by else ""
        yield f"turn {turn.turn_id}: {turn.outcome}{woken}"
        for number, cell in enumerate(turn.cells, 1):
            problem = cell.problem or cell.graph.problem
            yield f"  cell {number}: {shortened(problem, 100) if problem else shortened(cell.graph.code, 60)}"
            for place in session.picture(cell).places.values():
                if place.kind not in ("main", "branch"):
                    state = "not reached, or no record of it" if place.state == "idle" else place.note or place.state
                    yield f"    {place.title}: {state}"
    for run in session.processes:
        yield f"process {run.facts.label or run.facts.kind} ({run.facts.id}): {run.facts.state}"
