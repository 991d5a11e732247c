"""A cell as places and ways between them: what a person wants to see of its graph. Pure.

Modules are part of the names of their operations, arms of branches are part of the ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from lash.cli.process_facts import ProcessFacts
from lash.protocols.rlm.graph import CellGraph, GraphEdge, GraphNode

# idle: never reached, or a place that nobody counts.
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


def picture_of(cell: CellGraph, processes: Mapping[str, ProcessFacts], *, has_submitted: bool = False) -> Picture:
    """The picture of one cell with the processes that it started. Empty for a cell that has no map.

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
    for place, process_id in cell.started:
        _start(place, process_id, processes.get(process_id), found)
    taken = {way.source for way in found.ways if way.is_taken}
    ends = [place.id for place in found.places.values() if place.kind == "terminal" and place.title == "result"]
    passed = {one for one in taken if found.places[one].kind == "branch"}
    if has_submitted and len(ends) == 1:
        passed |= set(ends)
    for one in passed:
        found.places[one] = replace(found.places[one], state="done")
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
    way = Way(source, edge.target, label or ("starts" if edge.label == "child" else ""), is_taken)
    if source in found.places and edge.target in found.places and way not in found.ways:
        found.ways.append(way)


def _start(place: str, process_id: str, facts: ProcessFacts | None, found: Picture) -> None:
    if place not in found.places:
        return
    identity = f"process:{process_id}"
    if identity not in found.places:
        found.places[identity] = process_place(process_id, facts)
    found.ways.append(Way(place, identity, "starts", is_taken=True))


def process_place(process_id: str, facts: ProcessFacts | None) -> Place:
    """A process as it stands."""
    if facts is None:
        return Place(f"process:{process_id}", "process_run", process_id, "idle")
    states: dict[str, PlaceState] = {"completed": "done", "running": "running"}
    title = facts.label or facts.kind
    return Place(f"process:{process_id}", "process_run", title, states.get(facts.status, "failed"), facts.state)
