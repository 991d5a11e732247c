"""A static map as text, as a self-contained SVG, and as an HTML page around it."""

from __future__ import annotations

from html import escape
from typing import Final

from lash.lashlang.tracking.static_map import MapNode, StaticMap

_COLOURS: Final = {
    "main": "#dbeafe",
    "process": "#dbeafe",
    "resource_operation": "#dcfce7",
    "child_process": "#ede9fe",
    "sleep": "#fef9c3",
    "wait": "#fef9c3",
    "signal": "#fef9c3",
    "process_event": "#ffedd5",
    "terminal": "#fee2e2",
    "branch": "#f3f4f6",
    "branch_arm": "#ffffff",
    "resource": "#e5e7eb",
    "step": "#cffafe",
}
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 170, 40, 30, 46, 20


def _title(node: MapNode) -> str:
    return node.label_metadata.title if node.label_metadata is not None else node.label


def map_text(found: StaticMap) -> str:
    """One line per node, and below it the edges that leave it."""
    lines: list[str] = []
    for node in found.nodes.values():
        lines.append(f"{node.kind} {_title(node)}  [{node.id}]")
        lines += [
            f"  {edge.label} -> {found.nodes[edge.target].kind} {_title(found.nodes[edge.target])}"
            for edge in found.edges.values()
            if edge.source == node.id and edge.target in found.nodes
        ]
    return "\n".join(lines)


def _layers(found: StaticMap) -> dict[str, int]:
    """How far from the entry each node is drawn: one past its furthest owner."""
    layers = dict.fromkeys(found.nodes, 0)
    for _ in found.nodes:
        moved = False
        for edge in found.edges.values():
            if edge.source in layers and edge.target in layers and layers[edge.target] <= layers[edge.source]:
                layers[edge.target] = min(layers[edge.source] + 1, len(layers))
                moved = True
        if not moved:
            break
    return layers


def map_svg(found: StaticMap) -> str:
    """The map as an SVG picture without outside references."""
    layers = _layers(found)
    columns: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for identity, layer in layers.items():
        column = columns[layer] = columns.get(layer, -1) + 1
        places[identity] = (_MARGIN + column * (_WIDTH + _GAP_X), _MARGIN + layer * (_HEIGHT + _GAP_Y))
    width = max((x for x, _ in places.values()), default=0) + _WIDTH + _MARGIN
    height = max((y for _, y in places.values()), default=0) + _HEIGHT + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#6b7280"/></marker></defs>',
    ]
    for edge in found.edges.values():
        if edge.source not in places or edge.target not in places:
            continue
        (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
        start, end = (x1 + _WIDTH // 2, y1 + _HEIGHT), (x2 + _WIDTH // 2, y2)
        parts.append(
            f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" stroke="#6b7280" '
            f'marker-end="url(#tip)"/><text x="{(start[0] + end[0]) // 2 + 4}" y="{(start[1] + end[1]) // 2}" '
            f'fill="#6b7280">{escape(edge.label)}</text>'
        )
    for identity, (x, y) in places.items():
        node = found.nodes[identity]
        text = _title(node)
        shown = text if len(text) <= 24 else text[:23] + "…"
        parts.append(
            f'<g><title>{escape(f"{node.kind} {text} {node.id}")}</title><rect x="{x}" y="{y}" width="{_WIDTH}" '
            f'height="{_HEIGHT}" rx="6" fill="{_COLOURS[node.kind]}" stroke="#374151"/>'
            f'<text x="{x + _WIDTH // 2}" y="{y + 24}" text-anchor="middle">{escape(shown)}</text></g>'
        )
    return "\n".join([*parts, "</svg>"])


def map_html(found: StaticMap) -> str:
    """A page that shows the picture."""
    title = escape(f"{found.entry.kind} {found.entry.name}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body><h1>{title}</h1>\n{map_svg(found)}\n</body></html>"
    )
