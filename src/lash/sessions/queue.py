"""Queued work: a session's durable ingress, and the pure rule of what runs next.

User input, process wakes and session commands enter as batches in one order per
session. A claim takes a prefix of what is ready and never skips; it is settled by
exactly one committed turn (docs/spec/durability.md §3.2, runtime.md §9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, TypeVar

import msgspec

from lash.base.canonical import tagged_hash_of_canonical
from lash.base.codec import encode
from lash.base.json import JsonObject

DeliveryPolicy: TypeAlias = Literal["earliest_safe_boundary", "after_current_turn_commit"]
SlotPolicy: TypeAlias = Literal["join", "exclusive"]
Boundary: TypeAlias = Literal["active_turn_checkpoint", "idle"]


class MergeGroup(msgspec.Struct, frozen=True):
    """Join batches of one group merge with their neighbours."""

    group: str


MergeKey: TypeAlias = Literal["never", "payload_default"] | MergeGroup


class TurnInputPayload(msgspec.Struct, frozen=True, tag="turn_input", tag_field="type"):
    """User input. `input` is a serialized turn input (runtime.md §2.3)."""

    input: JsonObject


class ProcessWakePayload(msgspec.Struct, frozen=True, tag="process_wake", tag_field="type"):
    """A background process wants the session's attention."""

    wake: JsonObject


class SessionCommandPayload(msgspec.Struct, frozen=True, tag="session_command", tag_field="type"):
    """Maintenance: refresh the tool catalog, reset the session."""

    command: JsonObject


QueuedPayload: TypeAlias = TurnInputPayload | ProcessWakePayload | SessionCommandPayload


class QueuedWorkDraft(msgspec.Struct, frozen=True):
    """Work to enqueue. Equal source keys of one session are the same work."""

    session_id: str
    payloads: list[QueuedPayload]
    source_key: str | None = None
    coalesce_key: str | None = None
    delivery_policy: DeliveryPolicy = "after_current_turn_commit"
    slot_policy: SlotPolicy = "exclusive"
    merge_key: MergeKey = "never"
    available_at_ms: int = 0

    @property
    def payload_hash(self) -> str:
        """Identity of the content, for `TurnInputConflict`."""
        return payload_hash_of(encode(self.payloads))


def payload_hash_of(payloads_json: str) -> str:
    """The same from the canonical text of the payloads."""
    return tagged_hash_of_canonical("lash.queue.payload/v1", payloads_json)


class QueuedItem(msgspec.Struct, frozen=True):
    """One payload of a batch."""

    item_id: str
    payload: QueuedPayload


class QueuedWorkBatch(msgspec.Struct, frozen=True):
    """Stored work. `enqueue_seq` strictly increases."""

    batch_id: str
    session_id: str
    enqueue_seq: int
    items: list[QueuedItem]
    source_key: str | None = None
    coalesce_key: str | None = None
    delivery_policy: DeliveryPolicy = "after_current_turn_commit"
    slot_policy: SlotPolicy = "exclusive"
    merge_key: MergeKey = "never"
    available_at_ms: int = 0
    enqueued_at_ms: int = 0


class EnqueueOutcome(msgspec.Struct, frozen=True):
    """What enqueueing did. `batch` is the original one when the source key was known."""

    status: Literal["inserted", "existing", "already_settled"]
    batch: QueuedWorkBatch


class QueuedWorkClaim(msgspec.Struct, frozen=True):
    """A claim on batches: guarded by its token, renewed while the turn lasts."""

    session_id: str
    claim_id: str
    owner_id: str
    lease_token: str
    fencing_token: int
    claimed_at_epoch_ms: int
    expires_at_epoch_ms: int
    batches: list[QueuedWorkBatch]

    @property
    def batch_ids(self) -> list[str]:
        """What it holds, in order."""
        return [batch.batch_id for batch in self.batches]

    def completion(self) -> QueuedWorkCompletion:
        """What a commit carries to settle this claim."""
        return QueuedWorkCompletion(self.session_id, self.claim_id, self.lease_token, self.batch_ids)


class QueuedWorkCompletion(msgspec.Struct, frozen=True):
    """Settles a claim inside a commit."""

    session_id: str
    claim_id: str
    lease_token: str
    batch_ids: list[str]


class ReadyBatch(msgspec.Struct, frozen=True):
    """What the selection rule needs to know of a batch."""

    batch_id: str
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey


B = TypeVar("B", ReadyBatch, QueuedWorkBatch)


def select_prefix(ready: Sequence[B], boundary: Boundary, max_batches: int) -> list[B]:
    """The leading batches that one claim takes, given ready ones in order.

    At a checkpoint the head must be deliverable early, or nothing is taken. An
    exclusive head is taken alone; a join head takes the following joins with equal
    delivery policy and merge key. Nothing is ever skipped.
    """
    if max_batches <= 0 or not ready:
        return []
    head = ready[0]
    if boundary == "active_turn_checkpoint" and head.delivery_policy == "after_current_turn_commit":
        return []
    taken = [head]
    if head.slot_policy == "exclusive":
        return taken
    for batch in ready[1:max_batches]:
        joins = (
            batch.slot_policy == "join"
            and batch.delivery_policy == head.delivery_policy
            and batch.merge_key == head.merge_key
            and head.merge_key != "never"
        )
        if not joins:
            break
        taken.append(batch)
    return taken
