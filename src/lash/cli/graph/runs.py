"""What the processes of a session did, laid over the maps of their programs. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from lash.cli.graph.picture import Picture, Place, PlaceState
from lash.cli.process_facts import ProcessFacts

# Where in its program an effect of a process stands is part of its key; attempts follow it.
_SITE: Final = re.compile(r"(?P<node>[a-z_]+:[0-9a-f]{24}):(?P<occurrence>\d+)(:attempt:\d+)?$")
_SLEEP: Final = re.compile(r":sleep:\d+$")


class ProcessRun(msgspec.Struct, frozen=True):
    """A process, and how often it came past the places of its program.

    Sleeps and events do not say where they stand: they are counted by their kind.
    """

    facts: ProcessFacts
    passed: dict[str, int]
    kinds: dict[str, int]

    @staticmethod
    def of(facts: ProcessFacts, keys: Iterable[str], events: Iterable[str]) -> ProcessRun:
        """From the keys of its recorded effects and the types of its events."""
        sites: set[tuple[str, str]] = set()
        kinds: Counter[str] = Counter()
        for key in keys:
            if found := _SITE.search(key):
                sites.add((found["node"], found["occurrence"]))
            elif _SLEEP.search(key):
                kinds["sleep"] += 1
        kinds.update(event.removeprefix("process.") for event in events)
        return ProcessRun(facts, dict(Counter(node for node, _ in sites)), dict(kinds))


def add_runs(picture: Picture, started: Sequence[tuple[str, str]], runs: Mapping[str, ProcessRun]) -> None:
    """Shows the processes that a cell started: at the maps of their programs, where the cell has them."""
    roots = {
        way.source: way.target
        for way in picture.ways
        if way.label == "starts" and _kind(picture, way.target) == "process"
    }
    of_root: dict[str, list[ProcessRun]] = {}
    for place, process_id in started:
        run = runs.get(process_id)
        root = roots.get(place)
        if root is not None and run is not None:
            of_root.setdefault(root, []).append(run)
            picture.runs[process_id] = root
        elif place in picture.places:
            own = process_place(process_id, None if run is None else run.facts)
            picture.places[own.id] = own
            picture.runs[process_id] = own.id
            picture.lead(place, own.id, "starts")
    for root, mine in of_root.items():
        _fill(picture, root, mine)


def process_place(process_id: str, facts: ProcessFacts | None) -> Place:
    """A process as it stands."""
    if facts is None:
        return Place(f"process:{process_id}", "process_run", process_id, "idle")
    return Place(f"process:{process_id}", "process_run", facts.label or facts.kind, _state([facts]), facts.state)


def _fill(picture: Picture, root: str, runs: Sequence[ProcessRun]) -> None:
    states = Counter(run.facts.state for run in runs)
    note = ", ".join(state if len(runs) == 1 else f"{count} {state}" for state, count in states.items())
    state = _state([run.facts for run in runs])
    picture.places[root] = replace(picture.places[root], kind="process_run", state=state, note=note)
    body = [picture.places[one] for one in picture.below(root)]
    kinds = Counter(_counted_as(place) for place in body)
    for place in body:
        times = sum(run.passed.get(place.id, 0) for run in runs)
        if not times and kinds[_counted_as(place)] == 1:  # the only one of its kind: it was this one
            times = sum(run.kinds.get(_counted_as(place), 0) for run in runs)
        if times:
            failed = _counted_as(place) == "failed"
            # What came last is written together with the end, and leaves no record of its own.
            shown = f"at least {times}×" if times > 1 else ""
            picture.places[place.id] = replace(place, state="failed" if failed else "done", note=shown)


def _counted_as(place: Place) -> str:
    if place.kind == "terminal":
        return "completed" if place.title == "result" else "failed"
    return place.title if place.kind == "process_event" else place.kind


def _state(found: Sequence[ProcessFacts]) -> PlaceState:
    states = {facts.status for facts in found}
    if states - {"completed", "running"}:
        return "failed"
    return "running" if "running" in states else "done"


def _kind(picture: Picture, place: str) -> str:
    return picture.places[place].kind
