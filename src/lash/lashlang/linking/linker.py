"""Fitting a program to a host (specification §6.2).

The order of the checks decides which error is reported: the first one wins.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace as replaced

from lash.lashlang.dialect import IMPROVED, Dialect
from lash.lashlang.errors import LinkError, Span
from lash.lashlang.host.environment import HostEnvironment, HostRequirements
from lash.lashlang.linking.assignability import TypeRules
from lash.lashlang.linking.inference import Inference
from lash.lashlang.linking.lowering import Lowering, disabled
from lash.lashlang.linking.requirements import collect_requirements
from lash.lashlang.linking.scope import Scope
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import descendants
from lash.lashlang.syntax.types import (
    ANY,
    ListType,
    ObjectType,
    ProcessType,
    RefType,
    TriggerHandleType,
    TypeExpr,
    UnionType,
    type_text,
)


@dataclass(frozen=True, slots=True)
class LinkedModule:
    """A program that fits a host: its artifact, and the tree with spans."""

    program: ast.Program
    artifact: ModuleArtifact
    source: str | None = None

    @property
    def module_ref(self) -> str:
        """The content reference of the module."""
        return self.artifact.module_ref

    @property
    def requirements(self) -> HostRequirements:
        """What the module needs of a host."""
        return self.artifact.host_requirements


def link(
    program: ast.Program, environment: HostEnvironment, *, dialect: Dialect = IMPROVED, source: str | None = None
) -> LinkedModule:
    """`program` resolved against `environment`. Raises `LinkError` at the first misfit."""
    try:
        linked = _linked(program, environment, dialect, source)
    except LinkError:
        # A label where none is allowed is told before anything else.
        _check_labels(program, environment)
        raise
    if linked.requirements.language_features.label_annotations:
        _check_labels(program, environment)
    return linked


def _linked(program: ast.Program, environment: HostEnvironment, dialect: Dialect, source: str | None) -> LinkedModule:
    _check_declarations(program, environment)
    declared = {item.name: item.type for item in program.types()}
    rules = TypeRules(declared, environment.resources, dialect)
    for declaration in program.declarations:
        with _Located(declaration.span):
            _check_types(declaration, rules)
    inference = Inference(program, rules, environment.resources)
    for process in program.processes():
        with _Located(process.span):
            _infer_output(process, inference)
    lowering = Lowering(program, environment, inference)
    declarations = tuple(_lower_declaration(item, lowering) for item in program.declarations)
    main = lowering.block(program.main, Scope("cell", {}, gradual=rules.gradual))
    linked = ast.Program(declarations, main)
    requirements = collect_requirements(linked, environment.resources)
    return LinkedModule(linked, ModuleArtifact.build(linked, requirements), source)


class _Located:
    """Gives a `LinkError` the span of its declaration."""

    def __init__(self, span: Span) -> None:
        self.span = span

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LinkError) and error.span is None and not str(error).startswith("unknown type"):
            error.span = self.span


def _check_labels(program: ast.Program, environment: HostEnvironment) -> None:
    if environment.language_features.label_annotations:
        return
    for process in program.processes():
        if process.label is not None or _has_label(process.body):
            with _Located(process.span):
                disabled("label annotations", process)
    if _has_label(program.main):
        with _Located(program.main.items[0].span):
            disabled("label annotations", program.main.items[0])


def _has_label(body: ast.Expr) -> bool:
    return ast.LabelAnnotated in map(type, descendants(body))


def _check_declarations(program: ast.Program, environment: HostEnvironment) -> None:
    seen: set[tuple[str, str]] = set()
    for item in program.declarations:
        with _Located(item.span):
            if isinstance(item, ast.ProcessDeclaration) and not environment.abilities.processes:
                disabled("processes", item)
            space = "type" if isinstance(item, ast.TypeDeclaration) else "code"
            if (space, item.name) in seen:
                raise LinkError(f"duplicate declaration `{item.name}`", at=item.span)
            seen.add((space, item.name))
            if isinstance(item, ast.ProcessDeclaration):
                _check_unique(item.params, "process parameter", item)
                _check_unique(item.signals, "process signal", item)
                if item.signals and not environment.abilities.process_signals:
                    disabled("process signals", item)
            elif isinstance(item, ast.FunctionDeclaration):
                if not environment.language_features.functions:
                    disabled("functions", item)
                _check_unique(item.params, "function parameter", item)


def _check_unique(params: tuple[ast.Parameter, ...], what: str, at: ast.Node) -> None:
    seen: set[str] = set()
    for param in params:
        if param.name in seen:
            raise LinkError(f"duplicate {what} `{param.name}`", at=at.span)
        seen.add(param.name)


def _check_types(declaration: ast.Declaration, rules: TypeRules) -> None:
    if isinstance(declaration, ast.TypeDeclaration):
        _check_known(declaration.type, rules)
        return
    signals = declaration.signals if isinstance(declaration, ast.ProcessDeclaration) else ()
    for param in (*declaration.params, *signals):
        _check_known(param.type, rules)
    if declaration.return_type is not None:
        _check_known(declaration.return_type, rules)


def _check_known(type_: TypeExpr, rules: TypeRules) -> None:
    match type_:
        case RefType(name):
            if name not in rules.declared and not rules.catalog.knows_type(name):
                raise LinkError(f"unknown type `{name}`")
        case ListType(item) | TriggerHandleType(item):
            _check_known(item, rules)
        case ObjectType(fields):
            for field in fields:
                _check_known(field.type, rules)
        case UnionType(members):
            for member in members:
                _check_known(member, rules)
        case ProcessType(given, output, _):
            _check_known(given, rules)
            _check_known(output, rules)
        case _:
            pass


def _process_scope(process: ast.ProcessDeclaration, rules: TypeRules) -> Scope:
    names: dict[str, TypeExpr] = {"input": ANY, "inputs": ANY}
    names.update((item.name, item.type) for item in process.params)
    return Scope("process", names, gradual=rules.gradual)


def _infer_output(process: ast.ProcessDeclaration, inference: Inference) -> None:
    rules = inference.rules
    output = inference.process_output(process, _process_scope(process, rules))
    inference.outputs[process.name] = output
    if process.return_type is not None and not rules.assignable(output, process.return_type):
        raise LinkError(
            f"process `{process.name}` return type is incompatible: "
            f"expected {type_text(process.return_type)}, got {type_text(output)}",
            at=process.span,
        )


def _lower_declaration(item: ast.Declaration, lowering: Lowering) -> ast.Declaration:
    with _Located(item.span):
        if isinstance(item, ast.TypeDeclaration):
            return item
        if isinstance(item, ast.FunctionDeclaration):
            names = {param.name: param.type for param in item.params}
            scope = Scope("fn", names, gradual=lowering.rules.gradual)
            return replaced(item, body=lowering.block(item.body, scope))
        return replaced(item, body=lowering.block(item.body, _process_scope(item, lowering.rules)))
