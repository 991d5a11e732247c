"""The effects of the tree-walking oracle: requests in order, answers placed by the specification's words.

A request is a plain list, `[kind, …]`; the scripted host answers it by its text
alone, so the oracle and the generated code meet the same host.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lash.base.json import Json
from lash.lashlang import Answer, Answered, BatchAnswered, Refused, RuntimeFailure, from_json, to_json
from lash.lashlang.execution.arguments import argument_problem
from lash.lashlang.execution.durations import InvalidSleep, deadline_ms, duration_ms
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.syntax import ast
from lash.lashlang.values import operators
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.text import display
from lashlang.oracle import PureOracle, called_in

Entry = list[Json]


@dataclass
class ScriptedHost:
    """Answers from the request alone, and writes down what was asked."""

    log: list[Json] = field(default_factory=list)

    def answer(self, entry: Entry) -> Answer:
        """The answer to one request."""
        self.log.append(entry)
        match entry:
            case ["op", str(operation), list(args), _]:
                return _operation(operation, args)
            case ["batch", list(members)]:
                return BatchAnswered(tuple(_operation(str(m[0]), m[1]) for m in members))  # type: ignore[index]
            case ["await" | "cancel" | "signal", dict(handle), *_] if "id" in handle:
                return (
                    Refused(f"{handle['id']} failed") if str(handle["id"]).endswith("3") else Answered([handle["id"]])
                )
            case ["await" | "cancel" | "signal", *_]:
                return Refused("not a handle")
            case ["print" | "event", *_, None]:
                return Refused("nothing to say")
            case ["start", str(process), dict(), int(occurrence)]:
                started = sum(item[0] == "start" for item in self.log)  # type: ignore[index]
                return Answered({"__handle__": "process", "id": f"{process}-{occurrence}-{started}"})
            case ["sleep", str(kind), value, *_]:
                return _slept(kind, value)
            case ["wait", name, int(ordinal), _]:
                return Answered({"name": name, "payload": [ordinal, {"k": ordinal}]})
            case _:
                return Answered(entry[1])


def _operation(operation: str, args: Json) -> Answered | Refused:
    assert isinstance(args, list)
    payload = args[0]
    assert isinstance(payload, dict)
    return Refused(str(payload.get("reason"))) if operation == "fail" else Answered(payload.get("value"))


def _slept(kind: str, value: Json) -> Answer:
    try:
        (duration_ms if kind == "for" else deadline_ms)(value)
    except InvalidSleep as error:
        return Refused(str(error))
    return Answered(None)


class Ended(Exception):
    """`submit`, `finish` or `fail` ended the run."""

    def __init__(self, how: str, value: Json) -> None:
        self.how = how
        self.value = value


class Oracle(PureOracle):
    """Evaluates a cell or a process of a linked module."""

    def __init__(
        self,
        artifact: ModuleArtifact,
        variables: dict[str, Value],
        host: ScriptedHost,
        counts: dict[object, int] | None = None,
    ) -> None:
        super().__init__(artifact.canonical_ir, variables)
        self.artifact = artifact
        self.host = host
        self.counts = {} if counts is None else counts

    def inner(self, variables: dict[str, Value]) -> PureOracle:
        return Oracle(self.artifact, variables, self.host, self.counts)

    def run(self, process: str | None) -> Json:
        """How the run ends, as JSON; raises `RuntimeFailure`."""
        try:
            if process is None:
                self.block(self.program.main)
            else:
                self.block(next(item for item in self.program.processes() if item.name == process).body)
        except Ended as ended:
            return [ended.how, ended.value]
        return ["continued"] if process is None else ["finished", None]

    def _ordinal(self, key: object, first: int) -> int:
        self.counts[key] = self.counts.get(key, first - 1) + 1
        return self.counts[key]

    def _ask(self, prefix: str, entry: Entry) -> Value:
        answer = self.host.answer(entry)
        if isinstance(answer, Refused):
            raise RuntimeFailure(prefix + answer.error)
        assert isinstance(answer, Answered)
        return from_json(answer.value)

    def effect(self, node: ast.Expr) -> Value:
        match node:
            case ast.LabelAnnotated(inner=inner):
                self.statement(inner)
                return None
            case ast.Submit(operand=operand) | ast.Finish(operand=operand):
                value = None if operand is None else self.value(operand)
                how = "submit" if isinstance(node, ast.Submit) else "finish"
                raise Ended("finished", to_json(self._ask(f"{how} failed: ", [how, to_json(value)])))
            case ast.Fail(operand=operand):
                value = self.value(operand)
                self._ask("fail failed: ", ["fail", to_json(value), display(value)])
                raise Ended("failed", display(value))
            case ast.Print(operand=operand):
                value = self.value(operand)
                self._ask("print failed: ", ["print", display(value), to_json(value)])
                return None
            case ast.Yield(operand=operand) | ast.Wake(operand=operand):
                value = self.value(operand)
                kind = "yield" if isinstance(node, ast.Yield) else "wake"
                number = self._ordinal("event", 0)
                self._ask("process event failed: ", ["event", kind, display(value), number, to_json(value)])
                return value
            case ast.SleepFor(operand=operand) | ast.SleepUntil(operand=operand):
                kind = "for" if isinstance(node, ast.SleepFor) else "until"
                asked = to_json(self.value(operand))
                self._ask("sleep failed: ", ["sleep", kind, asked, self._ordinal("sleep", 0)])
                return None
            case ast.WaitSignal(name=name):
                turn = self._ordinal(id(node), 1)
                return self._ask("wait_signal failed: ", ["wait", name, self._ordinal(("wait", name), 1), turn])
            case ast.SignalRun(name=name, run=run, payload=payload):
                to, sent = to_json(self.value(run)), to_json(self.value(payload))
                self._ask("signal_run failed: ", ["signal", to, name, sent, self._ordinal(("signal", name), 0)])
                return None
            case ast.Cancel(operand=operand):
                asked = to_json(self.value(operand))
                return self._ask("cancel failed: ", ["cancel", asked, self._ordinal(id(node), 1)])
            case ast.StartProcess():
                return self._start(node)
            case ast.ReceiverCall():
                return self._call(node, unwrap=False)
            case ast.ResultUnwrap(operand=operand):
                call = called_in(operand)
                assert call is not None
                return self._call(call, unwrap=True)
            case ast.Await(operand=operand):
                return self._await(node, operand)
            case _:
                return super().effect(node)

    def _start(self, node: ast.StartProcess) -> Value:
        args = {name: self.value(value) for name, value in node.args}
        problem = argument_problem(self.artifact, node.process, args)
        turn = self._ordinal(id(node), 1)
        if problem is not None:
            raise RuntimeFailure(f"process start failed: {problem}")
        sent: dict[str, Json] = {name: to_json(value) for name, value in args.items()}
        return self._ask("process start failed: ", ["start", node.process, sent, turn])

    def _call(self, node: ast.ReceiverCall, *, unwrap: bool) -> Value:
        args = [to_json(self.value(arg)) for arg in node.args]
        answer = self.host.answer(["op", node.operation, args, self._ordinal(id(node), 1)])
        return _placed(answer, unwrap)

    # Awaiting

    def _await(self, node: ast.Await, operand: ast.Expr) -> Value:
        match operand:
            case ast.ReceiverCall():
                return self._call(operand, unwrap=False)
            case ast.ResultUnwrap(operand=ast.ReceiverCall() as call):
                return self._call(call, unwrap=True)
            case ast.ResultUnwrap(operand=inner):
                return operators.unwrap(self._awaited(node, self.value(inner)))
            case ast.List() | ast.Record() if _is_aggregate(operand):
                return self._aggregate(node, operand)
            case _:
                return self._awaited(node, self.value(operand))

    def _awaited(self, node: ast.Await, value: Value) -> Value:
        if isinstance(value, list | dict) and not _is_handle(value):
            return self._leaves(node, value)
        return _placed(self.host.answer(["await", to_json(value), self._ordinal(id(node), 1)]), False)

    def _leaves(self, node: ast.Await, value: Value) -> Value:
        """Plain data awaits to itself; only handles are awaited."""
        if _is_handle(value):
            return self._awaited(node, value)
        if isinstance(value, list):
            return [self._leaves(node, item) for item in value]
        if isinstance(value, dict):
            return {key: self._leaves(node, item) for key, item in value.items()}
        return value

    def _aggregate(self, node: ast.Await, operand: ast.Expr) -> Value:
        found: dict[int, Value] = {}
        calls: list[tuple[ast.Expr, ast.ReceiverCall, list[Json]]] = []
        for leaf in _leaves_of(operand):
            inner = _without_unwrap(leaf)
            if isinstance(inner, ast.ReceiverCall):
                calls.append((leaf, inner, [to_json(self.value(arg)) for arg in inner.args]))
            else:
                found[id(leaf)] = self.value(inner if isinstance(inner, ast.StartProcess) else leaf)
        members: list[Json] = [[call.operation, args, self._ordinal(id(call), 1)] for _, call, args in calls]
        answers = self.host.answer(["batch", members])
        assert isinstance(answers, BatchAnswered)
        for (leaf, _, _), answer in zip(calls, answers.members, strict=True):
            found[id(leaf)] = _placed(answer, isinstance(leaf, ast.ResultUnwrap))
        return self._shaped(node, operand, found)

    def _shaped(self, node: ast.Await, part: ast.Expr, found: dict[int, Value]) -> Value:
        if id(part) in found:
            if not isinstance(_without_unwrap(part), ast.StartProcess):
                return found[id(part)]
            wrapper = self._awaited(node, found[id(part)])
            return operators.unwrap(wrapper) if isinstance(part, ast.ResultUnwrap) else wrapper
        if isinstance(part, ast.List):
            return [self._shaped(node, item, found) for item in part.items]
        assert isinstance(part, ast.Record)
        return {key: self._shaped(node, item, found) for key, item in part.entries}


def _placed(answer: Answer, unwrap: bool) -> Value:
    if isinstance(answer, Refused):
        if unwrap:
            raise RuntimeFailure(f"`?` unwrapped failed module operation: {answer.error}")
        return {"ok": False, "error": answer.error}
    assert isinstance(answer, Answered)
    value = from_json(answer.value)
    return value if unwrap else {"ok": True, "value": value}


def _is_handle(value: Value) -> bool:
    return isinstance(value, dict) and ("__handle__" in value or "handle" in value)


def _leaves_of(node: ast.Expr) -> list[ast.Expr]:
    if isinstance(node, ast.List):
        return [leaf for item in node.items for leaf in _leaves_of(item)]
    if isinstance(node, ast.Record):
        return [leaf for _, item in node.entries for leaf in _leaves_of(item)]
    return [node]


def _without_unwrap(leaf: ast.Expr) -> ast.Expr:
    return leaf.operand if isinstance(leaf, ast.ResultUnwrap) else leaf


def _is_aggregate(node: ast.Expr) -> bool:
    leaves = [_without_unwrap(leaf) for leaf in _leaves_of(node)]
    special = [isinstance(leaf, ast.ReceiverCall | ast.StartProcess) for leaf in leaves]
    rest = [leaf for leaf, is_special in zip(leaves, special, strict=True) if not is_special]
    return any(isinstance(leaf, ast.ReceiverCall) for leaf in leaves) and all(map(_is_pure, rest))


def _is_pure(node: ast.Expr) -> bool:
    match node:
        case ast.Null() | ast.Bool() | ast.Number() | ast.String() | ast.Variable() | ast.ResourceRef():
            return True
        case ast.List(items=items):
            return all(map(_is_pure, items))
        case ast.Record(entries=entries):
            return all(_is_pure(value) for _, value in entries)
        case ast.BuiltinCall(args=args) | ast.FunctionCall(args=args):
            return all(map(_is_pure, args))
        case ast.Field(target=part) | ast.Unary(operand=part) | ast.ResultUnwrap(operand=part):
            return _is_pure(part)
        case ast.Index(target=left, index=right) | ast.Binary(left=left, right=right):
            return _is_pure(left) and _is_pure(right)
        case ast.If(condition=condition, then=then, otherwise=otherwise):
            return all(map(_is_pure, (condition, then, otherwise)))
        case _:
            return False
