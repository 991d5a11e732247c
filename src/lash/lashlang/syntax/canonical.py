"""The canonical source of a program: one spelling per tree.

Parsing and linking it gives back the same module reference, for every program
that source can spell (§7.6). Where the reference's printer would change the
meaning (a bare operator statement, `(1).k`, a labelled `let type = 1`), this one
writes the parentheses or the `let` that keep it.
"""

from __future__ import annotations

from typing import Final

from lash.lashlang.errors import SourceError
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.cursor import NESTING_LIMIT
from lash.lashlang.syntax.lexer import RESERVED, quote, tokenize
from lash.lashlang.syntax.traversal import spine
from lash.lashlang.syntax.types import LiteralType, TypeExpr, is_identifier, key_text, type_text
from lash.lashlang.values.text import plain_decimal

_SYMBOLS: Final = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "modulo": "%",
    "equal": "==",
    "not-equal": "!=",
    "less": "<",
    "less-equal": "<=",
    "greater": ">",
    "greater-equal": ">=",
    "and": "and",
    "or": "or",
    "in": "in",
}
_ATOMIC = (
    ast.Null,
    ast.Bool,
    ast.Number,
    ast.String,
    ast.Variable,
    ast.List,
    ast.Record,
    ast.TypeLiteral,
    ast.ResourceRef,
    ast.ProcessRef,
    ast.Comprehension,
)
_POSTFIX = (
    ast.Field,
    ast.Index,
    ast.ResultUnwrap,
    ast.ReceiverCall,
    ast.BuiltinCall,
    ast.FunctionCall,
    ast.HostDescriptorConstructor,
)
_LEVELS: Final = {
    "or": 1,
    "and": 2,
    "equal": 3,
    "not-equal": 3,
    "less": 3,
    "less-equal": 3,
    "greater": 3,
    "greater-equal": 3,
    "in": 3,
    "add": 4,
    "subtract": 4,
    "multiply": 5,
    "divide": 5,
    "modulo": 5,
}
_TIGHTEST: Final = 9
_OPENERS: Final = frozenset("([{")
_CLOSERS: Final = frozenset(")]}")
_EVENT: Final = "$lash.trigger.event"
_WORDS: Final = frozenset(
    (
        "let",
        "while",
        "break",
        "continue",
        "yield",
        "wake",
        "finish",
        "fail",
        "process",
        "type",
        "trigger",
        "fn",
        "return",
    )
)


def canonical_source(program: ast.Program, catalog: Catalog | None = None) -> str:
    """The whole program: declarations, then main, one blank line between."""
    text = _print(program, catalog, spare=False)
    if _nests_too_deep(text):
        # Full parentheses can nest deeper than the language allows.
        text = _print(program, catalog, spare=True)
    return text


def _print(program: ast.Program, catalog: Catalog | None, *, spare: bool) -> str:
    printer = _Printer(catalog or Catalog(), spare=spare)
    parts = [printer.declaration(item) for item in program.declarations]
    main = printer.lines(program.main.items, 0)
    if main:
        parts.append("\n".join(main))
    return "\n\n".join(parts) + "\n"


def _nests_too_deep(text: str) -> bool:
    deepest = depth = 0
    for kind in tokenize(text).kinds:
        depth += (kind in _OPENERS) - (kind in _CLOSERS)
        deepest = max(deepest, depth)
    # A bracket costs one level; a statement's operand and a ternary's arms cost
    # levels without one, so this is a cautious bound.
    return deepest > NESTING_LIMIT // 2


def canonical_process(program: ast.Program, name: str, catalog: Catalog | None = None) -> str:
    """One process alone."""
    found = next(item for item in program.processes() if item.name == name)
    return _Printer(catalog or Catalog()).declaration(found) + "\n"


class _Printer:
    def __init__(self, catalog: Catalog, *, spare: bool = False) -> None:
        self.spare = spare
        self.paths: dict[str, list[str]] = {}
        for path, made in catalog.value_constructors.items():
            self.paths.setdefault(made.type_name, []).append(path)

    def declaration(self, item: ast.Declaration) -> str:
        name = _identifier(item.name, item.__class__.__name__.removesuffix("Declaration").lower())
        if isinstance(item, ast.TypeDeclaration):
            return f"type {name} = {_type(item.type)}"
        result = "" if item.return_type is None else f" -> {_type(item.return_type)}"
        word = "process"
        signals = label = ""
        if isinstance(item, ast.FunctionDeclaration):
            word = "fn"
        else:
            if item.signals:
                signals = f" signals {{ {_params(item.signals, 'signal')} }}"
            if item.label is not None:
                label = _label(item.label) + "\n"
        head = f"{label}{word} {name}({_params(item.params, 'parameter')}){signals}{result} "
        return head + "\n".join(self.block(item.body, 0))

    def block(self, node: ast.Expr, depth: int) -> list[str]:
        items = node.items if isinstance(node, ast.Block) else (node,)
        if not items:
            return ["{}"]
        return ["{", *self.lines(items, depth + 1), "  " * depth + "}"]

    def lines(self, items: tuple[ast.Expr, ...], depth: int) -> list[str]:
        out: list[str] = []
        for item in items:
            text = self.statement(item, depth)
            text[0] = "  " * depth + text[0]
            out += text
        return out

    def statement(self, node: ast.Expr, depth: int) -> list[str]:
        match node:
            case ast.LabelAnnotated(label=label, inner=inner):
                lines = self.statement(inner, depth)
                if isinstance(inner, ast.Assign) and inner.root in _WORDS:
                    lines[0] = f"let {lines[0]}"
                return [_label(label), *("  " * depth + line if at == 0 else line for at, line in enumerate(lines))]
            case ast.If() if isinstance(node.then, ast.Block):
                return self._if(node, depth)
            case ast.For(binding=binding, iterable=iterable, body=body):
                return self._headed(f"for {_identifier(binding, 'loop')} in {self.expr(iterable)} ", body, depth)
            case ast.While(condition=condition, body=body):
                return self._headed(f"while {self.expr(condition)} ", body, depth)
            case ast.Assign():
                return [self._assign(node)]
            case ast.Submit(operand=operand) | ast.Finish(operand=operand):
                word = "submit" if isinstance(node, ast.Submit) else "finish"
                return [word if operand is None else f"{word} {self.expr(operand)}"]
            case ast.Break():
                return ["break"]
            case ast.Continue():
                return ["continue"]
            case (
                ast.Print(operand=value)
                | ast.Cancel(operand=value)
                | ast.Yield(operand=value)
                | ast.Wake(operand=value)
                | ast.Fail(operand=value)
                | ast.Return(operand=value)
            ):
                return [f"{type(node).__name__.lower()} {self.expr(value)}"]
            case ast.Block():
                raise SourceError("cannot render non-sourceable nested block expression")
            case ast.Binary() | ast.If():
                # An opening parenthesis would join the line before.
                return [self._loose(node, 0)]
            case _:
                return [self.expr(node)]

    def _headed(self, head: str, body: ast.Expr, depth: int) -> list[str]:
        lines = self.block(body, depth)
        return [head + lines[0], *lines[1:]]

    def _if(self, node: ast.If, depth: int) -> list[str]:
        lines = self._headed(f"if {self.expr(node.condition)} ", node.then, depth)
        otherwise = node.otherwise
        if isinstance(otherwise, ast.If) and isinstance(otherwise.then, ast.Block):
            rest = self._if(otherwise, depth)
        elif isinstance(otherwise, ast.Block) and not otherwise.items:
            return lines
        else:
            rest = self.block(otherwise, depth)
        lines[-1] += f" else {rest[0]}"
        return lines + rest[1:]

    def _assign(self, node: ast.Assign) -> str:
        target = _identifier(node.root, "variable")
        for step in node.steps:
            target += f".{key_text(step.name)}" if isinstance(step, ast.FieldStep) else f"[{self.expr(step.index)}]"
        return f"{target} = {self.expr(node.value)}"

    def expr(self, node: ast.Expr) -> str:
        match node:
            case ast.Null():
                return "null"
            case ast.Bool(value=value):
                return "true" if value else "false"
            case ast.Number(value=number):
                return _number(number)
            case ast.String(value=text):
                return quote(text)
            case ast.Variable(name=name):
                return _identifier(name, "variable")
            case ast.ProcessRef(name=name):
                return _identifier(name, "process")
            case ast.ResourceRef(path=path):
                return _path(path, "module")
            case ast.List(items=items):
                return f"[{', '.join(map(self.expr, items))}]"
            case ast.Record(entries=((key, ast.Bool(value=True)),)) if key == _EVENT:
                return "trigger.event"
            case ast.Record(entries=entries):
                return f"{{ {self._pairs(entries)} }}"
            case ast.TypeLiteral(type=type_):
                return f"Type {_type(type_)}"
            case ast.Binary() | ast.If() if self.spare:
                return self._loose(node, 0)
            case ast.Binary():
                return self._binary(node)
            case ast.Unary(op=op, operand=operand):
                return f"{'not ' if op == 'not' else '-'}{self._operand(operand)}"
            case ast.Await(operand=operand):
                return f"await {self._operand(operand)}"
            case ast.If(condition=condition, then=then, otherwise=otherwise):
                return f"({self.expr(condition)} ? {self.expr(then)} : {self.expr(otherwise)})"
            case ast.Field(target=target, name=name):
                return f"{self._target(target)}.{key_text(name) if name not in RESERVED else name}"
            case ast.Index(target=target, index=index):
                return f"{self._target(target)}[{self.expr(index)}]"
            case ast.ResultUnwrap(operand=operand):
                return f"{self._target(operand)}?"
            case ast.ReceiverCall(receiver=receiver, operation=operation, args=args):
                return f"{self._target(receiver)}.{key_text(operation)}({', '.join(map(self.expr, args))})"
            case ast.BuiltinCall(name=name, args=args) | ast.FunctionCall(name=name, args=args):
                return f"{_identifier(name, 'builtin')}({', '.join(map(self.expr, args))})"
            case ast.HostDescriptorConstructor(type=type_, input=value):
                return f"{self._constructor(type_)}({self.expr(value)})"
            case ast.StartProcess(process=process, args=named):
                return f"start {_identifier(process, 'process')}({self._pairs(named)})"
            case ast.WaitSignal(name=name):
                return f"wait_signal({quote(name)})" if name else "wait signal"
            case ast.SignalRun(name=name, run=run, payload=payload):
                if not name:
                    return f"signal run {self.expr(run)} with {self.expr(payload)}"
                return f"signal_run({self.expr(run)}, {quote(name)}, {self.expr(payload)})"
            case ast.SleepFor(operand=operand):
                return f"sleep for {self.expr(operand)}"
            case ast.SleepUntil(operand=operand):
                return f"sleep until {self.expr(operand)}"
            case ast.Comprehension(binding=binding, iterable=iterable, condition=test, item=item):
                when = "" if test is None else f" if {self.expr(test)}"
                return f"[{self.expr(item)} for {_identifier(binding, 'loop')} in {self.expr(iterable)}{when}]"
            case _:
                raise SourceError(f"cannot render non-sourceable {type(node).__name__} expression")

    def _binary(self, node: ast.Binary) -> str:
        first, operators = spine(node)
        parts = ["(" * len(operators), self._closed(first)]
        parts += [f" {_SYMBOLS[operator.op]} {self._closed(operator.right)})" for operator in operators]
        return "".join(parts)

    def _loose(self, node: ast.Expr, level: int) -> str:
        """`node` with only the parentheses that its place needs; `level` is what binds around it."""
        if isinstance(node, ast.If):
            condition = self._loose(node.condition, 1)
            text = f"{condition} ? {self._loose(node.then, 0)} : {self._loose(node.otherwise, 0)}"
            return f"({text})" if level > 0 else text
        if not isinstance(node, ast.Binary):
            return self._closed(node)
        first, operators = spine(node)
        text = self._loose(first, 1)
        held = _TIGHTEST
        for operator in operators:
            mine = _LEVELS[operator.op]
            left = f"({text})" if held < mine else text
            text = f"{left} {_SYMBOLS[operator.op]} {self._loose(operator.right, mine + 1)}"
            held = mine
        return f"({text})" if held < level else text

    def _closed(self, node: ast.Expr) -> str:
        """An operand; a trailing `sleep for` would swallow the operator."""
        return f"({self.expr(node)})" if _is_open(node) else self.expr(node)

    def _pairs(self, pairs: tuple[tuple[str, ast.Expr], ...]) -> str:
        return ", ".join(f"{key_text(key)}: {self.expr(value)}" for key, value in pairs)

    def _target(self, node: ast.Expr) -> str:
        text = self.expr(node)
        bare = isinstance(node, _ATOMIC + _POSTFIX) and not isinstance(node, ast.Number)
        if self.spare and isinstance(node, ast.Binary | ast.If):
            return f"({text})"
        return text if bare or (text.startswith("(") and isinstance(node, ast.Binary | ast.If)) else f"({text})"

    def _operand(self, node: ast.Expr) -> str:
        text = self.expr(node)
        if self.spare and isinstance(node, ast.Binary | ast.If):
            return f"({text})"
        if isinstance(node, _ATOMIC + _POSTFIX + (ast.Binary, ast.If)):
            return text
        return text if isinstance(node, ast.Unary | ast.Await) else f"({text})"

    def _constructor(self, type_: str) -> str:
        paths = self.paths.get(type_, [])
        if len(paths) != 1:
            raise SourceError(
                f"cannot render host descriptor constructor `{type_}` without an unambiguous constructor path"
            )
        return paths[0]


def _is_open(node: ast.Expr) -> bool:
    while isinstance(node, ast.Unary | ast.Await):
        node = node.operand
    return isinstance(node, ast.SleepFor | ast.SleepUntil) or (isinstance(node, ast.SignalRun) and not node.name)


def _number(value: float) -> str:
    if value != value or abs(value) == float("inf") or value < 0:
        raise SourceError(f"cannot render number literal `{value}` as canonical Lashlang source")
    return plain_decimal(value)


def _identifier(name: str, context: str) -> str:
    if not is_identifier(name) or name in RESERVED:
        raise SourceError(f"invalid {context} identifier `{name}`")
    return name


def _path(path: tuple[str, ...], context: str) -> str:
    if not all(map(is_identifier, path)):
        raise SourceError(f"invalid {context} path `{'.'.join(path)}`")
    return ".".join(path)


def _type(type_: TypeExpr) -> str:
    if isinstance(type_, LiteralType):
        raise SourceError("cannot render non-sourceable literal type")
    return type_text(type_)


def _params(params: tuple[ast.Parameter, ...], context: str) -> str:
    return ", ".join(f"{_identifier(item.name, context)}: {_type(item.type)}" for item in params)


def _label(label: ast.Label) -> str:
    description = "" if label.description is None else f", description: {quote(label.description)}"
    return f"@label(title: {quote(label.title)}{description})"
