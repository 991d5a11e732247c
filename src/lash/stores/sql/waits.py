"""Durable waits: one-shot promises; the first resolution wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.base.codec import encode
from lash.effects.waits import AwaitEventKey
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, execute, lock, many, many_each, notify, one, program


class Secret(NamedTuple):
    """What signs the keys of a store."""

    signing_secret: bytes


class RecordRow(NamedTuple):
    """A wait as it was described, and the turn that owns its session."""

    key_id: str
    scope_json: str
    wait_json: str
    subject_json: str | None
    created_at_ms: int
    deadline_ms: int | None
    turn_in_flight: str | None


class ProcessRow(NamedTuple):
    """A process by its id."""

    process_id: str


class SettledRow(NamedTuple):
    """A wait by its id."""

    key_id: str


class WaitState(NamedTuple):
    """A wait, beside whether its session is revoked."""

    deadline_ms: int | None
    terminal_json: str | None
    is_revoked: int | None


PUT_SECRET = Statement(
    "INSERT INTO lash_await_meta (singleton, signing_secret) VALUES (1, ?1) ON CONFLICT (singleton) DO NOTHING"
)
GET_SECRET = Query(Secret, "SELECT signing_secret FROM lash_await_meta WHERE singleton = 1")
# The first deadline stands.
OPEN_WAIT = Statement(
    """
    INSERT INTO lash_await_events (key_id, scope_json, wait_json, session_id, deadline_ms, subject_json, created_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (key_id) DO UPDATE SET
      deadline_ms = coalesce(lash_await_events.deadline_ms, excluded.deadline_ms),
      subject_json = coalesce(lash_await_events.subject_json, excluded.subject_json)
    WHERE (lash_await_events.deadline_ms IS NULL AND excluded.deadline_ms IS NOT NULL)
       OR (lash_await_events.subject_json IS NULL AND excluded.subject_json IS NOT NULL)
    """
)
_RECORD = """
    SELECT w.key_id, w.scope_json, w.wait_json, w.subject_json, w.created_at_ms, w.deadline_ms, l.turn_id
    FROM lash_await_events w
    LEFT JOIN lash_session_leases l ON l.session_id = w.session_id
"""
LIST_OPEN = Query(
    RecordRow,
    f"""{_RECORD}
    WHERE w.terminal_json IS NULL AND w.subject_json IS NOT NULL
    ORDER BY w.created_at_ms, w.key_id
    """,
)
LIST_OPEN_OF_SESSION = Query(
    RecordRow,
    f"""{_RECORD}
    WHERE w.terminal_json IS NULL AND w.subject_json IS NOT NULL AND w.session_id = ?1
    ORDER BY w.created_at_ms, w.key_id
    """,
)
FIND = Query(RecordRow, f"{_RECORD} WHERE w.key_id = ?1")
GET_WAIT = Query(
    WaitState,
    """
    SELECT w.deadline_ms, w.terminal_json, r.flag
    FROM (SELECT CAST(?1 AS TEXT) AS key_id, CAST(?2 AS TEXT) AS session_id) k
    LEFT JOIN lash_await_events w ON w.key_id = k.key_id
    LEFT JOIN (SELECT 1 AS flag, session_id FROM lash_await_revoked_sessions) r ON r.session_id = k.session_id
    """,
)
# A registered wait that is gone was revoked with its session.
IS_SETTLED = Query(
    SettledRow,
    """
    SELECT k.key_id
    FROM (SELECT CAST(?1 AS TEXT) AS key_id) k
    LEFT JOIN lash_await_events w ON w.key_id = k.key_id
    WHERE w.key_id IS NULL OR w.terminal_json IS NOT NULL
    """,
)
# A resolution before anybody waits is kept; one that is there stands.
RESOLVE = Statement(
    """
    INSERT INTO lash_await_events
      (key_id, scope_json, wait_json, session_id, terminal_json, created_at_ms, resolved_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
    ON CONFLICT (key_id) DO UPDATE SET terminal_json = excluded.terminal_json, resolved_at_ms = excluded.resolved_at_ms
    WHERE lash_await_events.terminal_json IS NULL
    """
)
REVOKE = Statement(
    """
    INSERT INTO lash_await_revoked_sessions (session_id, revoked_at_ms) VALUES (?1, ?2)
    ON CONFLICT (session_id) DO NOTHING
    """
)
FORGET_WAITS = Statement("DELETE FROM lash_await_events WHERE session_id = ?1")
CANCEL_OPEN = Statement(
    """
    UPDATE lash_await_events
    SET terminal_json = ?2, resolved_at_ms = CAST(?3 AS BIGINT)
    WHERE session_id = ?1 AND terminal_json IS NULL
    """
)
# A process that is parked on the wait is due; one that runs looks for itself.
HOLD_PROCESS = Query(ProcessRow, "SELECT process_id FROM lash_processes WHERE process_id = ?1 {for_update}")
WAKE_PROCESS = Statement(
    """
    UPDATE lash_processes SET due_at_ms = {now}, change_seq = {change}
    WHERE process_id = ?1 AND status = 'running' AND lease_token = '' AND due_at_ms > {now}
    """
)


@program("write")
def signing_secret(candidate: bytes) -> Steps[bytes]:
    """The store's secret; `candidate` becomes it when there is none."""
    yield from execute(PUT_SECRET, candidate)
    row = yield from one(GET_SECRET)
    return candidate if row is None else row.signing_secret


@program("write")
def open_wait(key: AwaitEventKey, deadline_ms: int | None, subject_json: str | None, now_ms: int) -> Steps[WaitState]:
    """Registers a wait, unless it is resolved or its session is revoked. Who looks for open waits is told."""
    state = yield from _state(key)
    if state.is_revoked is None and state.terminal_json is None:
        if (yield from execute(OPEN_WAIT, *_identity(key), deadline_ms, subject_json, now_ms)) and subject_json:
            yield from notify()
        state = yield from _state(key)
    return state


@program("read")
def get_wait(key: AwaitEventKey) -> Steps[WaitState | None]:
    """The wait as it stands."""
    return (yield from one(GET_WAIT, key.key_id, key.scope.session_id))


@program("read")
def settled(key_ids: Sequence[str]) -> Steps[list[SettledRow]]:
    """Which of these registered waits are resolved or revoked."""
    return (yield from many_each(IS_SETTLED, [(key_id,) for key_id in key_ids]))


@program("read")
def list_open(session_id: str | None) -> Steps[list[RecordRow]]:
    """Unresolved waits with a subject, of one session or of all."""
    if session_id is None:
        return (yield from many(LIST_OPEN))
    return (yield from many(LIST_OPEN_OF_SESSION, session_id))


@program("read")
def find(key_id: str) -> Steps[RecordRow | None]:
    """A wait by its id."""
    return (yield from one(FIND, key_id))


@program("write")
def resolve(key: AwaitEventKey, terminal_json: str, now_ms: int) -> Steps[tuple[WaitState, bool]]:
    """Stores a resolution if none stands; answers the state, and whether this one is it.

    A repeat that finds its own words already there cannot tell them from another's: it answers
    "already resolved" with an equal resolution, and nothing is lost.
    """
    process_id = key.scope.process_id
    if process_id is not None:
        yield from one(HOLD_PROCESS, process_id)
    yield from lock(f"wait:{key.key_id}")
    state = yield from _state(key)
    if state.is_revoked is not None or state.terminal_json is not None:
        return state, False
    changed = yield from execute(RESOLVE, *_identity(key), terminal_json, now_ms)
    if process_id is not None:
        yield from execute(WAKE_PROCESS, process_id)
    yield from notify()
    return (yield from _state(key)), changed > 0


@program("write")
def revoke_session(session_id: str, now_ms: int) -> Steps[None]:
    """Invalidates every key of a session for good."""
    yield from execute(REVOKE, session_id, now_ms)
    yield from execute(FORGET_WAITS, session_id)
    yield from notify()


@program("write")
def cancel_session(session_id: str, terminal_json: str, now_ms: int) -> Steps[None]:
    """Resolves every open wait of a session."""
    if (yield from execute(CANCEL_OPEN, session_id, terminal_json, now_ms)):
        yield from notify()


def _state(key: AwaitEventKey) -> Steps[WaitState]:
    state = yield from one(GET_WAIT, key.key_id, key.scope.session_id)
    return WaitState(None, None, None) if state is None else state


def _identity(key: AwaitEventKey) -> tuple[str, str, str, str | None]:
    return key.key_id, encode(key.scope), encode(key.wait), key.scope.session_id
