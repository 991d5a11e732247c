"""Waiting that a requested cancel cuts short."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from lash.base.cancel import CancelReason, CancelToken


async def unless_cancelled(work: Coroutine[Any, Any, None], cancel: CancelToken) -> CancelReason | None:
    """Does `work`; the reason when it was cut short or a cancel came meanwhile."""
    if cancel.reason is not None:
        work.close()
        return cancel.reason
    doing = asyncio.get_running_loop().create_task(work)
    undo = cancel.on_cancel(lambda: _stop(doing))
    try:
        await asyncio.wait({doing})
    finally:
        undo()
        doing.cancel()
    if not doing.cancelled() and (error := doing.exception()) is not None:
        raise error
    return cancel.reason


def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
