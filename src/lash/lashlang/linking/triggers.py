"""The trigger operations: their literal arguments are checked and rebuilt (§3.12, §6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lash.lashlang.errors import LinkError
from lash.lashlang.host.catalog import TRIGGER_OPERATIONS
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import dotted_path
from lash.lashlang.syntax.types import ANY, STR, ObjectType, ProcessType, TriggerHandleType, TypeExpr, type_text

if TYPE_CHECKING:
    from lash.lashlang.linking.lowering import Lowering
    from lash.lashlang.linking.scope import Scope

EVENT_KEY: Final = "$lash.trigger.event"
EVENT_MISPLACED: Final = "`trigger.event` is only valid as a direct value inside `triggers.register` inputs"
_PROJECTION: Final = (
    "`trigger.event` represents the whole event; projections such as `trigger.event.field` are not supported"
)
_FIELDS: Final = "trigger registration requires { source, target, inputs, name? }"


def is_event_placeholder(node: ast.Expr) -> bool:
    """Whether `node` is the record that stands for the event in linked programs."""
    match node:
        case ast.Record(entries=((key, ast.Bool(value=True)),)):
            return key == EVENT_KEY
        case _:
            return False


def refuse_event(node: ast.Field) -> None:
    """Fails on `trigger.event` and on projections of it."""
    path = dotted_path(node)
    if path is not None and path[:2] == ("trigger", "event"):
        raise LinkError(EVENT_MISPLACED if len(path) == 2 else _PROJECTION, at=node.span)


def is_trigger_operation(node: ast.ReceiverCall, shadowed: bool, path: str) -> bool:
    """Whether `node` calls the trigger registry by its path."""
    return not shadowed and dotted_path(node.receiver) == (path,) and node.operation in TRIGGER_OPERATIONS


def lower_operation(lowering: Lowering, node: ast.ReceiverCall, receiver: ast.Expr, scope: Scope) -> ast.Expr:
    """The linked form of one trigger operation."""
    if node.operation == "register":
        args = (_registration(lowering, node, scope),)
    elif node.operation == "list":
        args = (_listing(lowering, node, scope),)
    else:
        args = (_cancellation(lowering, node, scope),)
    return ast.ReceiverCall(receiver, node.operation, args, span=node.span)


def _literal(node: ast.ReceiverCall) -> ast.Record | None:
    return node.args[0] if len(node.args) == 1 and isinstance(node.args[0], ast.Record) else None


def _listing(lowering: Lowering, node: ast.ReceiverCall, scope: Scope) -> ast.Expr:
    record = _literal(node)
    wanted = TRIGGER_OPERATIONS["list"].input
    assert isinstance(wanted, ObjectType)
    if record is None or any(wanted.field(key) is None for key, _ in record.entries):
        raise LinkError("trigger listing requires { target }", at=node.span)
    for key, value in record.entries:
        filter_type = wanted.field(key)
        if filter_type is not None and key != "target":
            lowering.check_input(node, lowering.inference.type_of(value, scope), filter_type.type)
        elif key == "target":
            _process_type(lowering, value, scope)
    return lowering.lower(record, scope)


def _cancellation(lowering: Lowering, node: ast.ReceiverCall, scope: Scope) -> ast.Expr:
    record = _literal(node)
    if record is None or [key for key, _ in record.entries] != ["handle"]:
        raise LinkError("trigger cancellation requires { handle }", at=node.span)
    given = lowering.inference.type_of(record.entries[0][1], scope)
    fits = given == ANY or any(lowering.rules.assignable(given, wanted) for wanted in (TriggerHandleType(ANY), STR))
    if not fits and not isinstance(lowering.rules.resolved(given), ObjectType):
        raise LinkError(f"operation `cancel` expects TriggerHandle<any>, got {type_text(given)}", at=node.span)
    return lowering.lower(record, scope)


def _process_type(lowering: Lowering, target: ast.Expr, scope: Scope) -> ProcessType:
    name = target.name if isinstance(target, ast.ProcessRef | ast.Variable) else None
    if name is not None and name in lowering.processes and name not in scope.names:
        return lowering.inference.process_type(name)
    given = lowering.inference.type_of(target, scope)
    if isinstance(given, ProcessType) and given.input_count != 1:
        return given
    raise LinkError(f"trigger target must be a process value, got {type_text(given)}", at=target.span)


def _registration(lowering: Lowering, node: ast.ReceiverCall, scope: Scope) -> ast.Expr:
    record = _literal(node)
    entries = dict(record.entries) if record is not None else {}
    if record is None or not {"source", "target", "inputs"} <= set(entries) <= {"source", "target", "inputs", "name"}:
        raise LinkError(_FIELDS, at=node.span)
    inputs = entries["inputs"]
    if not isinstance(inputs, ast.Record):
        raise LinkError("trigger registration `inputs` must be a literal record", at=inputs.span)
    source = lowering.lower(entries["source"], scope)
    event = _event_type(lowering, entries["source"], scope)
    target = entries["target"]
    process = _process_type(lowering, target, scope)
    lowered_target = lowering.lower(target, scope)
    lowered_inputs = _inputs(lowering, inputs, target, process, event, scope)
    lowered: dict[str, ast.Expr] = {"source": source, "target": lowered_target, "inputs": lowered_inputs}
    if "name" in entries:
        lowering.check_input(node, lowering.inference.type_of(entries["name"], scope), STR)
        lowered["name"] = lowering.lower(entries["name"], scope)
    return ast.Record(tuple((key, lowered[key]) for key, _ in record.entries), span=record.span)


def _event_type(lowering: Lowering, source: ast.Expr, scope: Scope) -> TypeExpr:
    given = lowering.inference.type_of(source, scope)
    data = lowering.catalog.trigger_sources.get(type_text(given))
    if data is None:
        raise LinkError(
            f"trigger source type `{type_text(given)}` is not registered as a TriggerSource", at=source.span
        )
    return data.type


def _inputs(
    lowering: Lowering,
    inputs: ast.Record,
    target: ast.Expr,
    process: ProcessType,
    event: TypeExpr,
    scope: Scope,
) -> ast.Expr:
    named = isinstance(target, ast.ProcessRef | ast.Variable) and target.name in lowering.processes
    name = target.name if named and isinstance(target, ast.ProcessRef | ast.Variable) else "target"
    params: dict[str, TypeExpr] = {}
    if named:
        params = {item.name: item.type for item in lowering.processes[name].params}
    elif isinstance(process.input, ObjectType):
        params = {item.name: item.type for item in process.input.fields}
    seen: set[str] = set()
    entries: list[tuple[str, ast.Expr]] = []
    events: list[str] = []
    for key, value in inputs.entries:
        if key in seen:
            raise LinkError(f"trigger registration input `{key}` is duplicated", at=value.span)
        seen.add(key)
        if key not in params:
            raise LinkError(f"trigger target `{name}` has no input `{key}`", at=value.span)
        if dotted_path(value) == ("trigger", "event") or is_event_placeholder(value):
            events.append(key)
            placeholder = ast.Record(((EVENT_KEY, ast.Bool(True, span=value.span)),), span=value.span)
            entries.append((key, placeholder))
            continue
        entries.append((key, lowering.lower(value, scope)))
        wanted, got = lowering.rules.resource_type(params[key]), lowering.authority(value, scope)
        if wanted is not None and got != wanted:
            raise LinkError(
                f"trigger target `{name}` input `{key}` has incompatible fixed authority type: "
                f"expected {wanted}, got {got}",
                at=value.span,
            )
    for key in params:
        if key not in seen:
            raise LinkError(f"trigger target `{name}` input `{key}` is not mapped", at=inputs.span)
    if not events:
        raise LinkError("trigger registration `inputs` must map at least one param to `trigger.event`", at=inputs.span)
    for key in events:
        wanted_type = lowering.rules.resolved(params[key])
        if not lowering.rules.assignable(event, wanted_type):
            raise LinkError(
                f"trigger source emits {type_text(event)}, but target input `{key}` expects {type_text(wanted_type)}",
                at=inputs.span,
            )
    return ast.Record(tuple(entries), span=inputs.span)
