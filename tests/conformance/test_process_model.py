"""Suite PM, and the X rows of processes over every backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from conformance.places import place
from lash.testing.conformance import PROCESS_MODEL
from lash.testing.conformance.bundles import StorePair
from lash.testing.conformance.process_races import PROCESSES
from services.shared import PgSchema


class TestModel(PROCESS_MODEL.mixin()):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    def make(self) -> Callable[[], object]:
        return object


class TestMemory(PROCESSES.mixin("M")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(self, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[StorePair]]]:
        async with place("memory", tmp_path) as found:
            yield found.bundle


class TestSqlite(PROCESSES.mixin("S")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(self, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[StorePair]]]:
        async with place("sqlite", tmp_path) as found:
            yield found.bundle


class TestPostgres(PROCESSES.mixin("P")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(self, tmp_path: Path, pg_schema: PgSchema) -> AsyncIterator[Callable[[], Awaitable[StorePair]]]:
        async with place("postgres", tmp_path, pg_schema) as found:
            yield found.bundle
