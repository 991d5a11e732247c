"""What a cell costs in RLM mode: the runtime's own time, on SQLite, with a scripted model.

usage: python benchmarks/rlm_cell.py [--rounds N]

A turn of eleven iterations less a turn of one, by ten, is one iteration: a model call, a cell,
and the tool call in it, recorded. Each cell is another program, so that none is cached. Targets:
under 3 ms for an iteration with one tool call; 5 ms to compile and link fifty lines, 0.2 ms when
they are known. `cpu` is the time of the event loop's thread: what a busy machine does not change.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import lash
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.host.environment import Abilities, HostEnvironment
from lash.lashlang.modules.caches import Compiler
from lash.testing import ScriptedModel, cell

ITERATIONS = 11


@lash.tool
async def look(number: int) -> dict[str, int]:
    """Gives a number back."""
    return {"number": number}


def with_call(name: str, number: int) -> str:
    """A program that makes one call and goes on."""
    return f"{name}{number} = (await tools.look({{ number: {number} }})?).number\nprint {name}{number}"


def without_call(name: str, number: int) -> str:
    """The same without a call."""
    return f"{name}{number} = {number}\nprint {name}{number}"


def fifty_lines(salt: int) -> str:
    """A program as models write them."""
    block = """
rows{n} = []
for item in range({n}, {n} + 20) {{
  if item > 10 {{ rows{n} = push(rows{n}, {{ id: item, name: format("row {{}}", item) }}) }}
  else {{ rows{n} = push(rows{n}, {{ id: 0, name: "none" }}) }}
}}
found{n} = await tools.look({{ number: {n} }})?
total{n} = 0
for row in rows{n} {{ total{n} = total{n} + row.id }}
print total{n} > 3 ? found{n}.number : rows{n}[0].name
"""
    return "\n".join(block.format(n=10 * salt + number) for number in range(5))


async def turn_ms(session: lash.Session) -> tuple[float, float]:
    """One turn: wall time and the loop's own."""
    began, cpu = time.perf_counter(), time.thread_time()
    turn = await session.run("go")
    assert turn.ok, turn.errors
    return (time.perf_counter() - began) * 1000, (time.thread_time() - cpu) * 1000


async def iteration_ms(where: Path, source: Callable[[str, int], str], rounds: int) -> tuple[str, str]:
    """A turn of one iteration, and what each further one adds."""
    steps = []
    for number in range(rounds):
        steps += [cell(source(f"a{number}_", 0) + "\nsubmit 1")]
        steps += [cell(source(f"b{number}_", n)) for n in range(ITERATIONS - 1)] + [cell("submit 1")]
    core = lash.RlmCore(model=ScriptedModel(steps, order="calls"), tools=[look], store=str(where))
    short: list[tuple[float, float]] = []
    added: list[tuple[float, float]] = []
    async with core:
        for number in range(rounds):
            async with core.session(f"s{number}") as session:
                one = await turn_ms(session)
                many = await turn_ms(session)
            short.append(one)
            added.append(((many[0] - one[0]) / (ITERATIONS - 1), (many[1] - one[1]) / (ITERATIONS - 1)))
    return shown(short), shown(added)


def shown(samples: list[tuple[float, float]]) -> str:
    """Medians."""
    wall, cpu = (statistics.median(times) for times in zip(*samples, strict=True))
    return f"{wall:7.2f} ms, cpu {cpu:6.2f} ms"


def compile_ms(rounds: int) -> tuple[str, str]:
    """Fifty lines: linked and compiled for the first time, and again."""
    catalog = Catalog().add_operation("tools", "Tools", "look", "tool:look")
    environment, compiler = HostEnvironment(catalog, Abilities(sleep=True)), Compiler()
    cold: list[tuple[float, float]] = []
    cached: list[tuple[float, float]] = []
    for number in range(rounds):
        source = fifty_lines(number)
        for times in (cold, cached):
            began, cpu = time.perf_counter(), time.thread_time()
            linked = compiler.link(source, environment)
            compiler.compile(linked.artifact, None, traced=True)
            times.append(((time.perf_counter() - began) * 1000, (time.thread_time() - cpu) * 1000))
    return shown(cold), shown(cached)


async def measure(rounds: int) -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as folder:
        one, call = await iteration_ms(Path(folder) / "call.db", with_call, rounds)
        _, plain = await iteration_ms(Path(folder) / "plain.db", without_call, rounds)
    cold, cached = compile_ms(rounds)
    print(f"turn of one cell with one call   {one}")
    print(f"further cell with one call       {call}   target 3")
    print(f"further cell without a call      {plain}")
    print(f"compile and link 50 lines, cold  {cold}   target 5")
    print(f"the same, cached                 {cached}   target 0.2")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    asyncio.run(measure(parser.parse_args().rounds))
