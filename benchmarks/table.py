"""One markdown table of a round: every figure, ours against each, and the targets."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from targets import POSTGRES, SQLITE, TARGETS, Target


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured median; over several rounds the median of their medians."""

    workload: str
    metric: str
    who: str
    unit: str
    median: float
    low: float
    high: float


Key = tuple[str, str, str]


def fold(lines: Iterable[dict[str, object]]) -> dict[Key, Figure]:
    """The figures of all rounds, each under (workload, metric, who)."""
    groups: dict[Key, list[dict[str, object]]] = {}
    for line in lines:
        groups.setdefault((str(line["w"]), str(line["metric"]), str(line["who"])), []).append(line)
    return {
        key: Figure(
            *key,
            unit=str(rows[0]["unit"]),
            median=_median(rows, "median"),
            low=_median(rows, "p10"),
            high=_median(rows, "p90"),
        )
        for key, rows in groups.items()
    }


def render(figures: dict[Key, Figure]) -> str:
    """The table: rows grouped by workload and figure, the fastest first."""
    lines = [
        "| W | figure | who | median | p10–p90 | lash ÷ this | target for lash |",
        "|---|---|---|---:|---|---:|---|",
    ]
    order = {key: index for index, key in enumerate(dict.fromkeys((f.workload, f.metric) for f in figures.values()))}
    for figure in sorted(figures.values(), key=lambda f: (f.workload, order[f.workload, f.metric], _badness(f))):
        unit = f" {figure.unit}" if figure.unit else ""
        spread = "" if figure.low == figure.high else f"{_number(figure.low)}–{_number(figure.high)}"
        cells = [
            figure.workload,
            figure.metric,
            f"**{figure.who}**" if figure.who.startswith("lash") else figure.who,
            f"{_number(figure.median)}{unit}",
            spread,
            _ratio_to_ours(figure, figures),
            "; ".join(_verdict(target, figures) for target in TARGETS if _is_of(target, figure)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _badness(figure: Figure) -> float:
    """Less is better: of a rate, its opposite."""
    return -figure.median if figure.unit == "1/s" else figure.median


def _is_of(target: Target, figure: Figure) -> bool:
    return (target.workload, target.metric, target.ours) == (figure.workload, figure.metric, figure.who)


def _ratio_to_ours(figure: Figure, figures: dict[Key, Figure]) -> str:
    """Ours on the same kind of store divided by this; what has no store is compared with us as installed."""
    if figure.who.startswith("lash"):
        return ""
    ours = figures.get((figure.workload, figure.metric, POSTGRES if "PostgreSQL" in figure.who else SQLITE))
    ours = ours or figures.get((figure.workload, figure.metric, "lash"))
    return f"{ours.median / figure.median:.2f}×" if ours and figure.median else ""


def _verdict(target: Target, figures: dict[Key, Figure]) -> str:
    ours = figures[target.workload, target.metric, target.ours].median
    if not target.against:
        return f"{_sign(target)} {target.must:g} (reach {target.reach:g}): {_reached(ours, target)}"
    metric = target.against_metric or target.metric
    rivals = [figures[key] for who in target.against if (key := (target.workload, metric, who)) in figures]
    if not rivals:
        return "not measured"
    best = min(rivals, key=_badness)
    name = metric if best.who == target.ours else best.who
    ratio = ours / best.median
    wanted = f"{_sign(target)} {target.must:g}× (reach {target.reach:g}×)"
    return f"{ratio:.2f}× {name}, {wanted}: {_reached(ratio, target)}"


def _sign(target: Target) -> str:
    return "≥" if target.is_rate else "≤"


def _reached(value: float, target: Target) -> str:
    must, reach = target.must, target.reach
    if target.is_rate:
        value, must, reach = -value, -must, -reach
    if value <= reach:
        return "reached, and more"
    return "reached" if value <= must else "**missed**"


def _median(rows: list[dict[str, object]], name: str) -> float:
    return statistics.median(float(str(row[name])) for row in rows)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
