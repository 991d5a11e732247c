"""The rows of one owned scope as this process knows them, and how they are written.

Apart from the journal that uses it, so that the outbox can write without holding the
journal: a journal then goes with its turn, and leaves nothing to the cycle collector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from lash.base.clock import Clock
from lash.effects.envelope import EffectOutcome
from lash.effects.errors import EffectControllerError, LeaseLost
from lash.effects.journal import JournalRow
from lash.effects.lease import Lease, LeaseTimings
from lash.effects.ports import JournalStore
from lash.effects.scope import ExecutionScope
from lash.hosts.outcomes import pack_error, pack_outcome

# What was asked for is read again only to say what diverged; the store has it then.
KEPT_ENVELOPE_CHARS: Final = 1024


class RowBook:
    """Rows by replay key, in the order they were written, and the proof that writing is still ours."""

    def __init__(
        self,
        scope: ExecutionScope,
        lease: Lease,
        rows: Sequence[JournalRow],
        store: JournalStore,
        clock: Clock,
        timings: LeaseTimings,
    ) -> None:
        self._scope = scope
        self._lease = lease
        self._store = store
        self._clock = clock
        self._trusted_s = timings.renew_ms / 1000
        # When the store last said that the lease is ours: when it was claimed, which a paused process may hear of late.
        claimed_at_ms = lease.expires_at_ms - timings.ttl_ms
        self._proved_at = clock.monotonic() - max(0, clock.now_ms() - claimed_at_ms) / 1000
        self.rows = {row.replay_key: _lean(row) for row in rows}
        # Outcomes of effects that only read, not yet encoded: the commit drops most of their rows.
        self.unencoded: dict[str, EffectOutcome] = {}

    async def append(self, rows: Sequence[JournalRow], blobs: Mapping[str, bytes]) -> None:
        """Writes finished rows under the lease. Raises `LeaseLost`."""
        large = dict(blobs)
        sealed = [self._sealed(row, large) for row in rows]
        asked_at = self._clock.monotonic()
        await self._store.append(self._scope, self._lease, sealed, large)
        self._proved_at = asked_at
        for row, written in zip(rows, sealed, strict=True):
            was_unencoded = self.unencoded.pop(row.replay_key, None) is not None
            if was_unencoded or self.rows.get(row.replay_key) is row:
                self.rows[row.replay_key] = _lean(written)

    async def prove(self) -> None:
        """Asks the store if it has not confirmed the lease for a renewal's time: whoever was away may be replaced.

        Raises `LeaseLost`.
        """
        asked_at = self._clock.monotonic()
        if asked_at - self._proved_at < self._trusted_s:
            return
        if not await self._store.holds(self._lease):
            raise LeaseLost(self._lease.kind, self._lease.key, self._lease.fence)
        self._proved_at = asked_at

    def _sealed(self, row: JournalRow, blobs: dict[str, bytes]) -> JournalRow:
        """The row with its outcome encoded; one that cannot be is a recorded failure, so that replay is stable."""
        outcome = self.unencoded.get(row.replay_key)
        if outcome is None:
            return row
        try:
            text, large = pack_outcome(outcome)
        except EffectControllerError as error:
            return msgspec.structs.replace(row, status="failed", error_json=pack_error(error))
        blobs.update(large)
        return msgspec.structs.replace(row, outcome_json=text)


def _lean(row: JournalRow) -> JournalRow:
    """A stored row as it is kept in memory: without a long text of what was asked for.

    A model call says the whole conversation again, and a turn has hundreds of them.
    """
    if row.envelope_json is None or len(row.envelope_json) <= KEPT_ENVELOPE_CHARS:
        return row
    return msgspec.structs.replace(row, envelope_json=None)
