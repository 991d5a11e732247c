"""The tree of a program.

Nodes are compared by identity (so that a node can key a table) and built with
plain constructors; `span` is a byte span and is part of neither identity nor
JSON. `children()` gives the order on which hashes (docs/spec/lashlang.md §7.3)
and tracking ids (§9.1) rest: never reorder it.

`ResourceRef`, `ProcessRef` and `HostDescriptorConstructor` come only from the
linker, as does `FunctionCall`.
"""

from __future__ import annotations

from typing import TypeAlias

from lash.lashlang.syntax.declarations import (
    Declaration,
    FunctionDeclaration,
    Parameter,
    ProcessDeclaration,
    Program,
    TypeDeclaration,
    block_program,
    object_type,
)
from lash.lashlang.syntax.effects import (
    Await,
    Cancel,
    Fail,
    Finish,
    Print,
    SignalRun,
    SleepFor,
    SleepUntil,
    Submit,
    WaitSignal,
    Wake,
    Yield,
)
from lash.lashlang.syntax.expressions import (
    Binary,
    Bool,
    BuiltinCall,
    Comprehension,
    Field,
    FunctionCall,
    HostDescriptorConstructor,
    Index,
    List,
    Null,
    Number,
    ProcessRef,
    ReceiverCall,
    Record,
    ResourceRef,
    ResultUnwrap,
    StartProcess,
    String,
    TypeLiteral,
    Unary,
    Variable,
)
from lash.lashlang.syntax.node import NOWHERE, Node
from lash.lashlang.syntax.statements import (
    Assign,
    Block,
    Break,
    Continue,
    FieldStep,
    For,
    If,
    IndexStep,
    Label,
    LabelAnnotated,
    Return,
    While,
)

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

__all__ = [
    "NOWHERE",
    "Assign",
    "Await",
    "Binary",
    "Block",
    "Bool",
    "Break",
    "BuiltinCall",
    "Cancel",
    "Comprehension",
    "Continue",
    "Declaration",
    "Expr",
    "Fail",
    "Field",
    "FieldStep",
    "Finish",
    "For",
    "FunctionCall",
    "FunctionDeclaration",
    "HostDescriptorConstructor",
    "If",
    "Index",
    "IndexStep",
    "Label",
    "LabelAnnotated",
    "List",
    "Node",
    "Null",
    "Number",
    "Parameter",
    "Print",
    "ProcessDeclaration",
    "ProcessRef",
    "Program",
    "ReceiverCall",
    "Record",
    "ResourceRef",
    "ResultUnwrap",
    "Return",
    "SignalRun",
    "SleepFor",
    "SleepUntil",
    "StartProcess",
    "String",
    "Submit",
    "TypeDeclaration",
    "TypeLiteral",
    "Unary",
    "Variable",
    "WaitSignal",
    "Wake",
    "While",
    "Yield",
    "block_program",
    "object_type",
]
