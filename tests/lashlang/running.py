"""Running programs in tests."""

from __future__ import annotations

from collections.abc import Callable

from lash.base.json import Json
from lash.lashlang import (
    ALL_ABILITIES,
    ALL_FEATURES,
    IMPROVED,
    Answer,
    Answered,
    Breath,
    Budgets,
    Continued,
    Dialect,
    Execution,
    Failed,
    Faulted,
    Finish,
    Finished,
    HostEnvironment,
    LinkedModule,
    Outcome,
    Request,
    Step,
    Submit,
    Value,
    compile_body,
    link,
    parse,
)
from lash.lashlang.cases.host import case_catalog

# No test is ended by the clock of a busy machine.
_UNTIMED = Budgets(active_ms=None)
ENVIRONMENT = HostEnvironment(case_catalog(), ALL_ABILITIES, ALL_FEATURES)


def linked(source: str, *, dialect: Dialect = IMPROVED) -> LinkedModule:
    """The module of `source` in the case host with every feature."""
    return link(parse(source, dialect=dialect, features=ALL_FEATURES), ENVIRONMENT, dialect=dialect, source=source)


def drive(execution: Execution, perform: Callable[[Request], Answer] | None = None) -> Outcome:
    """Runs to the end; `submit` and `finish` answer with their value."""
    step: Step = execution.start()
    while not isinstance(step, Finished | Failed | Continued | Faulted):
        if isinstance(step, Breath):
            step = execution.resume()
        elif isinstance(step, Submit | Finish):
            step = execution.resume(Answered(step.value))
        else:
            step = execution.resume(perform(step) if perform else Answered(None))
    return step


def run(
    source: str,
    variables: dict[str, Value] | None = None,
    *,
    budgets: Budgets = _UNTIMED,
    perform: Callable[[Request], Answer] | None = None,
) -> Outcome:
    """The outcome of a cell."""
    body = compile_body(linked(source).artifact, None, IMPROVED)
    return drive(Execution(body, variables=variables, budgets=budgets), perform)


def submitted(source: str, variables: dict[str, Value] | None = None) -> Json:
    """What a cell submits; fails if it goes wrong."""
    outcome = run(source, variables)
    assert isinstance(outcome, Finished), outcome
    return outcome.value


def error_of(source: str, variables: dict[str, Value] | None = None, *, budgets: Budgets = _UNTIMED) -> str:
    """The run-time error of a cell."""
    outcome = run(source, variables, budgets=budgets)
    assert isinstance(outcome, Faulted), outcome
    return str(outcome.error)
