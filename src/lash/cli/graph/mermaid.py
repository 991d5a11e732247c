"""Pictures in the language of Mermaid, which many viewers of Markdown draw."""

from __future__ import annotations

from lash.cli.graph.facts import SessionCells
from lash.cli.graph.picture import Place, Way
from lash.cli.graph.runs import process_place
from lash.cli.output import shortened

_CLASSES = (
    "classDef start fill:#e2e8f0,stroke:#64748b,color:#0f172a",
    "classDef done fill:#dcfce7,stroke:#16a34a,color:#052e16",
    "classDef failed fill:#fee2e2,stroke:#dc2626,color:#450a0a",
    "classDef running fill:#fef9c3,stroke:#ca8a04,color:#422006",
    "classDef idle fill:#f8fafc,stroke:#cbd5e1,color:#64748b,stroke-dasharray:4 3",
)


def mermaid(session: SessionCells) -> str:
    """One flowchart: a frame for each turn, in it one for each cell, and what woke which turn."""
    lines = ["flowchart TD"]
    ways: list[str] = []
    shown: dict[str, str] = {}
    for turn_number, turn in enumerate(session.turns, 1):
        lines.append(f'  subgraph turn{turn_number}["{_text(turn.turn_id)}: {_text(turn.outcome)}"]')
        for cell_number, cell in enumerate(turn.cells, 1):
            frame = f"t{turn_number}c{cell_number}"
            picture = session.picture(cell)
            names = {place: f"{frame}n{number}" for number, place in enumerate(picture.places, 1)}
            lines.append(f'    subgraph {frame}["cell {cell_number}"]')
            if not picture.places:
                what = shortened(cell.graph.problem or cell.problem or "nothing to draw", 80)
                lines.append(f'      {frame}n0["{_text(what)}"]:::failed')
            lines += [f"      {_box(names[place.id], place)}" for place in picture.places.values()]
            lines.append("    end")
            ways += [f"  {names[way.source]} {_arrow(way)} {names[way.target]}" for way in picture.ways]
            shown.update((process_id, names[place]) for process_id, place in picture.runs.items())
        lines.append("  end")
    for number, run in enumerate(session.processes, 1):
        if run.facts.id not in shown:  # the application started it, or an older cell
            shown[run.facts.id] = f"p{number}"
            lines.append(f"  {_box(f'p{number}', process_place(run.facts.id, run.facts))}")
    for turn_number, turn in enumerate(session.turns, 1):
        ways += [f"  {shown[one]} -. wakes .-> turn{turn_number}" for one in turn.woken_by if one in shown]
    return "\n".join([*lines, *ways, *(f"  {line}" for line in _CLASSES), ""])


def _box(name: str, place: Place) -> str:
    said = f"{_text(place.title)}<br/>{_text(place.note)}" if place.note else _text(place.title)
    opened, closed = ("([", "])") if place.kind in ("process_run", "main", "terminal") else ("[", "]")
    if place.kind == "branch":
        opened, closed = "{", "}"
    return f'{name}{opened}"{said}"{closed}:::{place.state}'


def _arrow(way: Way) -> str:
    drawn = "-.->" if way.is_taken is False else "-->"
    return f'{drawn}|"{_text(way.label)}"|' if way.label else drawn


def _text(text: str) -> str:
    """A text inside quotes: what would end them, or be taken for markup, as Mermaid's own codes."""
    codes = {'"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "#": "#35;", "`": "#96;", "\n": " "}
    return "".join(codes.get(char, char) for char in text)
