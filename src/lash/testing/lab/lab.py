"""`Lab`: runs an agent test once for every instant at which its process may die.

```python
def make(life: lash.testing.Life) -> lash.StandardCore:
    model = ScriptedModel([calls("pay", order=7), says("done")])
    return lash.StandardCore(model=model, tools=[pay], store=life.store, effect_host=life.effect_host)

async def order(core: lash.StandardCore) -> str:
    async with core.session("chat") as chat:
        return (await chat.run("pay order 7", turn_id="t1")).text

report = await lash.testing.Lab(make).kill_everywhere(order)
report.raise_for_problems()
```

The program is what your process does when it starts: it is run again from its top after every
kill, so give turns their ids. A kill is as SIGKILL is for the database: nothing more is written, the
executor's lock is free, and a fresh core (fresh model, fresh tools) goes on from what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lash.base.errors import ConfigurationError
from lash.base.json import Json
from lash.effects.errors import EffectInDoubt
from lash.testing.lab.life import Cut, Facts, Lived, MakeCore, Program, Settle, live, recorded_keys
from lash.testing.lab.places import LabPlace
from lash.testing.lab.power import Instant, WriteCut
from lash.testing.lab.report import KillPoint, LabReport, LabVerdict
from lash.testing.lab.watch import EffectCut, Execution, When

WHEN: Final[tuple[When, ...]] = ("before", "done-not-recorded", "recorded")
INSTANTS: Final[tuple[Instant, ...]] = ("before", "after")


class Lab:
    """Kills one agent program at chosen instants and compares what is left. Added in 0.1.

    `make` builds a core of your agent from a `Life`. `stores` are `"sqlite"` and `postgresql://` URLs.
    `settle` answers for effects declared `never` that a kill left in doubt; without it such a kill
    is reported as `in doubt`. `test` is the program for `kill_at` and `kill_everywhere` without one.
    """

    def __init__(
        self,
        make: MakeCore,
        *,
        test: Program | None = None,
        stores: Sequence[str] = ("sqlite",),
        settle: Settle | None = None,
    ) -> None:
        if not stores:
            raise ConfigurationError("stores=[] leaves nothing to kill over; name 'sqlite' or a postgresql:// URL")
        self._make = make
        self._test = test
        self._stores = list(stores)
        self._settle = settle

    async def kill_everywhere(
        self, test: Program | None = None, *, at_writes: bool = True, limit: int | None = None
    ) -> LabReport:
        """One run for each effect and instant, and each write of the store, on every store.

        `limit` takes so many of these points at most on each store, evenly spread.
        """
        if limit is not None and limit < 1:
            raise ConfigurationError(f"limit={limit}: give a positive number of kills, or None for all")
        program, report = self._program(test), LabReport()
        for store in self._stores:
            undisturbed, facts = await self._undisturbed(store, program)
            for point, cut in _spread(_cuts(store, undisturbed, at_writes=at_writes), limit):
                report.verdicts.append(await self._kill(store, program, point, cut, undisturbed, facts))
        return report

    async def kill_at(
        self, test: Program | None = None, *, effect: str | int, when: When = "done-not-recorded"
    ) -> LabReport:
        """One run on every store, killed at one effect.

        `effect` is its number in the order of the undisturbed run (from 1), its kind (`llm_call`,
        `sleep`, …), a tool's name, or a part of its replay key; the first that fits is meant.
        """
        if when not in WHEN:
            raise ConfigurationError(f"when={when!r}: choose one of {', '.join(WHEN)}")
        program, report = self._program(test), LabReport()
        for store in self._stores:
            undisturbed, facts = await self._undisturbed(store, program)
            number = _find(undisturbed.asked, effect)
            execution = undisturbed.asked[number - 1]
            point = KillPoint(_shown(store), execution.name, when, number)
            cut = EffectCut(number, when)
            report.verdicts.append(await self._kill(store, program, point, cut, undisturbed, facts))
        return report

    def _program(self, test: Program | None) -> Program:
        program = test or self._test
        if program is None:
            raise ConfigurationError("there is no test to run; pass one here or as Lab(make, test=…)")
        return program

    async def _undisturbed(self, store: str, program: Program) -> tuple[Lived, Facts]:
        async with LabPlace(store) as place:
            lived = await live(place, self._make, program, self._settle, None)
            if not lived.asked:
                raise ConfigurationError(
                    "the lab saw no effect: build the core with effect_host=life.effect_host and store=life.store"
                )
            async with await place.open() as opened:
                return lived, await Facts.read(opened)

    async def _kill(
        self, store: str, program: Program, point: KillPoint, cut: Cut, undisturbed: Lived, facts: Facts
    ) -> LabVerdict:
        async with LabPlace(store) as place:
            try:
                first = await live(place, self._make, program, self._settle, cut)
            except EffectInDoubt as doubt:
                return LabVerdict(point, "in doubt", lost=[f"nothing was killed, and yet {doubt}"])
            if not first.is_killed:
                return LabVerdict(point, "not reached")
            async with await place.open() as opened:
                recorded = await recorded_keys(opened, first.executed)
            try:
                second = await live(place, self._make, program, self._settle, None)
            except EffectInDoubt:
                return LabVerdict(point, "in doubt")
            except Exception as error:
                return LabVerdict(point, "failed", lost=[f"after the kill the program raised {error!r}"])
            async with await place.open() as opened:
                verdict = LabVerdict(
                    point, "survived", lost=_missing(undisturbed, second, facts, await Facts.read(opened))
                )
            _judge(verdict, first, second, recorded)
            return verdict


def _cuts(store: str, undisturbed: Lived, *, at_writes: bool) -> list[tuple[KillPoint, Cut]]:
    """Every place at which the undisturbed run can be killed, in order."""
    shown = _shown(store)
    effects: list[tuple[KillPoint, Cut]] = [
        (KillPoint(shown, execution.name, when, number), EffectCut(number, when))
        for number, execution in enumerate(undisturbed.asked, start=1)
        for when in WHEN
    ]
    writes: list[tuple[KillPoint, Cut]] = [
        (KillPoint(shown, f"write:{name}", instant, number), WriteCut(number, instant))
        for number, name in enumerate(undisturbed.writes if at_writes else (), start=1)
        for instant in INSTANTS
    ]
    return [*effects, *writes]


def _spread(cuts: list[tuple[KillPoint, Cut]], limit: int | None) -> list[tuple[KillPoint, Cut]]:
    if limit is None or limit >= len(cuts):
        return cuts
    return [cuts[index * len(cuts) // limit] for index in range(limit)]


def _judge(verdict: LabVerdict, first: Lived, second: Lived, recorded: set[tuple[str, str]]) -> None:
    before = {(execution.scope.journal_key, execution.key) for execution in first.executed}
    for execution in second.executed:
        identity = (execution.scope.journal_key, execution.key)
        if identity in recorded:
            verdict.ran_again.append(execution.name)
        elif identity in before:
            verdict.ran_twice.append(execution.name)


def _missing(undisturbed: Lived, after: Lived, expected: Facts, found: Facts) -> list[str]:
    problems: list[str] = []
    if after.value != undisturbed.value:
        problems.append(f"the program returned {after.value!r} and not {undisturbed.value!r}")
    for session_id in sorted({*expected.sessions, *found.sessions}):
        wanted, there = expected.sessions.get(session_id), found.sessions.get(session_id)
        problems += [f"session {session_id}: {what}" for what in _differences(wanted, there)]
    return problems


def _differences(wanted: Json, there: Json) -> list[str]:
    if not isinstance(wanted, dict) or not isinstance(there, dict):
        return [] if wanted == there else ["is there" if wanted is None else "is gone"]
    return [
        f"{key}: {_brief(there.get(key))} and not {_brief(wanted.get(key))}"
        for key in sorted({*wanted, *there})
        if wanted.get(key) != there.get(key)
    ]


def _brief(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:400]}…"


def _find(asked: Sequence[Execution], effect: str | int) -> int:
    if isinstance(effect, int):
        if not 1 <= effect <= len(asked):
            raise ConfigurationError(f"effect={effect}: the test has effects 1 to {len(asked)}")
        return effect
    for number, execution in enumerate(asked, start=1):
        kind, _, tool = execution.name.partition(":")
        if effect in (execution.name, kind, tool) or effect in execution.key:
            return number
    names = ", ".join(dict.fromkeys(execution.name for execution in asked))
    raise ConfigurationError(f"effect={effect!r}: the test has no such effect; it has {names}")


def _shown(store: str) -> str:
    return "postgres" if "://" in store else store
