"""The tree of a program.

Nodes are compared by identity (so that a node can key a table) and built with
plain constructors; `span` is a byte span and is part of neither identity nor
JSON. `children()` gives the order on which hashes (docs/spec/lashlang.md §7.3)
and tracking ids (§9.1) rest: never reorder it.

`ResourceRef`, `ProcessRef` and `HostDescriptorConstructor` come only from the
linker, as does `FunctionCall`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from lash.lashlang.errors import Span
from lash.lashlang.syntax.types import ObjectType, TypeExpr

NOWHERE: Final[Span] = (0, 0)


@dataclass(slots=True, eq=False)
class Node:
    """What every node has."""

    span: Span = field(default=NOWHERE, kw_only=True, repr=False)


@dataclass(slots=True, eq=False)
class Null(Node):
    pass


@dataclass(slots=True, eq=False)
class Bool(Node):
    value: bool


@dataclass(slots=True, eq=False)
class Number(Node):
    value: float


@dataclass(slots=True, eq=False)
class String(Node):
    value: str


@dataclass(slots=True, eq=False)
class Variable(Node):
    name: str


@dataclass(slots=True, eq=False)
class List(Node):
    items: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class Record(Node):
    """Entries in source order; a repeated key keeps its first place and last value."""

    entries: tuple[tuple[str, Expr], ...]


@dataclass(slots=True, eq=False)
class TypeLiteral(Node):
    type: TypeExpr


@dataclass(slots=True, eq=False)
class Unary(Node):
    """`op` is `negate` or `not`."""

    op: str
    operand: Expr


@dataclass(slots=True, eq=False)
class Binary(Node):
    """`op` is the hash atom of the operator, such as `add` or `less-equal`."""

    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Field(Node):
    target: Expr
    name: str


@dataclass(slots=True, eq=False)
class Index(Node):
    target: Expr
    index: Expr


@dataclass(slots=True, eq=False)
class ResultUnwrap(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class BuiltinCall(Node):
    name: str
    args: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class FunctionCall(Node):
    """A call of a `fn` declared in the same module."""

    name: str
    args: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class ReceiverCall(Node):
    receiver: Expr
    operation: str
    args: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class StartProcess(Node):
    process: str
    args: tuple[tuple[str, Expr], ...]


@dataclass(slots=True, eq=False)
class HostDescriptorConstructor(Node):
    type: str
    input: Expr


@dataclass(slots=True, eq=False)
class ResourceRef(Node):
    """A module authority: the catalog path, its resource type and its alias."""

    path: tuple[str, ...]
    type: str
    alias: str


@dataclass(slots=True, eq=False)
class ProcessRef(Node):
    name: str


@dataclass(slots=True, eq=False)
class Comprehension(Node):
    """`[item for binding in iterable if condition]`."""

    binding: str
    iterable: Expr
    condition: Expr | None
    item: Expr


@dataclass(slots=True, eq=False)
class Await(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class SleepFor(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class SleepUntil(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class WaitSignal(Node):
    """An empty name is the unnamed signal of the older spelling `wait signal`."""

    name: str


@dataclass(slots=True, eq=False)
class SignalRun(Node):
    name: str
    run: Expr
    payload: Expr


@dataclass(slots=True, eq=False)
class Cancel(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class Print(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class Yield(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class Wake(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class Fail(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class Submit(Node):
    operand: Expr | None = None


@dataclass(slots=True, eq=False)
class Finish(Node):
    operand: Expr | None = None


@dataclass(slots=True, eq=False)
class Return(Node):
    """Ends a `fn` body with a value."""

    operand: Expr


@dataclass(slots=True, eq=False)
class Break(Node):
    pass


@dataclass(slots=True, eq=False)
class Continue(Node):
    pass


@dataclass(slots=True, eq=False)
class Block(Node):
    items: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class FieldStep:
    name: str
    span: Span = NOWHERE


@dataclass(slots=True, eq=False)
class IndexStep:
    index: Expr
    span: Span = NOWHERE


@dataclass(slots=True, eq=False)
class Assign(Node):
    root: str
    steps: tuple[FieldStep | IndexStep, ...]
    value: Expr


@dataclass(slots=True, eq=False)
class If(Node):
    """The statement (arms are Blocks) and the ternary (arms are expressions)."""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(slots=True, eq=False)
class For(Node):
    binding: str
    iterable: Expr
    body: Expr


@dataclass(slots=True, eq=False)
class While(Node):
    condition: Expr
    body: Expr


@dataclass(frozen=True, slots=True)
class Label:
    title: str
    description: str | None = None


@dataclass(slots=True, eq=False)
class LabelAnnotated(Node):
    """Transparent for tracking paths."""

    label: Label
    inner: Expr


Expr: TypeAlias = (
    Null
    | Bool
    | Number
    | String
    | Variable
    | List
    | Record
    | TypeLiteral
    | Unary
    | Binary
    | Field
    | Index
    | ResultUnwrap
    | BuiltinCall
    | FunctionCall
    | ReceiverCall
    | StartProcess
    | HostDescriptorConstructor
    | ResourceRef
    | ProcessRef
    | Comprehension
    | Await
    | SleepFor
    | SleepUntil
    | WaitSignal
    | SignalRun
    | Cancel
    | Print
    | Yield
    | Wake
    | Fail
    | Submit
    | Finish
    | Return
    | Break
    | Continue
    | Block
    | Assign
    | If
    | For
    | While
    | LabelAnnotated
)


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: TypeExpr


@dataclass(slots=True, eq=False)
class TypeDeclaration(Node):
    name: str
    type: TypeExpr


@dataclass(slots=True, eq=False)
class ProcessDeclaration(Node):
    name: str
    params: tuple[Parameter, ...]
    signals: tuple[Parameter, ...]
    return_type: TypeExpr | None
    label: Label | None
    body: Block


@dataclass(slots=True, eq=False)
class FunctionDeclaration(Node):
    """A pure function: no effects, no variables but its own."""

    name: str
    params: tuple[Parameter, ...]
    return_type: TypeExpr | None
    body: Block


Declaration: TypeAlias = TypeDeclaration | ProcessDeclaration | FunctionDeclaration


@dataclass(slots=True, eq=False)
class Program:
    """One parsed or linked unit: declarations in source order, then the main block."""

    declarations: tuple[Declaration, ...]
    main: Block

    def processes(self) -> tuple[ProcessDeclaration, ...]:
        """The process declarations in order; their index is the `pos` of a reference."""
        return tuple(item for item in self.declarations if isinstance(item, ProcessDeclaration))

    def functions(self) -> tuple[FunctionDeclaration, ...]:
        """The function declarations in order."""
        return tuple(item for item in self.declarations if isinstance(item, FunctionDeclaration))

    def types(self) -> tuple[TypeDeclaration, ...]:
        """The type declarations in order."""
        return tuple(item for item in self.declarations if isinstance(item, TypeDeclaration))


def block_program(*statements: Expr, declarations: tuple[Declaration, ...] = ()) -> Program:
    """A program built without source."""
    return Program(declarations, Block(tuple(statements)))


def object_type(*fields: tuple[str, TypeExpr]) -> ObjectType:
    """An object type of required fields, for programs and catalogs built by hand."""
    from lash.lashlang.syntax.types import ObjectField

    return ObjectType(tuple(ObjectField(name, type_) for name, type_ in fields))
