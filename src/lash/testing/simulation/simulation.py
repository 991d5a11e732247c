"""`Simulation`: one world, from its first step to its rest."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, Final

from lash.base.errors import ConfigurationError, LashError
from lash.base.waiting import first_of
from lash.core import LashCore, StandardCore
from lash.effects.errors import EffectInDoubt
from lash.processes.errors import ProcessError
from lash.runtime.doubt import RUN_AGAIN
from lash.runtime.engine import CoreClosed
from lash.runtime.request import TurnInputWithdrawn
from lash.runtime.work import External, SessionTurn
from lash.sessions.errors import SessionExists, StoreUnavailable, UnknownNode, UnsafeBranchPoint
from lash.testing.lab.watch import Execution
from lash.testing.simulation.agent import AgentNotes, agent_model, agent_tools
from lash.testing.simulation.database import World
from lash.testing.simulation.hosts import HostLife, MakeCore, Place
from lash.testing.simulation.laws import Laws, Said
from lash.testing.simulation.loop import SimulatedLoop, SimulationStuck
from lash.testing.simulation.script import make_script
from lash.testing.simulation.steps import (
    Answer,
    Cancel,
    ClockSet,
    Close,
    Crash,
    Emit,
    Enqueue,
    Every,
    Fork,
    Leave,
    Open,
    Order,
    Pause,
    Report,
    Reset,
    Run,
    Settle,
    Start,
    Step,
    Stop,
    StoreFails,
    StoreSlow,
    Task,
    Wait,
    Withdraw,
)
from lash.testing.simulation.time import SeededIds, WorldClock
from lash.tools.result import ToolCallOutput

# How long a world may take to come to rest, in virtual milliseconds: two leases, a retry, a poll, a lot of patience.
REST_MS: Final = 900_000

# A step costs some hundred callbacks, and coming to rest some thousands; ten times that is a world in circles.
CALLBACKS: Final = 40_000
CALLBACKS_A_STEP: Final = 5_000

# What a caller may hear when hosts die and stores fail; it asks again. Anything else is a broken law.
_EXPECTED: Final = (
    StoreUnavailable,
    CoreClosed,
    EffectInDoubt,
    TurnInputWithdrawn,
    ProcessError,
    SessionExists,
    UnknownNode,
    UnsafeBranchPoint,
)


@dataclass(slots=True)
class SimulationReport:
    """What came of one world. `digest` is equal for equal worlds, whenever and wherever they are run."""

    seed: int
    script: list[Step]
    problems: list[str]
    trace: list[str]
    callbacks: int
    virtual_ms: int

    @property
    def is_ok(self) -> bool:
        """Whether every law held."""
        return not self.problems

    @property
    def digest(self) -> str:
        """SHA-256 of the trace."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


class Simulation:
    """One world of some hosts over one store, and what happens in it. Added in 0.1.

    The seed decides everything: what people do, what goes wrong, who runs when. `script` takes the first
    two from the caller. `make` builds your own core on each host; without it a built-in agent is simulated.
    """

    def __init__(
        self,
        seed: int,
        *,
        script: Sequence[Step] | None = None,
        hosts: int = 3,
        length: int = 24,
        make: MakeCore | None = None,
    ) -> None:
        if hosts < 1 or length < 1:
            raise ConfigurationError(f"hosts={hosts}, length={length}: a world needs at least one of each")
        self.seed = seed
        self.script = list(script) if script is not None else make_script(Random(f"{seed}:script"), length, hosts)
        self._make = make

    def run(self) -> SimulationReport:
        """Plays the script and looks at the laws. Not inside a running event loop: the world has one of its own."""
        loop = SimulatedLoop(Random(f"{self.seed}:schedule"), CALLBACKS + CALLBACKS_A_STEP * len(self.script))
        clock = WorldClock(loop)
        world = World(loop, clock, Random(f"{self.seed}:world"))
        director = _Director(self.seed, world, self._make)
        problems: list[str] = director.laws.problems
        with _quiet():
            asyncio.set_event_loop(None)
            try:
                loop.run_until_complete(director.play(self.script))
            except SimulationStuck as stuck:
                problems.append(str(stuck))
            finally:
                with_problems = list(problems)
                try:
                    loop.run_until_complete(director.clear())
                except SimulationStuck as stuck:
                    with_problems.append(f"the world cannot be cleared away: {stuck}")
                loop.close()
                world.close()
        return SimulationReport(
            self.seed, self.script, with_problems, world.trace, loop.steps, int(loop.time() * 1_000)
        )


@dataclass(frozen=True, slots=True)
class _Retire:
    """The end of the world: no schedule goes on, every order is done."""

    host: int = -1


@dataclass(slots=True)
class _Call:
    """Somebody who waits on a host for an answer."""

    number: int
    step: Step | _Retire
    task: asyncio.Task[Any]


@dataclass(slots=True)
class _Asked:
    """A turn that was asked for, by however many callers."""

    run: Run
    text: str | None = None
    may_be_gone: bool = False


class _Director:
    """Plays scripts."""

    def __init__(self, seed: int, world: World, make: MakeCore | None) -> None:
        self.world = world
        self.notes = AgentNotes()
        self.laws = Laws(world, self.notes)
        world.after_write = self.laws.after_write
        self._seed = seed
        self._random = Random(f"{seed}:director")
        self._make = make or self._own_agent
        self._lives: dict[int, HostLife] = {}
        self._all_lives: list[HostLife] = []
        self._calls: list[_Call] = []
        self._asked: dict[str, _Asked] = {}
        self._queued: dict[str, tuple[Enqueue, Said]] = {}
        self._reset: set[str] = set()
        # Processes and occurrences that somebody wanted, by id and key.
        self._started: dict[str, Step] = {}
        world.notice_death_ms = self._random.choice((0, 0, 0, 2_000, 40_000))
        proof = "at once" if not world.notice_death_ms else f"after {world.notice_death_ms} ms"
        world.tell("world", f"there is proof of a death {proof}")

    async def play(self, script: Sequence[Step]) -> None:
        """Plays every step, then brings the world to rest and looks at the laws. The first broken one ends it."""
        await first_of(self._play(script), self.laws.are_broken.wait())

    async def _play(self, script: Sequence[Step]) -> None:
        for step in script:
            self.world.tell("script", repr(step))
            await self._do(step)
            await asyncio.sleep(0)
            self.laws.after_step()
        await self._come_to_rest()

    async def clear(self) -> None:
        """Ends every task of the world."""
        for life in self._all_lives:
            await life.bury()

    # steps

    async def _do(self, step: Step) -> None:
        match step:
            case Wait(ms=ms):
                await asyncio.sleep(ms / 1_000)
                return
            case ClockSet(ms=ms):
                self.world.clock.step(ms)
                return
            case Open(host=number):
                if number not in self._lives or not self._lives[number].is_alive:
                    self._start(number)
                return
            case _:
                pass
        life = self._lives.get(step.host)
        if life is None or not life.is_alive:
            self.world.tell("script", "skipped: the host is not there")
            return
        match step:
            case Crash(after=after):
                life.host.after(after, life.kill)
            case Pause(ms=ms, after=after):
                life.host.after(after, partial(life.pause, ms))
            case StoreFails(programs=count, trouble=trouble):
                life.weather.failing, life.weather.trouble = count, trouble
            case StoreSlow(programs=count, ms=ms):
                life.weather.slow, life.weather.slow_ms = count, ms
            case Leave(turn=turn):
                self._leave(step.host, turn)
            case _:
                self._call(life, step)

    def _start(self, number: int) -> HostLife:
        name = f"host{number}.{len(self._all_lives)}"
        ids = SeededIds(self.world.clock, Random(f"{self._seed}:{name}"))
        life = HostLife(self.world, name, self._make, ids, self._ran)
        self._lives[number] = life
        self._all_lives.append(life)
        return life

    def _ran(self, life: HostLife, execution: Execution) -> None:
        self.world.tell(life.host.name, f"runs {execution.name} {execution.key}")
        if life.core is not None:
            self.laws.on_run(execution, life.core.executor_id)

    def _own_agent(self, place: Place) -> LashCore:
        random = Random(f"{self._seed}:model:{place.host_id}")
        return StandardCore(
            model=agent_model(self.notes, place.clock, random),  # type: ignore[arg-type]
            tools=agent_tools(self.notes),
            store=place.store,
            effect_host=place.effect_host,
            clock=place.clock,
            ids=place.ids,
            host_id=place.host_id,
        )

    # calls

    def _call(self, life: HostLife, step: Step | _Retire) -> asyncio.Task[Any]:
        call = _Call(len(self._calls), step, life.start(self._answered(life, step), type(step).__name__))
        self._calls.append(call)
        return call.task

    async def _answered(self, life: HostLife, step: Step | _Retire) -> None:
        try:
            answer = await self._work(life, step)
        except _EXPECTED as error:
            answer = f"raised {type(error).__name__}"
        except asyncio.CancelledError:
            self.world.tell(life.host.name, f"{step} was left")
            raise
        except Exception as error:
            answer = f"raised {error!r}"
            self.laws.broken(f"{step} {answer}")
        self.world.tell(life.host.name, f"{step} -> {answer}")

    async def _work(self, life: HostLife, step: Step | _Retire) -> str:
        core = await life.opened()
        match step:
            case Run(session=session, turn=turn, say=say):
                asked = self._asked.setdefault(turn, _Asked(step))
                return await self._run(core, asked, session, turn, say)
            case Enqueue(session=session, id=name, say=say, delivery=delivery):
                if name not in self._queued:
                    self._queued[name] = (step, Said(session, name))
                opened = await core.session(session).open()
                batch = await opened.enqueue(say, id=name, delivery_policy=delivery)
                return batch.batch_id
            case Withdraw(session=session):
                opened = await core.session(session).open()
                waiting = await opened.queued_work()
                if not waiting:
                    return "nothing waits"
                self._may_be_gone(session)
                return repr(await opened.cancel_queued(waiting[-1].batch_id) is not None)
            case Cancel(session=session):
                self._may_be_gone(session)
                return repr(await (await core.session(session).open()).cancel())
            case Answer(approve=approve):
                return await self._answer(core, approve=approve)
            case Settle(again=again):
                return await self._settle(core, again=again)
            case Fork(session=session, new=new):
                await (await core.session(session).open()).fork(new)
                return "forked"
            case Reset(session=session, key=key):
                self._reset.add(session)
                opened = await core.session(session).open()
                return repr(await opened.commands.reset("the script says so", key=key))
            case Start(id=name, tool=tool, wake=wake):
                self._started.setdefault(name, step)
                return (await core.processes.start(tool, args={"n": 3}, id=name, wake=wake)).id
            case Task(id=name, say=say, wake=wake):
                self._started.setdefault(name, step)
                return (await core.processes.start(SessionTurn(say), id=name, wake=wake)).id
            case Order(id=name, wake=wake):
                self._started.setdefault(name, step)
                return (await core.processes.start(External("order"), id=name, wake=wake)).id
            case Stop(id=name):
                await (await core.processes.get(name)).cancel("the script says so")
                return "asked to stop"
            case Report(id=name):
                await core.processes.complete(name, "done elsewhere")
                return "reported"
            case Emit(key=key):
                self._started.setdefault(key, step)
                await core.triggers.subscribe("world.rang", "nap", inputs={"n": "event"}, wake="s1", key="bell")
                return repr((await core.triggers.emit("world.rang", 3, key=key)).started_process_ids)
            case Every(key=key, seconds=seconds, tool=tool):
                await core.triggers.every(timedelta(seconds=seconds), start=tool, args={"n": 1}, key=key)
                return "put"
            case _Retire():
                for schedule in await core.triggers.schedules():
                    await core.triggers.cancel(schedule)
                for record in await core.processes.list(status="running"):
                    if isinstance(self._started.get(record.id), Order):
                        await core.processes.complete(record.id, "done in the end")
                return "retired"
            case Close():
                await life.close()
                return "closed"
            case _:
                raise ConfigurationError(f"{step!r} is no step of a script")

    async def _run(self, core: LashCore, asked: _Asked, session: str, turn: str, say: str) -> str:
        result = await (await core.session(session).open()).run(say, turn_id=turn)
        answer = f"{type(result.outcome).__name__} {result.outcome!r} {result.text!r}"
        if not result.ok:
            asked.may_be_gone = True
        if asked.text is None:
            asked.text = answer
        elif asked.text != answer and session not in self._reset:  # what was said there may be forgotten
            self.laws.broken(f"turn {turn} was told in two ways: {asked.text} and {answer}")
        return answer

    async def _answer(self, core: LashCore, *, approve: bool) -> str:
        count = 0
        for approval in await core.approvals.pending():
            await (core.approvals.approve(approval) if approve else core.approvals.deny(approval, "no"))
            count += 1
        for pending in await core.completions.pending():
            await core.completions.complete(pending.key, "by hand")
            count += 1
        return f"{count} answered"

    async def _settle(self, core: LashCore, *, again: bool) -> str:
        doubts = list(core.recovery.in_doubt)
        for doubt in doubts:
            try:
                await core.settle(doubt, RUN_AGAIN if again else ToolCallOutput.ok("it had happened"))
            except LashError as error:  # somebody else was first
                self.world.tell("operator", f"{doubt} {type(error).__name__}")
        return f"{len(doubts)} settled"

    def _leave(self, host: int, turn: str) -> None:
        for call in self._calls:
            step = call.step
            if isinstance(step, Run) and (step.host, step.turn) == (host, turn) and not call.task.done():
                self._asked.setdefault(turn, _Asked(step)).may_be_gone = True
                self.world.loop.call_soon(call.task.cancel, context=self._lives[host].host.context)

    def _may_be_gone(self, session: str) -> None:
        """Whoever cancels here may hit anything that was said to this session."""
        for asked in self._asked.values():
            asked.may_be_gone = asked.may_be_gone or asked.run.session == session
        for step, said in self._queued.values():
            said.may_be_gone = said.may_be_gone or step.session == session

    # rest

    async def _come_to_rest(self) -> None:
        """Nothing goes wrong any more; everything that was accepted has to end."""
        self.world.tell("script", "the end; nothing goes wrong any more")
        ending = self._random.choice(("crash", "close", "stay"))
        for life in self._lives.values():
            life.host.disarm()
            life.weather.clear()
            life.resume()
            if ending == "crash":
                life.kill()
            elif ending == "close" and life.is_alive:
                self._call(life, Close(host=-1))
        if ending == "close":
            await self._until(lambda: all(life.is_over for life in self._all_lives), "close")
        # What noticed a death late has noticed it by now.
        await asyncio.sleep(self.world.notice_death_ms / 1_000)
        last = self._start(len(self._lives) + 100)
        await self._until_quiet(last)
        # Whoever got no answer asks again, under the same id.
        for asked in list(self._asked.values()):
            self._call(last, asked.run)
        for step, _ in list(self._queued.values()):
            self._call(last, step)
        for started in list(self._started.values()):
            self._call(last, started)
        await self._until_quiet(last)
        said = [Said(asked.run.session, turn, asked.may_be_gone) for turn, asked in self._asked.items()]
        said += [one for _, one in self._queued.values()]
        for one in said:
            one.may_be_gone = one.may_be_gone or one.session in self._reset
        self.laws.at_rest(said)
        for life in list(self._lives.values()):
            if life.is_alive:
                await self._until_done(self._call(life, Close(host=-1)), "an orderly close")

    async def _until_quiet(self, life: HostLife) -> None:
        """Answers everything, settles every doubt, until nothing is open any more."""
        started = self.world.loop.time()
        pause_ms = 50
        while True:
            await self._until_done(self._call(life, _Retire()), "retiring")
            await self._until_done(self._call(life, Answer(host=-1)), "answering")
            for other in [other for other in self._lives.values() if other.is_alive and other.core is not None]:
                again = self._random.random() < 0.5  # each core knows the doubts that it has met itself
                await self._until_done(self._call(other, Settle(host=-1, again=again)), "settling")
            waits = self._open_work()
            if not waits:
                return
            if (self.world.loop.time() - started) * 1_000 > REST_MS:
                self.laws.broken(f"the world does not come to rest: {'; '.join(waits)}")
                return
            await asyncio.sleep(pause_ms / 1_000)
            pause_ms = min(10_000, pause_ms * 2)

    def _open_work(self) -> list[str]:
        alive = {life.host for life in self._lives.values() if life.is_alive}
        waits = [
            f"{call.step!r} has no answer"
            for call in self._calls
            if not call.task.done() and any(call.task is task for host in alive for task in host.tasks.values())
        ]
        waits += [
            f"turn {session}/{turn} of {owner} is open"
            for session, turn, owner in self.world.query(
                "SELECT session_id, turn_id, owner FROM lash_session_leases "
                "WHERE lease_token <> '' OR turn_id IS NOT NULL"
            )
        ]
        waits += [
            f"process {process_id} runs, held by {owner or 'nobody'}"
            for process_id, owner in self.world.query(
                "SELECT process_id, lease_owner FROM lash_processes WHERE status = 'running' OR lease_token <> ''"
            )
        ]
        waits += [
            f"wake {process_id}/{sequence} is not delivered"
            for process_id, sequence in self.world.query(
                "SELECT process_id, sequence FROM lash_process_wake_outbox WHERE state = 'pending'"
            )
        ]
        waits += [
            f"delivery {process_id} is open"
            for (process_id,) in self.world.query(
                "SELECT process_id FROM lash_trigger_deliveries WHERE next_attempt_at_ms IS NOT NULL"
            )
        ]
        waits += [
            f"{session}/{key} is queued"
            for session, key in self.world.query("SELECT session_id, source_key FROM lash_queued_batches")
        ]
        return waits

    async def _until(self, is_so: Any, what: str) -> None:
        for _ in range(600):
            if is_so():
                return
            await asyncio.sleep(0.5)
        self.laws.broken(f"{what}: not within five minutes")

    async def _until_done(self, task: asyncio.Task[Any], what: str) -> None:
        await self._until(task.done, what)


@contextmanager
def _quiet() -> Iterator[None]:
    """The runtime's warnings about what the script does to it help nobody."""
    logger = logging.getLogger("lash")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
