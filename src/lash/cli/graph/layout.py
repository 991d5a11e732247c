"""Room for a picture: rows from the top, each place one row below what leads to it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lash.cli.graph.picture import Picture

WIDTH: Final = 190
HEIGHT: Final = 44
GAP_X: Final = 28
GAP_Y: Final = 34
MARGIN: Final = 12


@dataclass(frozen=True, slots=True)
class Layout:
    """The upper left corner of every place, and the size of the whole."""

    corners: dict[str, tuple[int, int]]
    width: int
    height: int


def laid_out(picture: Picture) -> Layout:
    """Where everything goes. The ways of a program never lead back."""
    rows = _rows(picture)
    widest = max((len(row) for row in rows), default=0)
    inner = widest * WIDTH + max(0, widest - 1) * GAP_X
    corners: dict[str, tuple[int, int]] = {}
    for number, row in enumerate(rows):
        taken = len(row) * WIDTH + (len(row) - 1) * GAP_X
        left = MARGIN + (inner - taken) // 2
        for column, place in enumerate(row):
            corners[place] = (left + column * (WIDTH + GAP_X), MARGIN + number * (HEIGHT + GAP_Y))
    height = 2 * MARGIN + len(rows) * HEIGHT + max(0, len(rows) - 1) * GAP_Y
    return Layout(corners, inner + 2 * MARGIN, height)


def _rows(picture: Picture) -> list[list[str]]:
    depth = dict.fromkeys(picture.places, 0)
    # As many rounds as there are places are enough where nothing leads back, and an end where something does.
    for _ in picture.places:
        moved = False
        for way in picture.ways:
            below = depth[way.source] + 1
            if depth[way.target] < below < len(depth) + 1:
                depth[way.target], moved = below, True
        if not moved:
            break
    rows: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for place, row in depth.items():
        rows[row].append(place)
    return [row for row in rows if row]
