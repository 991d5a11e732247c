"""Changes of a session's head that are no turn: a fresh start, another branch, a fork's first state.

The turn in flight owns the session (decisions 6), so whoever else wants to move the
head waits for the lease, finishes that turn first, and commits under the lease.
"""

from __future__ import annotations

import asyncio
import contextlib

from lash.base.cancel import CancelToken
from lash.effects.errors import EffectInDoubt
from lash.effects.lease import Lease
from lash.runtime.drive import Parked
from lash.runtime.driving import ChangePlan, SessionDrives
from lash.runtime.waiting import until_change
from lash.sessions.accept import Idle, Owned, Waiting


async def change_session(drives: SessionDrives, plan: ChangePlan) -> bool:
    """Commits what `plan` says of the newest state, once no turn is in flight; whether there was anything.

    Raises `EffectInDoubt` when the turn in flight waits for the host to settle an effect.
    """
    leaving = CancelToken()
    # In a task of the engine: a caller who leaves must neither keep the lease nor tear the commit.
    change = drives.engine.spawn(_change(drives, plan, leaving), f"change {drives.memory.session_id}")
    try:
        return await asyncio.shield(change)
    except asyncio.CancelledError:
        leaving.cancel("requested")
        if not drives.engine.is_closing:
            with contextlib.suppress(Exception):
                await change
        raise


async def _change(drives: SessionDrives, plan: ChangePlan, leaving: CancelToken) -> bool:
    lease = await _free_lease(drives, leaving)
    return lease is not None and await drives.change(lease, plan)


async def _free_lease(drives: SessionDrives, leaving: CancelToken) -> Lease | None:
    """The session's lease with no turn in flight under it; None when nobody wants it any more."""
    engine, store, session_id = drives.engine, drives.store, drives.memory.session_id
    proven_dead_token: str | None = None
    while not leaving.is_cancelled:
        claimant = engine.claimant(proven_dead_token=proven_dead_token)
        lease = await store.try_claim_session_lease(session_id, claimant)
        row = await store.get_session_lease(session_id)
        proven_dead_token = None
        if lease is None:
            if row is not None:
                waiting = Waiting(None, row.owner, row.token, row.expires_at_ms, row.is_expired)
                proven_dead_token = await until_change(engine, waiting, drives.turned, leaving=[leaving])
            continue
        if not leaving.is_cancelled and (row is None or row.turn is None):
            return lease
        await store.release_session_lease(lease)
        if not leaving.is_cancelled:
            await _finish_turn(drives)
    return None


async def _finish_turn(drives: SessionDrives) -> None:
    """Drives the turn in flight, unless somebody else took it meanwhile."""
    match await drives.store.next_turn(drives.memory.session_id, drives.engine.claimant()):
        case Owned() as owned:
            driven = await drives.start(owned)
            if isinstance(driven, Parked):
                raise EffectInDoubt(driven.doubt.replay_key)
        case Waiting() | Idle():
            pass
