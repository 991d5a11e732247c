"""What the processes of the demo are told to do."""

from __future__ import annotations

from typing import Literal

import msgspec


class Orders(msgspec.Struct, frozen=True):
    """What one process is told to do. Without `stop_at` it lives, asks twice, and goes on talking."""

    number: int
    store: str
    session_id: str
    turn_id: str
    folder: str
    log: str
    outbox: str
    stop_at: str | None = None
    act: Literal["calls", "programs"] = "calls"
