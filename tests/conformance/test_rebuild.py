"""Suite RR and the row of replays over every backend."""

from __future__ import annotations

from conformance.backends import InMemory, OnPostgres, OnSqlite, OnStore, fresh
from lash.testing.conformance import RUNTIME_REBUILD


class _Store(OnStore):
    make = fresh(lambda store: store)


class TestRebuildInMemory(InMemory, _Store, RUNTIME_REBUILD.mixin("M")):  # type: ignore[misc]  # made at run time
    pass


class TestRebuildOnSqlite(OnSqlite, _Store, RUNTIME_REBUILD.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestRebuildOnPostgres(OnPostgres, _Store, RUNTIME_REBUILD.mixin("P")):  # type: ignore[misc]  # made at run time
    pass
