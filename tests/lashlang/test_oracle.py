"""Generated code means what a plain walk over the tree means."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, Phase, given, settings

from lash.base.json import Json
from lash.lashlang import (
    IMPROVED,
    Answer,
    Answered,
    Execution,
    Faulted,
    Finished,
    LinkError,
    Refused,
    Request,
    ResourceOperation,
    RuntimeFailure,
    Value,
    compile_body,
    from_json,
    to_json,
)
from lashlang.oracle import Oracle
from lashlang.programs import programs
from lashlang.running import drive, linked

# Explaining a failure re-runs it a thousand times; the shrunk program is enough.
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
_SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)


def _compiled(source: str) -> tuple[Json, dict[str, Json], list[Json]]:
    calls: list[Json] = []

    def perform(request: Request) -> Answer:
        assert isinstance(request, ResourceOperation)
        calls.append([request.operation, request.payload])
        payload = request.payload
        assert isinstance(payload, dict)
        if request.operation == "fail":
            return Refused(str(payload.get("reason")))
        return Answered(payload.get("value"))

    variables: dict[str, Value] = {}
    execution = Execution(compile_body(linked(source).artifact, None, IMPROVED), variables=variables)
    outcome = drive(execution, perform)
    result: Json = outcome.value if isinstance(outcome, Finished) else None
    if isinstance(outcome, Faulted):
        result = f"error: {outcome.error}"
    return result, {name: to_json(value) for name, value in variables.items()}, calls


def _walked(source: str) -> tuple[Json, dict[str, Json], list[Json]]:
    calls: list[Json] = []

    def perform(operation: str, payload: Value) -> Value:
        data = to_json(payload)
        calls.append([operation, data])
        assert isinstance(data, dict)
        if operation == "fail":
            return {"ok": False, "error": str(data.get("reason"))}
        return {"ok": True, "value": from_json(data.get("value"))}

    variables: dict[str, Value] = {}
    try:
        result: Json = to_json(Oracle(variables, perform).run(linked(source).program))
    except RuntimeFailure as error:
        result = f"error: {error}"
    return result, {name: to_json(value) for name, value in variables.items()}, calls


@_SETTINGS
@given(programs)
def test_compiled_programs_agree_with_the_oracle(source: str) -> None:
    try:
        linked(source)
    except LinkError:
        return

    compiled, walked = _compiled(source), _walked(source)

    assert json.dumps(compiled) == json.dumps(walked)
