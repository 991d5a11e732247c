"""The journal of a scope that is owned through a lease.

While the lease holds nobody else writes, so the rows loaded at the start are the
whole truth: looking an effect up costs no IO, and an effect needs one write, at its
end, fenced by the lease. What must be durable before what is the table of
docs/design/stores.md §7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar, assert_never

from lash.base.clock import Clock
from lash.base.tier import DurabilityTier
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.errors import EffectControllerError, EffectCorrupt, EffectInDoubt, EffectLeaseLost, LeaseLost
from lash.effects.invocation import turn_effect_number
from lash.effects.journal import (
    Answer,
    AnswerError,
    Busy,
    Claim,
    Corrupt,
    Diverged,
    Execute,
    InDoubt,
    JournalRow,
    Missing,
    decide,
)
from lash.effects.lease import Lease, LeaseTimings
from lash.effects.local import Local
from lash.effects.mismatch import hash_conflict
from lash.effects.ports import EffectSummary, JournalStore
from lash.effects.scope import ExecutionScope
from lash.effects.waits import AwaitEventKey, WaitIdentity
from lash.hosts.controller import ScopedController
from lash.hosts.lingering import Lingering
from lash.hosts.outbox import Outbox
from lash.hosts.outcomes import pack_error, pack_outcome, unpack_error, unpack_outcome
from lash.hosts.promises import Promises
from lash.hosts.row_book import RowBook
from lash.hosts.sleeping import due_of, sleep_until

T = TypeVar("T")

_NOTHING: Final[frozenset[str]] = frozenset()


class _Running:
    """An effect in flight under a key, for a second caller to wait for."""

    __slots__ = ("_done", "envelope_hash")

    def __init__(self, envelope_hash: str) -> None:
        self.envelope_hash = envelope_hash
        self._done: asyncio.Event | None = None  # seldom does anybody wait

    async def wait(self) -> None:
        """Returns when it has ended."""
        if self._done is None:
            self._done = asyncio.Event()
        await self._done.wait()

    def end(self) -> None:
        """It has ended."""
        if self._done is not None:
            self._done.set()


class ScopeJournal(ScopedController):
    """Executes, records and replays the effects of one owned scope."""

    def __init__(
        self,
        scope: ExecutionScope,
        lease: Lease,
        rows: list[JournalRow],
        *,
        store: JournalStore,
        promises: Promises,
        clock: Clock,
        timings: LeaseTimings,
        lingering: Lingering,
        producer: str,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(scope)
        self._lease = lease
        self._store = store
        self._promises = promises
        self._clock = clock
        self._producer = producer
        self._on_lost = on_lost
        self._book = RowBook(scope, lease, rows, store, clock, timings)
        self._loaded = _NOTHING
        self._horizon = 0
        self.start_over()
        self._running: dict[str, _Running] = {}
        self._outbox = Outbox(self._book.append, lingering)
        self._is_lost = False

    def start_over(self) -> None:
        """A drive begins: what is recorded now is what it replays."""
        rows = self._book.rows
        self._loaded = frozenset(rows) if rows else _NOTHING
        self._horizon = max(turn_effect_number(self._scope, key) for key in rows) if rows else 0

    def durability_tier(self) -> DurabilityTier:
        """That of the store beneath."""
        return self._store.durability_tier()

    def completion_key(self, wait: WaitIdentity) -> AwaitEventKey:
        """The signed key of a wait in this scope."""
        return self._promises.key(self._scope, wait)

    async def load_blob(self, ref: str) -> bytes | None:
        """Bytes that a recorded outcome refers to, also while they are on their way to the store."""
        return await self.get_blob(ref)

    async def get_blob(self, ref: str) -> bytes | None:
        """See `load_blob`."""
        unsent = self._outbox.blob(ref)
        return await self._store.get_blob(ref) if unsent is None else unsent

    def has_recorded(self, replay_key: str) -> bool:
        """Whether this effect is recorded, by this drive or an earlier one."""
        return replay_key in self._book.rows

    def has_recorded_beyond(self, effect_number: int) -> bool:
        """Whether what was recorded when this drive began goes beyond this effect of the turn."""
        return self._horizon > effect_number

    async def barrier(self) -> None:
        """Returns when everything delivered before is durable."""
        try:
            await self._outbox.barrier()
        except LeaseLost as lost:
            raise self._lose() from lost

    async def retract(self) -> list[JournalRow]:
        """Before the commit: takes unsent rows back, waits for sent ones."""
        try:
            return await self._outbox.retract()
        except LeaseLost as lost:
            raise self._lose() from lost

    def restore(self, rows: list[JournalRow]) -> None:
        """After a commit that failed and lets the driver go on."""
        self._outbox.restore(rows)

    def rows(self) -> list[JournalRow]:
        """Everything known of the scope, in the order it was written."""
        return list(self._book.rows.values())

    def summary(self) -> list[EffectSummary]:
        """Every effect in brief, in order."""
        return [
            EffectSummary(
                key=row.replay_key,
                kind=row.kind,
                hash=row.envelope_hash,
                attempts=row.attempts,
                started_at_ms=row.started_at_ms,
                finished_at_ms=row.finished_at_ms,
                replayed=row.replay_key in self._loaded,
            )
            for row in self._book.rows.values()
        ]

    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """The recorded outcome of the effect, or that of `local`, recorded once."""
        key = envelope.replay_key
        while (running := self._running.get(key)) is not None:
            if running.envelope_hash != envelope.stable_hash:
                raise EffectControllerError(
                    "effect_replay_hash_conflict", f"another effect is in flight under the replay key {key}"
                )
            await running.wait()
        if self._is_lost:
            raise EffectLeaseLost(f"scope {self._scope.id}")
        row = self._book.rows.get(key)
        if row is not None and key in self._book.unencoded and row.envelope_hash == envelope.stable_hash:
            return self._book.unencoded[key]
        decision = decide(
            row,
            envelope_hash=envelope.stable_hash,
            ownership="owned",
            is_never=local.impact == "never",
            token=self._lease.token,
            due_at_ms=None,
            now_ms=self._clock.now_ms(),
        )
        match decision:
            case Execute() | Claim():
                return await self._run(envelope, local, row)
            case Answer(outcome_json=text, due_at_ms=due):
                if due is not None and envelope.kind == "sleep":
                    await sleep_until(self._clock, due, local.cancel)
                return await unpack_outcome(self, key, text)
            case AnswerError(error_json=text):
                raise unpack_error(key, text)
            case Diverged(row=recorded):
                whole = await self._store.get(self._scope, key)  # what is known here may lack what was asked for
                raise hash_conflict(whole or recorded, envelope, self._producer)
            case InDoubt():
                raise EffectInDoubt(key)
            case Corrupt(what=what):
                raise EffectCorrupt(key, what)
            case Busy() | Missing():
                raise EffectLeaseLost(f"effect {key}")
            case _:
                assert_never(decision)

    async def _run(self, envelope: EffectEnvelope, local: Local, row: JournalRow | None) -> EffectOutcome:
        key = envelope.replay_key
        running = self._running[key] = _Running(envelope.stable_hash)
        try:
            if envelope.kind == "sleep":
                return await self._sleep(envelope, local)
            attempts = 1 if row is None else row.attempts + 1
            if local.impact == "never":
                return await self._run_never(envelope, local, attempts)
            if local.impact == "changes":
                await self.barrier()
            await self._still_ours()
            started = self._clock.now_ms()
            try:
                if envelope.kind == "await_event":
                    outcome = await self._promises.perform(envelope, local)
                else:
                    outcome = await local.run(envelope)
                if local.impact == "reads":
                    self._book.unencoded[key] = outcome
                    self._deliver(self._row(envelope, started, attempts, status="completed"), outcome.blobs, local)
                    return outcome
                text, blobs = pack_outcome(outcome)
            except EffectControllerError as error:
                if not isinstance(error, EffectLeaseLost | EffectInDoubt) and error.code != "await_event_detached":
                    self._deliver(self._row(envelope, started, attempts, error_json=pack_error(error)), {}, local)
                raise
            self._deliver(self._row(envelope, started, attempts, outcome_json=text), blobs, local)
            return outcome
        finally:
            del self._running[key]
            running.end()

    async def _still_ours(self) -> None:
        try:
            await self._book.prove()
        except LeaseLost as lost:
            raise self._lose() from lost

    async def _sleep(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        # One row, written at the start: a replay waits only for what is left.
        now = self._clock.now_ms()
        due = due_of(envelope, now)
        outcome = EffectOutcome("sleep", {})
        text, _ = pack_outcome(outcome)
        self._deliver(self._row(envelope, now, 1, outcome_json=text, due_at_ms=due), {}, local, is_urgent=True)
        await sleep_until(self._clock, due, local.cancel)
        return outcome

    async def _run_never(self, envelope: EffectEnvelope, local: Local, attempts: int) -> EffectOutcome:
        """The start is evidence: written, durable, before the effect; its end before anyone hears of it."""
        await self.barrier()
        started = self._clock.now_ms()
        begun = self._row(envelope, started, attempts, status="in_progress")
        try:
            await self._store.begin(self._scope, self._lease, begun)
            self._book.rows[envelope.replay_key] = begun
            try:
                outcome = await local.run(envelope)
                text, blobs = pack_outcome(outcome)
            except EffectControllerError as error:
                await self._finish(self._row(envelope, started, attempts, error_json=pack_error(error)), {})
                raise
            await self._finish(self._row(envelope, started, attempts, outcome_json=text), blobs)
        except LeaseLost as lost:
            raise self._lose() from lost
        return outcome

    async def _finish(self, row: JournalRow, blobs: dict[str, bytes]) -> None:
        await self._store.finish(self._scope, self._lease, row, blobs)
        self._book.rows[row.replay_key] = row

    def _deliver(
        self, row: JournalRow, blobs: dict[str, bytes], local: Local, *, is_urgent: bool | None = None
    ) -> None:
        self._book.rows[row.replay_key] = row
        self._outbox.put(row, blobs, is_urgent=local.impact != "reads" if is_urgent is None else is_urgent)

    def _row(
        self,
        envelope: EffectEnvelope,
        started_at_ms: int,
        attempts: int,
        *,
        status: str | None = None,
        outcome_json: str | None = None,
        error_json: str | None = None,
        due_at_ms: int | None = None,
    ) -> JournalRow:
        if status is None:
            status = "completed" if outcome_json is not None else "failed"
        return JournalRow(
            replay_key=envelope.replay_key,
            kind=envelope.kind,
            envelope_hash=envelope.stable_hash,
            status=status,
            envelope_json=envelope.canonical,
            outcome_json=outcome_json,
            error_json=error_json,
            lease_token=self._lease.token,
            due_at_ms=due_at_ms,
            attempts=attempts,
            never=status == "in_progress",
            producer=self._producer,
            started_at_ms=started_at_ms,
            finished_at_ms=None if status == "in_progress" else self._clock.now_ms(),
        )

    def _lose(self) -> EffectLeaseLost:
        if not self._is_lost:
            self._is_lost = True
            self._on_lost()
        return EffectLeaseLost(f"scope {self._scope.id}")
