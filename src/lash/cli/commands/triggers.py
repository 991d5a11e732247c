"""`lash triggers`: what starts processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from lash.cli.options import debug_option, json_option, store_option

if TYPE_CHECKING:
    from lash.base.json import Json
    from lash.runtime.trigger_router import TriggerEmitReport
    from lash.triggers.delivery import Delivery, DeliveryState
    from lash.triggers.schedules import Schedule
    from lash.triggers.subscription import Subscription


@click.group()
def triggers() -> None:
    """Triggers: list subscriptions and schedules, say that something happened, cancel."""


@triggers.command("ls")
@click.option("--all", "-a", "every", is_flag=True, help="Cancelled ones too.")
@store_option
@json_option
@debug_option
def list_triggers(every: bool, store: str, as_json: bool) -> None:
    """List who wants what started when."""
    from lash.cli.output import console, print_json, table, when
    from lash.cli.stores import shown
    from lash.cli.trigger_facts import ScheduleFacts, SubscriptionFacts
    from lash.triggers.schedules import SOURCE_TYPE

    subscriptions, schedules = asyncio.run(_list(store))
    wanted = [SubscriptionFacts.of(found) for found in subscriptions if every or found.enabled]
    planned = [ScheduleFacts.of(found) for found in schedules if every or found.enabled]
    if as_json:
        print_json({"subscriptions": wanted, "schedules": planned})
        return
    screen = console()
    # A schedule has a subscription of its own, which says what it starts.
    starts = {found.name: found.starts for found in wanted if found.source_type == SOURCE_TYPE}
    others = [found for found in wanted if found.source_type != SOURCE_TYPE]
    if not others and not planned:
        screen.print(f"no triggers in {shown(store)}")
    if others:
        rows = [
            [one.handle, one.source_type, one.source_text, one.starts, one.wakes or "–", one.state] for one in others
        ]
        screen.print(table(["handle", "event", "of", "starts", "wakes", "state"], rows))
    if planned:
        rows = [
            [
                one.id,
                one.when,
                starts.get(one.id, "–"),
                "never" if one.next_due_at_ms is None else when(one.next_due_at_ms),
                one.state,
            ]
            for one in planned
        ]
        screen.print(table(["schedule", "when", "starts", "next", "state"], rows))


@triggers.command()
@click.argument("source_type", metavar="EVENT")
@click.option("--key", required=True, metavar="KEY", help="The event's own id: the same key again is the same event.")
@click.option("--payload", metavar="JSON", help="What happened; null when left out.")
@click.option("--source", metavar="JSON", help="To which one of its kind it happened; {} when left out.")
@store_option
@json_option
@debug_option
def emit(source_type: str, key: str, payload: str | None, source: str | None, store: str, as_json: bool) -> None:
    """Say that something happened. Workers run what it starts."""
    from lash.cli.background import json_of
    from lash.cli.output import print_json

    said, of = json_of(payload, "--payload"), json_of(source, "--source")
    report = asyncio.run(_emit(store, source_type, key, said, of))
    if as_json:
        print_json(report)
        return
    how = "known already" if report.replayed else "recorded"
    click.echo(f"{report.occurrence_id} is {how}; {len(report.started_process_ids)} started")
    for delivery in report.deliveries:
        why = "" if delivery.error is None else f": {delivery.error}"
        click.echo(f"{delivery.handle} {delivery.state} {delivery.process_id}{why}")


@triggers.command()
@click.argument("what", metavar="HANDLE_OR_SCHEDULE")
@store_option
@debug_option
def cancel(what: str, store: str) -> None:
    """Stop a subscription by its handle, or a schedule by its id. What was started goes on."""
    from lash.cli.failure import NotFound
    from lash.cli.stores import shown

    if not asyncio.run(_cancel(store, what)):
        raise NotFound(f"nothing to cancel under {what!r} in {shown(store)}; `lash triggers ls` lists what there is")
    click.echo(f"{what} is cancelled")


@triggers.command()
@click.option("--state", type=click.Choice(["reserved", "started", "failed", "dead", "skipped"]))
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@store_option
@json_option
@debug_option
def deliveries(state: DeliveryState | None, limit: int, store: str, as_json: bool) -> None:
    """List what was started lately, what still has to be, and what could not be; the newest at the end."""
    from lash.cli.output import console, print_json, shortened, table, when
    from lash.cli.stores import shown
    from lash.cli.trigger_facts import DeliveryFacts

    found = [DeliveryFacts.of(one) for one in asyncio.run(_deliveries(store, state, limit))]
    if as_json:
        print_json(found)
        return
    screen = console()
    if not found:
        screen.print(f"no deliveries in {shown(store)}")
        return
    rows = [
        [one.handle, one.state, one.attempts, when(one.created_at_ms), shortened(one.last_error or "", 60)]
        for one in found
    ]
    screen.print(table(["handle", "state", "attempts", "reserved", "error"], rows, right=["attempts"]))


async def _list(where: str) -> tuple[list[Subscription], list[Schedule]]:
    from lash.cli.stores import open_store

    async with await open_store(where) as store:
        return await store.triggers.list_subscriptions(), await store.triggers.list_schedules()


async def _emit(where: str, source_type: str, key: str, payload: Json, source: Json) -> TriggerEmitReport:
    from lash.cli.background import background_of

    async with background_of(where) as background:
        return await background.triggers.emit(source_type, payload, source=source, key=key)


async def _cancel(where: str, what: str) -> bool:
    from lash.cli.background import background_of

    async with background_of(where) as background:
        return await background.triggers.cancel(what)


async def _deliveries(where: str, state: DeliveryState | None, limit: int) -> list[Delivery]:
    from lash.cli.stores import open_store
    from lash.triggers.delivery import DeliveryFilter

    async with await open_store(where) as store:
        return await store.triggers.list_deliveries(DeliveryFilter(state=state, limit=limit, newest=True))
