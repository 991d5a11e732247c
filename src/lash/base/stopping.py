"""Cutting foreign code short inside the task that runs it.

As `asyncio.timeout` does, but for any reason: the task is cancelled once, and the
request is taken back when the code has ended, so that a cancel by somebody else is
still told apart. Running the code in a task of its own would cost three rounds of
the event loop for every call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lash.base.cancel import CancelToken


class TaskStop:
    """Cancels a task at most once, and takes the request back."""

    __slots__ = ("_count", "_earlier", "_is_over", "_task", "_token", "reason")

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "only a task can be stopped"
        self._task: asyncio.Task[Any] = task
        self._earlier = task.cancelling()
        self._is_over = False
        self._count = 0
        self.reason: str | None = None

    @property
    def is_somebody_elses(self) -> bool:
        """Whether the task was also cancelled from outside: then `CancelledError` must pass."""
        return self._task.cancelling() > self._earlier + self._count

    def because(self, reason: str) -> None:
        """Stops the code; the first reason stays."""
        if self.reason is not None or self._is_over:
            return
        self.reason = reason
        # Code that stops itself is stopped at its next await, if it has one: cancelling
        # the running task here could hit what comes after it.
        if asyncio.current_task() is self._task:
            asyncio.get_running_loop().call_soon(self._cancel)
        else:
            self._cancel()

    def heed(self, token: CancelToken) -> Callable[[], None]:
        """Stops the code when the token is cancelled, for the token's reason. Returns an undo."""
        self._token = token
        return token.on_cancel(self._hear)

    def take_back(self) -> None:
        """The code has ended: nothing of the request is left on the task."""
        self._is_over = True
        if self._count:
            self._task.uncancel()
            self._count = 0

    def _hear(self) -> None:
        self.because(self._token.reason or "requested")

    def _cancel(self) -> None:
        if not self._is_over:
            self._count = 1
            self._task.cancel()
