"""Content references: the hash of what a program means (specification §7.3).

A hash runs over a sequence of atoms, `LEN:TEXT;` each. Names of locals are
numbered per body in order of first binding, so formatting, comments and local
renames keep a reference; parameter names, record keys, labels, literals and
structure change it. The algorithm is the reference's to the byte: never change
it without a new version tag.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lash.lashlang.host.catalog import Catalog
from lash.lashlang.host.environment import HostRequirements
from lash.lashlang.modules.atoms import Atoms, number_bits, put_type
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import children, spine
from lash.lashlang.syntax.types import TypeExpr

VERSION: Final = "lashlang-semantic-v2"
MODULE_PREFIX: Final = "lashlang:v1:sha256:"
REQUIREMENTS_PREFIX: Final = "lashlang-host-requirements:v1:sha256:"

_LATER_FEATURES: Final = ("functions", "comprehensions", "membership", "more_builtins")
_OPERAND_ATOMS: Final[dict[type[ast.Node], str]] = {
    ast.Await: "await",
    ast.SleepFor: "sleep-for",
    ast.SleepUntil: "sleep-until",
    ast.ResultUnwrap: "unwrap",
    ast.Cancel: "cancel",
    ast.Print: "print",
    ast.Yield: "yield",
    ast.Wake: "wake",
    ast.Fail: "fail",
    ast.Return: "return",
}


def requirements_ref(requirements: HostRequirements) -> str:
    """The reference of host requirements."""
    atoms = Atoms()
    atoms.put(VERSION, "host-requirements", "abilities")
    abilities = requirements.abilities
    for value in (abilities.processes, abilities.sleep, abilities.process_signals, abilities.triggers):
        atoms.flag(value)
    features = requirements.language_features
    names = [name for name in _LATER_FEATURES if getattr(features, name)]
    if features.label_annotations or names:
        atoms.put("language-features")
        if features.label_annotations:
            atoms.put("label-annotations")
        atoms.put(*names)
    _put_catalog(atoms, requirements.resources)
    return REQUIREMENTS_PREFIX + atoms.digest()


def _put_catalog(atoms: Atoms, catalog: Catalog) -> None:
    atoms.put("resources", "modules")
    atoms.count(len(catalog.module_instances))
    for key, module in catalog.module_instances.items():
        atoms.put(key, module.resource_type, module.alias, "operations")
        atoms.count(len(module.operations))
        for name, host in module.operations.items():
            atoms.put(name, host)
    atoms.count(len(catalog.resource_types))
    for key, operations in catalog.resource_types.items():
        atoms.put(key, "operations")
        atoms.count(len(operations))
        for name, type_ in operations.items():
            atoms.put(name)
            put_type(atoms, type_.input)
            put_type(atoms, type_.output)
    atoms.put("named-data-types")
    atoms.count(len(catalog.named_data_types))
    for key, data in catalog.named_data_types.items():
        atoms.put(key)
        put_type(atoms, data.type)
    atoms.put("constructors")
    atoms.count(len(catalog.value_constructors))
    for key, made in catalog.value_constructors.items():
        atoms.put(key, made.type_name)
        put_type(atoms, made.input)
        put_type(atoms, made.output)
    atoms.put("trigger-sources")
    atoms.count(len(catalog.trigger_sources))
    for key, event in catalog.trigger_sources.items():
        atoms.put(key, event.name)


def process_component(process: ast.ProcessDeclaration) -> str:
    """The component hash of a process: what it is, wherever it stands."""
    atoms = Atoms()
    atoms.put(VERSION, "process")
    _put_process(atoms, process)
    return atoms.digest()


def module_ref(program: ast.Program, requirements: str, components: dict[str, tuple[str, int]]) -> str:
    """The reference of a linked program under its requirements reference."""
    atoms = Atoms()
    atoms.put(VERSION, "module", requirements, "exports")
    atoms.count(len(components))
    for name, (component, position) in sorted(components.items()):
        atoms.put("process-export", name, component)
        atoms.count(position)
    atoms.put("program")
    atoms.count(len(program.declarations))
    for item in program.declarations:
        if isinstance(item, ast.TypeDeclaration):
            atoms.put("type-decl", item.name)
            put_type(atoms, item.type)
        elif isinstance(item, ast.ProcessDeclaration):
            _put_process(atoms, item)
        else:
            _put_function(atoms, item)
    BodyAtoms(atoms, program.main, ()).put(program.main)
    return MODULE_PREFIX + atoms.digest()


def _put_process(atoms: Atoms, process: ast.ProcessDeclaration) -> None:
    atoms.put("process-decl", process.name)
    _put_parameters(atoms, process.params)
    atoms.put("signals")
    _put_parameters(atoms, process.signals)
    _put_return(atoms, process.return_type)
    if process.label is not None:
        _put_label(atoms, process.label)
    BodyAtoms(atoms, process.body, (*(item.name for item in process.params), "input", "inputs")).put(process.body)


def _put_function(atoms: Atoms, function: ast.FunctionDeclaration) -> None:
    atoms.put("fn-decl", function.name)
    _put_parameters(atoms, function.params)
    _put_return(atoms, function.return_type)
    BodyAtoms(atoms, function.body, tuple(item.name for item in function.params)).put(function.body)


def _put_parameters(atoms: Atoms, params: tuple[ast.Parameter, ...]) -> None:
    atoms.count(len(params))
    for param in params:
        atoms.put(param.name)
        put_type(atoms, param.type)


def _put_return(atoms: Atoms, type_: TypeExpr | None) -> None:
    if type_ is None:
        atoms.put("no-return")
    else:
        atoms.put("return")
        put_type(atoms, type_)


def _put_label(atoms: Atoms, label: ast.Label) -> None:
    atoms.put("label", label.title)
    if label.description is None:
        atoms.put("no-description")
    else:
        atoms.put("description", label.description)


class BodyAtoms:
    """The atoms of one body, with its name tokens."""

    def __init__(self, atoms: Atoms, body: ast.Expr, abi: tuple[str, ...]) -> None:
        self.atoms = atoms
        self.tokens = {name: f"abi:{name}" for name in abi}
        self._locals = 0
        self._bind_names(body)

    def _bind_names(self, root: ast.Expr) -> None:
        """Numbers names by first binding, in the pre-order walk of the specification."""
        work: list[ast.Expr | str] = [root]
        while work:
            item = work.pop()
            if isinstance(item, str):
                self._bind(item)
                continue
            if isinstance(item, ast.Assign):
                self._bind(item.root)
                work.extend(children(item)[::-1])
            elif isinstance(item, ast.For):
                work.extend((item.body, item.binding, item.iterable))
            elif isinstance(item, ast.Comprehension):
                rest = (item.item,) if item.condition is None else (item.item, item.condition)
                work.extend((*rest, item.binding, item.iterable))
            else:
                work.extend(children(item)[::-1])

    def _bind(self, name: str) -> None:
        if name not in self.tokens:
            self.tokens[name] = f"local:{self._locals}"
            self._locals += 1

    def _token(self, name: str) -> str:
        return self.tokens.get(name, f"global:{name}")

    def put(self, node: ast.Expr) -> None:
        """The atoms of `node`."""
        atoms = self.atoms
        # The commonest first: a `match` asks every class in turn.
        if isinstance(node, ast.Variable):
            atoms.put("variable", self._token(node.name))
            return
        if isinstance(node, ast.String):
            atoms.put("string", node.value)
            return
        if isinstance(node, ast.Number):
            atoms.put("number", number_bits(node.value))
            return
        match node:
            case ast.Binary():
                self._binary(node)
            case ast.Block(items=items) | ast.List(items=items):
                atoms.put("block" if isinstance(node, ast.Block) else "list")
                atoms.count(len(items))
                self._all(items)
            case ast.LabelAnnotated(label=label, inner=inner):
                atoms.put("label-annotated")
                _put_label(atoms, label)
                self.put(inner)
            case ast.Null():
                atoms.put("null")
            case ast.Bool(value=value):
                atoms.put("bool")
                atoms.flag(value)
            case ast.Record(entries=entries):
                atoms.put("record")
                atoms.count(len(entries))
                self._pairs(entries)
            case ast.Assign():
                self._assign(node)
            case ast.If():
                atoms.put("if")
                self._all(children(node))
            case ast.For(binding=binding, iterable=iterable, body=body):
                atoms.put("for", self._token(binding))
                self._all((iterable, body))
            case ast.While():
                atoms.put("while")
                self._all(children(node))
            case ast.Comprehension():
                self._comprehension(node)
            case ast.Break():
                atoms.put("break")
            case ast.Continue():
                atoms.put("continue")
            case ast.StartProcess(process=process, args=args):
                atoms.put("start-process", process)
                atoms.count(len(args))
                self._pairs(args)
            case ast.ProcessRef(name=name):
                atoms.put("process-ref", name)
            case ast.HostDescriptorConstructor(type=type_, input=value):
                atoms.put("host-value-constructor", type_)
                self.put(value)
            case ast.ResourceRef(path=path, type=type_, alias=alias):
                atoms.put("resource-ref", "path")
                atoms.count(len(path))
                atoms.put(*path, "handle", type_, alias)
            case ast.ReceiverCall(receiver=receiver, operation=operation, args=arguments):
                atoms.put("receiver-call")
                self.put(receiver)
                atoms.put(operation)
                atoms.count(len(arguments))
                self._all(arguments)
            case ast.Submit(operand=operand) | ast.Finish(operand=operand):
                atoms.put("submit" if isinstance(node, ast.Submit) else "finish")
                atoms.put("none" if operand is None else "some")
                if operand is not None:
                    self.put(operand)
            case ast.WaitSignal(name=name):
                atoms.put("wait-signal", name)
            case ast.SignalRun(name=name):
                atoms.put("signal-run", name)
                self._all(children(node))
            case ast.BuiltinCall(name=name, args=arguments) | ast.FunctionCall(name=name, args=arguments):
                atoms.put("builtin-call" if isinstance(node, ast.BuiltinCall) else "fn-call", name)
                atoms.count(len(arguments))
                self._all(arguments)
            case ast.Field(target=target, name=name):
                atoms.put("field-access")
                self.put(target)
                atoms.put(name)
            case ast.Index():
                atoms.put("index-access")
                self._all(children(node))
            case ast.Unary(op=op, operand=value_node):
                atoms.put("unary", op)
                self.put(value_node)
            case ast.TypeLiteral(type=type_expr):
                atoms.put("type-literal")
                put_type(atoms, type_expr)
            case _:
                atoms.put(_OPERAND_ATOMS[type(node)])
                self._all(children(node))

    def _all(self, nodes: tuple[ast.Expr, ...]) -> None:
        for node in nodes:
            self.put(node)

    def _pairs(self, pairs: tuple[tuple[str, ast.Expr], ...]) -> None:
        for name, value in pairs:
            self.atoms.put(name)
            self.put(value)

    def _binary(self, node: ast.Binary) -> None:
        first, operators = spine(node)
        for operator in reversed(operators):
            self.atoms.put("binary", operator.op)
        self.put(first)
        for operator in operators:
            self.put(operator.right)

    def _assign(self, node: ast.Assign) -> None:
        self.atoms.put("assign", self._token(node.root))
        self.atoms.count(len(node.steps))
        for step in node.steps:
            if isinstance(step, ast.FieldStep):
                self.atoms.put("field", step.name)
            else:
                self.atoms.put("index")
                self.put(step.index)
        self.put(node.value)

    def _comprehension(self, node: ast.Comprehension) -> None:
        self.atoms.put("comprehension", self._token(node.binding))
        self.put(node.iterable)
        self.atoms.put("no-filter" if node.condition is None else "filter")
        if node.condition is not None:
            self.put(node.condition)
        self.put(node.item)


Hasher = Callable[[ast.Program], str]
