"""Suites WB, PR and the rows of recovery over every backend."""

from __future__ import annotations

from conformance.backends import InMemory, OnPostgres, OnSqlite, OnStore, fresh
from lash.testing.conformance import PROCESS_RUNNER, PROGRAM_RUNNER, WORKER_BOUNDARY, WORKER_RECOVERY


class _Store(OnStore):
    make = fresh(lambda store: store)


class TestBoundaryInMemory(InMemory, _Store, WORKER_BOUNDARY.mixin("M")):  # type: ignore[misc]  # made at run time
    pass


class TestBoundaryOnSqlite(OnSqlite, _Store, WORKER_BOUNDARY.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestBoundaryOnPostgres(OnPostgres, _Store, WORKER_BOUNDARY.mixin("P")):  # type: ignore[misc]  # made at run time
    pass


class TestRunnerInMemory(InMemory, _Store, PROCESS_RUNNER.mixin("M")):  # type: ignore[misc]  # made at run time
    pass


class TestRunnerOnSqlite(OnSqlite, _Store, PROCESS_RUNNER.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestRunnerOnPostgres(OnPostgres, _Store, PROCESS_RUNNER.mixin("P")):  # type: ignore[misc]  # made at run time
    pass


class TestProgramsInMemory(InMemory, _Store, PROGRAM_RUNNER.mixin("M")):  # type: ignore[misc]  # made at run time
    pass


class TestProgramsOnSqlite(OnSqlite, _Store, PROGRAM_RUNNER.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestProgramsOnPostgres(OnPostgres, _Store, PROGRAM_RUNNER.mixin("P")):  # type: ignore[misc]  # made at run time
    pass


class TestRecoveryInMemory(InMemory, _Store, WORKER_RECOVERY.mixin("M")):  # type: ignore[misc]  # made at run time
    pass


class TestRecoveryOnSqlite(OnSqlite, _Store, WORKER_RECOVERY.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestRecoveryOnPostgres(OnPostgres, _Store, WORKER_RECOVERY.mixin("P")):  # type: ignore[misc]  # made at run time
    pass
