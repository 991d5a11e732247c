"""A process that is killed in the middle of a stream, and the one that goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

import lash
from lash.models import ModelRetry, ProviderOptions, Reliability
from lash.runtime.activity import AssistantProseDelta, ModelAttemptReset
from providers.dialects import DIALECTS, Call, Dialect, Text
from providers.wire_server import QUICK, Asked, Reply, WireServer

# Runs one turn and says `streaming` as soon as it has heard the first piece of text.
CHILD = """
import asyncio, sys
import lash
from lash.runtime.activity import AssistantProseDelta

@lash.tool
async def double(n: int) -> int:
    "Doubles a number."
    return 2 * n

def hear(activity):
    if isinstance(activity.event, AssistantProseDelta):
        print("streaming", flush=True)

async def main():
    async with lash.StandardCore(model=sys.argv[1], tools=[double], store=sys.argv[2]) as core:
        async with core.session("s") as session:
            await session.turn("double 4", turn_id="t").stream_to(hear)

asyncio.run(main())
"""


@lash.tool
async def double(n: int) -> int:
    """Doubles a number."""
    return 2 * n


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.kind)
def dialect(request: pytest.FixtureRequest, server: WireServer, monkeypatch: pytest.MonkeyPatch) -> Dialect:
    found: Dialect = request.param
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value.format(root=server.root))
    return found


async def test_a_turn_that_was_killed_while_it_streamed_is_finished_without_what_was_streamed(
    server: WireServer, dialect: Dialect, tmp_path: Path
) -> None:
    model, store = f"{dialect.kind}:m", str(tmp_path / "a.db")
    is_killed = False

    def answer(asked: Asked) -> Reply:
        heard = dialect.hears(asked.body)
        if heard[-1] == ("user", "sure?"):
            return dialect.plays(Text("sure"))
        if heard[-1][0] != "result":
            return dialect.plays(Call("c0", "double", {"n": 4}))
        return dialect.plays(Text("it is eight")) if is_killed else half

    half = dialect.breaks_off(Text("it is seven, no"), ending="hang")
    server.decides(answer)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, model, store, env=dict(os.environ), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"streaming\n"
    child.send_signal(signal.SIGKILL)
    await child.wait()
    is_killed = True

    async with lash.StandardCore(model=model, tools=[double], store=store) as core, core.session("s") as session:
        turn = await session.run("double 4", turn_id="t")
        after = await session.run("sure?")

    assert (turn.ok, turn.text, after.text) == (True, "it is eight", "sure")
    # Nothing of the broken stream is kept, and every call has its result.
    said = [heard for heard in dialect.hears(server.asked[-1].body) if heard[0] not in ("system", "thought")]
    assert said == [
        ("user", "double 4"),
        ("call", "c0", "double", {"n": 4}),
        ("result", "c0", "8"),
        ("assistant", "it is eight"),
        ("user", "sure?"),
    ]


async def test_what_was_streamed_before_a_final_failure_is_retracted(server: WireServer, dialect: Dialect) -> None:
    server.plays(dialect.breaks_off(Text("once upon"), ending="abort"), dialect.plays(Text("hello")))
    wire = dialect.make(server, QUICK)
    shown: list[str] = []

    def hear(activity: lash.TurnActivity) -> None:
        match activity.event:
            case AssistantProseDelta(text=text):
                shown.append(text)
            case ModelAttemptReset():
                shown.clear()
            case _:
                pass

    async with lash.StandardCore(model=lash.ModelSpec("m", wire)) as core, core.session("s") as session:
        failed = await session.turn("tell").stream_to(hear)
        assert not shown, "nothing of it may stay on the screen"
        after = await session.run("hi")
    await wire.aclose()

    assert (failed.ok, failed.errors[0].code) == (False, "provider_error")
    assert after.text == "hello"
    assert [heard[1] for heard in dialect.hears(server.asked[1].body) if heard[0] == "assistant"] == []


async def test_a_lost_attempt_is_retracted_and_told_anew(server: WireServer, dialect: Dialect) -> None:
    server.plays(dialect.breaks_off(Text("seven"), ending="end"), dialect.plays(Text("eight")))
    options = ProviderOptions(Reliability(60_000, 30_000, ModelRetry(attempts=2, base_ms=0)))
    wire = dialect.make(server, options)
    shown: list[str] = []

    def hear(activity: lash.TurnActivity) -> None:
        match activity.event:
            case AssistantProseDelta(text=text):
                shown.append(text)
            case ModelAttemptReset():
                shown.append("|")
            case _:
                pass

    async with lash.StandardCore(model=lash.ModelSpec("m", wire)) as core, core.session("s") as session:
        turn = await session.turn("4 + 4?").stream_to(hear)
    await wire.aclose()

    assert turn.text == "eight"
    assert "".join(shown) == "seven|eight"
