"""Background work of a store, for commands that have no core: no tools, no model, no worker."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import lash
from lash.base.canonical import parse_json
from lash.base.clock import SystemClock
from lash.base.ids import SystemIds
from lash.base.json import Json
from lash.cli.failure import BadOption, NotFound
from lash.cli.stores import open_store, shown
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.errors import UnknownProcess
from lash.runtime.background import Background
from lash.runtime.process_handle import ProcessHandle
from lash.tools.catalog import ToolCatalog


@contextlib.asynccontextmanager
async def background_of(where: str) -> AsyncGenerator[Background]:
    """The processes and triggers of a store. Raises `NoSuchStore`."""
    async with await open_store(where, read_only=False) as store:
        yield over(store)


def over(store: lash.Store) -> Background:
    """The same of a store that is open."""
    return Background(store, SystemClock(), SystemIds(), ToolCatalog, ProcessExecutionEnvSpec, store.attachments)


async def process_of(background: Background, process_id: str, where: str) -> ProcessHandle:
    """A process by its id, which may be cut short as long as it is the only one. Raises `NotFound`."""
    try:
        return await background.processes.get(process_id)
    except UnknownProcess as error:
        found = await background.processes.list(status="any", after=process_id, limit=2)
        fitting = [record.id for record in found if process_id and record.id.startswith(process_id)]
        if len(fitting) == 1:
            return await background.processes.get(fitting[0])
        if fitting:
            raise NotFound(f"several processes begin with {process_id!r} in {shown(where)}; type more of it") from error
        if type(error) is not UnknownProcess:
            raise
        raise NotFound(
            f"no process {process_id!r} in {shown(where)}; `lash processes ls --all` lists what there is"
        ) from error


def json_of(text: str | None, option: str) -> Json:
    """The JSON that an option holds; None when it was left out. Raises `BadOption`."""
    if text is None:
        return None
    try:
        return parse_json(text)
    except ValueError as error:
        raise BadOption(
            f"{option} {text!r} is not JSON ({error}); quote it for the shell, for example '{{\"a\": 1}}'"
        ) from error


def record_of(text: str | None, option: str) -> dict[str, Json]:
    """The JSON object that an option holds. Raises `BadOption`."""
    value = json_of(text, option)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadOption(f"{option} {text!r} is no JSON object; write for example '{{\"a\": 1}}'")
    return value
