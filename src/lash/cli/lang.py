"""`lash lang`: check, run, format and draw lashlang programs, and run case files."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

from lash.base.json import Json, JsonObject
from lash.lashlang import (
    ALL_ABILITIES,
    ALL_FEATURES,
    COMPAT,
    IMPROVED,
    NO_FEATURES,
    Answer,
    Answered,
    Budgets,
    Catalog,
    Continued,
    Dialect,
    Failed,
    Faulted,
    Finished,
    HostEnvironment,
    LanguageError,
    Limits,
    LinkedModule,
    Outcome,
    Refused,
    Sleep,
    canonical_source,
    link,
    parse,
    render,
    static_map,
)
from lash.lashlang.cases.document import read_cases
from lash.lashlang.cases.host import case_catalog
from lash.lashlang.cases.runner import mismatch
from lash.lashlang.cases.world import CaseWorld
from lash.lashlang.execution.durations import deadline_ms, duration_ms
from lash.lashlang.tracking.picture import map_html, map_svg, map_text
from lash.lashlang.values.json_form import from_json

_MIB = 1024 * 1024
# A program of this size takes seconds to compile; a file beyond it is no program.
_LARGEST_SOURCE = 4 * _MIB
_SOURCE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_COMPAT = click.option("--compat", is_flag=True, help="Behave as the reference does.")
_CASE_HOST = click.option("--case-host", is_flag=True, help="Offer the modules of the case host.")


@click.group()
def lang() -> None:
    """Check, run, format and draw lashlang programs."""


@lang.command()
@_SOURCE
@_CASE_HOST
@_COMPAT
def check(file: Path, case_host: bool, compat: bool) -> None:
    """Report the first thing wrong with FILE; exit 1 if there is one."""
    _linked(file, _environment(case_host, compat), _dialect(compat))


@lang.command()
@_SOURCE
@_CASE_HOST
@_COMPAT
@click.option("--process", help="Run this process instead of the cell.")
@click.option("--args", "arguments", default="{}", help="Process arguments, a JSON object.")
@click.option("--globals", "variables", default="{}", help="Initial cell variables, a JSON object.")
@click.option("--active-ms", default=10_000, show_default=True, help="Computing time, waiting apart.")
@click.option("--waiting-ms", default=60_000, show_default=True, help="Sleeping, all of it together.")
@click.option("--memory-mib", default=512, show_default=True, help="Memory that values may count for.")
@click.option("--instructions", type=int, help="Loop turns and calls; unlimited by default.")
def run(
    file: Path,
    case_host: bool,
    compat: bool,
    process: str | None,
    arguments: str,
    variables: str,
    active_ms: int,
    waiting_ms: int,
    memory_mib: int,
    instructions: int | None,
) -> None:
    """Run FILE and print its value as JSON; exit 1 with a diagnostic on any failure.

    Sleeps are real; Ctrl-C ends them.
    """
    dialect, environment = _dialect(compat), _environment(case_host, compat)
    args, cells = _json_option("--args", arguments), _json_option("--globals", variables)
    source, linked = _linked(file, environment, dialect)
    if process is not None and process not in linked.artifact.exports:
        _fail(f"unknown process `{process}`")
    limits = Limits(memory_bytes=max(1, memory_mib) * _MIB)
    budgets = Budgets(instructions=instructions, active_ms=active_ms, limits=limits)
    world = CaseWorld(
        linked.artifact,
        environment.resources,
        dialect,
        {},
        budgets=budgets,
        sleeper=_Sleeper(waiting_ms),
        printer=_show,
    )
    try:
        if process is None:
            sort = not dialect.insertion_order
            outcome = world.run_cell({name: from_json(value, sort_keys=sort) for name, value in cells.items()}, {})
        else:
            problem = world.argument_problem(process, args)
            if problem is not None:
                _fail(problem)
            outcome = world.run_process(process, args, "p0")
    except LanguageError as error:
        _fail(str(error))
    _report(outcome, source, dialect)


def _show(value: Json) -> None:
    click.echo(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), err=True)


class _Sleeper:
    """Sleeps in this thread, within a budget."""

    def __init__(self, budget_ms: int) -> None:
        self._budget_ms = budget_ms
        self._left_ms = budget_ms

    def __call__(self, request: Sleep) -> Answer:
        try:
            if request.kind == "for":
                wait = duration_ms(request.value)
            else:
                wait = max(0, deadline_ms(request.value) - time.time_ns() // 1_000_000)
        except LanguageError as error:
            return Refused(str(error))
        if wait > self._left_ms:
            return Refused(f"waiting budget of {self._budget_ms} ms exceeded; allow more with --waiting-ms")
        self._left_ms -= wait
        time.sleep(wait / 1000)
        return Answered(None)


def _report(outcome: Outcome, source: str, dialect: Dialect) -> None:
    match outcome:
        case Finished(value=value):
            click.echo(json.dumps(value, ensure_ascii=False))
        case Continued():
            click.echo("null")
        case Failed(text=text):
            _fail(f"process failed: {text}")
        case Faulted(error=error):
            _fail(render(error, source, dialect=dialect))


@lang.command()
@_SOURCE
@click.option("--write", is_flag=True, help="Rewrite FILE instead of printing.")
@_CASE_HOST
def fmt(file: Path, write: bool, case_host: bool) -> None:
    """Print FILE in canonical form. The result has the same module reference."""
    environment = _environment(case_host, compat=False)
    source = _read(file)
    try:
        program = parse(source, features=environment.language_features)
        text = canonical_source(program, environment.resources)
    except LanguageError as error:
        _fail(render(error, source))
    if write:
        file.write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=False)


@lang.command()
@_SOURCE
@click.option("--process", help="Map this process instead of the cell.")
@click.option("--format", "form", type=click.Choice(["text", "json", "svg", "html"]), default="text")
@_CASE_HOST
def graph(file: Path, process: str | None, form: str, case_host: bool) -> None:
    """Print the static map of FILE: which effects it may reach, and in what order."""
    _, linked = _linked(file, _environment(case_host, compat=False), IMPROVED)
    if process is not None and process not in linked.artifact.exports:
        _fail(f"unknown process `{process}`")
    found = static_map(linked.artifact, process, reachable=True)
    if form == "json":
        click.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        click.echo({"text": map_text, "svg": map_svg, "html": map_html}[form](found))


@lang.command()
@_SOURCE
@_COMPAT
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cases(file: Path, compat: bool, as_json: bool) -> None:
    """Run the conformance cases in FILE (.md or .jsonl); exit 1 if one fails."""
    dialect = _dialect(compat)
    failed: list[JsonObject] = []
    unsure: list[JsonObject] = []
    try:
        found = read_cases(file)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        _fail(f"{file} is no case file: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    for case in found:
        why = mismatch(case, dialect)
        if why is not None:
            (unsure if case.is_unsure else failed).append({"id": case.id, "why": why})
    passed = len(found) - len(failed) - len(unsure)
    if as_json:
        report: dict[str, Json] = {"total": len(found), "passed": passed, "failed": [*failed], "unsure": [*unsure]}
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        for entry in failed:
            click.echo(f"{entry['id']}: {entry['why']}")
        for entry in unsure:
            click.echo(f"{entry['id']} (unsure): {entry['why']}")
        click.echo(f"{passed} of {len(found)} cases pass ({dialect.name})")
    if failed:
        sys.exit(1)


def _dialect(compat: bool) -> Dialect:
    return COMPAT if compat else IMPROVED


def _environment(case_host: bool, compat: bool) -> HostEnvironment:
    features = dataclasses.replace(NO_FEATURES, label_annotations=True) if compat else ALL_FEATURES
    return HostEnvironment(case_catalog() if case_host else Catalog(), ALL_ABILITIES, features)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST_SOURCE + 1)
    except OSError as error:
        _fail(f"{file} can't be read: {error.strerror}")
    if len(data) > _LARGEST_SOURCE:
        _fail(f"{file} is larger than {_LARGEST_SOURCE // _MIB} MiB; no program is that long")
    try:
        return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        _fail(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}")


def _linked(file: Path, environment: HostEnvironment, dialect: Dialect) -> tuple[str, LinkedModule]:
    source = _read(file)
    try:
        program = parse(source, dialect=dialect, features=environment.language_features)
        return source, link(program, environment, dialect=dialect, source=source)
    except LanguageError as error:
        _fail(render(error, source, dialect=dialect, environment=environment))


def _json_option(name: str, text: str) -> JsonObject:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"{name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.BadParameter(f"{name} must be a JSON object")
    return value


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(1)


if __name__ == "__main__":
    lang(prog_name="lash lang")
