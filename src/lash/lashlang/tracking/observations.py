"""What an execution reports about itself while it runs (specification §9.4).

Every observation names its site and the occurrence (1, 2, … per site within one
execution), so a replay reports the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from lash.lashlang.tracking.sites import Site


class NodeStarted(Struct, frozen=True):
    site: Site
    occurrence: int


class NodeCompleted(Struct, frozen=True):
    site: Site
    occurrence: int


class NodeFailed(Struct, frozen=True):
    site: Site
    occurrence: int
    error: str


class BranchSelected(Struct, frozen=True):
    """`selected` is `then` or `else`."""

    site: Site
    occurrence: int
    selected: str

    @property
    def edge_id(self) -> str:
        """The id of the edge that was taken."""
        return self.site.entry.branch_edge_id(self.site.path_text, self.selected)


class ChildStarted(Struct, frozen=True):
    """`child` is the run id the host answered with."""

    site: Site
    occurrence: int
    child: str
    module_ref: str
    process_key: str
    process_name: str


Observation: TypeAlias = NodeStarted | NodeCompleted | NodeFailed | BranchSelected | ChildStarted
Observer: TypeAlias = Callable[[Observation], None]


class SiteCounter:
    """Occurrences per site, and the observer they are reported to."""

    __slots__ = ("_counts", "_observer", "sites")

    def __init__(self, sites: tuple[Site, ...], observer: Observer | None) -> None:
        self.sites = sites
        self._observer = observer
        self._counts: dict[int, int] = {}

    def next(self, number: int) -> tuple[Site, int]:
        """The site and its new occurrence."""
        count = self._counts.get(number, 0) + 1
        self._counts[number] = count
        return self.sites[number], count

    def report(self, observation: Observation) -> None:
        """Hands an observation on."""
        if self._observer is not None:
            self._observer(observation)

    def started(self, number: int) -> tuple[Site, int]:
        """Counts and reports a start."""
        site, occurrence = self.next(number)
        if self._observer is not None:
            self._observer(NodeStarted(site, occurrence))
        return site, occurrence

    def completed(self, site: Site, occurrence: int) -> None:
        """Reports a completion."""
        if self._observer is not None:
            self._observer(NodeCompleted(site, occurrence))

    def branch(self, number: int, selected: str) -> None:
        """Counts and reports a branch."""
        counts = self._counts
        counts[number] = count = counts.get(number, 0) + 1
        if self._observer is not None:
            self._observer(BranchSelected(self.sites[number], count, selected))

    def step_started(self, number: int) -> None:
        """Reports the start of a labelled step."""
        self.started(number)

    def step_completed(self, number: int) -> None:
        """Reports the end of the labelled step that started last."""
        self.report(NodeCompleted(self.sites[number], self._counts.get(number, 1)))
