"""Suites TS and TSR over memory, a SQLite file and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from conformance.backends import InMemory, OnPostgres, OnSqlite, OnStore, fresh, reopened
from conformance.places import place
from lash.testing import conformance
from lash.testing.conformance import TRIGGER_STORE, TRIGGER_STORE_REOPENABLE
from lash.triggers.store import TriggerStore


class _Plain(OnStore):
    make = fresh(lambda store: store.triggers)


class _Reopened(OnStore):
    make = reopened(lambda store: store.triggers)


class TestMemory(InMemory, _Plain, TRIGGER_STORE.mixin("M", "inline")):  # type: ignore[misc]  # made at run time
    pass


class TestSqlite(OnSqlite, _Plain, TRIGGER_STORE.mixin("S", "durable")):  # type: ignore[misc]  # made at run time
    pass


class TestPostgres(OnPostgres, _Plain, TRIGGER_STORE.mixin("P", "durable")):  # type: ignore[misc]  # made at run time
    pass


class TestSqliteReopened(OnSqlite, _Reopened, TRIGGER_STORE_REOPENABLE.mixin("S")):  # type: ignore[misc]
    pass


class TestPostgresReopened(OnPostgres, _Reopened, TRIGGER_STORE_REOPENABLE.mixin("P")):  # type: ignore[misc]
    pass


def test_every_row_of_the_trigger_suites_has_a_law() -> None:
    rows = {f"TS-{number:02}" for number in range(1, 21)}

    assert rows <= set(TRIGGER_STORE.ids())
    assert set(TRIGGER_STORE_REOPENABLE.ids()) == {f"TSR-{number:02}" for number in range(1, 7)}


async def test_strangers_run_the_suite_with_one_call(tmp_path: Path) -> None:
    async with place("memory", tmp_path) as found:

        async def make() -> TriggerStore:
            return (await found.fresh()).triggers

        await conformance.trigger_store(make, tier="inline")
