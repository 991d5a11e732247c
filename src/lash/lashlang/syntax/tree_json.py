"""Programs as JSON: externally tagged, without spans (specification §2.8).

`{"Assign": {"target": …, "expr": …}}`; unit nodes are bare strings; records and
`start` arguments are `[key, value]` pairs; empty parts are left out. A long
operator chain becomes one flat `Chain`, because JSON readers nest less deeply
than programs may.
"""

from __future__ import annotations

from typing import Final

from lash.base.json import Json, JsonObject
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import spine
from lash.lashlang.syntax.type_json import type_to_json

_CHAIN: Final = 4
OPERANDS: Final[dict[str, type[ast.Await]]] = {
    kind.__name__: kind  # type: ignore[misc]
    for kind in (
        ast.Await,
        ast.SleepFor,
        ast.SleepUntil,
        ast.ResultUnwrap,
        ast.Cancel,
        ast.Print,
        ast.Yield,
        ast.Wake,
        ast.Fail,
        ast.Return,
    )
}


def program_to_json(program: ast.Program) -> JsonObject:
    """The whole program."""
    out: JsonObject = {}
    if program.declarations:
        out["declarations"] = [_declaration(item) for item in program.declarations]
    out["main"] = expr_to_json(program.main)
    return out


def expr_to_json(node: ast.Expr) -> Json:
    """One expression."""
    tag = type(node).__name__
    match node:
        case ast.Null() | ast.Break() | ast.Continue():
            return tag
        case ast.Bool(value=value):
            return {"Bool": value}
        case ast.Number(value=number):
            return {"Number": number if number == number and abs(number) != float("inf") else repr(number)}
        case ast.String(value=text):
            return {"String": text}
        case ast.Variable(name=name) | ast.ProcessRef(name=name):
            return {tag: name}
        case ast.Block(items=items) | ast.List(items=items):
            return {tag: [expr_to_json(item) for item in items]}
        case ast.Record(entries=entries):
            return {"Record": _pairs(entries)}
        case ast.TypeLiteral(type=type_):
            return {"TypeLiteral": type_to_json(type_)}
        case ast.Unary(op=op, operand=operand):
            return {"Unary": {"op": op, "expr": expr_to_json(operand)}}
        case ast.Binary():
            return _binary(node)
        case ast.Field(target=target, name=name):
            return {"Field": {"target": expr_to_json(target), "field": name}}
        case ast.Index(target=target, index=index):
            return {"Index": {"target": expr_to_json(target), "index": expr_to_json(index)}}
        case ast.BuiltinCall(name=name, args=args) | ast.FunctionCall(name=name, args=args):
            return {tag: {"name": name, "args": [expr_to_json(arg) for arg in args]}}
        case ast.ReceiverCall(receiver=receiver, operation=operation, args=args):
            return {
                tag: {
                    "receiver": expr_to_json(receiver),
                    "operation": operation,
                    "args": [expr_to_json(arg) for arg in args],
                }
            }
        case ast.StartProcess(process=process, args=named):
            return {tag: {"process": process, "args": _pairs(named)}}
        case ast.HostDescriptorConstructor(type=name, input=value_node):
            return {tag: {"type_name": name, "input": expr_to_json(value_node)}}
        case ast.ResourceRef(path=path, type=name, alias=alias):
            return {tag: {"path": list(path), "handle": {"resource_type": name, "alias": alias}}}
        case ast.Comprehension(binding=binding, iterable=iterable, condition=condition, item=item):
            out: JsonObject = {"binding": binding, "iterable": expr_to_json(iterable), "item": expr_to_json(item)}
            if condition is not None:
                out["condition"] = expr_to_json(condition)
            return {tag: out}
        case ast.WaitSignal(name=name):
            return {tag: {"name": name}}
        case ast.SignalRun(name=name, run=run, payload=payload):
            return {tag: {"name": name, "run": expr_to_json(run), "payload": expr_to_json(payload)}}
        case ast.Submit(operand=maybe) | ast.Finish(operand=maybe):
            return {tag: None if maybe is None else expr_to_json(maybe)}
        case ast.Assign():
            return {"Assign": {"target": _target(node), "expr": expr_to_json(node.value)}}
        case ast.If(condition=test, then=then, otherwise=otherwise):
            return {
                "If": {
                    "condition": expr_to_json(test),
                    "then_branch": expr_to_json(then),
                    "else_branch": expr_to_json(otherwise),
                }
            }
        case ast.For(binding=binding, iterable=iterable, body=body):
            return {"For": {"binding": binding, "iterable": expr_to_json(iterable), "body": expr_to_json(body)}}
        case ast.While(condition=test, body=body):
            return {"While": {"condition": expr_to_json(test), "body": expr_to_json(body)}}
        case ast.LabelAnnotated(label=label, inner=inner):
            return {"LabelAnnotated": {"label": _label(label), "expr": expr_to_json(inner)}}
        case _:
            return {tag: expr_to_json(node.operand)}


def _binary(node: ast.Binary) -> Json:
    first, operators = spine(node)
    if len(operators) >= _CHAIN:
        rest: list[Json] = [[item.op, expr_to_json(item.right)] for item in operators]
        return {"Chain": {"first": expr_to_json(first), "rest": rest}}
    return {"Binary": {"op": node.op, "left": expr_to_json(node.left), "right": expr_to_json(node.right)}}


def _pairs(pairs: tuple[tuple[str, ast.Expr], ...]) -> list[Json]:
    return [[key, expr_to_json(value)] for key, value in pairs]


def _target(node: ast.Assign) -> JsonObject:
    target: JsonObject = {"root": node.root}
    if node.steps:
        target["steps"] = [
            {"Field": step.name} if isinstance(step, ast.FieldStep) else {"Index": expr_to_json(step.index)}
            for step in node.steps
        ]
    return target


def _label(label: ast.Label) -> JsonObject:
    out: JsonObject = {"title": label.title}
    return out if label.description is None else out | {"description": label.description}


def _params(params: tuple[ast.Parameter, ...]) -> list[Json]:
    return [{"name": item.name, "ty": type_to_json(item.type)} for item in params]


def _declaration(item: ast.Declaration) -> Json:
    if isinstance(item, ast.TypeDeclaration):
        return {"Type": {"name": item.name, "ty": type_to_json(item.type)}}
    out: JsonObject = {"name": item.name, "params": _params(item.params)}
    if item.return_type is not None:
        out["return_ty"] = type_to_json(item.return_type)
    out["body"] = expr_to_json(item.body)
    if isinstance(item, ast.FunctionDeclaration):
        return {"Function": out}
    if item.signals:
        out["signals"] = _params(item.signals)
    if item.label is not None:
        out["label"] = _label(item.label)
    return {"Process": out}
