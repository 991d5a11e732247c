"""The way back from the JSON of a program (`tree_json.py`), which may be malformed anywhere."""

from __future__ import annotations

from typing import Final

from lash.base.json import Json, JsonObject
from lash.lashlang.errors import ArtifactCodecError
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.tree_json import OPERANDS
from lash.lashlang.syntax.type_json import type_from_json


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
    if tag in OPERANDS:
        return OPERANDS[tag](_read(body))
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
