"""The original VM's table, and the scenarios of specification §11, with cost per iteration.

usage: PYTHONPATH=src python benchmarks/lang_vm.py [--runs 5]

`original` is the native VM's figure on another machine: read our ratio to
CPython beside its. The last rows show that growth stays linear.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from lang_cells import ENVIRONMENT, UNBOUNDED, cpython, drive

from lash.lashlang import ALL_FEATURES, IMPROVED, Compiler, Execution, ModuleArtifact, compile_body, link, parse

# name: lashlang, the same in Python, original in ms, iterations
TABLE: dict[str, tuple[str, str, float | None, int]] = {
    "for: total + i": (
        "total = 0\nfor i in range(1000000) { total = total + i }\nsubmit total",
        "total = 0\nfor i in range(1000000):\n    total = total + i\ntotal",
        81,
        1_000_000,
    ),
    "while: total + i": (
        "total = 0\ni = 0\nwhile i < 1000000 { total = total + i\n i = i + 1 }\nsubmit total",
        "total = 0\ni = 0\nwhile i < 1000000:\n    total = total + i\n    i = i + 1\ntotal",
        88,
        1_000_000,
    ),
    "d[k] = d[k] + 1": (
        'd = {}\nfor i in range(100000) { k = "k" + (i % 1000)\n d[k] = d[k] + 1 }\nsubmit len(d)',
        "d = {}\nfor i in range(100000):\n    k = 'k' + str(i % 1000)\n    d[k] = d.get(k, 0) + 1\nlen(d)",
        53,
        100_000,
    ),
    "xs[i] = xs[i] + 1": (
        "xs = range(1000)\nfor i in range(100000) { xs[i % 1000] = xs[i % 1000] + 1 }\nsubmit len(xs)",
        "xs = list(range(1000))\nfor i in range(100000):\n    xs[i % 1000] = xs[i % 1000] + 1\nlen(xs)",
        40,
        100_000,
    ),
    's = s + "abc"': (
        's = ""\nfor i in range(10000) { s = s + "abc" }\nsubmit len(s)',
        "s = ''\nfor i in range(10000):\n    s = s + 'abc'\nlen(s)",
        12,
        10_000,
    ),
    "awaited tool call": (
        "for i in range(10000) { x = await tools.f({ i: i })? }\nsubmit x",
        "def f(r):\n    return 1\nfor i in range(10000):\n    x = f({'i': i})\nx",
        168,
        10_000,
    ),
    "format + push": (
        'xs = []\nfor i in range(10000) { xs = push(xs, format("{}: {}", i, i * 2)) }\nsubmit len(xs)',
        "xs = []\nfor i in range(10000):\n    xs.append(f'{i}: {i * 2}')\nlen(xs)",
        2300,
        10_000,
    ),
    "push 1e5": (
        "xs = []\nfor i in range(100000) { xs = push(xs, i) }\nsubmit len(xs)",
        "xs = []\nfor i in range(100000):\n    xs.append(i)\nlen(xs)",
        88000,
        100_000,
    ),
    "push 1e6": (
        "xs = []\nfor i in range(1000000) { xs = push(xs, i) }\nsubmit len(xs)",
        "xs = []\nfor i in range(1000000):\n    xs.append(i)\nlen(xs)",
        None,
        1_000_000,
    ),
    "d[k] 1e6": (
        'd = {}\nfor i in range(1000000) { d["k" + i % 5000] = i }\nsubmit len(d)'.replace("i % 5000", "(i % 5000)"),
        "d = {}\nfor i in range(1000000):\n    d['k' + str(i % 5000)] = i\nlen(d)",
        None,
        1_000_000,
    ),
    "if i % 3 == 0": (
        "c = 0\nfor i in range(1000000) { if i % 3 == 0 { c = c + 1 } }\nsubmit c",
        "c = 0\nfor i in range(1000000):\n    if i % 3 == 0:\n        c = c + 1\nc",
        4400,
        1_000_000,
    ),
}
SCENARIO = (
    "process echo(value: any) { finish value }\n"
    "type Row = { id: int, name: str }\n"
    'rows = []\nfor i in range(8) { rows = push(rows, { id: i, name: format("row {}", i) }) }\n'
    "best = { n: 0 }\nfor r in rows { if r.id % 2 == 0 { best.n = best.n + r.id } }\n"
    "ok = validate(rows[0], Type { id: int, name: str })\n"
    'submit { best: best.n, names: join([r.name for r in rows], ", "), ok: ok.id }'
)


def timed(run: Callable[[], object], count: int) -> float:
    """The median seconds of `count` runs."""
    samples = []
    for _ in range(count):
        started = time.perf_counter()
        run()
        samples.append(time.perf_counter() - started)
    return statistics.median(samples)


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=5)
    runs = arguments.parse_args().runs
    print(f"{'loop':22}{'lashlang ms':>13}{'ns/step':>10}{'CPython ms':>12}{'ratio':>8}{'original ms':>13}")
    for name, (source, code, original, steps) in TABLE.items():
        body = compile_body(link(parse(source, features=ALL_FEATURES), ENVIRONMENT).artifact, None, IMPROVED)
        ours = timed(lambda body=body: drive(Execution(body, variables={}, budgets=UNBOUNDED)), runs)  # type: ignore[misc]
        theirs = timed(lambda code=code: cpython("", code), runs)  # type: ignore[misc]
        known = "" if original is None else f"{original:.0f}"
        print(
            f"{name:22}{ours * 1e3:13.2f}{ours / steps * 1e9:10.0f}{theirs * 1e3:12.2f}{ours / theirs:8.2f}{known:>13}"
        )
    print()
    module = link(parse(SCENARIO, features=ALL_FEATURES), ENVIRONMENT)
    data = module.artifact.to_bytes()
    body = compile_body(module.artifact, None, IMPROVED)
    compiler = Compiler()
    compiler.link(SCENARIO, ENVIRONMENT)
    compiler.compile(module.artifact, None)

    def one_shot() -> object:
        linked = link(parse(SCENARIO, features=ALL_FEATURES), ENVIRONMENT)
        return drive(Execution(compile_body(linked.artifact, None, IMPROVED), variables={}))

    modes: dict[str, Callable[[], object]] = {
        "one_shot": one_shot,
        "compiled_execute": lambda: drive(Execution(body, variables={})),
        "link_artifact": lambda: link(parse(SCENARIO, features=ALL_FEATURES), ENVIRONMENT),
        "artifact_roundtrip": lambda: ModuleArtifact.from_bytes(ModuleArtifact.from_bytes(data).to_bytes()),
        "linked_program_cache": lambda: compiler.link(SCENARIO, ENVIRONMENT),
        "compiled_program_cache": lambda: compiler.compile(module.artifact, None),
        "compiled_process_cache": lambda: compiler.compile(module.artifact, "echo"),
    }
    for name, run in modes.items():
        print(f"{name:26}{timed(run, runs * 40) * 1e6:12.1f} us")


if __name__ == "__main__":
    main()
