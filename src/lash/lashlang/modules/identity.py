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
    BodyAtoms(atoms, program.main, ())
    return MODULE_PREFIX + atoms.digest()


def _put_process(atoms: Atoms, process: ast.ProcessDeclaration) -> None:
    atoms.put("process-decl", process.name)
    _put_parameters(atoms, process.params)
    atoms.put("signals")
    _put_parameters(atoms, process.signals)
    _put_return(atoms, process.return_type)
    if process.label is not None:
        _put_label(atoms, process.label)
    BodyAtoms(atoms, process.body, (*(item.name for item in process.params), "input", "inputs"))


def _put_function(atoms: Atoms, function: ast.FunctionDeclaration) -> None:
    atoms.put("fn-decl", function.name)
    _put_parameters(atoms, function.params)
    _put_return(atoms, function.return_type)
    BodyAtoms(atoms, function.body, tuple(item.name for item in function.params))


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
        # A name may be used above its first binding, so its atoms are written when all are known.
        self._named: dict[tuple[str, str], list[int]] = {}
        self.put(body)
        for (kind, name), places in self._named.items():
            atoms.fill(places, kind, self.tokens.get(name, f"global:{name}"))

    def _bind(self, name: str) -> None:
        """Numbers a name by its first binding, in the pre-order walk of the specification."""
        if name not in self.tokens:
            self.tokens[name] = f"local:{self._locals}"
            self._locals += 1

    def _token(self, kind: str, name: str) -> None:
        """The atom of a kind of node, and the token of a name."""
        places = self._named.get((kind, name))
        if places is None:
            places = self._named[kind, name] = []
        places.append(self.atoms.reserve())

    def put(self, node: ast.Expr) -> None:
        """The atoms of `node`."""
        _WRITERS[type(node)](self, node)

    def _variable(self, node: ast.Variable) -> None:
        self._token("variable", node.name)

    def _string(self, node: ast.String) -> None:
        self.atoms.put("string", node.value)

    def _number(self, node: ast.Number) -> None:
        self.atoms.put("number", number_bits(node.value))

    def _bool(self, node: ast.Bool) -> None:
        self.atoms.put("bool", "true" if node.value else "false")

    def _word(self, node: ast.Null | ast.Break | ast.Continue) -> None:
        self.atoms.put(_WORDS[type(node)])

    def _items(self, node: ast.Block | ast.List) -> None:
        items = node.items
        self.atoms.put(_WORDS[type(node)], str(len(items)))
        self._all(items)

    def _labelled(self, node: ast.LabelAnnotated) -> None:
        self.atoms.put("label-annotated")
        _put_label(self.atoms, node.label)
        self.put(node.inner)

    def _record(self, node: ast.Record) -> None:
        self.atoms.put("record", str(len(node.entries)))
        self._pairs(node.entries)

    def _parts(self, node: ast.If | ast.While | ast.Index | ast.Await) -> None:
        self.atoms.put(_WORDS[type(node)])
        self._all(children(node))

    def _for(self, node: ast.For) -> None:
        self._token("for", node.binding)
        self.put(node.iterable)
        self._bind(node.binding)
        self.put(node.body)

    def _start(self, node: ast.StartProcess) -> None:
        self.atoms.put("start-process", node.process, str(len(node.args)))
        self._pairs(node.args)

    def _process_ref(self, node: ast.ProcessRef) -> None:
        self.atoms.put("process-ref", node.name)

    def _constructor(self, node: ast.HostDescriptorConstructor) -> None:
        self.atoms.put("host-value-constructor", node.type)
        self.put(node.input)

    def _resource(self, node: ast.ResourceRef) -> None:
        self.atoms.put("resource-ref", "path", str(len(node.path)), *node.path, "handle", node.type, node.alias)

    def _receiver_call(self, node: ast.ReceiverCall) -> None:
        self.atoms.put("receiver-call")
        self.put(node.receiver)
        self.atoms.put(node.operation, str(len(node.args)))
        self._all(node.args)

    def _ending(self, node: ast.Submit | ast.Finish) -> None:
        self.atoms.put(_WORDS[type(node)], "none" if node.operand is None else "some")
        self._all(children(node))

    def _wait_signal(self, node: ast.WaitSignal) -> None:
        self.atoms.put("wait-signal", node.name)

    def _signal_run(self, node: ast.SignalRun) -> None:
        self.atoms.put("signal-run", node.name)
        self._all(children(node))

    def _call(self, node: ast.BuiltinCall | ast.FunctionCall) -> None:
        self.atoms.put(_WORDS[type(node)], node.name, str(len(node.args)))
        self._all(node.args)

    def _field(self, node: ast.Field) -> None:
        self.atoms.put("field-access")
        self.put(node.target)
        self.atoms.put(node.name)

    def _unary(self, node: ast.Unary) -> None:
        self.atoms.put("unary", node.op)
        self.put(node.operand)

    def _type_literal(self, node: ast.TypeLiteral) -> None:
        self.atoms.put("type-literal")
        put_type(self.atoms, node.type)

    def _all(self, nodes: tuple[ast.Expr, ...]) -> None:
        for node in nodes:
            _WRITERS[type(node)](self, node)

    def _pairs(self, pairs: tuple[tuple[str, ast.Expr], ...]) -> None:
        for name, value in pairs:
            self.atoms.put(name)
            _WRITERS[type(value)](self, value)

    def _binary(self, node: ast.Binary) -> None:
        first, operators = spine(node)
        for operator in reversed(operators):
            self.atoms.put("binary", operator.op)
        self.put(first)
        for operator in operators:
            self.put(operator.right)

    def _assign(self, node: ast.Assign) -> None:
        self._token("assign", node.root)
        self._bind(node.root)
        self.atoms.put(str(len(node.steps)))
        for step in node.steps:
            if isinstance(step, ast.FieldStep):
                self.atoms.put("field", step.name)
            else:
                self.atoms.put("index")
                self.put(step.index)
        self.put(node.value)

    def _comprehension(self, node: ast.Comprehension) -> None:
        self._token("comprehension", node.binding)
        self.put(node.iterable)
        self._bind(node.binding)
        self.atoms.put("no-filter" if node.condition is None else "filter")
        if node.condition is not None:
            self.put(node.condition)
        self.put(node.item)


# The atom that a kind of node is told by, where it is always the same one.
_WORDS: Final[dict[type[ast.Node], str]] = {
    ast.Null: "null",
    ast.Break: "break",
    ast.Continue: "continue",
    ast.Block: "block",
    ast.List: "list",
    ast.If: "if",
    ast.While: "while",
    ast.Index: "index-access",
    ast.Submit: "submit",
    ast.Finish: "finish",
    ast.BuiltinCall: "builtin-call",
    ast.FunctionCall: "fn-call",
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
_WRITERS: Final[dict[type[ast.Node], Callable[..., None]]] = {
    **dict.fromkeys(_WORDS, BodyAtoms._parts),
    **dict.fromkeys((ast.Null, ast.Break, ast.Continue), BodyAtoms._word),
    **dict.fromkeys((ast.Block, ast.List), BodyAtoms._items),
    **dict.fromkeys((ast.Submit, ast.Finish), BodyAtoms._ending),
    **dict.fromkeys((ast.BuiltinCall, ast.FunctionCall), BodyAtoms._call),
    ast.Variable: BodyAtoms._variable,
    ast.String: BodyAtoms._string,
    ast.Number: BodyAtoms._number,
    ast.Bool: BodyAtoms._bool,
    ast.Binary: BodyAtoms._binary,
    ast.LabelAnnotated: BodyAtoms._labelled,
    ast.Record: BodyAtoms._record,
    ast.Assign: BodyAtoms._assign,
    ast.For: BodyAtoms._for,
    ast.Comprehension: BodyAtoms._comprehension,
    ast.StartProcess: BodyAtoms._start,
    ast.ProcessRef: BodyAtoms._process_ref,
    ast.HostDescriptorConstructor: BodyAtoms._constructor,
    ast.ResourceRef: BodyAtoms._resource,
    ast.ReceiverCall: BodyAtoms._receiver_call,
    ast.WaitSignal: BodyAtoms._wait_signal,
    ast.SignalRun: BodyAtoms._signal_run,
    ast.Field: BodyAtoms._field,
    ast.Unary: BodyAtoms._unary,
    ast.TypeLiteral: BodyAtoms._type_literal,
}


Hasher = Callable[[ast.Program], str]
