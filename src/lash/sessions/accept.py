"""Acceptance: the first of the two transactions of a turn.

One program looks the turn up among settled ones, enqueues its input, takes the
session lease and claims what must run next. Looking at the stamp first is what
keeps a turn from running twice: its journal is gone once it is settled
(docs/design/stores.md §8).
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from lash.effects.lease import Lease
from lash.sessions.commit import StoredTurn
from lash.sessions.queue import QueuedWorkBatch, QueuedWorkClaim, QueuedWorkDraft


class TurnInFlight(msgspec.Struct, frozen=True):
    """The turn that owns a session: named on the lease row until it is settled (decisions 6)."""

    turn_id: str
    batch_ids: list[str]
    base_revision: int
    turn_index: int


class Claimant(msgspec.Struct, frozen=True):
    """Who asks for a session lease. Tokens are minted before the claim, so a repeat is the same claim.

    `executor_id` is `{host_id}/{executor}`. `proven_dead_token` is the token of a rival whose
    executor lock the claimant could take: that lease may be taken over before it expires.
    """

    executor_id: str
    lease_token: str
    claim_token: str
    ttl_ms: int
    proven_dead_token: str | None = None


class Owned(msgspec.Struct, frozen=True):
    """The session is ours, and this is the turn to drive.

    `is_fresh`: the turn was never driven before, so nothing of it can be recorded.
    `has_more`: other work was queued in the session when it was claimed.
    """

    lease: Lease
    claim: QueuedWorkClaim
    turn: TurnInFlight
    is_fresh: bool
    head_revision: int
    has_more: bool = False


class Waiting(msgspec.Struct, frozen=True):
    """The input is stored; another executor (or an earlier run of ours) owns the session."""

    batch: QueuedWorkBatch | None
    owner: str
    lease_token: str
    expires_at_ms: int
    is_expired: bool


class Settled(msgspec.Struct, frozen=True):
    """The turn was committed before; nothing was changed."""

    turn: StoredTurn


class Idle(msgspec.Struct, frozen=True):
    """Nothing is ready to run; the lease was not kept."""


Acceptance: TypeAlias = Owned | Waiting | Settled
NextTurn: TypeAlias = Owned | Waiting | Idle


class AcceptTurn(msgspec.Struct, frozen=True):
    """A request to accept one turn. The draft's source key is `turn:{turn_id}`."""

    turn_id: str
    draft: QueuedWorkDraft
    claimant: Claimant
    max_batches: int = 64


def turn_source_key(turn_id: str) -> str:
    """The source key of a directly run turn."""
    return f"turn:{turn_id}"


def turn_id_of(batch: QueuedWorkBatch) -> str:
    """The turn that a batch starts: its own turn id, or one derived from the batch."""
    return started_turn_id(batch.source_key, batch.batch_id)


def started_turn_id(source_key: str | None, batch_id: str) -> str:
    """The same, from what identifies the batch."""
    if source_key is not None and source_key.startswith("turn:"):
        return source_key.removeprefix("turn:")
    return f"queue:{batch_id}"
