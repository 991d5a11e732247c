"""The ports of the effect system: hosts and controllers, and the stores beneath them.

`EffectController.execute` is the one method that crosses from the runtime into
the world. `JournalStore` and `WaitStore` are what a store must offer so that the
journaled host (hosts/journal.py) can record and replay through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from lash.base.cancel import CancelToken
from lash.base.json import JsonObject
from lash.base.tier import DurabilityTier
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.journal import Decision, JournalRow
from lash.effects.lease import Lease
from lash.effects.local import Branch, Local
from lash.effects.scope import ExecutionScope
from lash.effects.waits import AwaitEventKey, OpenWait, Resolution, ResolveOutcome, WaitIdentity

T = TypeVar("T")


class EffectSummary(msgspec.Struct, frozen=True):
    """One effect of a scope in brief: what the turn's stamp keeps of it (decisions 4)."""

    key: str
    kind: str
    hash: str
    attempts: int
    started_at_ms: int
    finished_at_ms: int | None
    replayed: bool


class EffectController(Protocol):
    """Executes or replays the effects of one scope."""

    def execution_scope(self) -> ExecutionScope: ...

    def scope_id(self) -> str: ...

    def turn_id(self) -> str | None: ...

    def durability_tier(self) -> DurabilityTier: ...

    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """The recorded outcome, or that of `local`, recorded. Safe to call concurrently with other keys."""
        ...

    async def run_group(self, branches: Sequence[Branch[T]]) -> list[T]:
        """Runs branches concurrently; their results in request order.

        The first exception that leaves a branch cancels the others and is raised.
        """
        ...

    async def barrier(self) -> None:
        """Returns when everything that had finished before the call is durable."""
        ...

    async def retract(self) -> list[JournalRow]:
        """Before a commit: takes back rows that were not sent and waits for those that were."""
        ...

    def restore(self, rows: list[JournalRow]) -> None:
        """After a commit that failed and lets the driver go on: puts retracted rows back."""
        ...

    def summary(self) -> list[EffectSummary]:
        """Every effect of the scope in brief, in order; empty where nothing is recorded."""
        ...

    async def load_blob(self, ref: str) -> bytes | None:
        """Bytes that a recorded outcome refers to."""
        ...

    def has_recorded(self, replay_key: str) -> bool:
        """Whether this effect is recorded."""
        ...

    def has_recorded_beyond(self, effect_number: int) -> bool:
        """Whether the journal holds an effect of this turn with a higher number (decisions 2)."""
        ...

    def completion_key(self, wait: WaitIdentity) -> AwaitEventKey:
        """The signed key of a wait in this scope."""
        ...


class EffectHost(Protocol):
    """The deployment's effect boundary: hands out controllers and resolves waits."""

    def durability_tier(self) -> DurabilityTier: ...

    def scoped(self, scope: ExecutionScope) -> EffectController:
        """A controller for `scope`; raises `missing_execution_scope_id`."""
        ...

    def scoped_static(self, scope: ExecutionScope) -> EffectController | None:
        """A controller that outlives the caller's frame, or None where the host cannot."""
        ...

    async def owned(
        self, scope: ExecutionScope, lease: Lease, *, is_fresh: bool, on_lost: Callable[[], None]
    ) -> EffectController:
        """A controller that writes under `lease`.

        `is_fresh`: nothing can be recorded yet. `on_lost` is called once when a write
        finds another owner.
        """
        ...

    async def resolve_await_event(self, key: AwaitEventKey, resolution: Resolution) -> ResolveOutcome:
        """Stores the resolution unless one stands; the first writer wins."""
        ...

    async def await_await_event(
        self, key: AwaitEventKey, cancel: CancelToken | None = None, deadline_ms: int | None = None
    ) -> Resolution:
        """Waits for the resolution. Raises `await_event_unknown_or_revoked`."""
        ...

    async def open_waits(self, session_id: str | None = None) -> list[OpenWait]:
        """Described waits that nobody has resolved, oldest first; of one session or of all."""
        ...

    async def await_event_key(self, key_id: str) -> AwaitEventKey | None:
        """The signed key of a known wait, resolved or not; None when there is none of that id."""
        ...

    async def revoke_await_events_for_session(self, session_id: str) -> None:
        """Invalidates every key of the session for good and wakes its waiters."""
        ...

    async def cancel_await_events_for_session(self, session_id: str) -> None:
        """Resolves every open wait of the session as cancelled; the session stays usable."""
        ...


class ClaimRequest(msgspec.Struct, frozen=True):
    """What an unowned controller asks of the journal for one effect.

    `sleep_ms`/`until_ms` fix the due time at the first claim. `token` was minted by the
    caller, so a repeated claim is recognised as the same one.
    """

    replay_key: str
    kind: str
    envelope_hash: str
    envelope_json: str
    token: str
    owner: str
    ttl_ms: int
    is_never: bool = False
    sleep_ms: int | None = None
    until_ms: int | None = None
    is_strict_replay: bool = False
    producer: str = ""


class ClaimAnswer(msgspec.Struct, frozen=True):
    """The journal's decision, and what the store's clock said."""

    decision: Decision
    now_ms: int


class JournalStore(Protocol):
    """Effect journal rows. Every method is one transaction."""

    def durability_tier(self) -> DurabilityTier: ...

    async def load(self, scope: ExecutionScope) -> list[JournalRow]:
        """Every row of the scope, in the order they were written."""
        ...

    async def get(self, scope: ExecutionScope, replay_key: str) -> JournalRow | None: ...

    async def holds(self, lease: Lease) -> bool:
        """Whether the lease's token is still on its row."""
        ...

    async def append(
        self, scope: ExecutionScope, lease: Lease, rows: Sequence[JournalRow], blobs: Mapping[str, bytes]
    ) -> None:
        """Writes finished rows under the lease. A row of our own that is already there counts as written.

        Raises `LeaseLost` when the lease's token is no longer on its row (stores §6).
        """
        ...

    async def begin(self, scope: ExecutionScope, lease: Lease, row: JournalRow) -> None:
        """Writes an `in_progress` row under the lease, before a `never` effect or a sleep starts."""
        ...

    async def finish(self, scope: ExecutionScope, lease: Lease, row: JournalRow, blobs: Mapping[str, bytes]) -> None:
        """Completes a row that `begin` wrote; raises `LeaseLost`."""
        ...

    async def claim(self, scope: ExecutionScope, request: ClaimRequest) -> ClaimAnswer:
        """Decides about an effect of an unowned scope and writes the claim row if it is ours to run."""
        ...

    async def finalize(self, scope: ExecutionScope, row: JournalRow, token: str, blobs: Mapping[str, bytes]) -> bool:
        """Completes or fails a claimed row that is still ours and unexpired; False when it is not."""
        ...

    async def renew(self, scope: ExecutionScope, replay_key: str, token: str, ttl_ms: int) -> bool:
        """Extends a claim; False when it is no longer ours."""
        ...

    async def release(self, scope: ExecutionScope, replay_key: str, token: str) -> None:
        """Gives a claim back without an outcome (lease expiry 0, status kept)."""
        ...

    async def settle(self, scope: ExecutionScope, replay_key: str, outcome_json: str | None) -> bool:
        """Ends a doubt: records the outcome, or with None removes the row so that it runs again."""
        ...

    async def get_blob(self, ref: str) -> bytes | None:
        """Content-addressed bytes written beside rows (`ref` is their SHA-256)."""
        ...


class WaitRow(msgspec.Struct, frozen=True):
    """What is stored of a wait."""

    key_id: str
    deadline_ms: int | None
    resolution: Resolution | None
    is_revoked: bool


class WaitRecord(msgspec.Struct, frozen=True):
    """A stored wait as it was described, without the signature."""

    key_id: str
    scope: ExecutionScope
    wait: WaitIdentity
    subject: JsonObject | None
    created_at_ms: int
    deadline_ms: int | None


class WaitStore(Protocol):
    """Durable promises."""

    def durability_tier(self) -> DurabilityTier: ...

    async def signing_secret(self, candidate: bytes) -> bytes:
        """The store's secret; `candidate` becomes it when there is none yet."""
        ...

    async def open_wait(
        self, key: AwaitEventKey, deadline_ms: int | None, subject: JsonObject | None = None
    ) -> WaitRow:
        """Registers the wait unless it is known; the first deadline and the first subject stand."""
        ...

    async def list_open(self, session_id: str | None) -> list[WaitRecord]:
        """Unresolved waits that have a subject, oldest first. Those of a turn that is over are left out."""
        ...

    async def find(self, key_id: str) -> WaitRecord | None:
        """A wait by its id, resolved or not; None when it is unknown or its session was deleted."""
        ...

    async def get_wait(self, key: AwaitEventKey) -> WaitRow | None:
        """The wait as it stands; None when nobody registered or resolved it."""
        ...

    async def settled(self, key: AwaitEventKey) -> WaitRow:
        """The registered wait as soon as it is resolved or revoked, by whichever process.

        However many wait, one of them looks when something changes.
        """
        ...

    async def resolve(self, key: AwaitEventKey, resolution: Resolution) -> ResolveOutcome:
        """Stores the resolution if none stands. The caller has checked the signature."""
        ...

    async def revoke_session(self, session_id: str) -> None: ...

    async def cancel_session(self, session_id: str) -> None: ...


class ChangeFeed(Protocol):
    """Tells when something in the store may have changed, also by another process.

    One watcher per store serves all waiters (decisions 27). Read `generation`
    first, then the data, then wait: a change in between is not missed.
    """

    def generation(self) -> int: ...

    async def changed(self, since: int) -> int:
        """Returns a generation above `since` as soon as there is one."""
        ...
