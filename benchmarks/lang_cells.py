"""W6: the code cells, in lashlang and in Python, side by side in one round.

usage: PYTHONPATH=src python benchmarks/lang_cells.py [--runs 5] [--only TEXT]

Prints one JSON object per line and a table at the end. `monty` and `smolagents`
run when they are installed (`pydantic-monty`, `smolagents`). Read the ratios:
the machine's speed cancels out of them. `cpu` compares CPU time, that of Monty's
process included: where others work on the machine, a process that has
computed for long waits and one that has slept does not, so that wall time is
no comparison between two processes.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from lash.lashlang import (
    ALL_ABILITIES,
    ALL_FEATURES,
    IMPROVED,
    Answered,
    Breath,
    Budgets,
    Catalog,
    Execution,
    Finished,
    HostEnvironment,
    ResourceOperation,
    State,
    Submit,
    compile_body,
    link,
    parse,
)

CELLS: dict[str, tuple[str, str, object]] = {
    "fib(24) recursive": (
        "fn fib(n: int) -> int { if n < 2 { return n } return fib(n - 1) + fib(n - 2) }\nsubmit fib(24)",
        "def fib(n):\n    if n < 2:\n        return n\n    return fib(n - 1) + fib(n - 2)\nfib(24)",
        46368,
    ),
    "loop 1e6 additions": (
        "total = 0\nfor i in range(1000000) { total = total + i }\nsubmit total",
        "total = 0\nfor i in range(1000000):\n    total = total + i\ntotal",
        499999500000,
    ),
    "list build 1e5": (
        "xs = []\nfor i in range(100000) { xs = push(xs, i * 2) }\nsubmit len(xs)",
        "xs = []\nfor i in range(100000):\n    xs.append(i * 2)\nlen(xs)",
        100000,
    ),
    "list comprehension 1e5": (
        "ys = [i * 2 for i in range(100000)]\nsubmit len(ys)",
        "ys = [i * 2 for i in range(100000)]\nlen(ys)",
        100000,
    ),
    "string format+join 1e4": (
        'parts = []\nfor i in range(10000) { parts = push(parts, format("item {}: {}", i, i * 3)) }\n'
        's = join(parts, "\\n")\nsubmit len(s)',
        'parts = []\nfor i in range(10000):\n    parts.append(f"item {i}: {i * 3}")\ns = "\\n".join(parts)\nlen(s)',
        None,
    ),
    "string concat 1e4": (
        's = ""\nfor i in range(10000) { s = s + "abc" }\nsubmit len(s)',
        's = ""\nfor i in range(10000):\n    s = s + "abc"\nlen(s)',
        30000,
    ),
    "dict updates 1e5": (
        'd = {}\nfor i in range(100000) { k = "k" + to_string(i % 1000)\n d[k] = d[k] + 1 }\nsubmit len(d)',
        'd = {}\nfor i in range(100000):\n    k = "k" + str(i % 1000)\n    d[k] = d.get(k, 0) + 1\nlen(d)',
        1000,
    ),
    "nested calls 3x3e4": (
        "fn a(x: float) -> float { return x + 1 }\nfn b(x: float) -> float { return a(x) * 2 }\n"
        "fn c(x: float) -> float { return b(x) - 3 }\nacc = 0\nfor i in range(30000) { acc = acc + c(i) }\nsubmit acc",
        "def a(x):\n    return x + 1\ndef b(x):\n    return a(x) * 2\ndef c(x):\n    return b(x) - 3\n"
        "acc = 0\nfor i in range(30000):\n    acc = acc + c(i)\nacc",
        None,
    ),
    "trivial cell": ("submit 1 + 1", "1 + 1", 2),
}
STATE = (
    'rows = []\nfor i in range(1000) { rows = push(rows, { id: i, name: "row " + i, tags: ["a", "b", '
    "to_string(i % 7)] }) }\nindex = {}\nfor r in rows { index[r.name] = r.id }\nsubmit len(rows)"
)
ENVIRONMENT = HostEnvironment(Catalog().add_operation("tools", "Tools", "f", "f"), ALL_ABILITIES, ALL_FEATURES)
UNBOUNDED = Budgets(active_ms=None)

Runner = Callable[[str, str], object]
CpuClock = Callable[[], float]


def drive(execution: Execution) -> object:
    """Runs to the end, answering every operation with 1."""
    step = execution.start()
    while True:
        if isinstance(step, Finished):
            return step.value
        if isinstance(step, Breath):
            step = execution.resume()
        elif isinstance(step, Submit):
            step = execution.resume(Answered(step.value))
        elif isinstance(step, ResourceOperation):
            step = execution.resume(Answered(1))
        else:
            raise SystemExit(f"unexpected step {step}")


def lashlang(source: str, _python: str) -> object:
    """Everything from text to value, as for the others."""
    module = link(parse(source, features=ALL_FEATURES), ENVIRONMENT)
    body = compile_body(module.artifact, None, IMPROVED)
    return drive(Execution(body, variables={}, budgets=UNBOUNDED))


def cpython(_source: str, code: str) -> object:
    """`exec` in this process: no sandbox at all."""
    tree = ast.parse(code)
    tail = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
    names: dict[str, object] = {}
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(tail, "cell", "eval"), names)


def nothing_s() -> float:
    """The CPU seconds that a runner uses in other processes: it has none."""
    return 0.0


def children_s() -> float:
    """The CPU seconds of this process's children, where Linux tells."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) != os.getpid():
                continue
            for task in (stat.parent / "task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


def monty_runner() -> tuple[Runner, CpuClock] | None:
    """Monty, warm: one session per round, outside the timing. It computes in a process of its own."""
    try:
        import pydantic_monty as monty
    except ImportError:
        return None
    pool = monty.Monty(max_processes=1)
    session = pool.__enter__().checkout().__enter__()
    return (lambda _source, code: session.feed_run(code)), children_s


def smolagents_runner() -> tuple[Runner, CpuClock] | None:
    """smolagents' local interpreter."""
    try:
        from smolagents import local_python_executor as executor
    except ImportError:
        return None
    executor.MAX_OPERATIONS = 10**12

    def run(_source: str, code: str) -> object:
        made = executor.LocalPythonExecutor([], timeout_seconds=None)
        made.send_tools({})
        return made(code).output

    return run, nothing_s


def emit(who: str, what: str, samples: list[float], unit: str, **extra: object) -> float:
    """Prints one result line; gives its median."""
    median = statistics.median(samples)
    row = {"w": "W6", "peer": who, "metric": what, "unit": unit, "n": len(samples), "median": round(median, 4), **extra}
    print(json.dumps(row), flush=True)
    return median


def measure_cells(runs: int, only: str) -> dict[str, dict[str, float]]:
    """Medians in ms by cell and runner, interleaved round by round."""
    runners: dict[str, tuple[Runner, CpuClock]] = {
        "cpython": (cpython, nothing_s),
        "lashlang": (lashlang, nothing_s),
    }
    peers = {"monty": monty_runner(), "smolagents": smolagents_runner()}
    runners |= {name: found for name, found in peers.items() if found is not None}
    table: dict[str, dict[str, float]] = {}
    for cell, (source, code, wanted) in CELLS.items():
        if only not in cell:
            continue
        samples: dict[str, list[float]] = {name: [] for name in runners}
        cpu: dict[str, list[float]] = {name: [] for name in runners}
        rounds = runs * 20 if cell == "trivial cell" else runs
        for _ in range(rounds):
            for name, (run, clock) in runners.items():
                if name == "smolagents" and len(samples[name]) >= 2:
                    continue
                elsewhere, used, started = clock(), time.process_time(), time.perf_counter()
                value = run(source, code)
                samples[name].append((time.perf_counter() - started) * 1e3)
                used = time.process_time() - used
                cpu[name].append((used + clock() - elsewhere) * 1e3)
                if wanted is not None and value != wanted:
                    raise SystemExit(f"{name} {cell}: got {value!r}, want {wanted!r}")
        table[cell] = {
            name: emit(name, cell, values, "ms", cpu=round(statistics.median(cpu[name]), 4))
            for name, values in samples.items()
        }
        table[cell] |= {f"{name} cpu": statistics.median(values) for name, values in cpu.items()}
    return table


def measure_boundary() -> None:
    """A host call, a cold start, and a snapshot of 1,000 records."""
    source = "for i in range(2000) { x = await tools.f({ i: i })? }\nsubmit x"
    body = compile_body(link(parse(source), ENVIRONMENT).artifact, None, IMPROVED)
    calls = []
    for _ in range(10):
        started = time.perf_counter()
        drive(Execution(body, variables={}))
        calls.append((time.perf_counter() - started) / 2000 * 1e6)
    emit("lashlang", "host call", calls, "us")
    cold = []
    for _ in range(100):
        started = time.perf_counter()
        lashlang("submit 1 + 1", "")
        cold.append((time.perf_counter() - started) * 1e3)
    emit("lashlang", "cold: parse, link, compile, run", cold, "ms")
    state = State()
    body = compile_body(link(parse(STATE, features=ALL_FEATURES), ENVIRONMENT).artifact, None, IMPROVED)
    drive(Execution(body, variables=state.variables))
    dumps, loads, size = [], [], 0
    for _ in range(30):
        started = time.perf_counter()
        snapshot = state.snapshot()
        dumps.append((time.perf_counter() - started) * 1e3)
        size = len(str(snapshot["vars"]).encode())
        started = time.perf_counter()
        State.restore(snapshot)
        loads.append((time.perf_counter() - started) * 1e3)
    emit("lashlang", "dump 1000-record state", dumps, "ms", bytes=size)
    emit("lashlang", "load 1000-record state", loads, "ms")


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--only", default="")
    options = arguments.parse_args()
    table = measure_cells(options.runs, options.only)
    if not options.only:
        measure_boundary()
    names = sorted({name for row in table.values() for name in row if not name.endswith(" cpu")})
    print(f"{'cell':26}" + "".join(f"{name:>14}" for name in names) + "   lashlang/cpython  lashlang/monty     cpu")
    for cell, row in table.items():
        cells = "".join(f"{row.get(name, float('nan')):14.3f}" for name in names)
        against = [row["lashlang"] / row[peer] if peer in row else float("nan") for peer in ("cpython", "monty")]
        used = row["lashlang cpu"] / row["monty cpu"] if row.get("monty cpu") else float("nan")
        print(f"{cell:26}{cells}{against[0]:18.2f}{against[1]:16.2f}{used:8.2f}")


if __name__ == "__main__":
    main()
