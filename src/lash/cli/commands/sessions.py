"""`lash sessions`: what is stored of conversations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from lash.cli.options import debug_option, json_option, store_option

if TYPE_CHECKING:
    from lash.cli.session_facts import SessionFacts


@click.group()
def sessions() -> None:
    """Sessions: list them, show one."""


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
