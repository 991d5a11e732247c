"""Forking: a new session that begins where another one stood.

A fork is two writes: the new session's creation, which says what it is a fork of, and
its first commit. A crash between them leaves an empty session; asking again for the same
fork finishes it, and once it is finished asking again changes nothing.
"""

from __future__ import annotations

from lash.base.clock import Clock
from lash.runtime.branching import attachment_ids, copied
from lash.sessions.commit import RuntimeCommit, persisted_state
from lash.sessions.errors import HeadRevisionConflict, SessionExists, UnknownNode, UnknownSession
from lash.sessions.frames import SessionPolicy
from lash.sessions.graph import ActivePath
from lash.sessions.meta import ForkedSession, SessionRelation
from lash.sessions.store import AttachmentIntent, PersistedSession, SessionCreate, SessionStore, SessionStoreFactory


async def path_to(store: SessionStore, session_id: str, node_id: str) -> PersistedSession:
    """A stored session read up to one of its nodes. Raises `UnknownNode`."""
    if await store.load_node(node_id) is None:
        raise UnknownNode(session_id, node_id)
    path = await store.load_session(ActivePath(node_id))
    if path is None:
        raise UnknownNode(session_id, node_id)
    return path


async def fork_session(
    sessions: SessionStoreFactory,
    clock: Clock,
    *,
    source_id: str,
    new_id: str,
    node_id: str | None = None,
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
    state = None if path is None else copied(path, new_id, is_head=is_head)
    relation = ForkedSession(source_id, node_id or leaf)
    policy = None if state is None else state.policy
    target = await _create(sessions, new_id, relation, policy=policy)
    if target is None or state is None or path is None:
        return
    attachments = attachment_ids(path.graph.nodes)
    for attachment_id in attachments:
        now_ms = clock.now_ms()
        await target.record_intent(AttachmentIntent(attachment_id, new_id, f"sha256:{attachment_id}", now_ms))
    await _commit(target, persisted_state(state, attachment_ids=attachments), new_id, relation)


async def _create(
    sessions: SessionStoreFactory, new_id: str, relation: ForkedSession, *, policy: SessionPolicy | None
) -> SessionStore | None:
    """The new session's store; None when this very fork is finished already."""
    existing = await sessions.open_existing_store(new_id)
    if existing is None:
        create = SessionCreate(new_id, relation, policy or SessionPolicy())
        existing = await sessions.create_store(create)
    if await _relation(existing) != relation:
        raise SessionExists(new_id)
    return existing if await existing.load_session(ActivePath()) is None else None


async def _commit(target: SessionStore, commit: RuntimeCommit, new_id: str, relation: ForkedSession) -> None:
    try:
        await target.commit(commit)
    except HeadRevisionConflict:
        # Somebody was first. When it was the same fork, it is done.
        if await _relation(target) != relation:
            raise SessionExists(new_id) from None


async def _relation(store: SessionStore) -> SessionRelation | None:
    meta = await store.load_session_meta()
    return None if meta is None else meta.relation
