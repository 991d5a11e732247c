"""Suites RG and RGR over every backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from conformance.places import place
from lash.processes.registry import ProcessRegistry
from lash.testing import conformance
from lash.testing.conformance import PROCESS_REGISTRY, PROCESS_REGISTRY_REOPENABLE
from services.shared import PgSchema


class TestMemory(PROCESS_REGISTRY.mixin("M", "inline")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(self, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[ProcessRegistry]]]:
        async with place("memory", tmp_path) as found:

            async def make() -> ProcessRegistry:
                return (await found.fresh()).processes

            yield make


class TestSqlite(PROCESS_REGISTRY.mixin("S", "durable")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(self, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[ProcessRegistry]]]:
        async with place("sqlite", tmp_path) as found:

            async def make() -> ProcessRegistry:
                return (await found.fresh()).processes

            yield make


class TestPostgres(PROCESS_REGISTRY.mixin("P", "durable")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(
        self, tmp_path: Path, pg_schema: PgSchema
    ) -> AsyncIterator[Callable[[], Awaitable[ProcessRegistry]]]:
        async with place("postgres", tmp_path, pg_schema) as found:

            async def make() -> ProcessRegistry:
                return (await found.fresh()).processes

            yield make


class TestSqliteReopened(PROCESS_REGISTRY_REOPENABLE.mixin("S")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(
        self, tmp_path: Path
    ) -> AsyncIterator[Callable[[], Awaitable[tuple[ProcessRegistry, ProcessRegistry]]]]:
        async with place("sqlite", tmp_path) as found:

            async def make() -> tuple[ProcessRegistry, ProcessRegistry]:
                first, second = await found.pair()
                return first.processes, second.processes

            yield make


class TestPostgresReopened(PROCESS_REGISTRY_REOPENABLE.mixin("P")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(
        self, tmp_path: Path, pg_schema: PgSchema
    ) -> AsyncIterator[Callable[[], Awaitable[tuple[ProcessRegistry, ProcessRegistry]]]]:
        async with place("postgres", tmp_path, pg_schema) as found:

            async def make() -> tuple[ProcessRegistry, ProcessRegistry]:
                first, second = await found.pair()
                return first.processes, second.processes

            yield make


def test_every_row_of_the_process_suites_has_a_law() -> None:
    assert set(PROCESS_REGISTRY.ids()) == {f"RG-{number:02}" for number in range(1, 81)}
    assert set(PROCESS_REGISTRY_REOPENABLE.ids()) == {f"RGR-{number:02}" for number in range(1, 6)}
    # The environment store states PM-24 to PM-26.
    assert set(conformance.PROCESS_MODEL.ids()) == {f"PM-{number:02}" for number in range(1, 48)} - {
        "PM-24",
        "PM-25",
        "PM-26",
    }
