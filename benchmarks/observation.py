"""Many sessions that stream, and observers that come and go.

```console
$ PYTHONPATH=src python benchmarks/observation.py agent.db
$ PYTHONPATH=src python benchmarks/observation.py postgresql://127.0.0.1/lash
```

Every session streams its turns token by token; each has one observer that disconnects
after a random number of items and comes back with its cursor a moment later. What is
printed: tokens per second, the delay from the model's token to the observer that was
connected, gaps by reason, and tokens that were missed without a gap, which must be none.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import lash
from lash.base.cancel import CancelToken
from lash.machine.llm import LlmRequest, LlmResponse, TextDelta, TextPart
from lash.models.provider import StreamSink
from lash.runtime.activity import AssistantProseDelta
from lash.runtime.observation.events import SessionSnapshot, TurnStarted, TurnTold
from lash.testing import ScriptedModel, says


class Streaming(ScriptedModel):
    """Says `tokens` numbered tokens, each with the time at which it was said."""

    def __init__(self, tokens: int, pause_s: float) -> None:
        super().__init__(lambda request: says("unused"))
        self._tokens = tokens
        self._pause_s = pause_s

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        said: list[str] = []
        for number in range(self._tokens):
            said.append(f"{number}@{time.perf_counter_ns()} ")
            if stream is not None:
                stream(TextDelta(said[-1]))
            await asyncio.sleep(self._pause_s)
        return LlmResponse([TextPart("".join(said))])


@dataclass
class Report:
    """What was measured."""

    sessions: int
    tokens: int = 0
    seconds: float = 0.0
    seen: int = 0
    lost: int = 0
    wrong: int = 0
    returns: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    delays_ms: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.delays_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def __str__(self) -> str:
        return (
            f"{self.sessions} sessions, {self.tokens} tokens, {self.tokens / self.seconds:,.0f} per second\n"
            f"delay to a connected observer: p50 {self.percentile(0.5):.2f} ms, p99 {self.percentile(0.99):.2f} ms\n"
            f"{self.returns} returns, {self.seen} tokens seen, gaps {dict(self.gaps)}\n"
            f"lost without a gap: {self.lost}; observers whose sum differs from what is committed: {self.wrong}"
        )


class Visitor:
    """An observer that comes and goes, and counts what it misses."""

    def __init__(self, session: lash.Session, report: Report, chance: random.Random, pause_s: float) -> None:
        self._session = session
        self._report = report
        self._chance = chance
        self._pause_s = pause_s
        self.mirror = lash.SessionMirror()
        self._next = 0

    async def watch(self, revision: int) -> None:
        """Until that revision was seen."""
        while self.mirror.revision < revision:
            observer = self._session.observe(after=self.mirror.cursor)
            connected_ns = time.perf_counter_ns()
            for _ in range(self._chance.randint(1, 60)):
                self._count(await anext(observer), connected_ns)
                if self.mirror.revision >= revision:
                    return
            self._report.returns += 1
            await asyncio.sleep(self._chance.random() * self._pause_s)

    def _count(self, seen: lash.ObservationEvent | lash.Gap, connected_ns: int) -> None:
        self.mirror.see(seen)
        if isinstance(seen, lash.Gap):
            self._report.gaps[seen.reason] += 1
        if isinstance(seen, lash.Gap) or isinstance(seen.payload, SessionSnapshot):
            self._next = self.mirror.text.count("@")
        elif isinstance(seen.payload, TurnStarted):
            self._next = 0
        elif isinstance(seen.payload, TurnTold) and isinstance(seen.payload.activity.event, AssistantProseDelta):
            number, _, said_ns = seen.payload.activity.event.text.partition("@")
            self._report.seen += 1
            self._report.lost += abs(int(number) - self._next)
            self._next = int(number) + 1
            if int(said_ns) > connected_ns:
                self._report.delays_ms.append((time.perf_counter_ns() - int(said_ns)) / 1e6)


async def stream_to_visitors(
    where: str | lash.Store, *, sessions: int, turns: int, tokens: int, pause_s: float, max_events: int = 2_048
) -> Report:
    """The whole scene on one store."""
    report = Report(sessions)
    chance = random.Random(17)
    model = Streaming(tokens, pause_s)
    async with lash.StandardCore(
        model=model, store=where, live_replay_store=lash.RecentEvents(max_events=max_events)
    ) as core:
        opened = [await core.session(f"s{number}").open() for number in range(sessions)]
        visitors = [Visitor(session, report, chance, 20 * pause_s) for session in opened]
        started = time.perf_counter()

        async def talk(session: lash.Session) -> None:
            for number in range(turns):
                result = await session.run("go", turn_id=f"t{number}")
                report.tokens += result.text.count("@")

        async with asyncio.TaskGroup() as group:
            for session, visitor in zip(opened, visitors, strict=True):
                group.create_task(talk(session))
                group.create_task(visitor.watch(turns))
        report.seconds = time.perf_counter() - started
        for session, visitor in zip(opened, visitors, strict=True):
            report.wrong += visitor.mirror.messages != session.messages
    return report


async def cpu_per_token(tokens: int = 20_000) -> tuple[float, float, float]:
    """Microseconds of CPU of a streamed token: with nobody listening, with one observer, with four."""
    figures: list[float] = []
    for observers in (0, 1, 4):
        async with lash.StandardCore(model=Streaming(tokens, 0), store=":memory:") as core:
            session = await core.session("s").open()
            readers = [asyncio.create_task(_read(session)) for _ in range(observers)]
            await asyncio.sleep(0.05)
            before = time.process_time()
            await session.run("go")
            figures.append((time.process_time() - before) / tokens * 1e6)
            for reader in readers:
                reader.cancel()
            await asyncio.wait(readers or [asyncio.ensure_future(asyncio.sleep(0))])
    return figures[0], figures[1], figures[2]


async def _read(session: lash.Session) -> None:
    async for _ in session.observe():
        pass


async def main() -> None:
    """Prints the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("store", nargs="?", default=":memory:")
    options.add_argument("--sessions", type=int, default=200)
    options.add_argument("--turns", type=int, default=2)
    options.add_argument("--tokens", type=int, default=200)
    options.add_argument("--pause-ms", type=float, default=50.0)
    given = options.parse_args()
    nobody, one, four = await cpu_per_token()
    print(f"CPU of a streamed token: nobody {nobody:.1f} µs, one observer {one:.1f} µs, four {four:.1f} µs")
    print(
        await stream_to_visitors(
            given.store,
            sessions=given.sessions,
            turns=given.turns,
            tokens=given.tokens,
            pause_s=given.pause_ms / 1e3,
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
