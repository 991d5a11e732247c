"""The X rows of the effect journal and of durable waits, over any store bundle.

The suite makes its own journaled hosts over the store, with short leases (TTL 500 ms,
pause 600 ms) and, where an owner must seem paused, a clock whose sleeps never end.
Rows that have an owned form are run under a session lease as well.
"""

from __future__ import annotations

import asyncio
import contextlib

from lash.base.clock import Clock, SystemClock
from lash.base.json import Json
from lash.effects.envelope import EffectCommand, EffectEnvelope, EffectOutcome, durable_step_command, sleep_command
from lash.effects.errors import EffectControllerError, EffectHashConflict, TransientEffectError
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.lease import LeaseTimings
from lash.effects.local import Local
from lash.effects.ports import EffectController
from lash.effects.scope import ExecutionScope
from lash.effects.waits import AlreadyResolved, AwaitEventKey, CustomWait, ResolvedOk, UnknownOrRevoked
from lash.hosts.journal import JournaledEffectHost
from lash.sessions.accept import Claimant
from lash.sessions.store import SessionCreate
from lash.stores import Store
from lash.testing.clock import VirtualClock
from lash.testing.conformance.bundles import StorePair
from lash.testing.conformance.laws import Rows, Suite

TIMINGS = LeaseTimings(ttl_ms=500, renew_ms=150)
PAUSE_S = 0.6
SESSION_ID = "journal-session"
OPERATION = ExecutionScope.runtime_operation("journal-operation")

JOURNAL: Suite[StorePair] = Suite("journal")
law = JOURNAL.law


@law("X-01", stores="SP")
async def equal_keys_in_three_scopes_are_three_effects(pair: StorePair, row: Rows) -> None:
    host = _host(pair.store)
    scopes = [ExecutionScope.turn("A", "x"), ExecutionScope.turn("B", "x"), ExecutionScope.process("x")]

    outcomes = [await host.scoped(scope).execute(_step("k"), _returns(number)) for number, scope in enumerate(scopes)]

    row("X-01", [_value(outcome) for outcome in outcomes] == [0, 1, 2], outcomes)


@law("X-02", stores="SP")
async def a_changed_envelope_names_what_changed(pair: StorePair, row: Rows) -> None:
    for controller in await _both_forms(pair.store):
        for key, notes in (("short", ""), ("long", "x" * 5_000)):
            await controller.execute(_step(key, {"city": "Athens", "notes": notes}), _returns(1))
            await controller.barrier()
            calls: list[str] = []

            try:
                await controller.execute(_step(key, {"city": "Berlin", "notes": notes}), _returns(2, calls))
            except EffectHashConflict as error:
                paths = error.summary.first_divergent_paths if error.summary else []
                is_named = error.code == "effect_replay_hash_conflict" and paths == ["command.input.city"]
                row("X-02", is_named and calls == [], error)
            else:
                row("X-02", False, "no conflict")


@law("X-03", stores="SP")
async def a_cancelled_executor_leaves_nothing_behind(pair: StorePair, row: Rows) -> None:
    for controller in await _both_forms(pair.store):
        entered = asyncio.Event()

        async def hang(_envelope: EffectEnvelope, entered: asyncio.Event = entered) -> EffectOutcome:
            entered.set()
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        task = asyncio.ensure_future(controller.execute(_step("k"), Local(hang)))
        await entered.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

        outcome = await controller.execute(_step("k"), _returns("again"))

        row("X-03", _value(outcome) == "again", outcome)


@law("X-04", stores="SP")
async def a_long_effect_is_renewed_and_runs_once(pair: StorePair, row: Rows) -> None:
    first, second = _host(pair.store).scoped(OPERATION), _host(pair.store).scoped(OPERATION)
    calls: list[str] = []
    entered = asyncio.Event()

    async def long(_envelope: EffectEnvelope) -> EffectOutcome:
        calls.append("first")
        entered.set()
        await asyncio.sleep(2 * TIMINGS.ttl_ms / 1000)
        return EffectOutcome("durable_step", {"value": "first"})

    running = asyncio.ensure_future(first.execute(_step("k"), Local(long)))
    await entered.wait()
    rival = await second.execute(_step("k"), _returns("second", calls))

    row("X-04", (_value(await running), _value(rival), calls) == ("first", "first", ["first"]), calls)


@law("X-05", stores="SP")
async def a_paused_owner_cannot_finish_late(pair: StorePair, row: Rows) -> None:
    paused = _host(pair.store, clock=_NeverWakes()).scoped(OPERATION)
    released = asyncio.Event()
    entered = asyncio.Event()

    async def late(_envelope: EffectEnvelope) -> EffectOutcome:
        entered.set()
        await released.wait()
        return EffectOutcome("durable_step", {"value": "late"})

    first = asyncio.ensure_future(paused.execute(_step("k"), Local(late)))
    await entered.wait()
    await asyncio.sleep(PAUSE_S)
    second = await _host(pair.store).scoped(OPERATION).execute(_step("k"), _returns("second"))
    released.set()
    try:
        await first
    except EffectControllerError as error:
        row("X-05", error.code == "effect_replay_lease_lost", error.code)
    else:
        row("X-05", False, "the late owner finished")
    recorded = await _host(pair.store).scoped(OPERATION).execute(_step("k"), Local.unavailable())
    row("X-05", (_value(second), _value(recorded)) == ("second", "second"), recorded)


@law("X-05-owned", stores="SP")
async def a_superseded_session_owner_cannot_record(pair: StorePair, row: Rows) -> None:
    old = await _owned(pair.store, ttl_ms=0)
    await old.execute(_step("k0"), _returns("kept"))
    await old.barrier()
    new = await _owned(pair.store)

    await old.execute(_step("k1"), _returns("late"))
    try:
        await old.barrier()
    except EffectControllerError as error:
        row("X-05-owned", error.code == "effect_replay_lease_lost", error.code)
    else:
        row("X-05-owned", False, "the late owner recorded")
    outcome = await new.execute(_step("k1"), _returns("new"))
    kept = await new.execute(_step("k0"), Local.unavailable())
    row("X-05-owned", (_value(outcome), _value(kept)) == ("new", "kept"), outcome)


@law("X-05-owned", stores="SP")
async def a_session_owner_that_was_paused_asks_before_it_goes_on(pair: StorePair, row: Rows) -> None:
    clock = VirtualClock()
    old = await _owned(pair.store, ttl_ms=0, clock=clock)
    calls: list[str] = []
    await clock.advance(TIMINGS.renew_ms)
    await old.execute(_step("k0"), _returns("alone", calls))
    await old.barrier()
    await _owned(pair.store)

    await clock.advance(TIMINGS.renew_ms)
    try:
        await old.execute(_step("k1"), _returns("again", calls))
    except EffectControllerError as error:
        row("X-05-owned", error.code == "effect_replay_lease_lost", error.code)
    else:
        row("X-05-owned", False, "the replaced owner went on")
    row("X-05-owned", calls == ["alone"], calls)


SLEEP_MS = 500


@law("X-06", stores="SP")
async def a_sleep_goes_on_where_it_was(pair: StorePair, row: Rows) -> None:
    assert pair.reopen is not None
    for form in (_unowned, _owned):
        for away in (False, True):
            key, began = f"{form.__name__}:{away}", _seconds()
            task = asyncio.ensure_future((await form(pair.store)).execute(_sleep(key, SLEEP_MS), Local.sleep()))
            await asyncio.sleep(0.1)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if away:
                await asyncio.sleep(SLEEP_MS / 1_000)

            again = await form(await pair.reopen())
            resumed = _seconds()
            await again.execute(_sleep(key, SLEEP_MS), Local.sleep())

            if away:  # its time has passed: not even a busy machine takes as long as a whole sleep
                row("X-06", _seconds() - resumed < SLEEP_MS / 1_000 * 0.8, _seconds() - resumed)
            else:
                row("X-06", _seconds() - began >= SLEEP_MS / 1_000 * 0.95, _seconds() - began)


def _seconds() -> float:
    return asyncio.get_running_loop().time()


@law("X-07", stores="SP")
async def trouble_of_the_infrastructure_is_not_recorded(pair: StorePair, row: Rows) -> None:
    for controller in await _both_forms(pair.store):

        async def fail(_envelope: EffectEnvelope) -> EffectOutcome:
            raise TransientEffectError("the pool is exhausted; try again")

        try:
            await controller.execute(_step("k"), Local(fail))
        except TransientEffectError:
            row("X-07", True)
        else:
            row("X-07", False, "no error")
        outcome = await controller.execute(_step("k"), _returns("retried"))
        row("X-07", _value(outcome) == "retried", outcome)


@law("X-08", stores="SP")
async def a_resolution_waits_for_its_waiter(pair: StorePair, row: Rows) -> None:
    assert pair.reopen is not None
    host = _host(pair.store)
    await host.open()
    key = host.scoped(OPERATION).completion_key(CustomWait("approval"))
    await host.resolve_await_event(key, ResolvedOk({"approved": True}))

    later = _host(await pair.reopen())
    resolution = await later.await_await_event(key)
    second = await later.resolve_await_event(key, ResolvedOk({"approved": False}))
    forged = AwaitEventKey(key.scope, key.wait, key.key_id, "0" * 64)
    tampered = await later.resolve_await_event(forged, ResolvedOk(None))

    expected = ResolvedOk({"approved": True})
    row("X-08", resolution == expected, resolution)
    row("X-08", second == AlreadyResolved(expected), second)
    row("X-08", tampered == UnknownOrRevoked(), tampered)


class _NeverWakes(SystemClock):
    """The clock of an owner that is paused: its heartbeat never comes."""

    async def sleep(self, ms: int) -> None:
        del ms
        await asyncio.Event().wait()


def _host(store: Store, clock: Clock | None = None) -> JournaledEffectHost:
    return JournaledEffectHost(store.journal, store.waits, clock=clock, timings=TIMINGS)


async def _unowned(store: Store) -> EffectController:
    return _host(store).scoped(OPERATION)


async def _owned(store: Store, *, ttl_ms: int = 60_000, clock: Clock | None = None) -> EffectController:
    """A controller under a session lease that nobody else holds any more."""
    session = await store.sessions.create_store(SessionCreate(SESSION_ID))
    row = await session.get_session_lease(SESSION_ID)
    token = f"lease-{0 if row is None else row.fence}"
    dead = None if row is None else row.token or None
    claimant = Claimant("host/executor", token, f"claim-{token}", ttl_ms, proven_dead_token=dead)
    lease = await session.try_claim_session_lease(SESSION_ID, claimant)
    assert lease is not None
    scope = ExecutionScope.turn(SESSION_ID, "journal-turn")
    return await _host(store, clock).owned(scope, lease, is_fresh=False)


async def _both_forms(store: Store) -> list[EffectController]:
    return [await _unowned(store), await _owned(store)]


def _envelope(key: str, command: EffectCommand) -> EffectEnvelope:
    return EffectEnvelope(Invocation.effect(RuntimeScope("journal"), key, command.kind, key), command)


def _step(key: str, step_input: Json = None) -> EffectEnvelope:
    return _envelope(key, durable_step_command("step", step_input))


def _sleep(key: str, duration_ms: int) -> EffectEnvelope:
    return _envelope(f"sleep-{key}", sleep_command(duration_ms=duration_ms))


def _returns(value: Json, calls: list[str] | None = None) -> Local:
    async def step() -> Json:
        if calls is not None:
            calls.append(str(value))
        return value

    return Local.durable_step(step)


def _value(outcome: EffectOutcome) -> Json:
    return outcome.expect("durable_step")["value"]
