"""One performance from start to end: the folder, the scratch place, both acts, the screen."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console

from lash.base.json import Json, JsonObject
from lash.cli.demo import second_show, show
from lash.cli.demo.evidence import Seen, Verdict, effect_lines, judge
from lash.cli.demo.second_act import SecondAct
from lash.cli.demo.second_facts import ProgramsSeen, ProgramsVerdict, judge_programs
from lash.cli.demo.stage import Stage
from lash.cli.failure import BadOption
from lash.cli.graph.facts import read_cells
from lash.cli.graph.page import page
from lash.cli.output import console, print_json, progress_console
from lash.cli.stores import shown


def perform(path: str, *, store: str | None, keep: bool, picture: str | None, as_json: bool) -> bool:
    """Plays both acts on the files under `path`; whether the promise was kept."""
    folder = _folder(path)
    if store is not None:
        _check_store(store)
    drawing = _drawing(picture)
    screen = progress_console() if as_json else console()
    scratch = Path(tempfile.mkdtemp(prefix="lash-demo-"))
    try:
        where = store or str(scratch / "demo.db")
        forget = store is not None and not keep
        started = time.monotonic()
        first = Stage(folder, where, scratch, lambda fact: show.narrate(screen, fact))
        show.opening(screen, folder)
        seen = asyncio.run(_play(first, forget=forget))
        verdict = judge(seen)
        if not as_json:
            _show_first(screen, seen, verdict)
        second = SecondAct(folder, where, scratch, lambda fact: second_show.narrate(screen, fact))
        second_show.opening(screen)
        programs, page_text = asyncio.run(_play_second(second, where, forget=forget))
        found = judge_programs(programs)
        seconds = time.monotonic() - started
    finally:
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)
    target = _written(page_text, drawing)
    is_ok = verdict.ok and found.ok
    if as_json:
        kept: JsonObject = (
            {"store": shown(where), "session_id": first.session_id, "turn_id": first.turn_id} if keep else {}
        )
        report = _report(folder, seen, verdict, seconds)
        print_json({**report, "ok": is_ok, "programs": _program_report(programs, found, target), **kept})
    else:
        second_show.values(screen, programs)
        screen.print()
        second_show.verdict(screen, found)
        second_show.picture(screen, target)
        show.closing(screen, is_ok, seconds)
        if keep:
            show.kept(screen, shown(where), first.session_id, first.turn_id, second.session_id)
    return is_ok


def _show_first(screen: Console, seen: Seen, verdict: Verdict) -> None:
    show.effects(screen, seen)
    show.conversation(screen, seen)
    show.verdict(screen, seen, verdict)


async def _play(stage: Stage, *, forget: bool) -> Seen:
    try:
        return await stage.play()
    finally:
        if forget:
            await stage.forget()


async def _play_second(act: SecondAct, where: str, *, forget: bool) -> tuple[ProgramsSeen, str]:
    """What was seen, and the page with its picture."""
    try:
        seen = await act.play()
        return seen, page(await read_cells(where, act.session_id))
    finally:
        if forget:
            await act.forget()


def _drawing(picture: str | None) -> Path | None:
    if picture is None:
        return None
    path = Path(picture).expanduser()
    if path.is_dir() or not path.parent.is_dir():
        raise BadOption(f"--picture {picture!r} is no file that could be written; name one in a folder that is there")
    return path.resolve()


def _written(text: str, drawing: Path | None) -> Path:
    if drawing is None:
        descriptor, name = tempfile.mkstemp(prefix="lash-demo-", suffix=".html")
        os.close(descriptor)
        drawing = Path(name)
    drawing.write_text(text, encoding="utf-8")
    return drawing


def _folder(path: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.exists():
        raise BadOption(f"PATH {path!r} does not exist; name a folder whose files the demo may read")
    if not folder.is_dir():
        raise BadOption(f"PATH {path!r} is a file; name a folder")
    return folder.resolve()


def _check_store(store: str) -> None:
    if store == ":memory:":
        raise BadOption("--store :memory: dies with the first process; name a file, postgresql://…, or leave it out")


def _report(folder: Path, seen: Seen, verdict: Verdict, seconds: float) -> JsonObject:
    effects: list[Json] = [
        {
            "effect": line.name,
            "key": line.key,
            "executed": len(line.ran_in),
            "replayed": line.replayed,
            "killed": list[Json](line.killed_at),
        }
        for line in effect_lines(seen)
    ]
    return {
        **verdict.to_json(),
        "path": str(folder),
        "seconds": round(seconds, 2),
        "boundaries": [kill.boundary.name for kill in seen.kills],
        "effects": effects,
    }


def _program_report(seen: ProgramsSeen, found: ProgramsVerdict, picture: Path) -> JsonObject:
    return {**found.to_json(), "submitted": [turn.value for turn in seen.turns], "picture": str(picture)}
