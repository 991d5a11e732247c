"""What the command line does to processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import lash
from lash.base.json import Json, JsonObject
from lash.cli.apps import load_app
from lash.cli.background import background_of, over, process_of
from lash.cli.failure import BadOption
from lash.cli.process_facts import EventFacts


def program_in(path: str, process: str | None) -> lash.LangProcess:
    """The program in a file. Raises `BadOption` for one that cannot be read."""
    try:
        return lash.LangProcess(Path(path).read_text(encoding="utf-8"), process)
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(f"the program {path} cannot be read: {error}") from error


async def start_work(
    app: str,
    where: str | None,
    work: str | lash.LangProcess,
    args: JsonObject,
    process_id: str | None,
    wake: str | None,
    *,
    wait: bool,
) -> tuple[str, Json]:
    """Starts a tool or a program of a core without running it here; its id, and its result if it is waited for."""
    async with load_app(app, where).only_asking() as core:
        handle = await core.processes.start(work, args=args, id=process_id, wake=wake)
        return handle.id, await handle.result() if wait else None


async def start_external(
    where: str,
    label: str,
    metadata: JsonObject,
    signals: Sequence[str],
    process_id: str | None,
    wake: str | None,
    *,
    wait: bool,
) -> tuple[str, Json]:
    """Registers external work; its id, and its result if it is waited for."""
    async with await lash.Store.open(where) as store:
        work = lash.External(label, metadata or None, signals)
        handle = await over(store).processes.start(work, id=process_id, wake=wake)
        return handle.id, await handle.result() if wait else None


async def send_signal(where: str, process_id: str, name: str, payload: Json, key: str | None) -> tuple[str, int]:
    """The whole id, and which signal of its name this is."""
    async with background_of(where) as background:
        handle = await process_of(background, process_id, where)
        return handle.id, await handle.signal(name, payload, key=key)


async def request_cancel(where: str, process_id: str, reason: str | None) -> str:
    """Asks a process to stop; its whole id."""
    async with background_of(where) as background:
        handle = await process_of(background, process_id, where)
        await handle.cancel(reason)
        return handle.id


async def end_external(where: str, process_id: str, value: Json, failure: str | None) -> str:
    """Reports external work as done, or as failed with a message; its whole id."""
    async with background_of(where) as background:
        handle = await process_of(background, process_id, where)
        if failure is None:
            await background.processes.complete(handle.id, value)
        else:
            await background.processes.fail(handle.id, failure)
        return handle.id


async def give_up(where: str, process_id: str, reason: str | None) -> str:
    """Abandons external work; its whole id."""
    async with background_of(where) as background:
        handle = await process_of(background, process_id, where)
        await background.processes.abandon(handle.id, reason, by="cli")
        return handle.id


async def read_events(
    where: str, process_id: str, after: int, *, follow: bool, tell: Callable[[EventFacts], None]
) -> None:
    """Tells what happens to a process."""
    async with background_of(where) as background:
        handle = await process_of(background, process_id, where)
        async for event in handle.events(after, follow=follow):
            tell(EventFacts.of(event))
