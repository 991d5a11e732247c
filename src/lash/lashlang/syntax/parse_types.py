"""Reading type expressions."""

from __future__ import annotations

from lash.lashlang.syntax.cursor import Cursor
from lash.lashlang.syntax.lexer import IDENT, STRING
from lash.lashlang.syntax.types import (
    SPELLINGS,
    EnumType,
    ListType,
    ObjectField,
    ObjectType,
    ProcessType,
    RefType,
    TriggerHandleType,
    TypeExpr,
    UnionType,
    union_of,
)


class TypeReader(Cursor):
    """The part of the parser that reads types."""

    def type_expression(self) -> TypeExpr:
        """`typeTerm { "|" typeTerm }`."""
        self.enter()
        members = [self._type_term()]
        # The reference reads no union after a leading object type.
        leading_object = isinstance(members[0], ObjectType) and not self._was_type_literal
        if self.dialect.leading_union_of_objects or not leading_object:
            while self.accept("|"):
                members.append(self._type_term())
        self.depth -= 1
        if len(members) == 1:
            return members[0]
        flat = [part for member in members for part in (member.members if isinstance(member, UnionType) else (member,))]
        return UnionType(tuple(flat))

    def object_type(self) -> ObjectType:
        """`{ name: type?, … }`."""
        self.expect("{")
        fields: list[ObjectField] = []
        seen: set[str] = set()
        while not self.accept("}"):
            at = self.at
            name = self.key()
            if name in seen:
                self.at = at
                self.fail(f"expected unique field name, found duplicate field `{name}`")
            seen.add(name)
            self.expect(":")
            type_ = self.type_expression()
            fields.append(ObjectField(name, type_, self.accept("?")))
            if not self.accept(","):
                self.expect("}")
                break
        return ObjectType(tuple(fields))

    _was_type_literal = False

    def _type_term(self) -> TypeExpr:
        self._was_type_literal = False
        start = self.at
        kind = self.kind
        if kind == "{":
            return self.object_type()
        if kind == STRING:
            return EnumType((self.string(),))
        if kind == "null":
            self.at += 1
            return SPELLINGS["null"]
        if kind != IDENT:
            self.fail_expected("type expression")
        name = self.identifier()
        if name == "Type" and self.kind == "{":
            found = self.object_type()
            self._was_type_literal = True
            return found
        if name == "list":
            self.expect("[")
            item = self.type_expression()
            self.expect("]")
            return ListType(item)
        if name == "enum":
            return self._enum(start)
        if name == "Process" and self.kind == "<":
            self.at += 1
            input_type = self.type_expression()
            self.expect(",")
            output = self.type_expression()
            self.expect(">")
            return ProcessType(input_type, output, 1)
        if name == "TriggerHandle" and self.kind == "<":
            self.at += 1
            event = self.type_expression()
            self.expect(">")
            return TriggerHandleType(event)
        if name in SPELLINGS:
            return SPELLINGS[name]
        while self.accept("."):
            name = f"{name}.{self.identifier()}"
        return RefType(name)

    def _enum(self, start: int) -> TypeExpr:
        self.expect("[")
        values: list[str] = []
        while not self.accept("]"):
            values.append(self.string())
            if not self.accept(","):
                self.expect("]")
                break
        if not values:
            self.fail("expected at least one enum string literal, found empty enum", start)
        return EnumType(tuple(values))


__all__ = ["TypeReader", "union_of"]
