"""Whatever happens to a conversation, its session goes on: random talks, crashes and cancellations."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import lash
from face.places import Place
from lash.base.errors import InvalidArgument
from lash.base.messages import unsettled_tool_calls
from lash.effects.errors import EffectInDoubt
from lash.machine.llm import LlmRequest, ToolCallBlock, ToolResultBlock
from lash.runtime.request import TurnInputWithdrawn
from lash.stores.store import Store
from lash.testing import ScriptedModel, calls, fails, says
from lash.testing.script import Answer

ToolName: TypeAlias = Literal["quick", "slow", "broken", "flaky", "once", "unknown"]
TOOLS: list[ToolName] = ["quick", "slow", "broken", "flaky", "once", "unknown"]


@dataclass(frozen=True, slots=True)
class Say:
    """The model answers with text."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The provider fails, perhaps for good."""

    is_retryable: bool


@dataclass(frozen=True, slots=True)
class Call:
    """The model calls tools."""

    tools: tuple[ToolName, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens at the `step`-th transaction of a life."""

    kind: Literal["crash", "cancel", "leave", "close"]
    step: int


Move: TypeAlias = Say | Fail | Call


@dataclass(frozen=True, slots=True)
class Talk:
    """One turn: what the model does, and what goes wrong meanwhile."""

    moves: tuple[Move, ...]
    trouble: Trouble | None


tools = st.lists(st.sampled_from(TOOLS), min_size=1, max_size=4).map(tuple)
moves = st.one_of(st.just(Say()), st.builds(Fail, st.booleans()), st.builds(Call, tools))
troubles = st.none() | st.builds(
    Trouble, st.sampled_from(["crash", "cancel", "leave", "close"]), st.integers(min_value=1, max_value=14)
)
talks = st.lists(st.builds(Talk, st.lists(moves, max_size=4).map(tuple), troubles), min_size=1, max_size=4)


def _model(moves: Sequence[Move]) -> ScriptedModel:
    """Plays the moves of one turn, by the number of the call in it, then says something."""

    def answer(request: LlmRequest) -> Answer:
        _judge_request(request)
        place = request.place.iteration
        match moves[place] if place < len(moves) else Say():
            case Say():
                return says("well")
            case Fail(is_retryable=is_retryable):
                return fails("http", "no", status=400, retryable=is_retryable, retry_after_ms=1)
            case Call(tools=tools):
                return [says("let me see"), *(calls(name, number=number) for number, name in enumerate(tools))]

    return ScriptedModel(answer)


def _judge_request(request: LlmRequest) -> None:
    """Every call has its result in the next message, and no result comes without its call."""
    open_calls: set[str] = set()
    for message in request.messages:
        results = {block.call_id for block in message.blocks if isinstance(block, ToolResultBlock)}
        assert results == open_calls, f"results {results} for calls {open_calls}"
        open_calls = {block.call_id for block in message.blocks if isinstance(block, ToolCallBlock)}
    assert not open_calls, f"calls without results: {open_calls}"


def _tools() -> list[Any]:
    @lash.tool(repeat="idempotent")
    async def quick(number: int) -> int:
        return number

    @lash.tool(scheduling="serial")
    async def slow(number: int) -> int:
        for _ in range(5):
            await asyncio.sleep(0)
        return number

    @lash.tool
    async def broken(number: int) -> int:
        raise RuntimeError(f"{number} is broken")

    @lash.tool(retry=lash.Retry(attempts=2, base_ms=1, max_ms=1))
    async def flaky(ctx: lash.ToolContext, number: int) -> Any:
        return lash.ToolResult.retryable("unavailable", "busy", "again") if ctx.attempt_number == 1 else number

    @lash.tool(repeat="never")
    async def once(number: int) -> int:
        await asyncio.sleep(0)
        return number

    return [quick, slow, broken, flaky, once]


class Life:
    """One core over the file, and the trouble that waits for it."""

    def __init__(self, place: Place, core: lash.StandardCore, trouble: Trouble | None) -> None:
        self.place = place
        self.core = core
        self.trouble = trouble
        self.struck = asyncio.Event()
        driver: Any = core.store._driver
        run, steps = driver.run, 0

        async def counted(program: Any) -> Any:
            nonlocal steps
            steps += 1
            if trouble is not None and steps == trouble.step:
                self.struck.set()
                for _ in range(steps % 4):
                    await asyncio.sleep(0)
            return await run(program)

        driver.run = counted

    async def turn(self, text: str, turn_id: str) -> None:
        """Runs the turn until it ends or the trouble has come."""
        session = await self.core.session("s").open()
        turn = session.turn(text, turn_id=turn_id)
        running = asyncio.create_task(turn.run())
        strike = asyncio.create_task(self.struck.wait())
        await asyncio.wait([running, strike], return_when=asyncio.FIRST_COMPLETED)
        if self.trouble is not None and not running.done():
            match self.trouble.kind:
                case "crash":
                    await self.place.crash(self.core)
                case "close":
                    await self.core.close()
                case "cancel":
                    turn.cancellation.cancel()
                case "leave":
                    running.cancel()
        strike.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(running, strike, return_exceptions=True)
        error = None if running.cancelled() else running.exception()
        assert error is None or isinstance(error, lash.LashError), error


async def _live(folder: Path, conversation: Sequence[Talk]) -> None:
    place = Place("sqlite", lambda: Store.open(str(folder / "agent.db")))
    try:
        for number, talk in enumerate(conversation):
            core = await place.core(_model(talk.moves), tools=_tools())
            life = Life(place, core, talk.trouble)
            await life.turn(f"talk {number}", f"t{number}")
            if core in place.cores:
                await place.end(core)
            await _judge(place, talk, number)
    finally:
        await place.close()


async def _judge(place: Place, talk: Talk, number: int) -> None:
    """Reopening works, the head is valid, the interrupted turn ends, and the next one runs."""
    core = await place.core(_model(talk.moves), tools=_tools())
    async with asyncio.timeout(20), core.session("s") as session:
        for _ in range(20):
            try:
                await session.run(f"talk {number}", turn_id=f"t{number}")
                break
            except EffectInDoubt:
                for doubt in list(core.recovery.in_doubt):
                    with contextlib.suppress(InvalidArgument):  # another drive of it was faster
                        await core.settle(doubt, lash.RUN_AGAIN)
            except TurnInputWithdrawn:
                break  # it was cancelled before it began
        assert unsettled_tool_calls(session.messages) == []
    await place.end(core)

    after = await place.core(ScriptedModel(_polite))
    async with asyncio.timeout(20), after.session("s") as session:
        assert unsettled_tool_calls(session.messages) == []
        assert (await session.run("and now?")).text == "fine"
        turns = [turn.turn_id for turn in await session.turns()]
        assert len(turns) == len(set(turns))
    await place.end(after)


def _polite(request: LlmRequest) -> Answer:
    _judge_request(request)
    return says("fine")


def _run(conversation: Sequence[Talk]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live(Path(folder), conversation))


_quietly = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@settings(max_examples=15, derandomize=True, phases=[Phase.generate, Phase.shrink], **_quietly)  # type: ignore[arg-type]
@given(talks)
def test_no_conversation_bricks_its_session(conversation: list[Talk]) -> None:
    _run(conversation)


@pytest.mark.soak
@settings(max_examples=2_000, **_quietly)  # type: ignore[arg-type]
@given(talks)
def test_no_conversation_bricks_its_session_at_length(conversation: list[Talk]) -> None:
    _run(conversation)
