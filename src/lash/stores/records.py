"""Domain values as they lie in rows, and back.

Every decode failure is `StoredDataCorrupt` and names the row; nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

import msgspec

from lash.base.canonical import canonical_json, sha256_hex, tagged_hash
from lash.base.codec import DecodeError, decode, encode, to_json
from lash.base.json import Json
from lash.sessions.accept import TurnInFlight
from lash.sessions.checkpoint import Checkpoint, Component, TurnState
from lash.sessions.commit import CommitResult, RuntimeCommit, StoredTurn, component_ref
from lash.sessions.errors import StoredDataCorrupt, UnsupportedRecordSchemaVersion
from lash.sessions.frames import AgentFrame, SessionPolicy
from lash.sessions.graph import SessionNode
from lash.sessions.queue import MergeKey, QueuedItem, QueuedPayload, QueuedWorkBatch

T = TypeVar("T")

HEAD_VERSION: Final = 1


class StoredHead(msgspec.Struct, frozen=True):
    """`lash_sessions.head_json`: what changes with every turn and is small."""

    schema_version: int
    policy: SessionPolicy
    agent_frames: list[AgentFrame]
    current_agent_frame_id: str
    turn_state: TurnState
    plugin_snapshot_revision: int | None = None


class EncodedHead(NamedTuple):
    """A commit's head, ready to be written."""

    head_json: str
    manifest_json: str
    manifest: dict[str, str]
    checkpoint_ref: str
    turn_index: int
    bodies: list[tuple[str, bytes]]  # (ref, bytes) of components and frame snapshots
    frame_refs: list[str]  # refs that frames carry without their bytes


def encode_head(commit: RuntimeCommit) -> EncodedHead:
    """The head row of a commit."""
    checkpoint = commit.checkpoint
    bodies: list[tuple[str, bytes]] = []
    manifest: dict[str, str] = {}
    for key, component in checkpoint.components.items():
        manifest[key] = component_ref(component)
        if component.body is not None:
            bodies.append((manifest[key], component.body))
    frames: list[AgentFrame] = []
    frame_refs: list[str] = []
    for frame in commit.agent_frames:
        snapshot = frame.execution_state_snapshot
        if snapshot is not None:
            ref = sha256_hex(snapshot)
            bodies.append((ref, snapshot))
            frames.append(msgspec.structs.replace(frame, execution_state_ref=ref, execution_state_snapshot=None))
        else:
            if frame.execution_state_ref is not None:
                frame_refs.append(frame.execution_state_ref)
            frames.append(frame)
    head = StoredHead(
        HEAD_VERSION,
        commit.policy,
        frames,
        commit.current_agent_frame_id,
        checkpoint.turn_state,
        checkpoint.plugin_snapshot_revision,
    )
    manifest_json = encode(manifest)
    ref = tagged_hash(
        "lash.checkpoint/v1", to_json(checkpoint.turn_state), manifest_json, checkpoint.plugin_snapshot_revision
    )
    return EncodedHead(encode(head), manifest_json, manifest, ref, checkpoint.turn_state.turn_index, bodies, frame_refs)


def decode_head(session_id: str, head_json: str) -> StoredHead:
    """The head of a session; raises `UnsupportedRecordSchemaVersion` before it looks closer."""
    version = decoded(f"session {session_id}: head", head_json, _Versioned).schema_version
    if version != HEAD_VERSION:
        raise UnsupportedRecordSchemaVersion("session head", version, HEAD_VERSION)
    return decoded(f"session {session_id}: head", head_json, StoredHead)


def decode_checkpoint(
    session_id: str, head: StoredHead, manifest: Mapping[str, str], blobs: Mapping[str, bytes]
) -> Checkpoint:
    """The hydrated checkpoint of a head."""
    components = {
        key: Component(_blob(session_id, f"checkpoint component {key}", ref, blobs), ref)
        for key, ref in manifest.items()
    }
    return Checkpoint(head.turn_state, components, head.plugin_snapshot_revision)


def hydrate_frames(session_id: str, frames: list[AgentFrame], blobs: Mapping[str, bytes]) -> list[AgentFrame]:
    """Frames with their snapshots."""
    return [
        frame
        if frame.execution_state_ref is None
        else msgspec.structs.replace(
            frame,
            execution_state_snapshot=_blob(session_id, f"frame {frame.frame_id}", frame.execution_state_ref, blobs),
        )
        for frame in frames
    ]


def decode_manifest(session_id: str, manifest_json: str) -> dict[str, str]:
    """Component refs by key."""
    return decoded(f"session {session_id}: checkpoint manifest", manifest_json, dict[str, str])


def decode_node(session_id: str, node_json: str) -> SessionNode:
    """One graph node."""
    return decoded(f"session {session_id}: graph node", node_json, SessionNode)


def decode_turn(
    session_id: str, turn_id: str, result_json: str | None, summary_json: str | None, committed_at_ms: int
) -> StoredTurn:
    """One settled turn."""
    what = f"session {session_id}: turn {turn_id}"
    return StoredTurn(
        turn_id,
        None if result_json is None else decoded(what, result_json, CommitResult),
        None if summary_json is None else decoded(what, summary_json, dict[str, Json]),
        committed_at_ms,
    )


def decode_in_flight(session_id: str, turn_json: str) -> TurnInFlight:
    """The turn that a lease row names."""
    return decoded(f"session {session_id}: turn in flight", turn_json, TurnInFlight)


def encode_payloads(payloads: list[QueuedPayload]) -> str:
    """The payloads of a batch."""
    return canonical_json(to_json(payloads))


def encode_merge_key(key: MergeKey) -> str:
    """A merge key as JSON text."""
    return encode(key)


@lru_cache(maxsize=256)
def decode_merge_key(text: str) -> MergeKey:
    """The inverse; few keys exist, so they are kept."""
    key: MergeKey = decoded("merge key", text, MergeKey)  # type: ignore[arg-type]  # a union is a shape to msgspec
    return key


def item_id(batch_id: str, index: int) -> str:
    """Ids of the items of a batch."""
    return f"{batch_id}:item:{index}"


def batch_items(batch_id: str, payloads: list[QueuedPayload]) -> list[QueuedItem]:
    """The items of a batch."""
    return [QueuedItem(item_id(batch_id, index), payload) for index, payload in enumerate(payloads)]


class BatchRow(NamedTuple):
    """A row of `lash_queued_batches`, with `is_live`: claimed and unexpired by the store's clock."""

    enqueue_seq: int
    batch_id: str
    session_id: str
    source_key: str | None
    coalesce_key: str | None
    delivery_policy: str
    slot_policy: str
    merge_key_json: str
    available_at_ms: int
    enqueued_at_ms: int
    payloads_json: str
    payload_hash: str
    claim_id: str | None
    claim_owner: str | None
    claim_token: str | None
    claim_fencing_token: int
    claim_generation: int | None
    claim_claimed_at_ms: int
    claim_expires_at_ms: int
    is_live: int


def decode_batch(row: BatchRow, payloads: list[QueuedPayload] | None = None) -> QueuedWorkBatch:
    """A batch; of one that was just stored the payloads are at hand."""
    if payloads is None:
        what = f"session {row.session_id}: queued batch {row.batch_id}"
        payloads = decoded(what, row.payloads_json, list[QueuedPayload])
    return QueuedWorkBatch(
        batch_id=row.batch_id,
        session_id=row.session_id,
        enqueue_seq=row.enqueue_seq,
        items=batch_items(row.batch_id, payloads),
        source_key=row.source_key,
        coalesce_key=row.coalesce_key,
        delivery_policy="earliest_safe_boundary"
        if row.delivery_policy == "earliest_safe_boundary"
        else "after_current_turn_commit",
        slot_policy="join" if row.slot_policy == "join" else "exclusive",
        merge_key=decode_merge_key(row.merge_key_json),
        available_at_ms=row.available_at_ms,
        enqueued_at_ms=row.enqueued_at_ms,
    )


def decoded(what: str, text: str, shape: type[T]) -> T:
    """A stored value; raises `StoredDataCorrupt` that names it."""
    try:
        return decode(text, shape)
    except DecodeError as error:
        raise StoredDataCorrupt(f"{what} cannot be read: {error}") from error


def _blob(session_id: str, what: str, ref: str, blobs: Mapping[str, bytes]) -> bytes:
    if ref not in blobs:
        raise StoredDataCorrupt(f"session {session_id}: {what} refers to blob {ref}, which is gone")
    return blobs[ref]


class _Versioned(msgspec.Struct, frozen=True):
    schema_version: int
