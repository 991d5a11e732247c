"""Generated code means what a plain walk over the tree means."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, Phase, given, settings

from lash.base.json import Json
from lash.lashlang import (
    IMPROVED,
    Answer,
    Breath,
    Continued,
    Execution,
    Failed,
    Faulted,
    Finished,
    LinkError,
    Request,
    RuntimeFailure,
    Step,
    Value,
    compile_body,
    from_json,
    to_json,
)
from lash.lashlang.execution import effects
from lashlang.oracle_effects import Entry, Oracle, ScriptedHost
from lashlang.programs import cells, processes
from lashlang.running import linked

# Explaining a failure re-runs it a thousand times; the shrunk program is enough.
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
_SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
_ARGUMENTS: dict[str, Json] = {
    "a": [1, [2]],
    "b": {"k": 1, "j": {"k": [5]}},
    "c": 3,
    "d": "text",
    "e": {"__handle__": "process", "id": "given"},
}
Seen = tuple[Json, dict[str, Json], list[Json]]


def _entry(request: Request) -> Entry:
    """The request as the scripted host knows it."""
    match request:
        case effects.ResourceOperation(operation=operation, args=args, site=site):
            return ["op", operation, list(args), site.occurrence]
        case effects.ResourceOperationBatch(operations=operations):
            return ["batch", [[item.operation, list(item.args), item.site.occurrence] for item in operations]]
        case effects.AwaitHandle(value=value, site=site):
            return ["await", value, site.occurrence]
        case effects.CancelHandle(value=value, site=site):
            return ["cancel", value, site.occurrence]
        case effects.Print(value=value, text=text):
            return ["print", text, value]
        case effects.Submit(value=value):
            return ["submit", value]
        case effects.Finish(value=value):
            return ["finish", value]
        case effects.Fail(value=value, text=text):
            return ["fail", value, text]
        case effects.StartProcess(process_name=name, args=arguments, site=site):
            return ["start", name, arguments, site.occurrence]
        case effects.ProcessEvent(kind=kind, value=value, text=text, sequence=sequence):
            return ["event", kind, text, sequence, value]
        case effects.Sleep(kind=kind, value=value, sequence=sequence):
            return ["sleep", kind, value, sequence]
        case effects.WaitSignal(name=wanted, ordinal=ordinal, site=site):
            return ["wait", wanted, ordinal, site.occurrence]
        case effects.SignalRun(run=run, name=wanted, payload=payload, sequence=sequence):
            return ["signal", run, wanted, payload, sequence]
        case _:
            raise AssertionError(f"no host reads {request}")


def _compiled(source: str, process: str | None) -> Seen:
    host = ScriptedHost()
    variables: dict[str, Value] = {}
    given = {name: from_json(value) for name, value in _ARGUMENTS.items()}
    body = compile_body(linked(source).artifact, process, IMPROVED)
    execution = Execution(body, variables=variables, arguments=given)
    outcome = _driven(execution, host)
    ended: Json = ["continued"]
    if isinstance(outcome, Finished):
        ended = ["finished", outcome.value]
    elif isinstance(outcome, Failed):
        ended = ["failed", outcome.text]
    elif isinstance(outcome, Faulted):
        ended = f"error: {outcome.error}"
    return ended, {name: to_json(value) for name, value in variables.items()}, host.log


def _driven(execution: Execution, host: ScriptedHost) -> Step:
    step = execution.start()
    while not execution.is_done:
        answer: Answer = effects.Answered(None)
        if not isinstance(step, Breath | Finished | Failed | Continued | Faulted):
            answer = host.answer(_entry(step))
        step = execution.resume(answer)
    return step


def _walked(source: str, process: str | None) -> Seen:
    host = ScriptedHost()
    variables: dict[str, Value] = {}
    if process is not None:
        given = {name: from_json(value) for name, value in _ARGUMENTS.items()}
        variables = {**given, "input": dict(given), "inputs": dict(given)}
    oracle = Oracle(linked(source).artifact, variables, host)
    try:
        ended = oracle.run(process)
    except RuntimeFailure as error:
        ended = f"error: {error}"
    kept = {} if process else variables
    return ended, {name: to_json(value) for name, value in kept.items()}, host.log


def _assert_agreement(source: str, process: str | None) -> None:
    try:
        linked(source)
    except LinkError:
        return

    compiled, walked = _compiled(source, process), _walked(source, process)

    assert json.dumps(compiled) == json.dumps(walked)


@_SETTINGS
@given(cells)
def test_compiled_cells_agree_with_the_oracle(source: str) -> None:
    _assert_agreement(source, None)


@_SETTINGS
@given(processes)
def test_compiled_processes_agree_with_the_oracle(source: str) -> None:
    _assert_agreement(source, "main_one")
