"""What `lash sessions` does to a store."""

from __future__ import annotations

from lash.cli.stores import open_store
from lash.runtime.export import ExportFormat, export_session
from lash.runtime.forking import fork_session
from lash.sessions.errors import UnknownSession


async def export_one(where: str, session_id: str, form: ExportFormat) -> str:
    """A session as a document. Raises `UnknownSession`."""
    async with await open_store(where) as store:
        handle = await store.sessions.open_existing_store(session_id)
        if handle is None:
            raise UnknownSession(session_id)
        return await export_session(handle, session_id, form)


async def fork_one(where: str, session_id: str, new_id: str, node_id: str | None) -> None:
    """Copies a session. Raises what `fork_session` raises."""
    async with await open_store(where, read_only=False) as store:
        await fork_session(store.sessions, source_id=session_id, new_id=new_id, node_id=node_id)


async def delete_one(where: str, session_id: str) -> None:
    """Deletes a session; a turn of it that runs somewhere is asked to end. Raises `UnknownSession`."""
    async with await open_store(where, read_only=False) as store:
        handle = await store.sessions.open_existing_store(session_id)
        if handle is None:
            raise UnknownSession(session_id)
        await handle.request_turn_cancel(session_id)
        await store.sessions.delete_session(session_id)
