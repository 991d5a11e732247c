"""One scripted turn, killed anywhere, ends as if nobody had touched it (X-10, and at random instants)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest

from kill.harness import Database, Life, final_state, kill_until_done, killed_at_every_step, uninterrupted

QUICK_SEEDS = range(2)
SOAK_SEEDS = range(500)

NewDatabase = Callable[[], Awaitable[Database]]


@pytest.fixture(params=["sqlite", "postgres"])
async def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NewDatabase]:
    """Makes empty databases of one kind."""
    if request.param == "sqlite":

        async def on_sqlite() -> Database:
            return Database(str(tmp_path / f"{uuid.uuid4().hex}.db"))

        yield on_sqlite
        return

    import asyncpg

    url: str = request.getfixturevalue("postgres_url")
    admin = await asyncpg.connect(url)
    made: list[str] = []

    async def on_postgres() -> Database:
        made.append(f"kill_{uuid.uuid4().hex}")
        await admin.execute(f"CREATE SCHEMA {made[-1]}")
        return Database(url, made[-1])

    yield on_postgres
    for name in made:
        await admin.execute(f"DROP SCHEMA {name} CASCADE")
    await admin.close()


@pytest.mark.parametrize("seed", QUICK_SEEDS)
async def test_a_turn_killed_at_random_ends_like_an_uninterrupted_one(
    new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    await _judge(new_database, tmp_path, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
async def test_a_thousand_turns_killed_at_random_end_alike(
    new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    await _judge(new_database, tmp_path, seed)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_x_10_a_turn_killed_at_any_write_ends_like_an_uninterrupted_one(
    new_database: NewDatabase, tmp_path: Path, when: Literal["before", "after"]
) -> None:
    calm_place = await new_database()
    calm, _ = await uninterrupted(calm_place, tmp_path)

    # On PostgreSQL at every other write; `make soak` kills it there a thousand times, anywhere.
    stride = 2 if "postgres" in calm_place.url else 1
    verdicts = await killed_at_every_step(new_database, tmp_path, when, stride)

    assert len(verdicts) >= 4 // stride
    assert [verdict.executed_again for verdict in verdicts] == [[]] * len(verdicts)
    assert [verdict.final for verdict in verdicts] == [calm] * len(verdicts)


async def test_two_processes_racing_for_one_turn_commit_it_once(new_database: NewDatabase, tmp_path: Path) -> None:
    calm, _ = await uninterrupted(await new_database(), tmp_path)
    database = await new_database()

    racers = [Life(database, tmp_path / "raced.log", f"host-{name}") for name in "ab"]
    for racer in racers:
        racer.finish()

    assert await final_state(database) == calm


@pytest.mark.parametrize("moment", [0.15, 0.4, 0.7])
@pytest.mark.parametrize("hosts", [("host-a", "host-b"), ("host-a", "host-a")], ids=["two hosts", "rolling restart"])
async def test_a_survivor_finishes_what_the_killed_one_began(
    new_database: NewDatabase, tmp_path: Path, moment: float, hosts: tuple[str, str]
) -> None:
    calm, span = await uninterrupted(await new_database(), tmp_path)
    database = await new_database()
    victim = Life(database, tmp_path / "raced.log", hosts[0])
    survivor = Life(database, tmp_path / "raced.log", hosts[1])

    victim.end_after(span * moment)
    survivor.finish()

    assert await final_state(database) == calm


async def _judge(new_database: NewDatabase, folder: Path, seed: int) -> None:
    expected, span = await uninterrupted(await new_database(), folder)

    verdict = await kill_until_done(await new_database(), folder, seed, span_s=span)

    assert verdict.executed_again == []
    assert verdict.final == expected
