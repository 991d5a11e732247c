"""Programs as JSON: externally tagged, without spans (specification §2.8).

`{"Assign": {"target": …, "expr": …}}`; unit nodes are bare strings; records and
`start` arguments are `[key, value]` pairs; empty parts are left out. A long
operator chain becomes one flat `Chain`, because JSON readers nest less deeply
than programs may.
"""

from __future__ import annotations

from typing import Final

from lash.base.json import Json, JsonObject
from lash.lashlang.errors import ArtifactCodecError
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import spine
from lash.lashlang.syntax.type_json import type_from_json, type_to_json

_CHAIN: Final = 4
_OPERANDS: Final[dict[str, type[ast.Await]]] = {
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


def program_from_json(data: Json) -> ast.Program:
    """The program that `data` spells. Raises `ArtifactError`, never half-loads."""
    try:
        return _read_program(data)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ArtifactCodecError(f"failed to encode module artifact: invalid program: {error}") from None


def _read_program(data: Json) -> ast.Program:
    if not isinstance(data, dict):
        raise TypeError("expected an object")
    declarations = data.get("declarations", [])
    main = _read(data["main"])
    if not isinstance(main, ast.Block) or not isinstance(declarations, list):
        raise TypeError("malformed program")
    return ast.Program(tuple(_read_declaration(item) for item in declarations), main)


def _object(data: Json) -> JsonObject:
    if not isinstance(data, dict):
        raise TypeError("expected an object")
    return data


def _array(data: Json) -> list[Json]:
    if not isinstance(data, list):
        raise TypeError("expected an array")
    return data


def _text(data: Json) -> str:
    if not isinstance(data, str):
        raise TypeError("expected a string")
    return data


def _read_declaration(data: Json) -> ast.Declaration:
    ((tag, raw),) = _object(data).items()
    parts = _object(raw)
    name = _text(parts["name"])
    if tag == "Type":
        return ast.TypeDeclaration(name, type_from_json(parts["ty"]))
    body = _read(parts["body"])
    if not isinstance(body, ast.Block):
        raise TypeError("expected a block")
    params = _read_params(parts["params"])
    return_type = type_from_json(parts["return_ty"]) if "return_ty" in parts else None
    if tag == "Function":
        return ast.FunctionDeclaration(name, params, return_type, body)
    if tag != "Process":
        raise ValueError(f"unknown declaration {tag}")
    label = _read_label(parts["label"]) if "label" in parts else None
    return ast.ProcessDeclaration(name, params, _read_params(parts.get("signals", [])), return_type, label, body)


def _read_params(data: Json) -> tuple[ast.Parameter, ...]:
    items = [_object(item) for item in _array(data)]
    return tuple(ast.Parameter(_text(item["name"]), type_from_json(item["ty"])) for item in items)


def _read_label(data: Json) -> ast.Label:
    parts = _object(data)
    return ast.Label(_text(parts["title"]), _text(parts["description"]) if "description" in parts else None)


def _read_pairs(data: Json) -> tuple[tuple[str, ast.Expr], ...]:
    return tuple((_text(key), _read(value)) for key, value in map(_array, _array(data)))


def _read_all(data: Json) -> tuple[ast.Expr, ...]:
    return tuple(_read(item) for item in _array(data))


def _read(data: Json) -> ast.Expr:
    if isinstance(data, str):
        units: dict[str, type[ast.Null] | type[ast.Break] | type[ast.Continue]] = {
            "Null": ast.Null,
            "Break": ast.Break,
            "Continue": ast.Continue,
        }
        return units[data]()
    ((tag, body),) = _object(data).items()
    if tag in _OPERANDS:
        return _OPERANDS[tag](_read(body))
    return _READERS[tag](body)


def _read_number(data: Json) -> ast.Expr:
    if isinstance(data, bool) or not isinstance(data, int | float | str):
        raise TypeError("expected a number")
    return ast.Number(float(data))


def _read_bool(data: Json) -> ast.Expr:
    if not isinstance(data, bool):
        raise TypeError("expected a boolean")
    return ast.Bool(data)


def _read_chain(data: Json) -> ast.Expr:
    parts = _object(data)
    node = _read(parts["first"])
    for op, right in map(_array, _array(parts["rest"])):
        node = ast.Binary(_text(op), node, _read(right))
    return node


def _read_call(data: Json, kind: type[ast.BuiltinCall] | type[ast.FunctionCall]) -> ast.Expr:
    parts = _object(data)
    return kind(_text(parts["name"]), _read_all(parts["args"]))


def _read_assign(data: Json) -> ast.Expr:
    parts = _object(data)
    target = _object(parts["target"])
    steps = tuple(
        ast.FieldStep(_text(item["Field"])) if "Field" in item else ast.IndexStep(_read(item["Index"]))
        for item in map(_object, _array(target.get("steps", [])))
    )
    return ast.Assign(_text(target["root"]), steps, _read(parts["expr"]))


def _read_comprehension(data: Json) -> ast.Expr:
    parts = _object(data)
    condition = _read(parts["condition"]) if "condition" in parts else None
    return ast.Comprehension(_text(parts["binding"]), _read(parts["iterable"]), condition, _read(parts["item"]))


def _read_resource(data: Json) -> ast.Expr:
    parts = _object(data)
    handle = _object(parts["handle"])
    path = tuple(_text(item) for item in _array(parts["path"]))
    return ast.ResourceRef(path, _text(handle["resource_type"]), _text(handle["alias"]))


def _fields(data: Json, *names: str) -> list[Json]:
    parts = _object(data)
    return [parts[name] for name in names]


def _read_if(data: Json) -> ast.Expr:
    condition, then, otherwise = _fields(data, "condition", "then_branch", "else_branch")
    return ast.If(_read(condition), _read(then), _read(otherwise))


def _read_for(data: Json) -> ast.Expr:
    binding, iterable, body = _fields(data, "binding", "iterable", "body")
    return ast.For(_text(binding), _read(iterable), _read(body))


def _read_receiver_call(data: Json) -> ast.Expr:
    receiver, operation, args = _fields(data, "receiver", "operation", "args")
    return ast.ReceiverCall(_read(receiver), _text(operation), _read_all(args))


def _read_signal_run(data: Json) -> ast.Expr:
    name, run, payload = _fields(data, "name", "run", "payload")
    return ast.SignalRun(_text(name), _read(run), _read(payload))


def _pair(data: Json, first: str, second: str) -> tuple[Json, Json]:
    one, two = _fields(data, first, second)
    return one, two


def _read_binary(data: Json) -> ast.Expr:
    op, left, right = _fields(data, "op", "left", "right")
    return ast.Binary(_text(op), _read(left), _read(right))


def _read_unary(data: Json) -> ast.Expr:
    op, operand = _pair(data, "op", "expr")
    return ast.Unary(_text(op), _read(operand))


def _read_field(data: Json) -> ast.Expr:
    target, name = _pair(data, "target", "field")
    return ast.Field(_read(target), _text(name))


def _read_index(data: Json) -> ast.Expr:
    target, index = _pair(data, "target", "index")
    return ast.Index(_read(target), _read(index))


def _read_start(data: Json) -> ast.Expr:
    process, args = _pair(data, "process", "args")
    return ast.StartProcess(_text(process), _read_pairs(args))


def _read_constructor(data: Json) -> ast.Expr:
    name, value = _pair(data, "type_name", "input")
    return ast.HostDescriptorConstructor(_text(name), _read(value))


def _read_while(data: Json) -> ast.Expr:
    condition, body = _pair(data, "condition", "body")
    return ast.While(_read(condition), _read(body))


def _read_labelled(data: Json) -> ast.Expr:
    label, inner = _pair(data, "label", "expr")
    return ast.LabelAnnotated(_read_label(label), _read(inner))


_READERS: Final = {
    "Bool": _read_bool,
    "Number": _read_number,
    "String": lambda data: ast.String(_text(data)),
    "Variable": lambda data: ast.Variable(_text(data)),
    "ProcessRef": lambda data: ast.ProcessRef(_text(data)),
    "Block": lambda data: ast.Block(_read_all(data)),
    "List": lambda data: ast.List(_read_all(data)),
    "Record": lambda data: ast.Record(_read_pairs(data)),
    "TypeLiteral": lambda data: ast.TypeLiteral(type_from_json(data)),
    "Unary": _read_unary,
    "Binary": _read_binary,
    "Chain": _read_chain,
    "Field": _read_field,
    "Index": _read_index,
    "BuiltinCall": lambda data: _read_call(data, ast.BuiltinCall),
    "FunctionCall": lambda data: _read_call(data, ast.FunctionCall),
    "ReceiverCall": _read_receiver_call,
    "StartProcess": _read_start,
    "HostDescriptorConstructor": _read_constructor,
    "ResourceRef": _read_resource,
    "Comprehension": _read_comprehension,
    "WaitSignal": lambda data: ast.WaitSignal(_text(_object(data)["name"])),
    "SignalRun": _read_signal_run,
    "Submit": lambda data: ast.Submit(None if data is None else _read(data)),
    "Finish": lambda data: ast.Finish(None if data is None else _read(data)),
    "Assign": _read_assign,
    "If": _read_if,
    "For": _read_for,
    "While": _read_while,
    "LabelAnnotated": _read_labelled,
}
