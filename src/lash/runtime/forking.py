"""Forking: a new session that begins where another one stood.

A fork is one write: the new session, what it is a fork of, and its first state. So nobody
ever sees half of one, and asking again for the same fork changes nothing.
"""

from __future__ import annotations

from lash.runtime.branching import attachment_ids, copied
from lash.sessions.commit import persisted_state
from lash.sessions.errors import SessionExists, UnknownNode, UnknownSession
from lash.sessions.graph import ActivePath
from lash.sessions.meta import ForkedSession
from lash.sessions.store import PersistedSession, SessionCreate, SessionStore, SessionStoreFactory


async def path_to(store: SessionStore, session_id: str, node_id: str) -> PersistedSession:
    """A stored session read up to one of its nodes. Raises `UnknownNode`."""
    if await store.load_node(node_id) is None:
        raise UnknownNode(session_id, node_id)
    path = await store.load_session(ActivePath(node_id))
    if path is None:
        raise UnknownNode(session_id, node_id)
    return path


async def fork_session(
    sessions: SessionStoreFactory, *, source_id: str, new_id: str, node_id: str | None = None
) -> None:
    """Copies what is committed of a session, up to `node_id` (default: its end), into the session `new_id`.

    Raises `UnknownSession`, `SessionExists`, `SessionDeleted` (the new id was used before), `UnknownNode` and
    `UnsafeBranchPoint`.
    """
    source = await sessions.open_existing_store(source_id)
    if source is None:
        raise UnknownSession(source_id)
    head = await source.load_session(ActivePath())
    leaf = None if head is None else head.graph.leaf_node_id
    is_head = node_id in (None, leaf)
    path = head if node_id is None or is_head else await path_to(source, source_id, node_id)
    relation = ForkedSession(source_id, node_id or leaf)
    if path is None:
        await sessions.create_store(SessionCreate(new_id, relation))
    else:
        state = copied(path, new_id, is_head=is_head)
        first = persisted_state(state, attachment_ids=attachment_ids(path.graph.nodes))
        if await sessions.create_with_state(SessionCreate(new_id, relation, state.policy), first):
            return
    await _expect_fork(sessions, new_id, relation)


async def _expect_fork(sessions: SessionStoreFactory, new_id: str, relation: ForkedSession) -> None:
    """The session is there already: it must be this very fork."""
    existing = await sessions.open_existing_store(new_id)
    meta = None if existing is None else await existing.load_session_meta()
    if meta is None or meta.relation != relation:
        raise SessionExists(new_id)
