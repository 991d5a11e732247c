"""Waiting for a durable promise, whatever stores it.

The store says when a promise is settled, however that came about. A wait that is cut short by
a lost lease or a shutdown only detaches; the promise stays open for the next owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.codec import from_json, to_json
from lash.base.ids import IdSource
from lash.base.json import JsonObject
from lash.base.tier import DurabilityTier
from lash.base.waiting import first_of
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.errors import EffectControllerError
from lash.effects.local import Local
from lash.effects.ports import WaitRecord, WaitRow, WaitStore
from lash.effects.scope import ExecutionScope
from lash.effects.waits import (
    Accepted,
    AlreadyResolved,
    AwaitEventKey,
    OpenWait,
    Resolution,
    ResolveOutcome,
    TimedOut,
    UnknownOrRevoked,
    WaitCancelled,
    WaitIdentity,
    is_genuine,
    make_key,
)


class WaitDetached(EffectControllerError):
    """This process stopped waiting; the promise is still open and another owner will go on."""

    def __init__(self, reason: str) -> None:
        super().__init__("await_event_detached", f"the wait was left open: {reason}")


class Promises:
    """Signed keys, resolution and waiting over a `WaitStore`."""

    def __init__(self, store: WaitStore, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._secret: bytes | None = None

    async def open(self) -> None:
        """Loads or makes the signing secret."""
        if self._secret is None:
            self._secret = await self._store.signing_secret(self._ids.new_secret())

    def key(self, scope: ExecutionScope, wait: WaitIdentity) -> AwaitEventKey:
        """The signed key of a wait."""
        assert self._secret is not None, "the host was not opened"
        return make_key(scope, wait, self._secret)

    async def resolve(self, key: AwaitEventKey, resolution: Resolution) -> ResolveOutcome:
        """First writer wins; a forged key is `UnknownOrRevoked`.

        A deadline that has passed was first, also when no process was there to notice: an approval
        that comes too late approves nothing.
        """
        await self.open()
        assert self._secret is not None
        if not is_genuine(key, self._secret):
            return UnknownOrRevoked()
        row = await self._store.get_wait(key)
        if row is None or row.deadline_ms is None or self._clock.now_ms() < row.deadline_ms:
            return await self._store.resolve(key, resolution)
        outcome = await self._store.resolve(key, TimedOut())
        return AlreadyResolved(TimedOut()) if isinstance(outcome, Accepted) else outcome

    async def perform(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """The `await_event` effect: the same for every controller."""
        key = from_json(envelope.command.body["key"], AwaitEventKey)
        resolution = await self.wait(key, local.cancel, local.deadline_ms, subject=local.subject, on_open=local.on_open)
        return EffectOutcome("await_event", {"resolution": to_json(resolution)})

    async def open_waits(self, session_id: str | None = None) -> list[OpenWait]:
        """Described waits that nobody has resolved, oldest first."""
        await self.open()
        return [
            OpenWait(self.key(record.scope, record.wait), record.subject, record.created_at_ms, record.deadline_ms)
            for record in await self._store.list_open(session_id)
            if record.subject is not None
        ]

    async def find(self, key_id: str) -> AwaitEventKey | None:
        """The signed key of a stored wait."""
        await self.open()
        record = await self._store.find(key_id)
        return None if record is None else self.key(record.scope, record.wait)

    async def wait(
        self,
        key: AwaitEventKey,
        cancel: CancelToken | None = None,
        deadline_ms: int | None = None,
        *,
        subject: JsonObject | None = None,
        on_open: Callable[[], None] | None = None,
    ) -> Resolution:
        """The resolution of `key`. `on_open` is called once the wait is stored, if it is unresolved.

        Raises `await_event_unknown_or_revoked`, and `WaitDetached` when the token was
        cancelled for a reason that is not anybody's wish.
        """
        await self.open()
        assert self._secret is not None
        if not is_genuine(key, self._secret):
            raise _unknown(key)
        row = await self._store.open_wait(key, deadline_ms, subject)
        if on_open is not None and row.resolution is None and not row.is_revoked:
            on_open()
        while True:
            if row.is_revoked:
                raise _unknown(key)
            if row.resolution is not None:
                return row.resolution
            if cancel is not None and cancel.is_cancelled:
                if not cancel.is_requested:
                    raise WaitDetached(cancel.reason or "cancelled")
                return await self._end(key, WaitCancelled())
            if row.deadline_ms is not None and row.deadline_ms <= self._clock.now_ms():
                return await self._end(key, TimedOut())
            row = await self._settled(key, cancel, row)

    async def revoke_session(self, session_id: str) -> None:
        """Invalidates the session's keys for good."""
        await self._store.revoke_session(session_id)

    async def cancel_session(self, session_id: str) -> None:
        """Resolves the session's open waits as cancelled."""
        await self._store.cancel_session(session_id)

    async def _end(self, key: AwaitEventKey, resolution: Resolution) -> Resolution:
        match await self._store.resolve(key, resolution):
            case Accepted():
                return resolution
            case AlreadyResolved(terminal=terminal):
                return terminal
            case UnknownOrRevoked():
                raise _unknown(key)

    async def _settled(self, key: AwaitEventKey, cancel: CancelToken | None, row: WaitRow) -> WaitRow:
        """The wait when it is settled, or as it was when it is cancelled or its deadline has come."""
        found = row

        async def settle() -> None:
            nonlocal found
            found = await self._store.settled(key)

        waits: list[Coroutine[Any, Any, object]] = [settle()]
        if cancel is not None:
            waits.append(cancel.wait())
        if row.deadline_ms is not None:
            waits.append(self._clock.sleep(row.deadline_ms - self._clock.now_ms()))
        await first_of(*waits)
        return found


class MemoryWaits:
    """A `WaitStore` in this process: the inline tier's promises."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[str, WaitRow] = {}
        self._records: dict[str, WaitRecord] = {}
        self._revoked: set[str] = set()
        self._changed = asyncio.Event()
        self._secret: bytes | None = None

    def durability_tier(self) -> DurabilityTier:
        """Inline: gone with the process."""
        return "inline"

    async def signing_secret(self, candidate: bytes) -> bytes:
        """Made once per process."""
        self._secret = self._secret or candidate
        return self._secret

    async def open_wait(
        self, key: AwaitEventKey, deadline_ms: int | None, subject: JsonObject | None = None
    ) -> WaitRow:
        """Registers the wait unless it is known."""
        known = self._records.get(key.key_id)
        if known is None or (known.subject is None and subject is not None):
            self._records[key.key_id] = WaitRecord(
                key.key_id, key.scope, key.wait, subject, self._clock.now_ms(), deadline_ms
            )
        row = self._rows.get(key.key_id) or WaitRow(key.key_id, deadline_ms, None, is_revoked=False)
        if row.deadline_ms is None and deadline_ms is not None:
            row = WaitRow(key.key_id, deadline_ms, row.resolution, row.is_revoked)
        if key.scope.session_id in self._revoked:
            row = WaitRow(key.key_id, row.deadline_ms, row.resolution, is_revoked=True)
        self._rows[key.key_id] = row
        return row

    async def get_wait(self, key: AwaitEventKey) -> WaitRow | None:
        """The wait as it stands."""
        return await self.open_wait(key, None) if key.key_id in self._rows else None

    async def settled(self, key: AwaitEventKey) -> WaitRow:
        """Looks again after each change."""
        while True:
            changed = self._changed
            row = await self.open_wait(key, None)
            if row.is_revoked or row.resolution is not None:
                return row
            await changed.wait()

    async def list_open(self, session_id: str | None) -> list[WaitRecord]:
        """In the order they were opened."""
        return [
            record
            for record in self._records.values()
            if session_id in (None, record.scope.session_id)
            and record.scope.session_id not in self._revoked
            and self._rows[record.key_id].resolution is None
            and record.subject is not None
        ]

    async def find(self, key_id: str) -> WaitRecord | None:
        """A known wait."""
        record = self._records.get(key_id)
        return None if record is None or record.scope.session_id in self._revoked else record

    async def resolve(self, key: AwaitEventKey, resolution: Resolution) -> ResolveOutcome:
        """First writer wins."""
        row = await self.open_wait(key, None)
        if row.is_revoked:
            return UnknownOrRevoked()
        if row.resolution is not None:
            return AlreadyResolved(row.resolution)
        self._rows[key.key_id] = WaitRow(key.key_id, row.deadline_ms, resolution, is_revoked=False)
        self._announce()
        return Accepted()

    async def revoke_session(self, session_id: str) -> None:
        """For good."""
        self._revoked.add(session_id)
        self._announce()

    async def cancel_session(self, session_id: str) -> None:
        """Every open wait of the session."""
        for key_id, row in self._rows.items():
            if self._records[key_id].scope.session_id == session_id and row.resolution is None:
                self._rows[key_id] = WaitRow(key_id, row.deadline_ms, WaitCancelled(), row.is_revoked)
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _unknown(key: AwaitEventKey) -> EffectControllerError:
    return EffectControllerError(
        "await_event_unknown_or_revoked", f"wait {key.key_id[:12]}… is unknown, forged, or its session was deleted"
    )
