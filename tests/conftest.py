"""Fixtures that any test may ask for: real servers, one schema a test."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from services.binaries import find_postgres
from services.postgres import PostgresServer
from services.shared import PgSchema, shared_postgres

if TYPE_CHECKING:  # it loads the store, which most tests here do not need
    from services.schemas import Schemas


def pytest_configure(config: pytest.Config) -> None:
    """Random tests take the same examples in every run, and any time they need; in `make soak` always new ones."""
    from hypothesis import settings

    is_soak = config.getoption("markexpr") == "soak"
    settings.register_profile("lash", deadline=None, derandomize=not is_soak)
    settings.load_profile("lash")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what runs in its background deaf to Ctrl-C, and so are all children: tests press it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that all tests of all workers share. Fast: it forgets at a power cut."""
    _require_postgres()
    own = tmp_path_factory.getbasetemp()
    is_worker = hasattr(request.config, "workerinput")
    folder = (own.parent if is_worker else own) / "postgres"
    folder.mkdir(exist_ok=True)
    with shared_postgres(folder) as url:
        yield url


@pytest.fixture
async def pg_schema(postgres_url: str) -> AsyncIterator[PgSchema]:
    """A fresh schema, dropped afterwards."""
    import asyncpg

    schema = f"t_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f"CREATE SCHEMA {schema}")
    try:
        yield PgSchema(postgres_url, schema)
    finally:
        # A test that leaves a transaction open must fail here, not hang.
        await admin.execute("SET lock_timeout = '10s'")
        await admin.execute(f"DROP SCHEMA {schema} CASCADE")
        await admin.close()


@pytest.fixture(scope="session")
def pg_schemas(postgres_url: str) -> Iterator[Schemas]:
    """The schemas that the tests of this worker use one after another."""
    from services.schemas import Schemas

    schemas = Schemas(postgres_url)
    schemas.open()
    yield schemas
    schemas.close()


@pytest.fixture
def pg_store_schema(pg_schemas: Schemas, postgres_url: str) -> Iterator[PgSchema]:
    """A schema for a store without a row; a test before may have built its tables. `pg_schema` is empty."""
    name = pg_schemas.take()
    yield PgSchema(postgres_url, name)
    pg_schemas.give(name)


@pytest.fixture
def durable_postgres() -> Iterator[Callable[[], PostgresServer]]:
    """Starts servers of a test's own, with fsync on, that it may stop, kill and start again."""
    _require_postgres()
    servers: list[PostgresServer] = []

    def start() -> PostgresServer:
        server = PostgresServer(durable=True)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.close()


def _require_postgres() -> None:
    if find_postgres() is None:
        reason = "PostgreSQL is not installed (scripts/setup-services.sh)"
        if os.environ.get("REQUIRE_SERVICES"):
            pytest.fail(f"{reason} and REQUIRE_SERVICES is set")
        pytest.skip(reason)
