"""Statements: assignments, branches, loops, jumps and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from lash.lashlang.errors import Span
from lash.lashlang.syntax.node import NOWHERE, Node

if TYPE_CHECKING:
    from lash.lashlang.syntax.ast import Expr


class Return(Node, eq=False):
    """Ends a `fn` body with a value."""

    operand: Expr


class Break(Node, eq=False):
    pass


class Continue(Node, eq=False):
    pass


class Block(Node, eq=False):
    items: tuple[Expr, ...]


class FieldStep(Struct, eq=False):
    name: str
    span: Span = NOWHERE


class IndexStep(Struct, eq=False):
    index: Expr
    span: Span = NOWHERE


class Assign(Node, eq=False):
    root: str
    steps: tuple[FieldStep | IndexStep, ...]
    value: Expr


class If(Node, eq=False):
    """The statement (arms are Blocks) and the ternary (arms are expressions)."""

    condition: Expr
    then: Expr
    otherwise: Expr


class For(Node, eq=False):
    binding: str
    iterable: Expr
    body: Expr


class While(Node, eq=False):
    condition: Expr
    body: Expr


class Label(Struct, frozen=True):
    title: str
    description: str | None = None


class LabelAnnotated(Node, eq=False):
    """Transparent for tracking paths."""

    label: Label
    inner: Expr
