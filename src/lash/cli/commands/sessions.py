"""`lash sessions`: what is stored of conversations."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lash.cli.options import debug_option, json_option, store_option

if TYPE_CHECKING:
    from lash.cli.session_facts import SessionFacts
    from lash.runtime.export import ExportFormat


@click.group()
def sessions() -> None:
    """Sessions: list, show, export, fork and delete them."""


@sessions.command("ls")
@store_option
@json_option
@debug_option
def list_sessions(store: str, as_json: bool) -> None:
    """List the sessions of a store, those with open work marked."""
    from lash.cli.output import console, print_json, table, when
    from lash.cli.session_facts import list_all
    from lash.cli.stores import shown

    found = asyncio.run(list_all(store))
    if as_json:
        print_json(found)
        return
    screen = console()
    if not found:
        screen.print(f"no sessions in {shown(store)}")
        return
    rows = [
        [one.session_id, one.turn_index, one.head_revision, when(one.updated_at_ms), one.open_turn_id or ""]
        for one in found
    ]
    screen.print(table(["session", "turns", "revision", "updated", "in flight"], rows, right=["turns", "revision"]))


@sessions.command()
@click.argument("session_id", metavar="ID")
@store_option
@json_option
@debug_option
def show(session_id: str, store: str, as_json: bool) -> None:
    """Show one session: its turns, its queue, its conversation."""
    from lash.cli.output import print_json
    from lash.cli.session_facts import read_session

    found = asyncio.run(read_session(store, session_id))
    if as_json:
        print_json(found)
    else:
        _show(found)


@sessions.command()
@click.argument("session_id", metavar="ID")
@click.option(
    "--format", "form", type=click.Choice(["markdown", "html", "json"]), default="markdown", show_default=True
)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write here instead of stdout.")
@store_option
@debug_option
def export(session_id: str, form: ExportFormat, output: Path | None, store: str) -> None:
    """Write one session as Markdown or HTML to be read, or as JSON to be opened again."""
    from lash.cli.session_changes import export_one

    document = asyncio.run(export_one(store, session_id, form))
    if output is None:
        click.echo(document, nl=not document.endswith("\n"))
    else:
        output.write_text(document, encoding="utf-8")


@sessions.command()
@click.argument("session_id", metavar="ID")
@click.option("--turn", "turn_id", metavar="TURN", help="Only the cells of this turn.")
@click.option(
    "--format", "form", type=click.Choice(["html", "mermaid", "text", "json"]), default="html", show_default=True
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where it goes; by default a page goes to ID.graph.html here, the rest to standard output.",
)
@store_option
@debug_option
def graph(session_id: str, turn_id: str | None, form: str, output: Path | None, store: str) -> None:
    """Draw the programs that a session ran and the processes that it started."""
    from lash.cli.graph.drawing import drawn, file_name
    from lash.cli.graph.facts import read_cells

    found = asyncio.run(read_cells(store, session_id, turn_id))
    document = drawn(found, form)
    target = output or (Path(file_name(session_id)) if form == "html" else None)
    if target is None:
        click.echo(document, nl=not document.endswith("\n"))
        return
    target.write_text(document, encoding="utf-8")
    cells = sum(len(turn.cells) for turn in found.turns)
    click.echo(f"{target}: {cells} cells in {len(found.turns)} turns, {len(found.processes)} processes")


@sessions.command()
@click.argument("session_id", metavar="ID")
@click.argument("new_id", metavar="NEW_ID")
@click.option("--at", "node_id", metavar="NODE", help="The last message to copy, by its id; default: all of them.")
@store_option
@debug_option
def fork(session_id: str, new_id: str, node_id: str | None, store: str) -> None:
    """Copy a session into a new one that goes its own way."""
    from lash.cli.session_changes import fork_one

    asyncio.run(fork_one(store, session_id, new_id, node_id))
    click.echo(f"{new_id} begins where {session_id} {'stands' if node_id is None else f'stood at {node_id}'}")


@sessions.command()
@click.argument("session_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@debug_option
def rm(session_id: str, yes: bool, store: str) -> None:
    """Delete a session for good; its id is used up."""
    from lash.cli.session_changes import delete_one

    if not yes:
        click.confirm(f"Delete session {session_id} for good?", abort=True)
    asyncio.run(delete_one(store, session_id))
    click.echo(f"{session_id} is deleted")


def _show(session: SessionFacts) -> None:
    from lash.cli.output import console, facts, shortened, table, when

    screen = console()
    usage = session.usage.usage
    known: dict[str, object] = {
        "session": session.session_id,
        "revision": session.head_revision,
        "model": session.model or "–",
        "usage": f"{usage.input_tokens} tokens in, {usage.output_tokens} out",
    }
    if session.open_turn_id is not None:
        known["in flight"] = session.open_turn_id
    if session.queued:
        known["queued"] = ", ".join(session.queued)
    screen.print(facts(known))
    if session.turns:
        rows = [[one.turn_id, one.outcome, one.effects, when(one.committed_at_ms)] for one in session.turns]
        screen.print()
        screen.print(table(["turn", "outcome", "effects", "committed"], rows, right=["effects"]))
    for message in session.messages:
        for part in message.parts:
            said = f"→ {part.tool_name}({part.content})" if part.kind == "tool_call" else part.content
            who = "tool" if part.kind == "tool_result" else message.role
            screen.print(f"{who:<10} {shortened(said, max(20, screen.width - 12))}", soft_wrap=True)
