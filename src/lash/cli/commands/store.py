"""`lash store`: operations on the database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from lash.cli.options import debug_option, json_option, store_option

if TYPE_CHECKING:
    from lash.stores.check import CheckReport
    from lash.stores.store import StoreStats, StoreVacuum


@click.group()
def store() -> None:
    """The database: check, count, upgrade, tidy up."""


@store.command()
@store_option
@json_option
@debug_option
def check(store: str, as_json: bool) -> None:
    """Read everything and report what is damaged. Changes nothing."""
    from lash.cli.output import console, print_json, table
    from lash.cli.stores import shown

    found = asyncio.run(_check(store))
    if as_json:
        corrupt = [f"{row.table} {row.key}: {row.problem}" for row in found.corrupt_rows]
        print_json({"ok": found.ok, "rows": found.checked_row_count, "problems": [*found.problems, *corrupt]})
    else:
        screen = console()
        if found.ok:
            screen.print(f"{shown(store)}: {found.checked_row_count} rows read, nothing wrong")
        for problem in found.problems:
            screen.print(f"database: {problem}", soft_wrap=True)
        if found.corrupt_rows:
            screen.print(table(["table", "key", "problem"], [[r.table, r.key, r.problem] for r in found.corrupt_rows]))
    if not found.ok:
        click.get_current_context().exit(1)


@store.command()
@store_option
@json_option
@debug_option
def stats(store: str, as_json: bool) -> None:
    """Count what is stored."""
    from lash.cli.output import console, facts, print_json, size, table
    from lash.cli.stores import shown

    found = asyncio.run(_stats(store))
    if as_json:
        print_json(
            {
                "store": shown(store),
                "tier": found.tier,
                "schema_version": found.schema_version,
                "size_bytes": found.size_bytes,
                "rows": found.rows,
            }
        )
        return
    screen = console()
    screen.print(
        facts(
            {"store": shown(store), "tier": found.tier, "schema": found.schema_version, "size": size(found.size_bytes)}
        )
    )
    screen.print(table(["table", "rows"], sorted(found.rows.items()), right=["rows"]))


@store.command()
@store_option
@json_option
@debug_option
def migrate(store: str, as_json: bool) -> None:
    """Bring the database to this release's schema. Makes a fresh one where there is none."""
    from lash.cli.output import console, print_json
    from lash.cli.stores import shown
    from lash.stores.store import Store

    before, after = asyncio.run(Store.migrate(store))
    if as_json:
        print_json({"store": shown(store), "before": before, "after": after})
    elif before == after:
        console().print(f"{shown(store)}: schema {after} is up to date")
    else:
        console().print(f"{shown(store)}: schema {before} → {after}")


@store.command()
@store_option
@json_option
@debug_option
def vacuum(store: str, as_json: bool) -> None:
    """Remove what nothing refers to any more, and give the space back."""
    from lash.cli.output import console, print_json, size
    from lash.cli.stores import shown

    done = asyncio.run(_vacuum(store))
    if as_json:
        print_json(done)
    else:
        console().print(
            f"{shown(store)}: {done.removed_node_count} nodes and {done.deleted_blob_count} blobs removed, "
            f"{size(done.size_bytes)} left"
        )


async def _check(where: str) -> CheckReport:
    from lash.cli.stores import open_store

    async with await open_store(where) as opened:
        return await opened.check()


async def _stats(where: str) -> StoreStats:
    from lash.cli.stores import open_store

    async with await open_store(where) as opened:
        return await opened.stats()


async def _vacuum(where: str) -> StoreVacuum:
    from lash.cli.stores import open_store

    async with await open_store(where, read_only=False) as opened:
        return await opened.vacuum()
