"""Pictures in the language of Mermaid, which many viewers of Markdown draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lash.cli.graph.facts import SessionCells
from lash.cli.graph.picture import Picture, Place, Way, picture_of, process_place
from lash.cli.output import shortened

_CLASSES = (
    "classDef start fill:#e2e8f0,stroke:#64748b,color:#0f172a",
    "classDef done fill:#dcfce7,stroke:#16a34a,color:#052e16",
    "classDef failed fill:#fee2e2,stroke:#dc2626,color:#450a0a",
    "classDef running fill:#fef9c3,stroke:#ca8a04,color:#422006",
    "classDef idle fill:#f8fafc,stroke:#cbd5e1,color:#64748b,stroke-dasharray:4 3",
)


def mermaid(session: SessionCells) -> str:
    """One flowchart: a frame for each turn, in it one for each cell; processes stand beside them."""
    facts = {process.id: process for process in session.processes}
    names: dict[str, str] = {}
    lines = ["flowchart TD"]
    inner: dict[str, list[str]] = {}
    for turn_number, turn in enumerate(session.turns, 1):
        lines.append(f'  subgraph turn{turn_number}["{_text(turn.turn_id)}: {_text(turn.outcome)}"]')
        for cell_number, cell in enumerate(turn.cells, 1):
            frame = f"t{turn_number}c{cell_number}"
            picture = picture_of(cell.graph, facts, has_submitted=cell.answer is not None)
            lines.append(f'    subgraph {frame}["cell {cell_number}"]')
            if not picture.places:
                what = shortened(cell.graph.problem or cell.problem or "nothing to draw", 80)
                lines.append(f'      {frame}_none["{_text(what)}"]:::failed')
            own = {one: place for one, place in picture.places.items() if place.kind != "process_run"}
            lines += [f"      {line}" for line in _places(own, frame, names)]
            lines.append("    end")
            inner[frame] = list(_ways(picture, frame, names))
        lines.append("  end")
    for process in session.processes:
        place = process_place(process.id, process)
        names[place.id] = f"p{len([name for name in names.values() if name.startswith('p')]) + 1}"
        lines.append(f"  {_box(names[place.id], place)}")
    lines += [f"  {line}" for ways in inner.values() for line in ways]
    for turn_number, turn in enumerate(session.turns, 1):
        lines += [
            f"  {names[f'process:{process_id}']} -. wakes .-> turn{turn_number}"
            for process_id in turn.woken_by
            if f"process:{process_id}" in names
        ]
    return "\n".join([*lines, *(f"  {line}" for line in _CLASSES), ""])


def _places(places: Mapping[str, Place], frame: str, names: dict[str, str]) -> Iterator[str]:
    for number, (identity, place) in enumerate(places.items(), 1):
        name = names[f"{frame}/{identity}"] = f"{frame}n{number}"
        yield _box(name, place)


def _box(name: str, place: Place) -> str:
    said = f"{_text(place.title)}<br/>{_text(place.note)}" if place.note else _text(place.title)
    opened, closed = ("([", "])") if place.kind in ("process_run", "main", "terminal") else ("[", "]")
    if place.kind == "branch":
        opened, closed = "{", "}"
    return f'{name}{opened}"{said}"{closed}:::{place.state}'


def _ways(picture: Picture, frame: str, names: Mapping[str, str]) -> Iterator[str]:
    for way in picture.ways:
        source, target = (names.get(f"{frame}/{end}") or names.get(end) for end in (way.source, way.target))
        if source is not None and target is not None:
            yield f"{source} {_arrow(way)} {target}"


def _arrow(way: Way) -> str:
    drawn = "-.->" if way.is_taken is False else "-->"
    return f'{drawn}|"{_text(way.label)}"|' if way.label else drawn


def _text(text: str) -> str:
    """A text inside quotes: what would end them, or be taken for markup, as Mermaid's own codes."""
    codes = {'"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "#": "#35;", "`": "#96;", "\n": " "}
    return "".join(codes.get(char, char) for char in text)
