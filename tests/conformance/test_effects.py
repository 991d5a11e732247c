"""Suites EH and ER and the journal's X rows, over every host and database that exists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from conformance.backends import OnPostgres, OnSqlite, OnStore, bundled, fresh
from conformance.places import Place, place
from lash.effects.ports import EffectController, EffectHost
from lash.effects.scope import ExecutionScope
from lash.hosts import InlineEffectHost, JournaledEffectHost, RecordingEffectHost
from lash.sessions.accept import Claimant
from lash.sessions.store import SessionCreate
from lash.stores import Store
from lash.testing import conformance
from lash.testing.conformance.hosts import EFFECT_HOST
from lash.testing.conformance.journal import JOURNAL
from lash.testing.conformance.replay import EFFECT_REPLAY, SCOPE, ReplayBackend

MakeReplay = Callable[[], Awaitable[ReplayBackend]]


class TestInlineHost(EFFECT_HOST.mixin("I")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    def make(self) -> Callable[[], EffectHost]:
        return InlineEffectHost


class TestRecordingHost(EFFECT_HOST.mixin("R")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    def make(self) -> Callable[[], EffectHost]:
        return RecordingEffectHost


class _Hosts(OnStore):
    make = fresh(lambda store: JournaledEffectHost(store.journal, store.waits))


class _Replays(OnStore):
    @pytest.fixture(params=["claimed", "owned"])
    def make(self, found: Place, request: pytest.FixtureRequest) -> MakeReplay:
        return _replays(found, request.param)


class _Journals(OnStore):
    make = bundled()


class TestSqliteHost(OnSqlite, _Hosts, EFFECT_HOST.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestPostgresHost(OnPostgres, _Hosts, EFFECT_HOST.mixin("P")):  # type: ignore[misc]  # made at run time
    pass


class TestSqliteReplay(OnSqlite, _Replays, EFFECT_REPLAY.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestPostgresReplay(OnPostgres, _Replays, EFFECT_REPLAY.mixin("P")):  # type: ignore[misc]  # made at run time
    pass


class TestSqliteJournal(OnSqlite, _Journals, JOURNAL.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestPostgresJournal(OnPostgres, _Journals, JOURNAL.mixin("P")):  # type: ignore[misc]  # made at run time
    pass


def test_every_row_of_the_effect_suites_has_a_law() -> None:
    assert set(EFFECT_HOST.ids()) == {f"EH-{number:02}" for number in range(1, 21)}
    assert set(EFFECT_REPLAY.ids()) == {f"ER-{number:02}" for number in range(1, 8)}
    assert {f"X-{number:02}" for number in range(1, 9)} <= set(JOURNAL.ids())


async def test_strangers_run_the_effect_suites_with_one_call(tmp_path: Path) -> None:
    await conformance.effect_host(InlineEffectHost)
    async with place("sqlite", tmp_path) as found:

        async def make() -> tuple[EffectHost, Callable[[], EffectHost]]:
            store = await found.fresh()
            return _host(store), lambda: _host(store)

        await conformance.effect_replay(make)


def _host(store: Store) -> JournaledEffectHost:
    return JournaledEffectHost(store.journal, store.waits)


def _replays(found: Place, form: str) -> MakeReplay:
    async def make() -> ReplayBackend:
        first, second = await found.pair()
        controller = _owning(first) if form == "owned" else None
        return ReplayBackend(_host(first), lambda: _host(second), controller)

    return make


def _owning(store: Store) -> Callable[[EffectHost], Awaitable[EffectController]]:
    async def controller(host: EffectHost) -> EffectController:
        session_id = SCOPE.session_id or ""
        session = await store.sessions.create_store(SessionCreate(session_id))
        row = await session.get_session_lease(session_id)
        fence = 0 if row is None else row.fence
        dead = None if row is None else row.token or None
        claimant = Claimant("host/executor", f"lease-{fence}", f"claim-{fence}", 60_000, proven_dead_token=dead)
        lease = await session.try_claim_session_lease(session_id, claimant)
        assert lease is not None
        scope = ExecutionScope.turn(session_id, SCOPE.turn_id or "")
        return await host.owned(scope, lease, is_fresh=False, on_lost=lambda: None)

    return controller
