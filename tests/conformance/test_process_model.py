"""Suite PM, and the X rows of processes over every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance.backends import InMemory, OnPostgres, OnSqlite, OnStore, bundled
from lash.testing.conformance import PROCESS_MODEL
from lash.testing.conformance.process_races import PROCESSES


class TestModel(PROCESS_MODEL.mixin()):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    def make(self) -> Callable[[], object]:
        return object


class _Bundle(OnStore):
    make = bundled()


class TestMemory(InMemory, _Bundle, PROCESSES.mixin("M")):  # type: ignore[misc]  # made at run time
    pass


class TestSqlite(OnSqlite, _Bundle, PROCESSES.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestPostgres(OnPostgres, _Bundle, PROCESSES.mixin("P")):  # type: ignore[misc]  # made at run time
    pass
