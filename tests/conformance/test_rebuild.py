"""Suite RR and the row of replays over every backend."""

from __future__ import annotations

import lash
from conformance.backends import InMemory, OnPostgres, OnSqlite, OnStore, fresh
from lash.testing import conformance
from lash.testing.conformance import RUNTIME_REBUILD


class _Store(OnStore):
    make = fresh(lambda store: store)


class TestRebuildInMemory(InMemory, _Store, RUNTIME_REBUILD.mixin("M")):  # type: ignore[misc]  # made at run time
    pass


class TestRebuildOnSqlite(OnSqlite, _Store, RUNTIME_REBUILD.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestRebuildOnPostgres(OnPostgres, _Store, RUNTIME_REBUILD.mixin("P")):  # type: ignore[misc]  # made at run time
    pass


async def test_what_a_restart_must_find_again_is_one_call_for_a_store_of_ones_own() -> None:
    opened: list[lash.Store] = []

    async def make() -> lash.Store:
        opened.append(await lash.Store.open(":memory:"))
        return opened[-1]

    await conformance.runtime_rebuild_and_worker_recovery(make, column="M")

    assert len(opened) > 1
    for store in opened:
        await store.close()
