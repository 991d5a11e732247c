"""Whose child a session is, and what that means for the ledgers above it."""

from __future__ import annotations

import logging

from lash.runtime.engine import Engine
from lash.sessions.errors import StoreError
from lash.sessions.meta import ChildSession
from lash.sessions.store import SessionStore, SessionStoreFactory

# A child of a child of … a session: so deep and no deeper (docs/spec/runtime.md, subagents).
MAX_DEPTH = 5
logger = logging.getLogger("lash.runtime")


async def ancestors_of(sessions: SessionStoreFactory, store: SessionStore | None) -> list[str]:
    """The parent of a session, the parent of that one, and so on; one whose parent is gone has it all the same."""
    found: list[str] = []
    while store is not None:
        meta = await store.load_session_meta()
        relation = None if meta is None else meta.relation
        if not isinstance(relation, ChildSession) or relation.parent_session_id in found:
            break
        found.append(relation.parent_session_id)
        store = await sessions.open_existing_store(relation.parent_session_id)
    return found


async def tell_ancestors(engine: Engine, ancestors: list[str]) -> None:
    """A child has committed what it spent: those of its ancestors that are open here look at their ledgers.

    Others do when they are opened or refreshed. Nothing is lost with a look that fails.
    """
    for session_id in ancestors:
        drives = engine.opened.get(session_id)
        if drives is None:
            continue
        try:
            await drives.memory.book(drives.store)
        except StoreError as error:
            logger.warning("the ledger of session %s is looked at later: %s", session_id, error)
