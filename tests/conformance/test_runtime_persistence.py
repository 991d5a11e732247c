"""Suites RP and RPR over every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance.backends import InMemory, OnPostgres, OnSqlite, OnStore, fresh, reopened
from lash.stores.manifest import NoManifest
from lash.testing.conformance import RUNTIME_PERSISTENCE, RUNTIME_PERSISTENCE_REOPENABLE
from lash.testing.conformance.manifests import NO_MANIFEST


class _Plain(OnStore):
    make = fresh(lambda store: store.sessions.unbound())


class _Reopened(OnStore):
    make = reopened(lambda store: store.sessions.unbound())


class TestMemory(InMemory, _Plain, RUNTIME_PERSISTENCE.mixin("M", "inline")):  # type: ignore[misc]  # made at run time
    pass


class TestSqlite(OnSqlite, _Plain, RUNTIME_PERSISTENCE.mixin("S", "durable")):  # type: ignore[misc]
    pass


class TestPostgres(OnPostgres, _Plain, RUNTIME_PERSISTENCE.mixin("P", "durable")):  # type: ignore[misc]
    pass


class TestSqliteReopened(OnSqlite, _Reopened, RUNTIME_PERSISTENCE_REOPENABLE.mixin("S")):  # type: ignore[misc]
    pass


class TestPostgresReopened(OnPostgres, _Reopened, RUNTIME_PERSISTENCE_REOPENABLE.mixin("P")):  # type: ignore[misc]
    pass


class TestNoManifest(NO_MANIFEST.mixin()):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    def make(self) -> Callable[[], NoManifest]:
        return NoManifest
