"""Expressions: literals, names, access, operators and calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lash.lashlang.syntax.node import Node
from lash.lashlang.syntax.types import TypeExpr

if TYPE_CHECKING:
    from lash.lashlang.syntax.ast import Expr


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
