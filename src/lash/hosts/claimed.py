"""The controller of a scope that no lease covers: every effect claims its own row.

Used for operations of the host, session deletion and drains outside a session
lease. Two of them on one key compete on the row; the loser waits for the winner's
outcome (docs/spec/durability.md §2.7).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import assert_never

from lash.base.clock import Clock
from lash.base.ids import IdSource
from lash.base.tier import DurabilityTier
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.errors import EffectControllerError, EffectCorrupt, EffectInDoubt, EffectLeaseLost
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
)
from lash.effects.lease import LeaseTimings
from lash.effects.local import Local
from lash.effects.mismatch import hash_conflict
from lash.effects.ports import ClaimRequest, JournalStore
from lash.effects.scope import ExecutionScope
from lash.effects.waits import AwaitEventKey, WaitIdentity
from lash.hosts.controller import ScopedController
from lash.hosts.outcomes import pack_error, pack_outcome, unpack_error, unpack_outcome
from lash.hosts.promises import Promises, WaitDetached
from lash.hosts.sleeping import sleep_until

# Another controller runs the effect: look again soon, but not in a spin.
BUSY_POLL_MS = 25


class ClaimedController(ScopedController):
    """Claims, runs, renews and finalizes one journal row per effect."""

    def __init__(
        self,
        scope: ExecutionScope,
        *,
        store: JournalStore,
        promises: Promises,
        clock: Clock,
        ids: IdSource,
        owner: str,
        timings: LeaseTimings,
        producer: str,
        is_strict_replay: bool = False,
    ) -> None:
        super().__init__(scope)
        self._store = store
        self._promises = promises
        self._clock = clock
        self._ids = ids
        self._owner = owner
        self._timings = timings
        self._producer = producer
        self._is_strict_replay = is_strict_replay

    def durability_tier(self) -> DurabilityTier:
        """That of the store beneath."""
        return self._store.durability_tier()

    def completion_key(self, wait: WaitIdentity) -> AwaitEventKey:
        """The signed key of a wait in this scope."""
        return self._promises.key(self._scope, wait)

    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """The recorded outcome, or that of `local` under a claim of ours."""
        key = envelope.replay_key
        token = self._ids.new_token()
        request = self._request(envelope, local, token)
        while True:
            answer = await self._store.claim(self._scope, request)
            decision = answer.decision
            match decision:
                case Claim(due_at_ms=due, attempts=attempts):
                    left = None if due is None else due - answer.now_ms
                    return await self._run(envelope, local, token, attempts, left)
                case Answer(outcome_json=text, due_at_ms=due):
                    if due is not None and envelope.kind == "sleep":
                        await self._nap(due - answer.now_ms, local)
                    return await unpack_outcome(self._store, key, text)
                case AnswerError(error_json=text):
                    raise unpack_error(key, text)
                case Busy(retry_at_ms=retry_at):
                    await self._clock.sleep(min(BUSY_POLL_MS, max(1, retry_at - answer.now_ms)))
                case Diverged(row=row):
                    raise hash_conflict(row, envelope, self._producer)
                case InDoubt():
                    raise EffectInDoubt(key)
                case Missing():
                    raise EffectControllerError("effect_replay_missing", f"nothing is recorded under {key}")
                case Corrupt(what=what):
                    raise EffectCorrupt(key, what)
                case Execute():
                    raise EffectCorrupt(key, "an unowned effect must be claimed")
                case _:
                    assert_never(decision)

    async def _run(
        self, envelope: EffectEnvelope, local: Local, token: str, attempts: int, sleep_left_ms: int | None
    ) -> EffectOutcome:
        started = self._clock.now_ms()
        work = asyncio.ensure_future(self._perform(envelope, local, sleep_left_ms))
        heart = asyncio.ensure_future(self._keep(envelope.replay_key, token, work))
        try:
            try:
                outcome = await work
                text, blobs = pack_outcome(outcome)
            except EffectControllerError as error:
                if isinstance(error, WaitDetached):
                    raise
                failed = self._row(envelope, token, started, attempts, error_json=pack_error(error))
                await self._finalize(failed, token, {})
                raise
            await self._finalize(self._row(envelope, token, started, attempts, outcome_json=text), token, blobs)
            return outcome
        except asyncio.CancelledError:
            if heart.done() and not heart.cancelled() and heart.result():
                raise EffectLeaseLost(f"effect {envelope.replay_key}") from None
            await self._give_back(envelope.replay_key, token)
            raise
        except Exception as error:
            # What is no controller error is infrastructure: nothing of it is recorded.
            if isinstance(error, WaitDetached) or not isinstance(error, EffectControllerError):
                await self._give_back(envelope.replay_key, token)
            raise
        finally:
            for task in (heart, work):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    async def _perform(self, envelope: EffectEnvelope, local: Local, sleep_left_ms: int | None) -> EffectOutcome:
        if envelope.kind == "sleep":
            await self._nap(sleep_left_ms or 0, local)
            return EffectOutcome("sleep", {})
        if envelope.kind == "await_event":
            return await self._promises.perform(envelope, local)
        return await local.run(envelope)

    async def _nap(self, left_ms: int, local: Local) -> None:
        await sleep_until(self._clock, self._clock.now_ms() + left_ms, local.cancel)

    async def _keep(self, replay_key: str, token: str, work: asyncio.Future[EffectOutcome]) -> bool:
        """Renews the claim; cancels the work and says True when the claim is lost."""
        while True:
            await self._clock.sleep(self._timings.renew_ms)
            if not await self._store.renew(self._scope, replay_key, token, self._timings.ttl_ms):
                work.cancel()
                return True

    async def _finalize(self, row: JournalRow, token: str, blobs: dict[str, bytes]) -> None:
        if not await asyncio.shield(self._store.finalize(self._scope, row, token, blobs)):
            raise EffectLeaseLost(f"effect {row.replay_key}")

    async def _give_back(self, replay_key: str, token: str) -> None:
        with contextlib.suppress(Exception):  # the claim expires by itself otherwise
            await asyncio.shield(self._store.release(self._scope, replay_key, token))

    def _request(self, envelope: EffectEnvelope, local: Local, token: str) -> ClaimRequest:
        duration = envelope.command.body.get("duration_ms") if envelope.kind == "sleep" else None
        until = envelope.command.body.get("until_ms") if envelope.kind == "sleep" else None
        return ClaimRequest(
            replay_key=envelope.replay_key,
            kind=envelope.kind,
            envelope_hash=envelope.stable_hash,
            envelope_json=envelope.canonical,
            token=token,
            owner=self._owner,
            ttl_ms=self._timings.ttl_ms,
            is_never=local.impact == "never",
            sleep_ms=duration if isinstance(duration, int) else None,
            until_ms=until if isinstance(until, int) else None,
            is_strict_replay=self._is_strict_replay,
            producer=self._producer,
        )

    def _row(
        self,
        envelope: EffectEnvelope,
        token: str,
        started_at_ms: int,
        attempts: int,
        *,
        outcome_json: str | None = None,
        error_json: str | None = None,
    ) -> JournalRow:
        return JournalRow(
            replay_key=envelope.replay_key,
            kind=envelope.kind,
            envelope_hash=envelope.stable_hash,
            status="completed" if outcome_json is not None else "failed",
            outcome_json=outcome_json,
            error_json=error_json,
            lease_token=token,
            attempts=attempts,
            producer=self._producer,
            started_at_ms=started_at_ms,
            finished_at_ms=self._clock.now_ms(),
        )
