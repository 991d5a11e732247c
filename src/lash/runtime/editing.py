"""Editing input that waits: which may be changed, and what stays as it was."""

from __future__ import annotations

from collections.abc import Sequence

from lash.base.codec import DecodeError, from_json
from lash.base.errors import InvalidArgument
from lash.runtime.input import QueuedInput, TurnOptions
from lash.sessions.errors import QueuedInputTaken
from lash.sessions.queue import QueuedWorkBatch, TurnInputPayload


def editable(session_id: str, batch_id: str, pending: Sequence[QueuedWorkBatch]) -> QueuedWorkBatch:
    """The batch, if it waits and holds one input of the host. Raises `QueuedInputTaken` and `InvalidArgument`."""
    batch = next((batch for batch in pending if batch.batch_id == batch_id), None)
    if batch is None:
        raise QueuedInputTaken(session_id, batch_id)
    if (batch.source_key or "").startswith("turn:"):
        raise InvalidArgument(
            f"queued input {batch_id!r} belongs to a caller of run(turn_id=…), who waits for it; cancel it"
        )
    if [type(item.payload) for item in batch.items] != [TurnInputPayload]:
        raise InvalidArgument(f"queued work {batch_id!r} is no turn input; cancel it instead")
    return batch


def options_of(batch: QueuedWorkBatch) -> TurnOptions:
    """The turn options that the input was queued with."""
    payload = batch.items[0].payload
    assert isinstance(payload, TurnInputPayload)
    try:
        return from_json(payload.input, QueuedInput).options
    except DecodeError:  # it cannot be read: then it may well be replaced
        return TurnOptions()
