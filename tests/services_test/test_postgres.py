"""The PostgreSQL fixtures do what tests rely on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from services.postgres import PostgresServer
from services.shared import PgSchema, shared_postgres


async def _ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def _do(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
async def test_a_stopped_server_comes_back_with_port_and_committed_rows(
    durable_postgres: Callable[[], PostgresServer], how: signal.Signals
) -> None:
    server = durable_postgres()
    url = server.url
    await _do(url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")

    server.stop(how)
    with pytest.raises(ConnectionRefusedError):
        await _ask(url, "SELECT 1")
    server.start()

    assert server.url == url
    assert await _ask(url, "SELECT n FROM kept") == 7


async def test_a_server_may_be_killed_under_an_open_connection(
    durable_postgres: Callable[[], PostgresServer],
) -> None:
    server = durable_postgres()
    connection = await asyncpg.connect(server.url)

    server.stop(signal.SIGKILL)
    server.start()

    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()
    assert await _ask(server.url, "SELECT 1") == 1


async def test_a_durable_server_syncs_and_the_shared_one_does_not(
    durable_postgres: Callable[[], PostgresServer], postgres_url: str
) -> None:
    durable = durable_postgres()

    assert await _ask(durable.url, "SHOW fsync") == "on"
    assert await _ask(durable.url, "SHOW synchronous_commit") == "on"
    assert await _ask(postgres_url, "SHOW fsync") == "off"


async def test_each_test_gets_an_empty_schema_of_its_own(pg_schema: PgSchema) -> None:
    url, schema = pg_schema
    connection = await asyncpg.connect(url, server_settings={"search_path": schema})

    await connection.execute("CREATE TABLE mine (n int)")

    assert await connection.fetchval("SELECT current_schema()") == schema
    await connection.close()


async def test_users_of_one_folder_share_one_server_and_the_last_one_ends_it(tmp_path: Path) -> None:
    with shared_postgres(tmp_path) as first:
        with shared_postgres(tmp_path) as second:
            assert second == first
        assert await _ask(first, "SELECT 1") == 1

    with shared_postgres(tmp_path) as later:
        assert await _ask(later, "SELECT 1") == 1
    assert (tmp_path / "guard.log").read_text() == ""
