"""The scenarios of specification §11, by mode, in microseconds per iteration.

usage: PYTHONPATH=src python benchmarks/lang_scenarios.py [--runs 200]

Each program runs against an in-process host and must end as it says; three
process declarations come first, as in the original's benchmark.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

from lash.base.json import Json
from lash.lashlang import (
    ALL_ABILITIES,
    ALL_FEATURES,
    IMPROVED,
    Answer,
    Answered,
    Breath,
    CompiledBody,
    Compiler,
    Continued,
    Execution,
    Failed,
    Faulted,
    Finished,
    HostEnvironment,
    LazyValue,
    ModuleArtifact,
    NoAnswer,
    Refused,
    Request,
    State,
    Value,
    compile_body,
    from_json,
    link,
    parse,
)
from lash.lashlang.cases.host import case_catalog
from lash.lashlang.execution import effects

ENVIRONMENT = HostEnvironment(case_catalog(), ALL_ABILITIES, ALL_FEATURES)
DECLARED = (
    "process echo(value: any) { finish value }\n"
    "process spawn_child(value: any) { h = start echo(value: value)\n finish (await h)? }\n"
    "process query_llm(prompt: str) { finish prompt }\n"
)
SCENARIOS: dict[str, str] = {
    "baseline": "rows = [{ n: 1 }, { n: 2 }, { n: 3 }]\nt = 0\nfor r in rows { t = t + r.n }\n"
    "p = await { a: start echo(value: 1), b: start echo(value: 2) }\nv = validate(rows[0], Type { n: int })\n"
    'submit format("{}{}{}{}{}{}{}", t, len(rows), v.n, p.a.ok, p.b.ok, user, attempt)',
    "language": "hs = [start echo(value: 1), start echo(value: 2), start echo(value: 3)]\ncancel hs[0]\n"
    'd = { a: { b: [1, 2] } }\nd.a.b[0] = 5\nj = json_parse("{\\"x\\": [1]}")\nw = validate(j, Type { x: list[int] })\n'
    'submit [d.a.b[0] > 3 ? "y" : "n", trim(" q "), split("a,b", ","), floor_div(7, 2), keys(w), 7 % 3, not true]',
    "async_await": "p = await { a: start echo(value: 1), b: start echo(value: 2), c: start echo(value: 3) }\n"
    'submit join([p.a?, p.b?, p.c?], ",")',
    "direct_unwrap": "a = await tools.echo({ value: 1 })?\nb = await tools.echo({ value: a + 1 })?\n"
    "submit await tools.echo({ value: b + 1 })?",
    "general_fanout": "submit await { a: start echo(value: 1), b: [start spawn_child(value: 2)] }",
    "loop_control": "t = 0\nfor i in range(128) { if i % 2 == 0 { continue }\n"
    " if i > 100 { break }\n t = t + i }\nsubmit t",
    "indexed_assignment": 'h = { a: 0, b: 0 }\nfor k in split("a,b,a,a,b,a,b,b", ",") { h[k] = h[k] + 1 }\n'
    'n = { x: [{ y: 1 }] }\nn.x[0].y = h.a\nsubmit join([h.a, h.b, n.x[0].y], "-")',
    "large_data": "b = [[] for i in range(16)]\nfor i in range(512) { b[i % 16] = push(b[i % 16], i) }\n"
    "v = validate({ b: b }, Type { b: list[list[int]] })\nsubmit len(v.b)",
    "cache_pressure": 's = ""\nfor i in range(64) { s = format("{}-{}", i, len(s)) }\n'
    "r = [validate({ n: i }, Type { n: int }) for i in range(6)]\nsubmit [s, len(r)]",
    "type_system_stress": 'for i in range(64) { r = validate({ id: i, tag: i % 2 == 0 ? "x" : null, in: { v: [i] } }, '
    "Type { id: int, tag: str | null, in: { v: list[int | str] } }) }\nsubmit r.id",
    "wrapped_error_paths": 'bad = []\nfor i in range(8) { r = await tools.fail({ reason: "r" + i })\n'
    " if not r.ok { bad = push(bad, r.error) } }\nsubmit len(bad)",
    "tool_control": "h = start echo(value: 1)\nr = await { a: tools.echo({ value: 1 })?, h: h }\ncancel h\nsubmit r.a",
    "syntax_text": '# a comment\na = "x"; b = """raw\ntext"""\nsubmit [starts_with(a, "x"), upper(b), '
    'replace(b, "raw", "new"), len(grep_text(b, "text"))]',
    "integer_range": "t = 0\nfor i in range(0, 100, 7) { t = t + ceil_div(i, 3) }\n"
    'submit [t, slice(range(20), 5, 9), find("abcdef", "d")]',
    "fanout_expression": 'submit await { a: tools.echo({ value: 1 })?, b: tools.fail({ reason: "no" }), '
    "c: start echo(value: 3), d: start echo(value: 4), e: user }",
    "image": "submit [picture.label, picture.width, to_string(picture.id)]",
    "projected_values": "seen = doc.pages[1]\nprint doc.title\n"
    'submit [doc.title, doc["n"], find(doc.body, "needle"), len(grep_text(doc.body, "line")), doc ? 1 : 0, seen]',
    "projected_operations": "submit [len(doc.pages), empty(doc.pages), keys(doc), len(values(doc)), "
    'contains(doc, "n"), starts_with(doc.title, "a"), ends_with(doc.title, "t"), trim(doc.title), '
    'split(doc.title, " "), join(doc.pages, ","), slice(doc.pages, 0, 2), push(doc.pages, "p"), '
    "to_int(doc.n), to_float(doc.n), json_parse(doc.json)]",
    "snapshot_state": "state.n = state.n + len(doc.pages)\nstate.seen = push(state.seen, doc.title)\nsubmit state",
    "continue_as_seed": "seed = { title: doc.title, runs: [start echo(value: 1)], done: state.seen, left: doc.pages }\n"
    "submit { seed: seed, size: len(to_string(seed)) }",
    "trigger_registry": 'one = await triggers.register({ source: timer.Schedule({ expr: "* * * * *" }), '
    'target: on_tick, inputs: { e: trigger.event }, name: "first" })?\n'
    'two = await triggers.register({ source: timer.Schedule({ expr: "0 * * * *" }), target: on_hour, '
    'inputs: { e: trigger.event, note: "hourly" }, name: "second" })?\n'
    "found = await triggers.list({ target: on_tick })?\nend = await triggers.cancel({ handle: one })?\n"
    "submit [len(found), end, two.id]",
}
# The original declares the processes of triggers besides the common three.
_TICKS = (
    "process on_tick(e: timer.Tick) { wake e.fired_at }\nprocess on_hour(e: timer.Tick, note: str) { finish note }\n"
)
DOCUMENT: dict[str, Json] = {
    "title": "a short text",
    "body": "line one\nline two\nthe needle\n",
    "pages": ["one", "two", "three"],
    "n": 4,
    "json": '{"a": [1, 2]}',
}
LAZY = frozenset({"doc"})
PICTURE = {"type": "image", "id": "i", "label": "l", "size": 9, "width": 3, "height": 3}


def perform(request: Request) -> Answer:
    """The in-process host."""
    match request:
        case effects.ResourceOperation(operation=operation, payload=dict(payload)):
            return _answered(operation, payload)
        case effects.ResourceOperationBatch(operations=members):
            found = [_answered(item.operation, item.payload) for item in members]
            return effects.BatchAnswered(tuple(found))
        case effects.StartProcess(args=args):
            return Answered({"__handle__": "process", "id": "run", "value": args.get("value")})
        case effects.AwaitHandle(value=dict(handle)):
            return Answered(handle.get("value"))
        case effects.Submit(value=value) | effects.Finish(value=value):
            return Answered(value)
        case effects.ReadValue(operation="Materialize", path=path):
            value: Json = DOCUMENT
            for step in path:
                value = value[step]  # type: ignore[index,call-overload]
            return Answered(value)
        case effects.ReadValue():
            return NoAnswer()
        case _:
            return Answered(None)


def _answered(operation: str, payload: object) -> Answered | Refused:
    assert isinstance(payload, dict)
    if operation == "register":
        return Answered({"type": "trigger_handle", "id": "trigger:1", "name": payload["name"]})
    if operation in {"list", "cancel"}:
        return Answered([{"name": "first"}] if operation == "list" else True)
    return Refused(str(payload["reason"])) if operation == "fail" else Answered(payload.get("value"))


def execute(execution: Execution) -> None:
    """Runs to the end, which must be good."""
    step = execution.start()
    while not isinstance(step, Finished | Failed | Continued | Faulted):
        step = execution.resume() if isinstance(step, Breath) else execution.resume(perform(step))
    if not isinstance(step, Finished):
        raise SystemExit(f"a scenario ended with {step}")


def seeds() -> dict[str, Value]:
    """The variables every scenario finds."""
    history: Value = [from_json({"role": "user", "text": "hi"}) for _ in range(3)]
    state: Value = {"n": 1.0, "seen": ["x"]}
    return {"user": "Ann", "attempt": 1.0, "history": history, "picture": from_json(PICTURE), "state": state}


def source_of(name: str) -> str:
    """The whole program of a scenario."""
    return DECLARED + (_TICKS if name == "trigger_registry" else "") + SCENARIOS[name]


def cell(body: CompiledBody, variables: dict[str, Value] | None = None) -> Execution:
    """A run of a compiled cell over the seeds, beside the lazy `doc`."""
    projected: dict[str, Value] = {"doc": LazyValue("doc", "document", "d1")}
    return Execution(body, variables=seeds() if variables is None else variables, projected=projected)


def snapshot_and_run(body: CompiledBody) -> None:
    """Encodes and decodes the seeds, then runs over what came back."""
    text = json.dumps(State(seeds()).snapshot())
    execute(cell(body, State.restore(json.loads(text)).variables))


def micros(run: Callable[[], object], count: int) -> float:
    """The median microseconds of CPU time of `count` runs."""
    samples = []
    for _ in range(count):
        started = time.process_time_ns()
        run()
        samples.append(time.process_time_ns() - started)
    return statistics.median(samples) / 1e3


def main() -> None:
    """Measures and prints one table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=200)
    runs = arguments.parse_args().runs
    columns = (
        "one_shot",
        "prewarmed",
        "execute",
        "snapshot",
        "link",
        "roundtrip",
        "linked_cache",
        "compiled_cache",
        "process_cache",
    )
    print(f"{'us per iteration':22}" + "".join(f"{name:>15}" for name in columns))
    for name in SCENARIOS:
        source = source_of(name)
        compiler = Compiler()
        module = compiler.link(source, ENVIRONMENT)
        artifact = link(parse(source, features=ALL_FEATURES), ENVIRONMENT).artifact
        body = compile_body(artifact, None, IMPROVED, lazy=LAZY)
        data = artifact.to_bytes()

        def one_shot(source: str = source) -> None:
            environment = HostEnvironment(case_catalog(), ALL_ABILITIES, ALL_FEATURES)
            made = link(parse(source, features=ALL_FEATURES), environment).artifact
            execute(cell(compile_body(made, None, IMPROVED, lazy=LAZY)))

        def prewarmed(source: str = source) -> None:
            made = link(parse(source, features=ALL_FEATURES), ENVIRONMENT).artifact
            execute(cell(compile_body(made, None, IMPROVED, lazy=LAZY)))

        few = max(3, runs // 10)
        modes: tuple[tuple[Callable[[], object], int], ...] = (
            (one_shot, few),
            (prewarmed, few),
            (lambda body=body: execute(cell(body)), runs),  # type: ignore[misc]
            (lambda body=body: snapshot_and_run(body), runs),  # type: ignore[misc]
            (lambda source=source: link(parse(source, features=ALL_FEATURES), ENVIRONMENT), few),  # type: ignore[misc]
            (lambda data=data: ModuleArtifact.from_bytes(ModuleArtifact.from_bytes(data).to_bytes()), few),  # type: ignore[misc]
            (lambda source=source, compiler=compiler: compiler.link(source, ENVIRONMENT), runs),  # type: ignore[misc]
            (lambda module=module, compiler=compiler: compiler.compile(module.artifact, None), runs),  # type: ignore[misc]
            (lambda module=module, compiler=compiler: compiler.compile(module.artifact, "echo"), runs),  # type: ignore[misc]
        )
        print(f"{name:22}" + "".join(f"{micros(run, count):15.1f}" for run, count in modes), flush=True)


if __name__ == "__main__":
    main()
