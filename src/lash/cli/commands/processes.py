"""`lash processes`: background work, seen and steered from a terminal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from lash.cli.options import debug_option, json_option, optional_store_option, store_option

if TYPE_CHECKING:
    from lash.base.json import Json
    from lash.cli.process_facts import EventFacts, ProcessFacts
    from lash.runtime.process_admin import StatusFilter

# Enough to tell processes apart in a table that fits a terminal; --json has them whole.
SHOWN_ID_CHARS = 40

_STATUSES = ["running", "completed", "failed", "cancelled", "abandoned", "any"]


@click.group()
def processes() -> None:
    """Background processes: list, show, start, signal, cancel and follow them.

    ID may be cut short as long as it is the only one.
    """


@processes.command("ls")
@click.option("--status", type=click.Choice(_STATUSES), default="running", show_default=True)
@click.option("--all", "-a", "every", is_flag=True, help="The same as --status any.")
@click.option("--waiting", is_flag=True, help="Only those that wait for a signal.")
@click.option("--label", metavar="LABEL", help="Only those of one tool or label.")
@click.option("--after", default="", metavar="ID", help="Go on behind this id.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True)
@store_option
@json_option
@debug_option
def list_processes(
    status: StatusFilter,
    every: bool,
    waiting: bool,
    label: str | None,
    after: str,
    limit: int,
    store: str,
    as_json: bool,
) -> None:
    """List processes by id, those that run unless told otherwise."""
    from lash.cli.output import console, print_json, shortened, table, when
    from lash.cli.stores import shown

    wanted: StatusFilter = "any" if every else status
    found = asyncio.run(_list(store, wanted, waiting, label, after, limit))
    if as_json:
        print_json(found)
        return
    screen = console()
    if not found:
        what = "no process" if wanted == "any" else f"no process is {wanted}"
        screen.print(f"{what} in {shown(store)}")
        return
    rows = [
        [
            shortened(one.id, SHOWN_ID_CHARS),
            one.label or one.kind,
            one.state,
            when(one.updated_at_ms),
            shortened(one.outcome_text, 40),
        ]
        for one in found
    ]
    screen.print(table(["id", "what", "status", "changed", "result"], rows))


@processes.command()
@click.argument("process_id", metavar="ID")
@store_option
@json_option
@debug_option
def show(process_id: str, store: str, as_json: bool) -> None:
    """Show one process and what happened to it."""
    from lash.cli.output import print_json

    found, events = asyncio.run(_show_one(store, process_id))
    if as_json:
        print_json({"process": found, "events": events})
    else:
        _print_process(found, events)


@processes.command()
@click.argument("what", metavar="WHAT")
@click.option("--app", envvar="LASH_APP", show_envvar=True, metavar="MODULE:ATTR", help="The core whose tool WHAT is.")
@click.option("--external", is_flag=True, help="WHAT is a label: the work is done by somebody else, no --app needed.")
@click.option("--lang", "is_program", is_flag=True, help="WHAT is a file: a program in lashlang, linked to the app.")
@click.option(
    "--process", "process_name", metavar="NAME", help="Which process of the program; needed if there are several."
)
@click.option("--args", "args", metavar="JSON", help="Arguments of the tool or process, or metadata of external work.")
@click.option("--signal", "signals", multiple=True, metavar="NAME", help="A signal that external work takes.")
@click.option("--id", "process_id", metavar="ID", help="Its id: starting again under it is starting once.")
@click.option("--wake", metavar="SESSION", help="The session that is told of the end.")
@click.option("--wait", is_flag=True, help="Wait for the end and print the result.")
@optional_store_option("The store, where the app takes one.")
@json_option
@debug_option
def start(
    what: str,
    app: str | None,
    external: bool,
    is_program: bool,
    process_name: str | None,
    args: str | None,
    signals: tuple[str, ...],
    process_id: str | None,
    wake: str | None,
    wait: bool,
    store: str | None,
    as_json: bool,
) -> None:
    """Start a tool of the app, a program, or external work as a process. A worker runs it: `lash worker`."""
    from lash.cli.background import record_of
    from lash.cli.failure import BadOption
    from lash.cli.output import print_json
    from lash.cli.process_changes import program_in, start_external, start_work

    given = record_of(args, "--args")
    if external:
        if store is None:
            raise BadOption("--store is missing: external work is kept in a store; name it")
        begun = start_external(store, what, given, signals, process_id, wake, wait=wait)
    else:
        if app is None:
            raise BadOption(
                f"--app is missing: it names the core whose tool {what!r} is, or that it links to; or say --external"
            )
        if signals:
            raise BadOption("--signal goes with --external: a tool says itself what it takes")
        if process_name is not None and not is_program:
            raise BadOption("--process goes with --lang: it names a process of a program")
        work = program_in(what, process_name) if is_program else what
        begun = start_work(app, store, work, given, process_id, wake, wait=wait)
    started_id, result = asyncio.run(begun)
    if as_json:
        print_json({"id": started_id, "result": result} if wait else {"id": started_id})
    elif wait:
        _print_value(result)
    else:
        click.echo(started_id)


@processes.command()
@click.argument("process_id", metavar="ID")
@click.argument("name", metavar="NAME")
@click.option("--payload", metavar="JSON", help="What the signal says; null when left out.")
@click.option("--key", metavar="KEY", help="Sending again under it is sending once.")
@store_option
@json_option
@debug_option
def signal(process_id: str, name: str, payload: str | None, key: str | None, store: str, as_json: bool) -> None:
    """Send a signal to a process."""
    from lash.cli.background import json_of
    from lash.cli.output import print_json
    from lash.cli.process_changes import send_signal

    sent_to, ordinal = asyncio.run(send_signal(store, process_id, name, json_of(payload, "--payload"), key))
    if as_json:
        print_json({"id": sent_to, "signal": name, "ordinal": ordinal})
    else:
        click.echo(f"{sent_to} has signal {name} number {ordinal}")


@processes.command()
@click.argument("process_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why; it is recorded.")
@store_option
@debug_option
def cancel(process_id: str, reason: str | None, store: str) -> None:
    """Ask a process to stop."""
    from lash.cli.process_changes import request_cancel

    click.echo(f"{asyncio.run(request_cancel(store, process_id, reason))} is asked to stop")


@processes.command()
@click.argument("process_id", metavar="ID")
@click.option("--value", metavar="JSON", help="The result; null when left out.")
@store_option
@debug_option
def complete(process_id: str, value: str | None, store: str) -> None:
    """Report that external work has succeeded."""
    from lash.cli.background import json_of
    from lash.cli.process_changes import end_external

    click.echo(f"{asyncio.run(end_external(store, process_id, json_of(value, '--value'), None))} is completed")


@processes.command()
@click.argument("process_id", metavar="ID")
@click.argument("message", metavar="MESSAGE")
@store_option
@debug_option
def fail(process_id: str, message: str, store: str) -> None:
    """Report that external work has failed."""
    from lash.cli.process_changes import end_external

    click.echo(f"{asyncio.run(end_external(store, process_id, None, message))} is failed")


@processes.command()
@click.argument("process_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why; it is recorded.")
@store_option
@debug_option
def abandon(process_id: str, reason: str | None, store: str) -> None:
    """Give up on external work whose owner is gone."""
    from lash.cli.process_changes import give_up

    click.echo(f"{asyncio.run(give_up(store, process_id, reason))} is abandoned")


@processes.command()
@click.argument("process_id", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Go on until the process has ended.")
@click.option("--after", type=click.IntRange(0), default=0, metavar="N", help="Only events behind number N.")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value a line, for programs.")
@debug_option
def events(process_id: str, follow: bool, after: int, store: str, as_json: bool) -> None:
    """Print what happens to a process, in order."""
    from lash.cli.process_changes import read_events

    asyncio.run(read_events(store, process_id, after, follow=follow, tell=_json_line if as_json else _line))


async def _list(
    where: str, status: StatusFilter, waiting: bool, label: str | None, after: str, limit: int
) -> list[ProcessFacts]:
    from lash.cli.background import over
    from lash.cli.process_facts import ProcessFacts
    from lash.cli.stores import open_store

    async with await open_store(where) as store:
        found = await over(store).processes.list(
            status=status, waiting=True if waiting else None, definition=label, after=after, limit=limit
        )
        return [ProcessFacts.of(record) for record in found]


async def _show_one(where: str, process_id: str) -> tuple[ProcessFacts, list[EventFacts]]:
    from lash.cli.background import over, process_of
    from lash.cli.process_facts import EventFacts, ProcessFacts, doubts_of
    from lash.cli.stores import open_store
    from lash.processes.inputs import LashlangProcessInput

    async with await open_store(where) as store:
        handle = await process_of(over(store), process_id, where)
        told = [EventFacts.of(event) async for event in handle.events(follow=False)]
        record = await handle.record()
        place = None
        if isinstance(record.input, LashlangProcessInput):
            from lash.cli.program_facts import last_place

            place = await last_place(store, record)
        return ProcessFacts.of(record, place, await doubts_of(store, record)), told


def _print_process(found: ProcessFacts, events: list[EventFacts]) -> None:
    from lash.base.canonical import canonical_json
    from lash.cli.output import console, facts, when

    known: dict[str, object] = {
        "process": found.id,
        "what": found.kind if found.label is None else f"{found.kind} {found.label}",
        "with": canonical_json(found.args),
        "status": found.state,
        "started by": found.started_by,
        "wakes": found.wakes or "nobody",
        "registered": when(found.created_at_ms),
    }
    if found.module_ref is not None:
        known["program"] = found.module_ref
    if found.last_place is not None:
        known["last did"] = found.last_place
    if found.in_doubt:
        known["in doubt"] = ", ".join(found.in_doubt) + " (core.settle)"
    if found.signals:
        known["takes"] = ", ".join(found.signals)
    if found.started_at_ms is not None:
        known["first run"] = f"{when(found.started_at_ms)} by {found.worker}"
    if found.outcome is not None:
        known["result"] = found.outcome_text
    screen = console()
    screen.print(facts(known))
    if events:
        screen.print()
    for event in events:
        screen.print(_event_text(event), soft_wrap=True)


def _event_text(event: EventFacts) -> str:
    from lash.cli.output import shortened, when

    told = shortened(event.text, 400)
    return f"{event.sequence:>4}  {when(event.occurred_at_ms)}  {event.event_type:<24} {told}"


def _line(event: EventFacts) -> None:
    click.echo(_event_text(event))


def _json_line(event: EventFacts) -> None:
    import msgspec

    click.echo(msgspec.json.encode(event).decode())


def _print_value(value: Json) -> None:
    from lash.base.canonical import canonical_json

    click.echo(value if isinstance(value, str) else canonical_json(value))
