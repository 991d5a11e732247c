"""From a wake to queued work of a session, and to the words that its turn reads."""

from __future__ import annotations

from typing import Final

from lash.base.codec import struct_to_json
from lash.processes.events import WakeDelivery
from lash.sessions.queue import ProcessWakePayload, QueuedWorkDraft

# A week: a session that nobody opened for so long is not waiting for this wake.
WAKE_EXPIRY_MS: Final = 7 * 24 * 3_600_000
# What a model reads of one wake, as of the result of a tool; the event keeps all of it.
SHOWN_BYTES: Final = 16_384


def wake_source_key(process_id: str, sequence: int) -> str:
    """The source key of the batch: one per event, however often it is delivered."""
    return f"process:{process_id}:event:{sequence}:wake"


def wake_draft(wake: WakeDelivery) -> QueuedWorkDraft:
    """The work that a wake is; equal wakes that nobody has taken yet are one batch."""
    return QueuedWorkDraft(
        wake.target_session_id,
        [ProcessWakePayload(struct_to_json(wake))],
        source_key=wake_source_key(wake.process_id, wake.sequence),
        coalesce_key=wake.wake_id,
        delivery_policy="earliest_safe_boundary",
        slot_policy="exclusive",
        merge_key="never",
    )


def wake_text(wake: WakeDelivery) -> str:
    """What the session's turn reads: up to `SHOWN_BYTES` of what was said."""
    said = wake.input.encode()
    shown = wake.input if len(said) <= SHOWN_BYTES else said[:SHOWN_BYTES].decode(errors="ignore")
    text = (
        f"Background process wake\nProcess: {wake.process_id}\n"
        f"Event: {wake.event_type} #{wake.sequence}\nWake input:\n{shown}"
    )
    left_out = len(said) - len(shown.encode())
    return f"{text}\n… [{left_out} bytes left out; event #{wake.sequence} of the process has all]" if left_out else text
