"""Programs that models write, as `Lab` programs: processes, signals, triggers, subagents."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import lash
from lash.base.json import Json
from lash.lashlang.syntax.features import LanguageFeatures
from lash.machine.llm import LlmRequest
from lash.processes.errors import UnknownProcess
from lash.protocols.rlm.options import RlmConfig
from lash.stock import SCHEDULES, ProcessControls, Subagents, TriggerSource, TriggerSources
from lash.testing import Life, ScriptedModel, cell
from lash.testing.lab.life import Program
from lash.testing.script import Answer

CLOCK = TriggerSource("clock.Alarm", "clock.Tick", emits="{ id: str }", takes="{ at: str }")


@lash.tool(repeat="idempotent")
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


@dataclass(frozen=True)
class Cells:
    """What the model writes, by the first word of what it is asked, and the program of the host."""

    scripts: Mapping[str, Sequence[str]]
    program: Program = field(default_factory=lambda: one_turn)

    def core(self, life: Life) -> lash.RlmCore:
        """A fresh core for one life."""

        def answer(request: LlmRequest) -> Answer:
            asked = next(message.text for message in request.messages if message.role == "user")
            return cell(self.scripts[asked.split()[0]][request.place.model_call])

        return lash.RlmCore(
            model=ScriptedModel(answer),
            rlm=RlmConfig(language_features=LanguageFeatures(comprehensions=True)),
            tools=[double],
            plugins=[TriggerSources(CLOCK, SCHEDULES), Subagents(), ProcessControls()],
            store=life.store,
            effect_host=life.effect_host,
        )


async def one_turn(core: lash.RlmCore) -> object:
    """One turn, and what became of its processes."""
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t1")
        return turn.value, await ended(core)


async def two_turns(core: lash.RlmCore) -> object:
    """Two turns of one session."""
    async with core.session("s") as session:
        values: list[Json] = [(await session.run("go", turn_id=f"t{number}")).value for number in (1, 2)]
        return values, await ended(core)


async def alarm(core: lash.RlmCore) -> object:
    """A turn that registers a trigger, an event, and the process that it starts."""
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t1")
        report = await core.triggers.emit("clock.Alarm", {"id": "1"}, source={"at": "08:00"}, key="alarm-1")
        return turn.value, [await _result_of(core, one.process_id) for one in report.deliveries]


async def schedules(core: lash.RlmCore) -> object:
    """A turn that puts schedules, and those that are left."""
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t1")
        return turn.value, [schedule.enabled for schedule in await session.triggers.schedules()]


async def _result_of(core: lash.RlmCore, process_id: str) -> Json:
    """A delivery whose emitter has died is started by the sweep, a while later."""
    while True:
        try:
            return await (await core.processes.get(process_id)).result()
        except UnknownProcess:
            await asyncio.sleep(0.01)


async def _started(core: lash.RlmCore) -> list[str]:
    return [record.id for record in await core.processes.list(status="any")]


async def ended(core: lash.RlmCore) -> object:
    """Every process by its id, and how it ended: the same however often the host died."""
    found = []
    for process_id in await _started(core):
        output = await core.store.processes.await_process(process_id)
        found.append((process_id, type(output).__name__))
    return found


GREET = """
process greet(name: str) {
  finish format("hello {}", name)
}
"""
BATCH = """
process work(n: int) {
  pair = await { a: tools.double({ number: n })?, b: tools.double({ number: n + 1 })? }
  finish pair.a + pair.b
}
"""
NESTED = """
process leaf(n: int) {
  finish (await tools.double({ number: n }))?
}
process tree(n: int) {
  both = await [start leaf(n: n), start leaf(n: n + 1)]
  finish both[0].value + both[1].value
}
"""
WAITING = """
process decides() signals { go: str } {
  first = wait_signal("go")
  second = wait_signal("go")
  finish [first, second]
}
"""
REGISTERS = """
process remember(tick: clock.Tick, note: str) {
  sleep for 1
  finish [note, tick.id]
}
t = await triggers.register({
  source: clock.Alarm({ at: "08:00" }),
  target: remember,
  inputs: { tick: trigger.event, note: "daily" }
})?
found = await triggers.list({ target: remember })?
submit len(found)
"""

PUTS = """
process report(due: clock.Due) { finish due.due_at }
a = await triggers.register({
  source: clock.schedule({ every: "10h" }), target: report, inputs: { due: trigger.event }
})?
b = await triggers.register({
  source: clock.schedule({ cron: "0 9 * * *" }), target: report, inputs: { due: trigger.event }
})?
gone = await triggers.cancel({ handle: a })?
submit [gone, len(await triggers.list({ enabled: true })?)]
"""

PROGRAMS: dict[str, Cells] = {
    "a process": Cells({"go": [GREET + 'h = start greet(name: "Ada")\nprint (await h)?', "submit (await h)?"]}),
    "handles in a list": Cells(
        {"go": [GREET + 'hs = [start greet(name: n) for n in ["a", "b"]]\nsubmit [x.value for x in await hs]']}
    ),
    "a process that calls tools together": Cells({"go": [BATCH + "submit (await start work(n: 3))?"]}),
    "nested processes": Cells({"go": [NESTED + "submit (await start tree(n: 3))?"]}),
    "signals": Cells(
        {
            "go": [
                WAITING + 'h = start decides()\nsignal_run(h, "go", "a")\nprint 1',
                'signal_run(h, "go", "b")\nsubmit (await h)?',
            ]
        }
    ),
    "a cancelled process": Cells({"go": [WAITING + "h = start decides()\ncancel h\nr = await h\nsubmit r"]}),
    "a handle in a later turn": Cells(
        {"go": [GREET + 'h = start greet(name: "Ada")\nsubmit 1', "submit (await h)?"]}, two_turns
    ),
    "a trigger": Cells({"go": [REGISTERS]}, alarm),
    "a trigger that is cancelled": Cells(
        {"go": [REGISTERS.replace("submit len(found)", "submit await triggers.cancel({ handle: t })?")]}, alarm
    ),
    "a schedule": Cells({"go": [PUTS]}, schedules),
    "a subagent": Cells({"go": ['submit await agents.spawn({ task: "child" })?'], "child": ["submit 7"]}),
    "subagents together": Cells(
        {
            "go": ['submit await [agents.spawn({ task: "one" })?, agents.spawn({ task: "two", seed: { n: 2 } })?]'],
            "one": ["x = await tools.double({ number: 1 })?\nsubmit x"],
            "two": ["submit n"],
        }
    ),
    "process controls": Cells(
        {
            "go": [
                WAITING
                + "h = start decides()\nx = await processes.list({})?\ny = await processes.cancel({ handle: h })?\n"
                + "submit [len(x), (await h).ok]"
            ]
        }
    ),
}
