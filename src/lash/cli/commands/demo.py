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
@click.option("--act", type=click.Choice(["1", "2"]), help="Play only this act.")
@click.option("--picture", metavar="FILE", help="Where the picture goes; by default among temporary files.")
@json_option
@debug_option
def demo(path: str, store: str | None, keep: bool, act: str | None, picture: str | None, as_json: bool) -> None:
    """Kill an agent again and again while it audits the files under PATH.

    Two acts: it calls tools; it writes programs, one of which goes on in the background and
    wakes it. The model is scripted and says so. The files, the database, the processes and
    every SIGKILL are real. Leaves nothing behind but a picture of the programs.
    """
    from lash.cli.demo.play import perform

    chosen = None if act is None else int(act)
    is_ok = perform(path, store=store, keep=keep, picture=picture, act=chosen, as_json=as_json)
    if not is_ok:
        click.get_current_context().exit(1)
