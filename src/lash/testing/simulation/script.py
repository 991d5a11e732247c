"""Scripts from seeds: what people do, and what goes wrong meanwhile."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

from lash.sessions.queue import DeliveryPolicy
from lash.testing.simulation import steps
from lash.testing.simulation.agent import PLANS
from lash.testing.simulation.steps import Step

# How long something takes: mostly nothing, sometimes longer than a lease of thirty seconds lasts.
WAITS_MS: Final = (0, 1, 5, 20, 100, 600, 3_000, 35_000)
# How far a host comes before it is hit: into an acceptance, a model call, a commit.
DEPTHS: Final = (0, 3, 10, 25, 60, 120, 250)


def make_script(random: Random, length: int, hosts: int) -> list[Step]:
    """So many steps, after the first host was opened."""
    return _Writer(random, hosts).write(length)


class _Writer:
    def __init__(self, random: Random, hosts: int) -> None:
        self._random = random
        self._hosts = hosts
        self._sessions = ["s1", "s2"][: 1 + (random.random() < 0.5)]
        self._turns: list[tuple[str, str, str]] = []
        self._processes: dict[str, steps.Start | steps.Task | steps.Order] = {}
        self._serial = 0

    def write(self, length: int) -> list[Step]:
        script: list[Step] = [steps.Open(host=0)]
        while len(script) < length:
            script += self._next()
        return script

    def _next(self) -> list[Step]:
        random, host = self._random, int(self._random.random() ** 1.5 * self._hosts)
        session = random.choice(self._sessions)
        depth = int(random.choice(DEPTHS) * (0.5 + random.random()))
        match random.choices(
            ("run", "again", "enqueue", "process", "wait", "crash", "pause", "trouble", "answer", "cancel", "rare"),
            (18, 6, 10, 10, 14, 10, 5, 6, 6, 5, 6),
        )[0]:
            case "run":
                turn = self._name("t")
                self._turns.append((session, turn, self._plan(turn)))
                return [steps.Run(host, *self._turns[-1])]
            case "again" if self._turns:
                return [steps.Run(host, *random.choice(self._turns[-4:]))]
            case "enqueue":
                name = self._name("q")
                early = random.random() < 0.5
                delivery: DeliveryPolicy = "earliest_safe_boundary" if early else "after_current_turn_commit"
                return [steps.Enqueue(host, session, name, self._plan(name), delivery)]
            case "process":
                return [self._process(host, random.choice((session, None)))]
            case "crash":
                return [
                    steps.Crash(host, depth),
                    steps.Wait(random.choice(WAITS_MS)),
                    steps.Open(random.randrange(self._hosts)),
                ]
            case "pause":
                return [steps.Pause(host, random.choice((2_000, 31_000, 45_000)), depth)]
            case "trouble":
                count = random.choice((1, 1, 2, 5))
                if random.random() < 0.4:
                    return [steps.StoreSlow(host, count * 3, random.choice((50, 2_000, 20_000)))]
                return [steps.StoreFails(host, count, random.choice(("refused", "unacknowledged", "repeated")))]
            case "answer":
                return [
                    steps.Answer(host, approve=random.random() < 0.8),
                    steps.Settle(host, again=random.random() < 0.5),
                ]
            case "cancel":
                if random.random() < 0.4 and self._turns:
                    return [steps.Leave(host, self._turns[-1][1])]
                return [steps.Withdraw(host, session) if random.random() < 0.4 else steps.Cancel(host, session)]
            case "rare":
                return [self._rare(host, session)]
            case _:
                return [steps.Wait(random.choice(WAITS_MS)), steps.Open(random.randrange(self._hosts))]

    def _rare(self, host: int, session: str) -> Step:
        match self._random.randrange(7):
            case 0:
                new = self._name("f")
                self._sessions.append(new)
                return steps.Fork(host, session, new)
            case 1:
                return steps.Close(host)
            case 2:
                return steps.ClockSet(self._random.choice((-40_000, -500, 700, 60_000)))
            case 3:
                return steps.Reset(host, session, self._name("r"))
            case 4:
                return steps.Every(host, self._name("c"), self._random.choice((1, 20)), self._random.choice(PLANS[:3]))
            case _:
                return steps.Emit(host, f"e{self._random.randrange(4)}")

    def _process(self, host: int, wake: str | None) -> Step:
        random, known = self._random, self._processes
        kind = random.choices(("start", "task", "order", "stop", "report"), (8, 3, 2, 2, 2))[0]
        if kind == "stop" and known:
            return steps.Stop(host, random.choice(list(known)))
        if kind == "report" and known:
            return steps.Report(host, random.choice(list(known)))
        if known and random.random() < 0.15:
            return replace(random.choice(list(known.values())[-2:]), host=host)  # under its id it is started once
        name = self._name("p")
        match kind:
            case "task":
                known[name] = steps.Task(host, name, self._plan(name), wake)
            case "order":
                known[name] = steps.Order(host, name, wake)
            case _:
                known[name] = steps.Start(host, name, random.choice(PLANS[:-1]), wake)
        return known[name]

    def _plan(self, name: str) -> str:
        random = self._random
        rounds = [
            "+".join(random.choice(PLANS[:3] if random.random() < 0.6 else PLANS[:-1]) for _ in range(count))
            for count in random.choices((1, 2, 3), (6, 3, 1), k=random.choice((0, 1, 1, 2, 3)))
        ]
        if random.random() < 0.1:
            rounds.append("lost")
        return f"{name}: {' '.join(rounds)}"

    def _name(self, kind: str) -> str:
        self._serial += 1
        return f"{kind}{self._serial}"
