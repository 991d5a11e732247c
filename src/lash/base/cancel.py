"""Cooperative cancellation with a reason.

A token is cancelled once. Its reason decides what a cancelled wait may do: `requested`
and `timeout` are somebody's will and may be recorded; a lost lease or a shutdown merely
detaches this process from work that another will continue, and so does parking: the work
comes back when there is something to do (docs/spec/durability.md §2.8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

CancelReason: TypeAlias = Literal["requested", "timeout", "lease_lost", "shutdown", "parked"]


class CancelToken:
    """A one-way switch that tasks can watch."""

    __slots__ = ("_callbacks", "_event", "reason")

    def __init__(self) -> None:
        self.reason: CancelReason | None = None
        self._event: asyncio.Event | None = None
        self._callbacks: dict[object, Callable[[], None]] = {}

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self.reason is not None

    @property
    def is_requested(self) -> bool:
        """Whether somebody wants the work to end, as opposed to this process leaving it."""
        return self.reason in ("requested", "timeout")

    def cancel(self, reason: CancelReason = "requested") -> None:
        """Switches the token; the first reason stays."""
        if self.reason is not None:
            return
        self.reason = reason
        if self._event is not None:
            self._event.set()
        while self._callbacks:  # a callback may undo another that has not been called yet
            self._callbacks.pop(next(iter(self._callbacks)))()

    async def wait(self) -> CancelReason:
        """Returns the reason as soon as the token is cancelled."""
        if self.reason is None:
            if self._event is None:
                self._event = asyncio.Event()
            await self._event.wait()
        assert self.reason is not None
        return self.reason

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls `callback` at cancellation (at once if it happened), in order of registration.

        Returns an undo that may be called at any time, and again. A callback must not raise.
        """
        if self.reason is not None:
            callback()
            return lambda: None
        registration = object()
        self._callbacks[registration] = callback
        return partial(_forget, self._callbacks, registration)


def _forget(callbacks: dict[object, Callable[[], None]], registration: object) -> None:
    callbacks.pop(registration, None)
