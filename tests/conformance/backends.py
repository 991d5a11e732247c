"""What the classes of a suite are made of: a kind of database, and the port of a store that is examined.

```python
class _Registry(OnStore):
    make = fresh(lambda store: store.processes)


class TestSqlite(OnSqlite, _Registry, PROCESS_REGISTRY.mixin("S", "durable")): ...
```
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from conformance.places import Kind, Place, place
from lash.stores import Store
from lash.testing.conformance.bundles import StorePair
from services.shared import PgSchema

T = TypeVar("T")


class OnStore:
    """Databases of one kind for one test."""

    kind: ClassVar[Kind]

    @pytest.fixture
    def schema(self, request: pytest.FixtureRequest) -> PgSchema | None:
        """A PostgreSQL schema where one is needed; the server is not started for the others."""
        return request.getfixturevalue("pg_store_schema") if self.kind == "postgres" else None

    @pytest.fixture
    async def found(self, tmp_path: Path, schema: PgSchema | None) -> AsyncIterator[Place]:
        """Where stores are opened."""
        async with place(self.kind, tmp_path, schema) as found:
            yield found


class InMemory:
    """Column M."""

    kind: ClassVar[Kind] = "memory"


class OnSqlite:
    """Column S."""

    kind: ClassVar[Kind] = "sqlite"


class OnPostgres:
    """Column P."""

    kind: ClassVar[Kind] = "postgres"


def fresh(port: Callable[[Store], T]) -> Any:
    """The fixture `make`: the port of a store on an empty database."""

    @pytest.fixture
    def make(_self: OnStore, found: Place) -> Callable[[], Awaitable[T]]:
        async def make_one() -> T:
            return port(await found.fresh())

        return make_one

    return make


def reopened(port: Callable[[Store], T]) -> Any:
    """The fixture `make`: the ports of two stores on one empty database."""

    @pytest.fixture
    def make(_self: OnStore, found: Place) -> Callable[[], Awaitable[tuple[T, T]]]:
        async def make_two() -> tuple[T, T]:
            first, second = await found.pair()
            return port(first), port(second)

        return make_two

    return make


def bundled() -> Any:
    """The fixture `make`: a store with a second way in."""

    @pytest.fixture
    def make(_self: OnStore, found: Place) -> Callable[[], Awaitable[StorePair]]:
        return found.bundle

    return make
