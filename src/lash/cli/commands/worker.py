"""`lash worker`: runs what is registered, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Final

import click

from lash.cli.options import debug_option, optional_store_option

if TYPE_CHECKING:
    import lash

# Shells report a program that a signal ended as 128 and its number.
SIGNAL_BASE: Final = 128


@click.command()
@click.option("--app", envvar="LASH_APP", show_envvar=True, required=True, metavar="MODULE:ATTR", help="The core.")
@click.option("--concurrency", type=click.IntRange(1, 10_000), metavar="N", help="How many processes run at once.")
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="How long running work may take to end once the worker is told to stop.",
)
@optional_store_option("The store, where the app takes one.")
@debug_option
def worker(app: str, concurrency: int | None, drain_seconds: float, store: str | None) -> None:
    """Run background processes, wakes, triggers and schedules of the app's store.

    SIGTERM or Ctrl-C drains: nothing new is taken, what runs may end, the rest is left to other
    workers. A second one ends at once. Any number of workers may share a store.
    """
    from lash.cli.apps import load_app

    code = asyncio.run(_work(load_app(app, store).working(concurrency), app, drain_seconds))
    if code:
        click.get_current_context().exit(code)


async def _work(core: lash.LashCore, app: str, drain_seconds: float) -> int:
    stops = Stops()
    stops.listen()  # before anything is opened: whoever is told to stop while it opens leaves nothing half done
    if not await _opened(core, stops):
        _say("told to stop before it had begun")
        return 0
    async with core:
        core.worker.poke()
        _say(f"worker {core.executor_id} runs processes of {app}; SIGTERM drains")
        await stops.first.wait()
        _say(f"draining, {len(core.worker.running)} running; once more to end at once")
        draining = asyncio.create_task(core.worker.drain(round(drain_seconds * 1000)))
        second = asyncio.create_task(stops.second.wait())
        await asyncio.wait([draining, second], return_when=asyncio.FIRST_COMPLETED)
        is_drained = draining.done()
        for task in (draining, second):
            task.cancel()
        await asyncio.wait([draining, second])
        if is_drained:
            draining.result()
    _say("drained" if is_drained else "ended; what ran is left to other workers")
    return 0 if is_drained else SIGNAL_BASE + stops.last


async def _opened(core: lash.LashCore, stops: Stops) -> bool:
    """Opens the core, or closes what is open of it when told to stop. Raises what opening raised."""
    opening = asyncio.create_task(core.open())
    stopping = asyncio.create_task(stops.first.wait())
    try:
        await asyncio.wait([opening, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not opening.done():
            opening.cancel()
        await asyncio.wait([opening, stopping])
    if stops.first.is_set() and not opening.cancelled() and opening.exception() is None:
        await core.close()
    if stops.first.is_set():
        return False
    opening.result()
    return True


class Stops:
    """Signals that ask the worker to stop, counted."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.last = 0

    def listen(self) -> None:
        """From now on SIGTERM and SIGINT are requests."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked, number)

    def _asked(self, number: int) -> None:
        self.last = number
        (self.second if self.first.is_set() else self.first).set()


def _say(text: str) -> None:
    # A worker's terminal is a log as a rule, so it tells its few words there too.
    click.echo(f"lash: {text}", err=True)
