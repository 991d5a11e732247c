"""Sleeping on a clock, unless a token says otherwise."""

from __future__ import annotations

import asyncio
import contextlib

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.effects.envelope import EffectEnvelope
from lash.effects.errors import SleepCut


def due_of(envelope: EffectEnvelope, now_ms: int) -> int:
    """The epoch time at which a sleep effect that starts now is over."""
    until = envelope.command.body.get("until_ms")
    duration = envelope.command.body.get("duration_ms")
    if isinstance(until, int):
        return until
    assert isinstance(duration, int)
    return now_ms + duration


async def sleep_until(clock: Clock, due_ms: int, cancel: CancelToken | None) -> None:
    """Waits until `due_ms`; raises `runtime_effect_sleep_cancelled` when the token is cancelled first."""
    left = due_ms - clock.now_ms()
    if cancel is None:
        if left > 0:
            await clock.sleep(left)
        return
    if cancel.is_cancelled:
        raise _cancelled(cancel, due_ms)
    if left <= 0:
        return
    nap = asyncio.ensure_future(clock.sleep(left))
    undo = cancel.on_cancel(lambda: _stop(nap))
    try:
        await asyncio.wait([nap])
    finally:
        undo()
        nap.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await nap
    if cancel.reason is not None:
        raise _cancelled(cancel, due_ms)


def _stop(nap: asyncio.Future[None]) -> None:
    nap.cancel()


def _cancelled(cancel: CancelToken, due_ms: int) -> SleepCut:
    return SleepCut(cancel.reason or "cancelled", due_ms)
