"""Suites RP and RPR over every backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from conformance.places import place
from lash.sessions.store import SessionStore
from lash.stores.manifest import NoManifest
from lash.testing.conformance import RUNTIME_PERSISTENCE, RUNTIME_PERSISTENCE_REOPENABLE
from lash.testing.conformance.manifests import NO_MANIFEST
from services.shared import PgSchema


class TestMemory(RUNTIME_PERSISTENCE.mixin("M", "inline")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(self, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[SessionStore]]]:
        async with place("memory", tmp_path) as found:

            async def make() -> SessionStore:
                return (await found.fresh()).sessions.unbound()

            yield make


class TestSqlite(RUNTIME_PERSISTENCE.mixin("S", "durable")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(self, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[SessionStore]]]:
        async with place("sqlite", tmp_path) as found:

            async def make() -> SessionStore:
                return (await found.fresh()).sessions.unbound()

            yield make


class TestPostgres(RUNTIME_PERSISTENCE.mixin("P", "durable")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(self, tmp_path: Path, pg_schema: PgSchema) -> AsyncIterator[Callable[[], Awaitable[SessionStore]]]:
        async with place("postgres", tmp_path, pg_schema) as found:

            async def make() -> SessionStore:
                return (await found.fresh()).sessions.unbound()

            yield make


class TestSqliteReopened(RUNTIME_PERSISTENCE_REOPENABLE.mixin("S")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(self, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[tuple[SessionStore, SessionStore]]]]:
        async with place("sqlite", tmp_path) as found:

            async def make() -> tuple[SessionStore, SessionStore]:
                first, second = await found.pair()
                return first.sessions.unbound(), second.sessions.unbound()

            yield make


class TestPostgresReopened(RUNTIME_PERSISTENCE_REOPENABLE.mixin("P")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(
        self, tmp_path: Path, pg_schema: PgSchema
    ) -> AsyncIterator[Callable[[], Awaitable[tuple[SessionStore, SessionStore]]]]:
        async with place("postgres", tmp_path, pg_schema) as found:

            async def make() -> tuple[SessionStore, SessionStore]:
                first, second = await found.pair()
                return first.sessions.unbound(), second.sessions.unbound()

            yield make


class TestNoManifest(NO_MANIFEST.mixin()):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    def make(self) -> Callable[[], NoManifest]:
        return NoManifest
