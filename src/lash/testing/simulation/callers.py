"""People of a simulated world: what they ask of cores, what they are told, and that it is told alike to all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from lash.base.errors import ConfigurationError, LashError
from lash.core import LashCore
from lash.effects.errors import EffectInDoubt
from lash.processes.errors import ProcessError
from lash.runtime.doubt import RUN_AGAIN
from lash.runtime.engine import CoreClosed
from lash.runtime.request import TurnInputWithdrawn
from lash.runtime.work import External, SessionTurn
from lash.sessions.errors import SessionExists, StoreUnavailable, UnknownNode, UnsafeBranchPoint
from lash.testing.simulation import steps
from lash.testing.simulation.database import World
from lash.testing.simulation.hosts import HostLife
from lash.testing.simulation.laws import Laws, Said
from lash.testing.simulation.steps import Step
from lash.tools.result import ToolCallOutput

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


@dataclass(frozen=True, slots=True)
class Retire:
    """The end of the world: no schedule goes on, every order is done."""

    host: int = -1


@dataclass(slots=True)
class _Call:
    """Somebody who waits on a host for an answer."""

    step: Step | Retire
    task: asyncio.Task[Any]


@dataclass(slots=True)
class _Asked:
    """A turn that was asked for, by however many callers."""

    run: steps.Run
    text: str | None = None
    may_be_gone: bool = False


class Callers:
    """Everybody who asks for something."""

    def __init__(self, world: World, laws: Laws) -> None:
        self._world = world
        self._laws = laws
        self._calls: list[_Call] = []
        self._asked: dict[str, _Asked] = {}
        self._queued: dict[str, tuple[steps.Enqueue, Said]] = {}
        self._reset: set[str] = set()
        # Processes and occurrences that somebody wanted, by id and key.
        self._started: dict[str, Step] = {}

    def call(self, life: HostLife, step: Step | Retire) -> asyncio.Task[Any]:
        """Asks the core of a host; whoever is told nothing hears it from the trace."""
        call = _Call(step, life.start(self._answered(life, step), type(step).__name__))
        self._calls.append(call)
        return call.task

    def leave(self, life: HostLife, host: int, turn: str) -> None:
        """Whoever waits there for that turn goes away."""
        for call in self._calls:
            step = call.step
            if isinstance(step, steps.Run) and (step.host, step.turn) == (host, turn) and not call.task.done():
                self._asked.setdefault(turn, _Asked(step)).may_be_gone = True
                self._world.loop.call_soon(call.task.cancel, context=life.host.context)

    def ask_again(self, life: HostLife) -> None:
        """Whoever got no answer asks again, under the same id."""
        for asked in list(self._asked.values()):
            self.call(life, asked.run)
        for step, _ in list(self._queued.values()):
            self.call(life, step)
        for started in list(self._started.values()):
            self.call(life, started)

    def said(self) -> list[Said]:
        """All that was said to sessions, and whether it may be gone in the end."""
        said = [Said(asked.run.session, turn, asked.may_be_gone) for turn, asked in self._asked.items()]
        said += [one for _, one in self._queued.values()]
        for one in said:
            one.may_be_gone = one.may_be_gone or one.session in self._reset
        return said

    def without_answer(self, tasks: Iterable[asyncio.Task[Any]]) -> list[str]:
        """Calls among these tasks that are open."""
        alive = set(tasks)
        return [f"{call.step!r} has no answer" for call in self._calls if not call.task.done() and call.task in alive]

    async def _answered(self, life: HostLife, step: Step | Retire) -> None:
        try:
            answer = await self._work(life, step)
        except _EXPECTED as error:
            answer = f"raised {type(error).__name__}"
        except asyncio.CancelledError:
            self._world.tell(life.host.name, f"{step} was left")
            raise
        except Exception as error:
            answer = f"raised {error!r}"
            self._laws.broken(f"{step} {answer}")
        self._world.tell(life.host.name, f"{step} -> {answer}")

    async def _work(self, life: HostLife, step: Step | Retire) -> str:
        core = await life.opened()
        match step:
            case steps.Run(session=session, turn=turn, say=say):
                asked = self._asked.setdefault(turn, _Asked(step))
                return await self._run(core, asked, session, turn, say)
            case steps.Enqueue(session=session, id=name, say=say, delivery=delivery):
                if name not in self._queued:
                    self._queued[name] = (step, Said(session, name))
                opened = await core.session(session).open()
                batch = await opened.enqueue(say, id=name, delivery_policy=delivery)
                return batch.batch_id
            case steps.Withdraw(session=session):
                opened = await core.session(session).open()
                waiting = await opened.queued_work()
                if not waiting:
                    return "nothing waits"
                self._may_be_gone(session)
                return repr(await opened.cancel_queued(waiting[-1].batch_id) is not None)
            case steps.Cancel(session=session):
                self._may_be_gone(session)
                return repr(await (await core.session(session).open()).cancel())
            case steps.Answer(approve=approve):
                return await self._answer(core, approve=approve)
            case steps.Settle(again=again):
                return await self._settle(core, again=again)
            case steps.Fork(session=session, new=new):
                await (await core.session(session).open()).fork(new)
                return "forked"
            case steps.Reset(session=session, key=key):
                self._reset.add(session)
                opened = await core.session(session).open()
                return repr(await opened.commands.reset("the script says so", key=key))
            case steps.Close():
                await life.close()
                return "closed"
            case Retire():
                return await self._retire(core)
            case _:
                return await self._work_in_background(core, step)

    async def _work_in_background(self, core: LashCore, step: Step) -> str:
        match step:
            case steps.Start(id=name, tool=tool, wake=wake):
                self._started.setdefault(name, step)
                return (await core.processes.start(tool, args={"n": 3}, id=name, wake=wake)).id
            case steps.Task(id=name, say=say, wake=wake):
                self._started.setdefault(name, step)
                return (await core.processes.start(SessionTurn(say), id=name, wake=wake)).id
            case steps.Order(id=name, wake=wake):
                self._started.setdefault(name, step)
                return (await core.processes.start(External("order"), id=name, wake=wake)).id
            case steps.Stop(id=name):
                await (await core.processes.get(name)).cancel("the script says so")
                return "asked to stop"
            case steps.Report(id=name):
                await core.processes.complete(name, "done elsewhere")
                return "reported"
            case steps.Emit(key=key):
                self._started.setdefault(key, step)
                await core.triggers.subscribe("world.rang", "nap", inputs={"n": "event"}, wake="s1", key="bell")
                return repr((await core.triggers.emit("world.rang", 3, key=key)).started_process_ids)
            case steps.Every(key=key, seconds=seconds, tool=tool):
                await core.triggers.every(timedelta(seconds=seconds), start=tool, args={"n": 1}, key=key)
                return "put"
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
            self._laws.broken(f"turn {turn} was told in two ways: {asked.text} and {answer}")
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
                self._world.tell("operator", f"{doubt} {type(error).__name__}")
        return f"{len(doubts)} settled"

    async def _retire(self, core: LashCore) -> str:
        for schedule in await core.triggers.schedules():
            await core.triggers.cancel(schedule)
        for record in await core.processes.list(status="running"):
            if isinstance(self._started.get(record.id), steps.Order):
                await core.processes.complete(record.id, "done in the end")
        return "retired"

    def _may_be_gone(self, session: str) -> None:
        """Whoever cancels here may hit anything that was said to this session."""
        for asked in self._asked.values():
            asked.may_be_gone = asked.may_be_gone or asked.run.session == session
        for step, said in self._queued.values():
            said.may_be_gone = said.may_be_gone or step.session == session
