"""Every backend as one fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conformance.places import Kind, Place, place
from lash.sessions.store import SessionCreate, SessionStore
from lash.stores import Store
from services.shared import PgSchema
from stores.turns import SESSION


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of database."""
    found: Kind = request.param
    return found


@pytest.fixture
def schema(kind: Kind, request: pytest.FixtureRequest) -> PgSchema | None:
    """A PostgreSQL schema where one is needed; the server is not started for the others."""
    return request.getfixturevalue("pg_store_schema") if kind == "postgres" else None


@pytest.fixture
async def any_place(kind: Kind, schema: PgSchema | None, tmp_path: Path) -> AsyncIterator[Place]:
    """Where stores are opened: memory, files, PostgreSQL."""
    async with place(kind, tmp_path, schema) as found:
        yield found


@pytest.fixture
async def store(any_place: Place) -> Store:
    """A fresh store of each kind."""
    return await any_place.fresh()


@pytest.fixture
async def session(store: Store) -> SessionStore:
    """A session of that store."""
    return await store.sessions.create_store(SessionCreate(SESSION))
