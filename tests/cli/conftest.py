"""The command line in this process, and stores to point it at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import lash
from lash.cli.root import root
from lash.testing import ScriptedModel, calls, says

Cli = Callable[..., Result]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `lash` with arguments; the environment names nothing."""
    for name in ("LASH_STORE", "LASH_APP", "LASH_MODEL"):
        monkeypatch.delenv(name, raising=False)

    def run(*args: str, **env: str) -> Result:
        return CliRunner().invoke(root, list(args), env=env, prog_name="lash")

    return run


@lash.tool
async def look(number: int) -> int:
    """Look at a number."""
    return number


@pytest.fixture
def settled_store(tmp_path: Path) -> str:
    """A store with one session `chat` and one settled turn `t1`."""
    where = str(tmp_path / "agent.db")

    async def fill() -> None:
        model = ScriptedModel([calls("look", number=7), says("It is seven.")])
        async with lash.StandardCore(model=model, tools=[look], store=where) as core, core.session("chat") as chat:
            await chat.run("What is it?", turn_id="t1")

    asyncio.run(fill())
    return where
