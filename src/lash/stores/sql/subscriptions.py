"""Subscriptions: registered, found, cancelled, removed with their session."""

from __future__ import annotations

from typing import Final, NamedTuple

from lash.base.codec import encode
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, execute, lock, many, one, program
from lash.stores.records import decoded
from lash.stores.sql.leases import refuse_deleted, session_lock
from lash.triggers.registrant import session_of
from lash.triggers.subscription import Subscription, SubscriptionDraft, SubscriptionFilter


class SubscriptionRow(NamedTuple):
    """A row of `lash_trigger_subscriptions`."""

    seq: int
    enabled: int
    revision: int
    draft_hash: str
    draft_json: str
    created_at_ms: int
    updated_at_ms: int


class DraftRow(NamedTuple):
    """What was registered."""

    draft_json: str


_SUBSCRIPTION: Final = "seq, enabled, revision, draft_hash, draft_json, created_at_ms, updated_at_ms"
ADD_SUBSCRIPTION = Statement(
    """
    INSERT INTO lash_trigger_subscriptions
      (registrant_scope_id, registrant_session_id, registration_key, name, source_type, source_key, enabled, revision,
       draft_hash, draft_json, created_at_ms, updated_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, 1, ?7, ?8, ?9, ?9)
    ON CONFLICT (registrant_scope_id, registration_key) DO UPDATE SET
      name = excluded.name, source_type = excluded.source_type, source_key = excluded.source_key, enabled = 1,
      revision = lash_trigger_subscriptions.revision + 1, draft_hash = excluded.draft_hash,
      draft_json = excluded.draft_json, updated_at_ms = excluded.updated_at_ms
    WHERE lash_trigger_subscriptions.draft_hash <> excluded.draft_hash OR lash_trigger_subscriptions.enabled = 0
    """
)
GET_BY_KEY = Query(
    SubscriptionRow,
    f"SELECT {_SUBSCRIPTION} FROM lash_trigger_subscriptions WHERE registrant_scope_id = ?1 AND registration_key = ?2",
)
# A filter that is not given is NULL.
LIST_SUBSCRIPTIONS = Query(
    SubscriptionRow,
    f"""
    SELECT {_SUBSCRIPTION}
    FROM lash_trigger_subscriptions
    WHERE (CAST(?1 AS TEXT) IS NULL OR registrant_session_id = CAST(?1 AS TEXT))
      AND (CAST(?2 AS TEXT) IS NULL OR registrant_scope_id = CAST(?2 AS TEXT))
      AND (CAST(?3 AS BIGINT) IS NULL OR seq = CAST(?3 AS BIGINT))
      AND (CAST(?4 AS TEXT) IS NULL OR name = CAST(?4 AS TEXT))
      AND (CAST(?5 AS TEXT) IS NULL OR source_type = CAST(?5 AS TEXT))
      AND (CAST(?6 AS TEXT) IS NULL OR source_key = CAST(?6 AS TEXT))
      AND (CAST(?7 AS BIGINT) IS NULL OR enabled = CAST(?7 AS BIGINT))
    ORDER BY registrant_scope_id, seq
    """,
)
CANCEL_OF_SESSION = Statement(
    """
    UPDATE lash_trigger_subscriptions SET enabled = 0, revision = revision + 1, updated_at_ms = ?3
    WHERE seq = ?1 AND registrant_session_id = ?2 AND enabled = 1
    """
)
CANCEL_OF_SCOPE = Statement(
    """
    UPDATE lash_trigger_subscriptions SET enabled = 0, revision = revision + 1, updated_at_ms = ?3
    WHERE seq = ?1 AND registrant_scope_id = ?2 AND enabled = 1
    """
)
DELETE_OF_SESSION = Statement("DELETE FROM lash_trigger_subscriptions WHERE registrant_session_id = ?1")
DELETE_SCHEDULES_OF_SESSION = Statement("DELETE FROM lash_schedules WHERE registrant_session_id = ?1")
MATCHING = Query(
    SubscriptionRow,
    f"""
    SELECT {_SUBSCRIPTION}
    FROM lash_trigger_subscriptions
    WHERE source_type = ?1 AND source_key = ?2 AND enabled = 1
    ORDER BY seq
    """,
)
# What may still start something. A cancelled subscription may be registered again by its key, but then
# its references are put again first.
LIVE_DRAFTS = Query(DraftRow, "SELECT draft_json FROM lash_trigger_subscriptions WHERE enabled = 1 ORDER BY seq")


@program("write")
def register(draft: SubscriptionDraft, key: str, now_ms: int) -> Steps[Subscription]:
    """Adds the subscription of `key`, or changes it."""
    yield from refuse_gone(session_of(draft.registrant))
    return (yield from registering(draft, key, now_ms))


def registering(draft: SubscriptionDraft, key: str, now_ms: int) -> Steps[Subscription]:
    """The step: other programs register in their transaction."""
    registrant = draft.registrant
    yield from execute(
        ADD_SUBSCRIPTION,
        registrant.scope_id,
        session_of(registrant),
        key,
        draft.name,
        draft.source_type,
        draft.source_key,
        draft.content_hash,
        encode(draft),
        now_ms,
    )
    row = yield from one(GET_BY_KEY, registrant.scope_id, key)
    assert row is not None  # it was written in this transaction
    return subscription_of(row)


def refuse_gone(session_id: str | None) -> Steps[None]:
    """Raises `SessionDeleted` for a registrant that is gone; its deletion waits until this transaction ends."""
    if session_id is not None:
        yield from lock(session_lock(session_id))
        yield from refuse_deleted(session_id)


@program("read")
def list_subscriptions(wanted: SubscriptionFilter, seq: int | None) -> Steps[list[Subscription]]:
    """Subscriptions, by registrant and order of registration."""
    enabled = None if wanted.enabled is None else int(wanted.enabled)
    rows = yield from many(
        LIST_SUBSCRIPTIONS,
        wanted.session_id,
        wanted.registrant_scope_id,
        seq,
        wanted.name,
        wanted.source_type,
        wanted.source_key,
        enabled,
    )
    return [found for row in rows if wanted.matches_target(found := subscription_of(row))]


@program("single")
def cancel_of_session(session_id: str, seq: int, now_ms: int) -> Steps[int]:
    """Disables a session's subscription."""
    return (yield from execute(CANCEL_OF_SESSION, seq, session_id, now_ms))


@program("single")
def cancel_of_scope(scope_id: str, seq: int, now_ms: int) -> Steps[int]:
    """Disables a registrant's subscription."""
    return (yield from execute(CANCEL_OF_SCOPE, seq, scope_id, now_ms))


@program("write")
def delete_session(session_id: str) -> Steps[int]:
    """Removes what a session registered."""
    yield from lock(session_lock(session_id))
    removed = yield from execute(DELETE_OF_SESSION, session_id)
    return removed + (yield from execute(DELETE_SCHEDULES_OF_SESSION, session_id))


def live_subscription_drafts() -> Steps[list[SubscriptionDraft]]:
    """The step: everything registered that may still start something."""
    rows = yield from many(LIVE_DRAFTS)
    return [decoded("trigger subscription", row.draft_json, SubscriptionDraft) for row in rows]


def subscription_of(row: SubscriptionRow) -> Subscription:
    """A subscription; raises `StoredDataCorrupt`."""
    subscription_id = f"subscription:{row.seq}"
    return Subscription(
        subscription_id=subscription_id,
        handle=f"trigger:{row.seq}",
        revision=row.revision,
        enabled=bool(row.enabled),
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        draft=decoded(f"trigger {subscription_id}", row.draft_json, SubscriptionDraft),
    )
