"""One performance from start to end: the folder, the scratch place, the stage, the screen."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from lash.base.json import Json, JsonObject
from lash.cli.demo import show
from lash.cli.demo.evidence import Seen, Verdict, effect_lines, judge
from lash.cli.demo.stage import Stage
from lash.cli.failure import BadOption
from lash.cli.output import console, print_json, progress_console
from lash.cli.stores import shown


def perform(path: str, *, store: str | None, keep: bool, as_json: bool) -> bool:
    """Plays the demo on the files under `path`; whether the promise was kept."""
    folder = _folder(path)
    if store is not None:
        _check_store(store)
    screen = progress_console() if as_json else console()
    scratch = Path(tempfile.mkdtemp(prefix="lash-demo-"))
    try:
        where = store or str(scratch / "demo.db")
        stage = Stage(folder, where, scratch, lambda fact: show.narrate(screen, fact))
        show.opening(screen, folder)
        started = time.monotonic()
        seen = asyncio.run(_play(stage, forget=store is not None and not keep))
        seconds = time.monotonic() - started
    finally:
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)
    verdict = judge(seen)
    if as_json:
        kept: JsonObject = (
            {"store": shown(where), "session_id": stage.session_id, "turn_id": stage.turn_id} if keep else {}
        )
        print_json({**_report(folder, seen, verdict, seconds), **kept})
    else:
        show.effects(screen, seen)
        show.conversation(screen, seen)
        show.verdict(screen, seen, verdict, seconds)
        if keep:
            show.kept(screen, shown(where), stage.session_id, stage.turn_id)
    return verdict.ok


async def _play(stage: Stage, *, forget: bool) -> Seen:
    try:
        return await stage.play()
    finally:
        if forget:
            await stage.forget()


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
