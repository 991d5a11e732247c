"""Declarations, and the program they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from lash.lashlang.syntax.node import Node
from lash.lashlang.syntax.statements import Block, Label
from lash.lashlang.syntax.types import ObjectField, ObjectType, TypeExpr

if TYPE_CHECKING:
    from lash.lashlang.syntax.ast import Expr


class Parameter(Struct, frozen=True):
    name: str
    type: TypeExpr


class TypeDeclaration(Node, eq=False):
    name: str
    type: TypeExpr


class ProcessDeclaration(Node, eq=False):
    name: str
    params: tuple[Parameter, ...]
    signals: tuple[Parameter, ...]
    return_type: TypeExpr | None
    label: Label | None
    body: Block


class FunctionDeclaration(Node, eq=False):
    """A pure function: no effects, no variables but its own."""

    name: str
    params: tuple[Parameter, ...]
    return_type: TypeExpr | None
    body: Block


Declaration: TypeAlias = TypeDeclaration | ProcessDeclaration | FunctionDeclaration


class Program(Struct, eq=False):
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

    return ObjectType(tuple(ObjectField(name, type_) for name, type_ in fields))
