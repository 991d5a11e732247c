"""Suites WB, PR and the rows of recovery over every backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

import lash
from conformance.places import place
from lash.testing.conformance import PROCESS_RUNNER, WORKER_BOUNDARY, WORKER_RECOVERY
from services.shared import PgSchema

Make = Callable[[], Awaitable[lash.Store]]


class Memory:
    @pytest.fixture
    async def make(self, tmp_path: Path) -> AsyncIterator[Make]:
        async with place("memory", tmp_path) as found:
            yield found.fresh


class Sqlite:
    @pytest.fixture
    async def make(self, tmp_path: Path) -> AsyncIterator[Make]:
        async with place("sqlite", tmp_path) as found:
            yield found.fresh


class Postgres:
    @pytest.fixture
    async def make(self, tmp_path: Path, pg_schema: PgSchema) -> AsyncIterator[Make]:
        async with place("postgres", tmp_path, pg_schema) as found:
            yield found.fresh


class TestBoundaryInMemory(Memory, WORKER_BOUNDARY.mixin("M")):  # type: ignore[misc]  # made at run time
    pass


class TestBoundaryOnSqlite(Sqlite, WORKER_BOUNDARY.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestBoundaryOnPostgres(Postgres, WORKER_BOUNDARY.mixin("P")):  # type: ignore[misc]  # made at run time
    pass


class TestRunnerInMemory(Memory, PROCESS_RUNNER.mixin("M")):  # type: ignore[misc]  # made at run time
    pass


class TestRunnerOnSqlite(Sqlite, PROCESS_RUNNER.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestRunnerOnPostgres(Postgres, PROCESS_RUNNER.mixin("P")):  # type: ignore[misc]  # made at run time
    pass


class TestRecoveryInMemory(Memory, WORKER_RECOVERY.mixin("M")):  # type: ignore[misc]  # made at run time
    pass


class TestRecoveryOnSqlite(Sqlite, WORKER_RECOVERY.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestRecoveryOnPostgres(Postgres, WORKER_RECOVERY.mixin("P")):  # type: ignore[misc]  # made at run time
    pass
