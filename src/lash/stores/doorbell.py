"""A doorbell on a file: the kernel says when anybody on this machine writes to it.

Linux has inotify; elsewhere, or where the kernel gives no more of them, there is none and
whoever would wait for it has to look now and then. It rings at the write, before the
writer has synced it, and may fail to ring (network and some shared file systems): it
tells when looking is worth while, never that nothing has happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
from typing import Final

_IN_MODIFY: Final = 0x2
_READ_BYTES: Final = 4096


class Doorbell:
    """Rings are kept until they are heard, so none is lost between two waits."""

    def __init__(self, path: str) -> None:
        """Raises `OSError` when the file is not there or there are no doorbells here."""
        if not sys.platform.startswith("linux"):
            raise OSError("there is no inotify on this system")
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = _checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            _checked(libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_MODIFY))
        except OSError:
            os.close(self._descriptor)
            raise

    def has_rung(self) -> bool:
        """Whether it has rung since this was asked last."""
        has_rung = False
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self._descriptor, _READ_BYTES)) > _READ_BYTES // 2:
                has_rung = True
            has_rung = True
        return has_rung

    async def rings(self, timeout_s: float) -> None:
        """Returns when it has rung, and after `timeout_s` in any case."""
        loop = asyncio.get_running_loop()
        rung: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(timeout_s, _settle, rung)
        loop.add_reader(self._descriptor, _settle, rung)
        try:
            await rung
        finally:
            loop.remove_reader(self._descriptor)
            timer.cancel()

    def close(self) -> None:
        """Lets go of the file."""
        os.close(self._descriptor)


def _settle(rung: asyncio.Future[None]) -> None:
    if not rung.done():
        rung.set_result(None)


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
