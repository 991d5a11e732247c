"""Waiting until a session may be free."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lash.base.cancel import CancelToken
from lash.base.waiting import first_of
from lash.runtime.engine import Engine
from lash.sessions.accept import Waiting

# How often a waiter looks whether a silent owner is still alive.
PROBE_MS = 250


async def until_change(
    engine: Engine, waiting: Waiting, turned: asyncio.Event, leaving: Sequence[CancelToken] = ()
) -> str | None:
    """Returns when looking again may help; the token of the owner if it is provably dead.

    `turned` is set when a drive of this core ends; `leaving` are tokens that end the wait.
    """
    generation = engine.store.changes.generation()
    if waiting.owner != engine.executor_id and await engine.store.liveness.is_dead(waiting.owner):
        return waiting.lease_token
    pause = PROBE_MS
    if waiting.expires_at_ms and not waiting.is_expired:
        pause = max(1, min(pause, waiting.expires_at_ms - engine.clock.now_ms()))
    await first_of(
        engine.store.changes.changed(generation),
        turned.wait(),
        engine.clock.sleep(pause),
        *(token.wait() for token in leaving),
    )
    return None
