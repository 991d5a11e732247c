"""A picture as SVG without outside references; colours come from the page that holds it."""

from __future__ import annotations

from html import escape
from typing import Final

from lash.cli.graph.layout import HEIGHT, WIDTH, Layout, laid_out
from lash.cli.graph.picture import Picture, Place, Way

TITLE_CHARS: Final = 26


def svg(picture: Picture, name: str) -> str:
    """The drawing; `name` is what it shows, for those who cannot see it."""
    layout = laid_out(picture)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(name)}" width="{layout.width}" '
        f'height="{layout.height}" viewBox="0 0 {layout.width} {layout.height}">'
    ]
    parts += [_way(way, layout) for way in picture.ways]
    parts += [_place(place, *layout.corners[place.id]) for place in picture.places.values()]
    return "".join([*parts, "</svg>"])


def _way(way: Way, layout: Layout) -> str:
    (left, top), (to_left, to_top) = layout.corners[way.source], layout.corners[way.target]
    x1, y1, x2, y2 = left + WIDTH // 2, top + HEIGHT, to_left + WIDTH // 2, to_top
    # A way past several rows swings out, so that it is seen beside the places between.
    bend = 0 if y2 - y1 < 2 * HEIGHT or x1 != x2 else WIDTH * 3 // 4
    middle = (y1 + y2) // 2
    kind = {True: "way taken", False: "way rejected", None: "way"}[way.is_taken]
    drawn = (
        f'<path class="{kind}" d="M{x1},{y1} C{x1 + bend},{middle} {x2 + bend},{middle} {x2},{y2 - 6}"/>'
        f'<path class="tip {kind}" d="M{x2 - 4},{y2 - 7} h8 l-4,7 z"/>'
    )
    if not way.label:
        return drawn
    at = (x1 + x2) // 2 + bend * 3 // 4 + 6
    return f'{drawn}<text class="label" x="{at}" y="{middle + 4}">{escape(way.label)}</text>'


def _place(place: Place, left: int, top: int) -> str:
    shown = place.title if len(place.title) <= TITLE_CHARS else f"{place.title[: TITLE_CHARS - 1]}…"
    told = "; ".join(filter(None, [place.kind.replace("_", " "), place.title, place.note, place.error]))
    round_by = HEIGHT // 2 if place.kind in ("process_run", "main", "terminal") else 6
    middle = left + WIDTH // 2
    note = f'<text class="note" x="{middle}" y="{top + 35}">{escape(place.note)}</text>' if place.note else ""
    return (
        f'<g class="place {place.state}"><title>{escape(told)}</title>'
        f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="{round_by}"/>'
        f'<text x="{middle}" y="{top + (20 if place.note else 27)}">{escape(shown)}</text>{note}</g>'
    )
