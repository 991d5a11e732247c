"""Executor locks: proof that an executor is dead, without waiting for its lease.

Every executor holds an OS lock for as long as its process lives: `flock` on a file
beside the database, a session advisory lock on PostgreSQL. Whoever can take that
lock has proved the holder dead (docs/decisions, 5). In memory nobody is ever dead:
no other process shares the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
from pathlib import Path
from typing import Protocol

from lash.sessions.errors import StoreUnavailable


class Liveness(Protocol):
    """Who is alive."""

    async def hold(self, executor_id: str) -> None:
        """Takes the lock of an executor of this process."""
        ...

    async def release(self, executor_id: str) -> None:
        """Gives the lock back when the executor ends in order."""
        ...

    async def is_dead(self, executor_id: str) -> bool:
        """Whether no living process holds the lock of that executor."""
        ...

    async def close(self) -> None: ...


class NobodyDies:
    """The memory store's answer."""

    async def hold(self, executor_id: str) -> None:
        """Nothing to do."""

    async def release(self, executor_id: str) -> None:
        """Nothing to do."""

    async def is_dead(self, executor_id: str) -> bool:
        """Never."""
        return False

    async def close(self) -> None:
        """Nothing to do."""


class FileLocks:
    """Lock files in `<database>.lock/`. The kernel releases them when the process ends, however it ends."""

    def __init__(self, database: str) -> None:
        self._folder = Path(f"{database}.lock")
        self._held: dict[str, int] = {}

    async def hold(self, executor_id: str) -> None:
        """Takes the lock; raises `StoreUnavailable` when another process has it or the folder is not writable."""
        if executor_id not in self._held:
            self._held[executor_id] = await asyncio.to_thread(self._lock, executor_id)

    async def release(self, executor_id: str) -> None:
        """Removes the file and gives the lock back."""
        descriptor = self._held.pop(executor_id, None)
        if descriptor is None:
            return
        with contextlib.suppress(OSError):
            self._path(executor_id).unlink()
        os.close(descriptor)

    async def is_dead(self, executor_id: str) -> bool:
        """Whether the lock is free, or its file gone with a holder that left in order."""
        if executor_id in self._held:
            return False
        return await asyncio.to_thread(self._is_free, executor_id)

    async def close(self) -> None:
        """Gives every lock back."""
        for executor_id in list(self._held):
            await self.release(executor_id)

    def _lock(self, executor_id: str) -> int:
        path = self._path(executor_id)
        try:
            self._folder.mkdir(exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreUnavailable(f"{path}: {error}; the folder of the database must be writable") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, executor_id.encode())  # for people who look
        except OSError as error:
            os.close(descriptor)
            raise StoreUnavailable(f"{path}: executor {executor_id} is alive in another process") from error
        return descriptor

    def _is_free(self, executor_id: str) -> bool:
        path = self._path(executor_id)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        except OSError:
            return False  # no proof
        try:
            # Shared: two claimants that look at once must not take each other for the holder.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            path.unlink()  # the dead do not clean up
        return True

    def _path(self, executor_id: str) -> Path:
        # Executor ids hold slashes and whatever a machine calls itself.
        return self._folder / hashlib.sha256(executor_id.encode()).hexdigest()[:32]
