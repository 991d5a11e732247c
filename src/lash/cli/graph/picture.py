"""A cell as places and ways between them: what a person wants to see of its graph. Pure.

Modules are part of the names of their operations, arms of branches are part of the ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from lash.protocols.rlm.graph import CellGraph, GraphEdge, GraphNode

# idle: never reached, or a place that nobody counts, or one of a process too quick to leave a record.
PlaceState: TypeAlias = Literal["idle", "done", "failed", "running", "start"]


@dataclass(frozen=True, slots=True)
class Place:
    """One box. `note` says how often it was passed, or how a process stands."""

    id: str
    kind: str
    title: str
    state: PlaceState
    note: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One arrow. `is_taken` is None where nobody counted."""

    source: str
    target: str
    label: str = ""
    is_taken: bool | None = None


@dataclass(slots=True)
class Picture:
    """What is drawn of one cell."""

    places: dict[str, Place] = field(default_factory=dict)
    ways: list[Way] = field(default_factory=list)
    # Where processes are shown, by their ids.
    runs: dict[str, str] = field(default_factory=dict)

    def lead(self, source: str, target: str, label: str = "", is_taken: bool | None = None) -> None:
        """Adds a way. Several between the same two places are one: arms of a branch that meet at once."""
        for number, way in enumerate(self.ways):
            if (way.source, way.target) == (source, target):
                labels = way.label if label in way.label.split(" / ") else f"{way.label} / {label}".strip(" /")
                both = way.is_taken if is_taken is None else is_taken or way.is_taken
                self.ways[number] = Way(source, target, labels, both)
                return
        self.ways.append(Way(source, target, label, is_taken))

    def below(self, root: str) -> list[str]:
        """Every place that is reached from one, except by starting a process."""
        found: list[str] = []
        waiting = [root]
        while waiting:
            here = waiting.pop(0)
            for way in self.ways:
                is_start = self.places[way.target].kind in ("process", "process_run")
                if way.source == here and not is_start and way.target not in found:
                    found.append(way.target)
                    waiting.append(way.target)
        return found


def picture_of(cell: CellGraph, *, has_submitted: bool = False) -> Picture:
    """The picture of one cell. Empty for a cell that has no map.

    `has_submitted`: its turn ended with its value, which a cell that reaches nobody does not record.
    """
    modules = {edge.source: edge.target.removeprefix("resource:") for edge in cell.edges if edge.label == "uses"}
    arms = {node.id for node in cell.nodes if node.kind == "branch_arm"}
    found = Picture()
    for node in cell.nodes:
        if node.kind != "resource" and node.id not in arms:
            found.places[node.id] = _place(node, modules.get(node.id))
    into_arm = {edge.target: edge for edge in cell.edges if edge.target in arms}
    for edge in cell.edges:
        _follow(edge, into_arm, found)
    root = next((place.id for place in found.places.values() if place.kind == "main"), None)
    own = [] if root is None else [found.places[one] for one in found.below(root)]
    taken = {way.source for way in found.ways if way.is_taken}
    ends = [place for place in own if place.kind == "terminal" and place.title == "result"]
    passed = [place for place in own if place.kind == "branch" and place.id in taken]
    for place in [*passed, *(ends if has_submitted and len(ends) == 1 else [])]:
        found.places[place.id] = replace(place, state="done")
    return found


def _place(node: GraphNode, module: str | None) -> Place:
    title = f"{module}.{node.label}" if module and node.kind == "resource_operation" else node.label
    if node.kind == "main":
        return Place(node.id, node.kind, "cell", "start")
    note = f"{node.started}×" if node.started > 1 else ""
    if node.failed:
        note = f"{node.failed} of {node.started} failed" if node.started > 1 else "failed"
    state: PlaceState = "failed" if node.status == "failed" else "running" if node.status == "running" else "idle"
    return Place(node.id, node.kind, title, "done" if node.status == "completed" else state, note, node.error)


def _follow(edge: GraphEdge, into_arm: Mapping[str, GraphEdge], found: Picture) -> None:
    """An arrow; one that leaves an arm begins at its branch."""
    source, label, is_taken = edge.source, "", None
    while source in into_arm:
        arm = into_arm[source]
        label, is_taken = arm.label, {"selected": True, "rejected": False, "unknown": None}[arm.status]
        source = arm.source
    if source in found.places and edge.target in found.places:
        found.lead(source, edge.target, label or ("starts" if edge.label == "child" else ""), is_taken)
