"""Measures us, the peers and the floor side by side, and prints one table.

usage: make bench ARGS="[W1 W2 W3 W4 W5 W7] [--rounds N] [--only NAME] [--save]"

Within a round every contender runs a workload before the next workload begins,
so that a slow minute of the disk hits all of them. Compare ratios of one round,
not milliseconds of two. The PostgreSQL server is thrown away afterwards and
syncs every commit. `--save` keeps table and raw figures in `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from contenders import CONTENDERS, IMPORTS, PEERS, Contender  # noqa: E402  the script's own folder is on the path
from environments import BENCH, python_of, versions  # noqa: E402
from table import fold, render  # noqa: E402

from services.binaries import find_postgres  # noqa: E402
from services.postgres import running_postgres  # noqa: E402

WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "W7")


def main() -> None:
    options = _options()
    workloads = [name for name in WORKLOADS if name in options.workloads] if options.workloads else list(WORKLOADS)
    chosen = [contender for contender in CONTENDERS if options.only in (None, contender.name)]
    for contender in chosen:
        if contender.workloads & set(workloads):
            python_of(contender.environment)
    lines: list[dict[str, object]] = []
    with ExitStack() as stack:
        environment = _environment(stack, has_postgres=any(contender.needs_postgres for contender in chosen))
        for _ in range(options.rounds):
            for workload in workloads:
                lines += _round(workload, chosen, options.only, environment)
    table = render(fold(lines))
    print(table)
    if options.save:
        _save(table, lines, chosen)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", type=str.upper, help=f"of {', '.join(WORKLOADS)}; all by default")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=sorted({contender.name for contender in CONTENDERS}))
    parser.add_argument("--save", action="store_true")
    return parser.parse_args()


def _environment(stack: ExitStack, *, has_postgres: bool) -> dict[str, str]:
    BENCH.mkdir(exist_ok=True)
    scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="scratch-", dir=BENCH))
    # Ours is what this tree holds, whichever tree is installed.
    paths = os.pathsep.join([str(HERE.parent / "src"), str(PEERS)])
    environment = {**os.environ, "BENCH_DIR": scratch, "PYTHONPATH": paths}
    # Installed packages come compiled; a tree that may not keep what it compiled would look slow to import.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if has_postgres:
        server = stack.enter_context(running_postgres(durable=True))
        environment["BENCH_PG"] = server.url.rpartition("/")[0]
        environment["PATH"] = f"{find_postgres()}:{environment['PATH']}"
    return environment


def _round(
    workload: str, chosen: list[Contender], only: str | None, environment: dict[str, str]
) -> Iterator[dict[str, object]]:
    if workload == "W7":
        for imported in IMPORTS:
            if only is None or imported.environment is None or imported.environment.name == only:
                command = [str(python_of(imported.environment)), str(PEERS / "footprint.py")]
                weigh = ["--weigh"] if imported.is_weighed else []
                title = f"W7 {imported.who}"
                yield from _measure(title, [*command, imported.who, imported.statement, *weigh], environment)
        return
    for contender in chosen:
        if workload in contender.workloads:
            command = [str(python_of(contender.environment)), str(contender.script)]
            title = " ".join([workload, contender.name, *contender.options])
            yield from _measure(title, [*command, *contender.options, workload.lower()], environment)


def _measure(title: str, command: list[str], environment: dict[str, str]) -> list[dict[str, object]]:
    """The result lines of one run. A contender that fails is reported; what it had measured stays."""
    started = time.monotonic()
    done = subprocess.run(command, env=environment, cwd=BENCH, capture_output=True, text=True, check=False)
    print(f"bench: {title}, {time.monotonic() - started:.0f} s", file=sys.stderr)
    if done.returncode:
        print(f"bench: {title} FAILED\n{done.stderr[-3_000:]}", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _save(table: str, lines: list[dict[str, object]], chosen: list[Contender]) -> None:
    now = datetime.datetime.now(datetime.UTC)
    made = {contender.environment: versions(contender.environment) for contender in chosen if contender.environment}
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    path = HERE / "results" / f"{now:%Y-%m-%d-%H%M}.md"
    raw = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    head = f"# Round of {now:%Y-%m-%d %H:%M} UTC\n\n{machine}, load {load} at the end. {'; '.join(made.values())}."
    tail = f"<details><summary>Raw figures</summary>\n\n```json\n{raw}\n```\n\n</details>\n"
    path.write_text(f"{head}\n\n{table}\n\n{tail}")
    print(f"bench: saved {path.relative_to(HERE.parent)}", file=sys.stderr)


if __name__ == "__main__":
    main()
