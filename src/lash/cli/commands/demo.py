"""`lash demo`: the product in a few seconds, no key."""

from __future__ import annotations

import click

from lash.cli.options import debug_option, json_option


@click.command()
@click.argument("path", default=".")
@click.option(
    "--store", metavar="WHERE", help="Play on this store instead of a fresh SQLite file. The session is deleted after."
)
@click.option("--keep", is_flag=True, help="Keep the database and say where it is.")
@json_option
@debug_option
def demo(path: str, store: str | None, keep: bool, as_json: bool) -> None:
    """Kill an agent again and again while it audits the files under PATH.

    The model is scripted and says so. The files, the database, the processes and
    every SIGKILL are real. Leaves nothing behind.
    """
    from lash.cli.demo.play import perform

    is_ok = perform(path, store=store, keep=keep, as_json=as_json)
    if not is_ok:
        click.get_current_context().exit(1)
