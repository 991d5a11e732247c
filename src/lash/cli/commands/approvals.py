"""`lash approvals`: tool calls that wait for a person's word."""

from __future__ import annotations

import asyncio

import click

from lash.cli.options import debug_option, json_option, store_option


@click.group()
def approvals() -> None:
    """Approvals: tool calls that wait for a word, and the word."""


@approvals.command("ls")
@click.option("--session", "session_id", metavar="ID", help="Only those of one session.")
@store_option
@json_option
@debug_option
def list_approvals(session_id: str | None, store: str, as_json: bool) -> None:
    """List what waits to be approved, oldest first."""
    from lash.cli.approval_facts import SHOWN_ID_CHARS, list_pending
    from lash.cli.output import console, print_json, shortened, table, when
    from lash.cli.stores import shown

    found = asyncio.run(list_pending(store, session_id))
    if as_json:
        print_json(found)
        return
    screen = console()
    if not found:
        screen.print(f"nothing waits to be approved in {shown(store)}")
        return
    rows = [
        [
            one.id[:SHOWN_ID_CHARS],
            one.place,
            f"{one.tool}({shortened(one.args_text, 60)})",
            when(one.asked_at_ms),
            "never" if one.deadline_ms is None else when(one.deadline_ms),
        ]
        for one in found
    ]
    screen.print(table(["id", "session", "call", "asked", "runs out"], rows))


@approvals.command()
@click.argument("approval_id", metavar="ID")
@store_option
@debug_option
def approve(approval_id: str, store: str) -> None:
    """Let a call run. ID may be cut short as long as it is the only one."""
    from lash.cli.approval_facts import answer

    click.echo(asyncio.run(answer(store, approval_id, None)))


@approvals.command()
@click.argument("approval_id", metavar="ID")
@click.option("--reason", default="", help="What the model reads.")
@store_option
@debug_option
def deny(approval_id: str, reason: str, store: str) -> None:
    """Do not let a call run."""
    from lash.cli.approval_facts import answer

    click.echo(asyncio.run(answer(store, approval_id, reason)))
