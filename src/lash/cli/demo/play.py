"""One performance from start to end: the folder, the scratch place, both acts, the screen."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from lash.base.json import Json, JsonObject
from lash.cli.demo import second_show, show
from lash.cli.demo.evidence import Seen, Verdict, effect_lines, judge
from lash.cli.demo.second_act import SecondAct
from lash.cli.demo.second_facts import ProgramsSeen, judge_programs
from lash.cli.demo.stage import Stage
from lash.cli.failure import BadOption
from lash.cli.graph.facts import read_cells
from lash.cli.graph.page import page
from lash.cli.output import console, print_json, progress_console
from lash.cli.stores import shown

FIRST: Final = 1
SECOND: Final = 2


def perform(path: str, *, store: str | None, keep: bool, picture: str | None, act: int | None, as_json: bool) -> bool:
    """Plays the acts, or one of them, on the files under `path`; whether the promise was kept."""
    folder = _folder(path)
    if store is not None:
        _check_store(store)
    drawing = _drawing(picture)
    screen = progress_console() if as_json else console()
    scratch = Path(tempfile.mkdtemp(prefix="lash-demo-"))
    try:
        place = _Place(folder, store or str(scratch / "demo.db"), scratch, forget=store is not None and not keep)
        started = time.monotonic()
        show.opening(screen, folder)
        played: list[_Played] = []
        if act != SECOND:
            played.append(_first_act(place, screen, as_json=as_json))
        if act != FIRST:
            played.append(_second_act(place, screen, drawing, as_json=as_json))
        seconds = time.monotonic() - started
    finally:
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)
    is_ok = all(one.is_ok for one in played)
    if as_json:
        report: JsonObject = {}
        for one in played:
            report.update(one.report)
        kept: JsonObject = {"store": shown(place.store)} if keep else {}
        print_json({**report, "ok": is_ok, "path": str(folder), "seconds": round(seconds, 2), **kept})
    else:
        show.closing(screen, is_ok, seconds)
        if keep:
            show.kept(screen, shown(place.store), [line for one in played for line in one.looks])
    return is_ok


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the acts are played. `forget`: their sessions are deleted from a store that stays."""

    folder: Path
    store: str
    scratch: Path
    forget: bool


@dataclass(frozen=True, slots=True)
class _Played:
    """What came of an act; `looks` are commands that show more of it."""

    is_ok: bool
    report: JsonObject
    looks: list[str]


def _first_act(place: _Place, screen: Console, *, as_json: bool) -> _Played:
    stage = Stage(place.folder, place.store, place.scratch, lambda fact: show.narrate(screen, fact))
    seen = asyncio.run(_play(stage, forget=place.forget))
    verdict = judge(seen)
    if not as_json:
        show.effects(screen, seen)
        show.conversation(screen, seen)
        show.verdict(screen, seen, verdict)
    names: JsonObject = {} if place.forget else {"session_id": stage.session_id, "turn_id": stage.turn_id}
    looks = [f"lash turns explain --store {shown(place.store)} {stage.session_id} {stage.turn_id}"]
    return _Played(verdict.ok, {**_report(seen, verdict), **names}, looks)


def _second_act(place: _Place, screen: Console, drawing: Path | None, *, as_json: bool) -> _Played:
    act = SecondAct(place.folder, place.store, place.scratch, lambda fact: second_show.narrate(screen, fact))
    second_show.opening(screen)
    seen, drawn = asyncio.run(_play_second(act, place.store, forget=place.forget))
    found = judge_programs(seen)
    target = _written(drawn, drawing)
    if not as_json:
        second_show.values(screen, seen)
        screen.print()
        second_show.verdict(screen, found)
        second_show.picture(screen, target)
    names: JsonObject = {} if place.forget else {"session_id": act.session_id}
    submitted: list[Json] = [turn.value for turn in seen.turns]
    report: JsonObject = {**found.to_json(), "submitted": submitted, "picture": str(target), **names}
    looks = [f"lash sessions graph --store {shown(place.store)} {act.session_id}"]
    return _Played(found.ok, {"programs": report}, looks)


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


def _report(seen: Seen, verdict: Verdict) -> JsonObject:
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
        "boundaries": [kill.boundary.name for kill in seen.kills],
        "effects": effects,
    }
