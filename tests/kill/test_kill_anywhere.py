"""One scripted turn, killed at random instants, ends as if nobody had touched it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kill.harness import Database, Life, final_state, kill_until_done, uninterrupted

QUICK_SEEDS = range(4)
SOAK_SEEDS = range(1_000)


@pytest.mark.parametrize("seed", QUICK_SEEDS)
async def test_a_killed_turn_on_sqlite_ends_like_an_uninterrupted_one(tmp_path: Path, seed: int) -> None:
    await _judge(Database(str(tmp_path / "calm.db")), Database(str(tmp_path / "killed.db")), tmp_path, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
async def test_a_thousand_killed_turns_on_sqlite_end_alike(tmp_path: Path, seed: int) -> None:
    await _judge(Database(str(tmp_path / "calm.db")), Database(str(tmp_path / "killed.db")), tmp_path, seed)


async def test_two_processes_racing_for_one_turn_commit_it_once(tmp_path: Path) -> None:
    calm, _ = await uninterrupted(Database(str(tmp_path / "calm.db")), tmp_path)
    database = Database(str(tmp_path / "raced.db"))

    racers = [Life(database, tmp_path / "raced.log", f"host-{name}") for name in "ab"]
    for racer in racers:
        racer.finish()

    assert await final_state(database) == calm


async def test_a_racing_survivor_finishes_what_the_killed_one_began(tmp_path: Path) -> None:
    calm, span = await uninterrupted(Database(str(tmp_path / "calm.db")), tmp_path)
    for seed in range(3):
        database = Database(str(tmp_path / f"raced-{seed}.db"))
        victim = Life(database, tmp_path / f"raced-{seed}.log", "host-a")
        survivor = Life(database, tmp_path / f"raced-{seed}.log", "host-b")

        victim.end_after(span * (seed + 1) / 8)
        survivor.finish()

        assert await final_state(database) == calm


async def _judge(calm: Database, killed: Database, folder: Path, seed: int) -> None:
    expected, span = await uninterrupted(calm, folder)

    verdict = await kill_until_done(killed, folder, seed, span_s=span)

    assert verdict.executed_again == []
    assert verdict.final == expected
