"""Atoms: what content references are hashed over, `LEN:TEXT;` each, and the atoms of types (specification §7.3)."""

from __future__ import annotations

import hashlib
import struct

from lash.lashlang.syntax.types import (
    EnumType,
    ListType,
    LiteralType,
    ObjectType,
    ProcessType,
    RefType,
    Simple,
    TriggerHandleType,
    TypeExpr,
    UnionType,
)


class _Written(dict[str, bytes]):
    """Atoms by their text; those of one program, which repeats few texts often."""

    def __missing__(self, text: str) -> bytes:
        data = text.encode("utf-8", "surrogatepass")
        atom = self[text] = b"%d:%b;" % (len(data), data)
        return atom


class Atoms:
    """Collects atoms and hashes them."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = _Written().__getitem__

    def put(self, *texts: str) -> None:
        """Adds atoms."""
        self._parts.extend(map(self._written, texts))

    def reserve(self) -> int:
        """Leaves room for atoms that are not known yet."""
        self._parts.append(b"")
        return len(self._parts) - 1

    def fill(self, places: list[int], *texts: str) -> None:
        """Writes the same atoms into each room that was left for them."""
        parts, atoms = self._parts, b"".join(map(self._written, texts))
        for place in places:
            parts[place] = atoms

    def count(self, number: int) -> None:
        """Adds a number atom."""
        self.put(str(number))

    def flag(self, value: bool) -> None:
        """Adds a boolean atom."""
        self.put("true" if value else "false")

    def digest(self) -> str:
        """The SHA-256 of the atoms, in hex."""
        return hashlib.sha256(b"".join(self._parts)).hexdigest()


def number_bits(value: float) -> str:
    """A number's 64 bits as decimal text; both zeros are 0."""
    return "0" if value == 0 else str(struct.unpack("<Q", struct.pack("<d", value))[0])


def put_type(atoms: Atoms, type_: TypeExpr) -> None:
    """The atoms of a type."""
    match type_:
        case Simple(name):
            atoms.put(f"type:{name}")
        case LiteralType():
            atoms.put("type:str")
        case EnumType(values):
            atoms.put("type:enum")
            atoms.count(len(values))
            atoms.put(*values)
        case ListType(item):
            atoms.put("type:list")
            put_type(atoms, item)
        case ObjectType(fields):
            atoms.put("type:object")
            atoms.count(len(fields))
            for field in fields:
                atoms.put(field.name)
                atoms.flag(field.optional)
                put_type(atoms, field.type)
        case RefType(name):
            atoms.put("type:ref", name)
        case ProcessType(given, output, count):
            atoms.put("type:process")
            atoms.count(count)
            put_type(atoms, given)
            put_type(atoms, output)
        case TriggerHandleType(event):
            atoms.put("type:trigger-handle")
            put_type(atoms, event)
        case UnionType(members):
            atoms.put("type:union")
            atoms.count(len(members))
            for member in members:
                put_type(atoms, member)
