"""Suites TS and TSR over memory, a SQLite file and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from conformance.places import Kind, place
from lash.testing import conformance
from lash.testing.conformance import TRIGGER_STORE, TRIGGER_STORE_REOPENABLE
from lash.triggers.store import TriggerStore
from services.shared import PgSchema


class _Somewhere:
    kind: Kind

    @pytest.fixture
    def schema(self, request: pytest.FixtureRequest) -> PgSchema | None:
        return request.getfixturevalue("pg_schema") if self.kind == "postgres" else None


class _Plain(_Somewhere):
    @pytest.fixture
    async def make(
        self, tmp_path: Path, schema: PgSchema | None
    ) -> AsyncIterator[Callable[[], Awaitable[TriggerStore]]]:
        async with place(self.kind, tmp_path, schema) as found:

            async def make() -> TriggerStore:
                return (await found.fresh()).triggers

            yield make


class _Reopened(_Somewhere):
    @pytest.fixture
    async def make(
        self, tmp_path: Path, schema: PgSchema | None
    ) -> AsyncIterator[Callable[[], Awaitable[tuple[TriggerStore, TriggerStore]]]]:
        async with place(self.kind, tmp_path, schema) as found:

            async def make() -> tuple[TriggerStore, TriggerStore]:
                first, second = await found.pair()
                return first.triggers, second.triggers

            yield make


class TestMemory(_Plain, TRIGGER_STORE.mixin("M", "inline")):  # type: ignore[misc]  # made at run time
    kind: Kind = "memory"


class TestSqlite(_Plain, TRIGGER_STORE.mixin("S", "durable")):  # type: ignore[misc]  # made at run time
    kind: Kind = "sqlite"


class TestPostgres(_Plain, TRIGGER_STORE.mixin("P", "durable")):  # type: ignore[misc]  # made at run time
    kind: Kind = "postgres"


class TestSqliteReopened(_Reopened, TRIGGER_STORE_REOPENABLE.mixin("S")):  # type: ignore[misc]  # made at run time
    kind: Kind = "sqlite"


class TestPostgresReopened(_Reopened, TRIGGER_STORE_REOPENABLE.mixin("P")):  # type: ignore[misc]  # made at run time
    kind: Kind = "postgres"


def test_every_row_of_the_trigger_suites_has_a_law() -> None:
    rows = {f"TS-{number:02}" for number in range(1, 21)}

    assert rows <= set(TRIGGER_STORE.ids())
    assert set(TRIGGER_STORE_REOPENABLE.ids()) == {f"TSR-{number:02}" for number in range(1, 7)}


async def test_strangers_run_the_suite_with_one_call(tmp_path: Path) -> None:
    async with place("memory", tmp_path) as found:

        async def make() -> TriggerStore:
            return (await found.fresh()).triggers

        await conformance.trigger_store(make, tier="inline")
