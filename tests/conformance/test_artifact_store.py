"""Suites AR over memory, a SQLite file and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from conformance.places import Kind, place
from lash.artifacts.store import ArtifactStore
from lash.testing import conformance
from lash.testing.conformance import ARTIFACT_STORE, ARTIFACT_STORE_REOPENABLE
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
    ) -> AsyncIterator[Callable[[], Awaitable[ArtifactStore]]]:
        async with place(self.kind, tmp_path, schema) as found:

            async def make() -> ArtifactStore:
                return (await found.fresh()).artifacts

            yield make


class _Reopened(_Somewhere):
    @pytest.fixture
    async def make(
        self, tmp_path: Path, schema: PgSchema | None
    ) -> AsyncIterator[Callable[[], Awaitable[tuple[ArtifactStore, ArtifactStore]]]]:
        async with place(self.kind, tmp_path, schema) as found:

            async def make() -> tuple[ArtifactStore, ArtifactStore]:
                first, second = await found.pair()
                return first.artifacts, second.artifacts

            yield make


class TestMemory(_Plain, ARTIFACT_STORE.mixin("M", "inline")):  # type: ignore[misc]  # made at run time
    kind: Kind = "memory"


class TestSqlite(_Plain, ARTIFACT_STORE.mixin("S", "durable")):  # type: ignore[misc]  # made at run time
    kind: Kind = "sqlite"


class TestPostgres(_Plain, ARTIFACT_STORE.mixin("P", "durable")):  # type: ignore[misc]  # made at run time
    kind: Kind = "postgres"


class TestSqliteReopened(_Reopened, ARTIFACT_STORE_REOPENABLE.mixin("S")):  # type: ignore[misc]  # made at run time
    kind: Kind = "sqlite"


class TestPostgresReopened(_Reopened, ARTIFACT_STORE_REOPENABLE.mixin("P")):  # type: ignore[misc]  # made at run time
    kind: Kind = "postgres"


def test_every_row_of_the_artifact_suites_has_a_law() -> None:
    rows = {*ARTIFACT_STORE.ids(), *ARTIFACT_STORE_REOPENABLE.ids()}

    assert rows == {f"AR-{number:02}" for number in range(1, 10)}


async def test_strangers_run_the_suite_with_one_call(tmp_path: Path) -> None:
    async with place("memory", tmp_path) as found:

        async def make() -> ArtifactStore:
            return (await found.fresh()).artifacts

        await conformance.artifact_store(make, tier="inline")
