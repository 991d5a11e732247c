"""Suites RG and RGR over every backend."""

from __future__ import annotations

from conformance.backends import InMemory, OnPostgres, OnSqlite, OnStore, fresh, reopened
from lash.testing import conformance
from lash.testing.conformance import PROCESS_REGISTRY, PROCESS_REGISTRY_REOPENABLE


class _Plain(OnStore):
    make = fresh(lambda store: store.processes)


class _Reopened(OnStore):
    make = reopened(lambda store: store.processes)


class TestMemory(InMemory, _Plain, PROCESS_REGISTRY.mixin("M", "inline")):  # type: ignore[misc]  # made at run time
    pass


class TestSqlite(OnSqlite, _Plain, PROCESS_REGISTRY.mixin("S", "durable")):  # type: ignore[misc]  # made at run time
    pass


class TestPostgres(OnPostgres, _Plain, PROCESS_REGISTRY.mixin("P", "durable")):  # type: ignore[misc]
    pass


class TestSqliteReopened(OnSqlite, _Reopened, PROCESS_REGISTRY_REOPENABLE.mixin("S")):  # type: ignore[misc]
    pass


class TestPostgresReopened(OnPostgres, _Reopened, PROCESS_REGISTRY_REOPENABLE.mixin("P")):  # type: ignore[misc]
    pass


def test_every_row_of_the_process_suites_has_a_law() -> None:
    assert set(PROCESS_REGISTRY.ids()) == {f"RG-{number:02}" for number in range(1, 81)}
    assert set(PROCESS_REGISTRY_REOPENABLE.ids()) == {f"RGR-{number:02}" for number in range(1, 6)}
    # The environment store states PM-24 to PM-26.
    assert set(conformance.PROCESS_MODEL.ids()) == {f"PM-{number:02}" for number in range(1, 48)} - {
        "PM-24",
        "PM-25",
        "PM-26",
    }
