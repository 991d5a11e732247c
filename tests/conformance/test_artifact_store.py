"""Suites AR over memory, a SQLite file and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from conformance.backends import InMemory, OnPostgres, OnSqlite, OnStore, fresh, reopened
from conformance.places import place
from lash.artifacts.store import ArtifactStore
from lash.testing import conformance
from lash.testing.conformance import ARTIFACT_STORE, ARTIFACT_STORE_REOPENABLE


class _Plain(OnStore):
    make = fresh(lambda store: store.artifacts)


class _Reopened(OnStore):
    make = reopened(lambda store: store.artifacts)


class TestMemory(InMemory, _Plain, ARTIFACT_STORE.mixin("M", "inline")):  # type: ignore[misc]  # made at run time
    pass


class TestSqlite(OnSqlite, _Plain, ARTIFACT_STORE.mixin("S", "durable")):  # type: ignore[misc]  # made at run time
    pass


class TestPostgres(OnPostgres, _Plain, ARTIFACT_STORE.mixin("P", "durable")):  # type: ignore[misc]  # made at run time
    pass


class TestSqliteReopened(OnSqlite, _Reopened, ARTIFACT_STORE_REOPENABLE.mixin("S")):  # type: ignore[misc]
    pass


class TestPostgresReopened(OnPostgres, _Reopened, ARTIFACT_STORE_REOPENABLE.mixin("P")):  # type: ignore[misc]
    pass


def test_every_row_of_the_artifact_suites_has_a_law() -> None:
    rows = {*ARTIFACT_STORE.ids(), *ARTIFACT_STORE_REOPENABLE.ids()}

    assert rows == {f"AR-{number:02}" for number in range(1, 10)}


async def test_strangers_run_the_suite_with_one_call(tmp_path: Path) -> None:
    async with place("memory", tmp_path) as found:

        async def make() -> ArtifactStore:
            return (await found.fresh()).artifacts

        await conformance.artifact_store(make, tier="inline")
