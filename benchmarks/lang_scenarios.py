"""The scenarios of specification §11, by mode, in microseconds per iteration.

usage: PYTHONPATH=src python benchmarks/lang_scenarios.py [--runs 200]

Each program runs against an in-process host and must end as it says; three
process declarations come first, as in the original's benchmark.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from lash.lashlang import (
    ALL_ABILITIES,
    ALL_FEATURES,
    IMPROVED,
    Answer,
    Answered,
    Breath,
    Compiler,
    Continued,
    Execution,
    Failed,
    Faulted,
    Finished,
    HostEnvironment,
    Refused,
    Request,
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
}
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
        case _:
            return Answered(None)


def _answered(operation: str, payload: object) -> Answered | Refused:
    assert isinstance(payload, dict)
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
    return {"user": "Ann", "attempt": 1.0, "history": history, "picture": from_json(PICTURE)}


def micros(run: Callable[[], object], count: int) -> float:
    """The median microseconds of `count` runs."""
    samples = []
    for _ in range(count):
        started = time.perf_counter()
        run()
        samples.append(time.perf_counter() - started)
    return statistics.median(samples) * 1e6


def main() -> None:
    """Measures and prints one table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=200)
    runs = arguments.parse_args().runs
    columns = ("one_shot", "compiled_execute", "link_artifact", "linked_cache", "compiled_cache", "process_cache")
    print(f"{'us per iteration':22}" + "".join(f"{name:>18}" for name in columns))
    for name, text in SCENARIOS.items():
        source = DECLARED + text
        compiler = Compiler()
        module = compiler.link(source, ENVIRONMENT)
        artifact = link(parse(source, features=ALL_FEATURES), ENVIRONMENT).artifact
        body = compile_body(artifact, None, IMPROVED)

        def one_shot(source: str = source) -> None:
            made = link(parse(source, features=ALL_FEATURES), ENVIRONMENT).artifact
            execute(Execution(compile_body(made, None, IMPROVED), variables=seeds()))

        modes: tuple[tuple[Callable[[], object], int], ...] = (
            (one_shot, max(3, runs // 10)),
            (lambda body=body: execute(Execution(body, variables=seeds())), runs),  # type: ignore[misc]
            (lambda source=source: link(parse(source, features=ALL_FEATURES), ENVIRONMENT), max(3, runs // 10)),  # type: ignore[misc]
            (lambda source=source, compiler=compiler: compiler.link(source, ENVIRONMENT), runs),  # type: ignore[misc]
            (lambda module=module, compiler=compiler: compiler.compile(module.artifact, None), runs),  # type: ignore[misc]
            (lambda module=module, compiler=compiler: compiler.compile(module.artifact, "echo"), runs),  # type: ignore[misc]
        )
        print(f"{name:22}" + "".join(f"{micros(run, count):18.1f}" for run, count in modes), flush=True)


if __name__ == "__main__":
    main()
