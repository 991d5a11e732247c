"""`lash doctor`: what this installation is, and whether it can work."""

from __future__ import annotations

import asyncio

import click

from lash.cli.options import debug_option, json_option, optional_store_option


@click.command()
@optional_store_option("Also look whether this store can be used.")
@json_option
@debug_option
def doctor(store: str | None, as_json: bool) -> None:
    """Look at Python, SQLite, the disk, the store and the extras."""
    from lash.cli.health import examine
    from lash.cli.output import console, facts, print_json

    health = asyncio.run(examine(store))
    if as_json:
        print_json(health)
    else:
        screen = console()
        known: dict[str, object] = {
            "python": health.python,
            "platform": health.platform,
            "lash": health.lash,
            "apsw": health.apsw,
            "sqlite": health.sqlite,
            "fsync": f"{health.fsync_ms:.2f} ms (median, {health.fsync_folder})",
            "extras": ", ".join(health.extras) or "none",
            "not installed": ", ".join(health.missing_extras) or "–",
        }
        if health.store is not None:
            known["store"] = f"{health.store} ({health.store_state})"
        screen.print(facts(known))
        for problem in health.problems:
            screen.print(f"problem: {problem}", style="red", soft_wrap=True)
        if health.ok:
            screen.print("nothing wrong", style="green")
    if not health.ok:
        click.get_current_context().exit(3)
