"""`lash trace view`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

import lash
from lash.testing import ScriptedModel, says

Cli = Callable[..., Result]


async def make_trace(path: Path) -> None:
    async with (
        lash.StandardCore(model=ScriptedModel([says("hello")]), trace_jsonl_path=path) as core,
        core.session("chat") as session,
    ):
        await session.run("hi", turn_id="turn-1")


async def test_a_trace_becomes_a_page_beside_it(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    await make_trace(path)
    with path.open("a") as file:
        file.write("{half a li")

    result = cli("trace", "view", str(path))

    assert result.exit_code == 0
    assert "1 turns" in result.stdout
    assert "1 lines could not be read" in result.stdout
    page = (tmp_path / "trace.html").read_text()
    assert "turn-1" in page
    assert "trace.jsonl" in page


async def test_the_page_goes_where_it_is_wanted(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    await make_trace(path)

    cli("trace", "view", str(path), "-o", str(tmp_path / "out.html"), "--title", "A <title>")
    printed = cli("trace", "view", str(path), "--stdout", "--title", "A <title>")

    assert printed.stdout == (tmp_path / "out.html").read_text()
    assert "<title>A &lt;title&gt;</title>" in printed.stdout
    assert not (tmp_path / "trace.html").exists()


def test_a_file_that_is_not_there_is_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    assert cli("trace", "view", str(tmp_path / "none.jsonl")).exit_code == 2


def test_both_places_at_once_are_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(json.dumps({"type": "custom"}))

    assert cli("trace", "view", str(path), "--stdout", "-o", "x.html").exit_code == 2
