"""`lash trace`: what turns did, as a page to look at."""

from __future__ import annotations

from pathlib import Path

import click

from lash.cli.options import debug_option


@click.group()
def trace() -> None:
    """Traces: what turns did, how long it took and what it cost."""


@trace.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the page goes; by default beside FILE, with the ending .html.",
)
@click.option("--stdout", "to_stdout", is_flag=True, help="Write the page to standard output.")
@click.option("--title", help="The page's title; by default the name of FILE.")
@debug_option
def view(file: Path, output: Path | None, to_stdout: bool, title: str | None) -> None:
    """Make one self-contained HTML page of the JSON lines in FILE (`trace_jsonl_path=` writes them)."""
    from lash.tracing.viewer import read_trace, render, timeline

    if output is not None and to_stdout:
        raise click.UsageError("give either --output or --stdout")
    with file.open("rb") as lines:
        records, broken = read_trace(lines)
    turns = timeline(records)
    page = render(turns, title=title or file.name, broken=broken)
    if to_stdout:
        click.echo(page, nl=False)
        return
    target = output or file.with_suffix(".html")
    target.write_text(page, encoding="utf-8")
    count = sum(bool(turn.turn_id) for turn in turns)
    left_out = f", {broken} lines could not be read" if broken else ""
    click.echo(f"{target}: {count} turns, {len(records)} records{left_out}")
