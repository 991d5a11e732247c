"""Cooperative cancellation with a reason.

A token is cancelled once. Its reason decides what a cancelled wait may do: only
`requested` is the user's will and may be recorded; a lost lease or a shutdown
merely detaches this process from work that another will continue
(docs/spec/durability.md §2.8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, TypeAlias

CancelReason: TypeAlias = Literal["requested", "timeout", "lease_lost", "shutdown"]


class CancelToken:
    """A one-way switch that tasks can watch."""

    __slots__ = ("_callbacks", "_event", "reason")

    def __init__(self) -> None:
        self.reason: CancelReason | None = None
        self._event: asyncio.Event | None = None
        self._callbacks: list[Callable[[], None]] = []

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
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    async def wait(self) -> CancelReason:
        """Returns the reason as soon as the token is cancelled."""
        if self.reason is None:
            if self._event is None:
                self._event = asyncio.Event()
            await self._event.wait()
        assert self.reason is not None
        return self.reason

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls `callback` at cancellation (at once if it happened); returns an undo."""
        if self.reason is not None:
            callback()
            return lambda: None
        self._callbacks.append(callback)

        def undo() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return undo
