"""What commands print: one JSON value for programs, or something for people.

Data goes to stdout. Progress goes to stderr, and nowhere when stderr is no terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_json(value: object) -> None:
    """One JSON value, readable; structs by their fields."""
    plain = msgspec.to_builtins(value)
    click.echo(json.dumps(plain, ensure_ascii=False, indent=2, default=str))


def console() -> Console:
    """Standard output for people: plain where it is no terminal, and never guessing at highlights."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


def progress_console() -> Console:
    """Standard error; silent without a terminal."""
    shown = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
    shown.quiet = not shown.is_terminal
    return shown


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> Table:
    """A plain table; cells are text as they are, without markup."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*[cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row])
    return made


def facts(pairs: Mapping[str, object]) -> Table:
    """Names and values below each other."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        made.add_row(Text(name), value if isinstance(value, Text) else Text(str(value)))
    return made


def when(epoch_ms: int) -> str:
    """A time for people, in UTC."""
    if epoch_ms <= 0:
        return "never"
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def shortened(text: str, limit: int) -> str:
    """The text on one line, cut at `limit`."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def size(count: int) -> str:
    """Bytes for people."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("unreachable")
