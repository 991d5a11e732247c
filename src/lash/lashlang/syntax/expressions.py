"""Expressions: literals, names, access, operators and calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash.lashlang.syntax.node import Node
from lash.lashlang.syntax.types import TypeExpr

if TYPE_CHECKING:
    from lash.lashlang.syntax.ast import Expr


class Null(Node, eq=False):
    pass


class Bool(Node, eq=False):
    value: bool


class Number(Node, eq=False):
    value: float


class String(Node, eq=False):
    value: str


class Variable(Node, eq=False):
    name: str


class List(Node, eq=False):
    items: tuple[Expr, ...]


class Record(Node, eq=False):
    """Entries in source order; a repeated key keeps its first place and last value."""

    entries: tuple[tuple[str, Expr], ...]


class TypeLiteral(Node, eq=False):
    type: TypeExpr


class Unary(Node, eq=False):
    """`op` is `negate` or `not`."""

    op: str
    operand: Expr


class Binary(Node, eq=False):
    """`op` is the hash atom of the operator, such as `add` or `less-equal`."""

    op: str
    left: Expr
    right: Expr


class Field(Node, eq=False):
    target: Expr
    name: str


class Index(Node, eq=False):
    target: Expr
    index: Expr


class ResultUnwrap(Node, eq=False):
    operand: Expr


class BuiltinCall(Node, eq=False):
    name: str
    args: tuple[Expr, ...]


class FunctionCall(Node, eq=False):
    """A call of a `fn` declared in the same module."""

    name: str
    args: tuple[Expr, ...]


class ReceiverCall(Node, eq=False):
    receiver: Expr
    operation: str
    args: tuple[Expr, ...]


class StartProcess(Node, eq=False):
    process: str
    args: tuple[tuple[str, Expr], ...]


class HostDescriptorConstructor(Node, eq=False):
    type: str
    input: Expr


class ResourceRef(Node, eq=False):
    """A module authority: the catalog path, its resource type and its alias."""

    path: tuple[str, ...]
    type: str
    alias: str


class ProcessRef(Node, eq=False):
    name: str


class Comprehension(Node, eq=False):
    """`[item for binding in iterable if condition]`."""

    binding: str
    iterable: Expr
    condition: Expr | None
    item: Expr
