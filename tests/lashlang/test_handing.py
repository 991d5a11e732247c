"""Large values on their way to the host and back leave other tasks their turn."""

from __future__ import annotations

import pytest

from lash.lashlang import (
    IMPROVED,
    Answer,
    Answered,
    BatchAnswered,
    Breath,
    Budgets,
    Continued,
    Execution,
    Failed,
    Faulted,
    Finished,
    LazyValue,
    NoAnswer,
    Outcome,
    Print,
    ReadValue,
    Request,
    ResourceOperation,
    ResourceOperationBatch,
    StartProcess,
    State,
    Step,
    Submit,
    Value,
    compile_body,
    from_json,
    to_json,
)
from lashlang.running import linked

# About 60,000 parts.
_LARGE: Value = [{"n": float(at)} for at in range(20_000)]
_SLICES = 4
_NOTHING = Answered(None)


class _SlowClock:
    """A clock on which every look comes too late."""

    def __init__(self) -> None:
        self.now = 0.0

    def now_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic(self) -> float:
        self.now += 0.006
        return self.now

    async def sleep(self, ms: int) -> None:
        raise AssertionError("nothing sleeps here")


def _driven(source: str, answer: Answer = _NOTHING) -> tuple[Outcome, list[tuple[int, Request | None]]]:
    """The outcome, and every request with the breaths that were taken before it."""
    body = compile_body(linked(source).artifact, None, IMPROVED)
    execution = Execution(body, variables={"xs": _LARGE}, budgets=Budgets(active_ms=None), clock=_SlowClock())
    seen: list[tuple[int, Request | None]] = []
    breaths = 0
    step: Step = execution.start()
    while not isinstance(step, Finished | Failed | Continued | Faulted):
        if isinstance(step, Breath):
            breaths += 1
            step = execution.resume()
            continue
        seen.append((breaths, step))
        breaths = 0
        step = execution.resume(Answered(step.value) if isinstance(step, Submit) else answer)
    seen.append((breaths, None))
    return step, seen


@pytest.mark.parametrize("source", ["submit xs", "submit [1, xs]", "submit { a: { b: xs } }"])
def test_a_large_result_is_converted_in_slices(source: str) -> None:
    outcome, seen = _driven(source)

    assert isinstance(outcome, Finished)
    assert seen[0][0] >= _SLICES


@pytest.mark.parametrize("value", [_LARGE, [2**70, _LARGE], {"é": [1.0, None], "t": "x\u2028"}, 0.5])
def test_a_snapshot_is_written_in_slices(value: Value) -> None:
    state = State({"a": value, "b": "next"})
    slices = 0
    work = state.written({"image": "bytes"})
    while True:
        try:
            next(work)
        except StopIteration as end:
            written = end.value
            break
        slices += 1

    assert written == state.snapshot({"image": "bytes"})
    assert State.restore(written).variables == state.variables
    assert (slices >= _SLICES) == (_LARGE in (value, value[1] if isinstance(value, list) else None))


def test_what_is_printed_is_converted_and_written_in_slices() -> None:
    _, seen = _driven("print xs")

    breaths, request = seen[0]
    assert isinstance(request, Print)
    assert (request.value, request.text[:18]) == (to_json(_LARGE), '[{"n":0},{"n":1},{')
    assert breaths >= 2 * _SLICES


def test_an_argument_is_converted_in_slices() -> None:
    _, seen = _driven("await tools.echo({ value: xs })")

    breaths, request = seen[0]
    assert isinstance(request, ResourceOperation)
    assert request.args == ({"value": to_json(_LARGE)},)
    assert request.site.occurrence == 1
    assert breaths >= _SLICES


def test_the_arguments_of_a_start_are_checked_in_slices() -> None:
    declared = "process eat(items: list[{ n: int }]) { finish len(items) }\n"
    _, taken = _driven(f"{declared}h = start eat(items: xs)", Answered({"__handle__": "process", "id": "p"}))
    refused, checked = _driven(f"{declared.replace('n: int', 'n: str')}h = start eat(items: xs)")

    breaths, request = taken[0]
    assert isinstance(request, StartProcess)
    assert request.site.occurrence == 1
    assert breaths >= 2 * _SLICES
    assert isinstance(refused, Faulted)
    assert str(refused.error).startswith("process start failed: process `eat` argument `items`: expected list[")
    assert checked[0][1] is None


@pytest.mark.parametrize("source", ["r = await tools.echo(1)?\nsubmit len(r)", "submit len(tools.echo(1).value)"])
def test_an_answer_is_converted_in_slices(source: str) -> None:
    outcome, seen = _driven(source, Answered(to_json(_LARGE)))

    assert outcome == Finished(20_000)
    assert seen[1][0] >= _SLICES


def test_the_answers_of_a_batch_are_converted_in_slices() -> None:
    source = "r = await [tools.echo(xs)?, tools.echo(1)]\nsubmit [len(r[0]), r[1]]"
    outcome, seen = _driven(source, BatchAnswered((Answered(to_json(_LARGE)), Answered(2))))

    assert outcome == Finished([20_000, {"ok": True, "value": 2}])
    assert isinstance(seen[0][1], ResourceOperationBatch)
    assert min(seen[0][0], seen[1][0]) >= _SLICES


def test_a_lazy_value_that_turns_out_large_is_converted_in_slices() -> None:
    body = compile_body(linked("submit len(doc)").artifact, None, IMPROVED, lazy=frozenset({"doc"}))
    execution = Execution(body, projected={"doc": LazyValue("doc", "list", None)}, clock=_SlowClock())
    assert isinstance(execution.start(), ReadValue)
    assert isinstance(execution.resume(NoAnswer()), ReadValue)
    step = execution.resume(Answered(to_json(_LARGE)))

    breaths = 0
    while isinstance(step, Breath):
        breaths += 1
        step = execution.resume()

    assert breaths >= _SLICES
    assert step == Submit(20_000)


def test_a_closed_execution_stops_converting() -> None:
    body = compile_body(linked("submit xs").artifact, None, IMPROVED)
    execution = Execution(body, variables={"xs": _LARGE}, clock=_SlowClock())

    assert isinstance(execution.start(), Breath)
    execution.close()

    assert execution.is_done


def test_what_the_host_answers_is_not_what_the_program_changes() -> None:
    given = to_json(_LARGE)
    outcome, _ = _driven("r = await tools.echo(1)?\nr[0].n = 7\nsubmit r[0].n", Answered(given))

    assert outcome == Finished(7)
    assert from_json(given) == _LARGE
