"""Reading statements, blocks, labels and declarations.

There is no statement separator: a statement ends where its expression can no
longer continue (§2.4). A contextual word loses its meaning when an assignment
target follows it, so `process = 3` assigns.
"""

from __future__ import annotations

from typing import Final

from lash.lashlang.errors import Span
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.lexer import END, IDENT, RESERVED, STRING
from lash.lashlang.syntax.parse_expressions import ExpressionReader
from lash.lashlang.syntax.types import ANY, TypeExpr

_ENDS_BLOCK: Final = frozenset(("}", END))
_PROCESS_WORDS: Final = frozenset(("yield", "wake", "finish", "fail"))
_TOP_LEVEL_WORDS: Final = frozenset(("process", "fn", "type", "trigger"))
_REMOVED_TRIGGER: Final = (
    "declarative trigger syntax has been removed; construct a source value "
    "and call the trigger registry register operation"
)
_MISPLACED_LABEL: Final = (
    "@label can annotate statements or process declarations, but not other declarations or another @label"
)


class StatementReader(ExpressionReader):
    """The part of the parser that reads statements and declarations."""

    def program(self) -> ast.Program:
        """The whole source."""
        declarations: list[ast.Declaration] = []
        statements: list[ast.Expr] = []
        while self.kinds[self.at] != END:
            start = self.at
            label = self._label() if self.kinds[start] == "@" else None
            declaration = self._declaration(start, label)
            if declaration is not None:
                declarations.append(declaration)
            else:
                statements.append(self._labelled(start, label))
        span = (0, self.starts[self.at])
        return ast.Program(tuple(declarations), ast.Block(tuple(statements), span=span))

    def _declaration(self, start: int, label: ast.Label | None) -> ast.Declaration | None:
        if self.kind == IDENT and self.texts[self.at] in _TOP_LEVEL_WORDS and not self._assigns():
            word, following = self.texts[self.at], self.kind_after()
            if word == "process" and (label is None or following == IDENT):
                return self._process(start, label)
            if word == "fn" and self.features.functions and following == IDENT:
                self._refuse_label(label)
                return self._function(start)
            if word == "type" and following == IDENT:
                self._refuse_label(label)
                return self._type(start)
            if word == "trigger" and following == IDENT:
                self._refuse_label(label)
                self.fail(_REMOVED_TRIGGER)
        return None

    def _refuse_label(self, label: ast.Label | None) -> None:
        if label is not None:
            self.fail(_MISPLACED_LABEL)

    def _labelled(self, start: int, label: ast.Label | None) -> ast.Expr:
        if label is None:
            return self._bare()
        if self.kind == "@":
            self.fail(_MISPLACED_LABEL)
        inner = self._bare()
        return ast.LabelAnnotated(label, inner, span=self.span_from(start))

    def statement(self) -> ast.Expr:
        """One statement inside a block."""
        start = self.at
        if self.kinds[start] != "@":
            return self._bare()
        label = self._label()
        declares = self.kind == IDENT and self.texts[self.at] in {"process", "type", "trigger"}
        if declares and self.kind_after() == IDENT and not self._assigns():
            self.fail(_MISPLACED_LABEL)
        return self._labelled(start, label)

    def block(self) -> ast.Block:
        """`{ … }`."""
        start = self.at
        self.expect("{")
        items: list[ast.Expr] = []
        self.enter()
        chain, kinds = self.chain, self.kinds
        while kinds[self.at] not in _ENDS_BLOCK:
            items.append(self.statement())
        self.depth -= 1
        self.chain = chain
        self.expect("}")
        return ast.Block(tuple(items), span=self.span_from(start))

    def _bare(self) -> ast.Expr:
        start = self.at
        kind = self.kinds[start]
        if kind == IDENT:
            if self.kinds[start + 1] == "=":
                # The commonest statement, without the questions that a path asks.
                self.at += 2
                return ast.Assign(self.texts[start], (), self.expression(), span=self.span_from(start))
            if self._assigns():
                return self._assignment(start)
            reader = _STATEMENTS.get(self.texts[start])
            if reader is not None and (node := reader(self, start)) is not None:
                return node
        else:
            reader = _KEYWORD_STATEMENTS.get(kind)
            if reader is not None and (node := reader(self, start)) is not None:
                return node
        return self.expression()

    def _assigns(self) -> bool:
        """Whether an assignment target followed by `=` starts at the cursor."""
        kinds, at = self.kinds, self.at + 1
        last = len(kinds) - 1
        while at < last:
            kind = kinds[at]
            if kind == "=":
                return True
            if kind == "." and (kinds[at + 1] in {IDENT, STRING} or kinds[at + 1] in RESERVED):
                at += 2
            elif kind == "[":
                at = self.partner(at) + 1
            else:
                return False
        return False

    def _assignment(self, start: int) -> ast.Expr:
        root = self.identifier()
        steps: list[ast.FieldStep | ast.IndexStep] = []
        while not self.accept("="):
            step = self.at
            if self.accept("."):
                name = self.key()
                steps.append(ast.FieldStep(name, self.span_from(step)))
            else:
                self.expect("[")
                index = self.expression()
                self.expect("]")
                steps.append(ast.IndexStep(index, self.span_from(step)))
            self.lengthen_chain()
        self.chain -= len(steps)
        value = self.expression()
        return ast.Assign(root, tuple(steps), value, span=self.span_from(start))

    def _let(self, start: int) -> ast.Expr | None:
        if self.kind_after() != IDENT:
            return None
        self.at += 1
        if not self._assigns():
            self.at += 1
            self.fail_expected("`=`")
        node = self._assignment(self.at)
        node.span = self.span_from(start)
        return node

    def _if(self, start: int) -> ast.Expr:
        arms: list[tuple[int, ast.Expr, ast.Block]] = []
        otherwise: ast.Expr = ast.Block(())
        at = start
        while True:
            self.expect("if")
            condition = self.expression()
            arms.append((at, condition, self.block()))
            if not self.accept("else"):
                otherwise = ast.Block((), span=(self.ends[self.at - 1],) * 2)
                break
            if self.kind != "if":
                otherwise = self.block()
                break
            at = self.at
            # An `else if` chain is a deep tree without nesting.
            self.lengthen_chain()
        self.chain -= len(arms) - 1
        for at, condition, then in reversed(arms):
            otherwise = ast.If(condition, then, otherwise, span=self.span_from(at))
        return otherwise

    def _for(self, start: int) -> ast.Expr:
        self.expect("for")
        binding = self.identifier()
        self.expect("in")
        iterable = self.expression()
        body = self._loop_body()
        return ast.For(binding, iterable, body, span=self.span_from(start))

    def _while(self, start: int) -> ast.Expr:
        self.at += 1
        condition = self.expression()
        body = self._loop_body()
        return ast.While(condition, body, span=self.span_from(start))

    def _loop_body(self) -> ast.Block:
        self.loops += 1
        body = self.block()
        self.loops -= 1
        return body

    def _loop_control(self, start: int) -> ast.Expr:
        word = self.texts[start]
        if not self.loops:
            self.fail(f"`{word}` can only be used inside a loop")
        self.at += 1
        span = self.span_from(start)
        return ast.Break(span=span) if word == "break" else ast.Continue(span=span)

    def _process_word(self, start: int) -> ast.Expr:
        word = self.texts[start]
        if self.body != "process":
            self.fail(f"`{word}` can only be used inside a `process` body")
        self.at += 1
        if word == "finish":
            operand = None if self.kind in {"}", END} else self.expression()
            return ast.Finish(operand, span=self.span_from(start))
        value = self.expression()
        span = self.span_from(start)
        if word == "yield":
            return ast.Yield(value, span=span)
        return ast.Wake(value, span=span) if word == "wake" else ast.Fail(value, span=span)

    def _cell_word(self, start: int) -> ast.Expr:
        word = self.kind
        if self.body != "cell":
            self.fail(f"`{word}` can't be used inside a `{self.body}` body")
        self.at += 1
        if word == "print":
            return ast.Print(self.expression(), span=self.span_from(start))
        operand = None if self.kind in {"}", END} else self.expression()
        return ast.Submit(operand, span=self.span_from(start))

    def _cancel(self, start: int) -> ast.Expr:
        self.at += 1
        return ast.Cancel(self.expression(), span=self.span_from(start))

    def _return(self, start: int) -> ast.Expr | None:
        if self.body != "fn":
            return None
        self.at += 1
        return ast.Return(self.expression(), span=self.span_from(start))

    def _label(self) -> ast.Label:
        start = self.at
        self.expect("@")
        if not self.is_word("label"):
            self.fail_expected("label")
        self.at += 1
        self.expect("(")
        found: dict[str, str] = {}
        while not self.accept(")"):
            at = self.at
            name = self.identifier()
            if name not in {"title", "description"}:
                self.fail(f"invalid @label annotation: unknown field `{name}`", at)
            if name in found:
                self.fail(f"invalid @label annotation: duplicate `{name}` field", at)
            self.expect(":")
            found[name] = self.string()
            if not self.accept(","):
                self.expect(")")
                break
        if "title" not in found:
            self.fail("invalid @label annotation: `title` is required", start)
        return ast.Label(found["title"], found.get("description"))

    def _type(self, start: int) -> ast.Declaration:
        self.at += 1
        name = self.identifier()
        self.expect("=")
        type_ = self.type_expression()
        return ast.TypeDeclaration(name, type_, span=self.span_from(start))

    def _process(self, start: int, label: ast.Label | None) -> ast.Declaration:
        self.at += 1
        name = self.identifier()
        self.expect("(")
        params = self._parameters(")", default=None)
        signals: tuple[ast.Parameter, ...] = ()
        if self.is_word("signals"):
            self.at += 1
            self.expect("{")
            signals = self._parameters("}", default=None)
        return_type = self._return_type()
        body = self._body("process")
        span: Span = self.span_from(start)
        return ast.ProcessDeclaration(name, params, signals, return_type, label, body, span=span)

    def _function(self, start: int) -> ast.Declaration:
        self.at += 1
        name = self.identifier()
        self.expect("(")
        params = self._parameters(")", default=ANY)
        return_type = self._return_type()
        body = self._body("fn")
        return ast.FunctionDeclaration(name, params, return_type, body, span=self.span_from(start))

    def _body(self, kind: str) -> ast.Block:
        outer = self.body, self.loops
        self.body, self.loops = kind, 0
        body = self.block()
        self.body, self.loops = outer
        return body

    def _parameters(self, closer: str, *, default: TypeExpr | None) -> tuple[ast.Parameter, ...]:
        params: list[ast.Parameter] = []
        while not self.accept(closer):
            name = self.identifier()
            if default is not None and self.kind != ":":
                params.append(ast.Parameter(name, default))
            else:
                self.expect(":")
                params.append(ast.Parameter(name, self.type_expression()))
            if not self.accept(","):
                self.expect(closer)
                break
        return tuple(params)

    def _return_type(self) -> TypeExpr | None:
        if self.kind != "-" or self.kind_after() != ">":
            return None
        self.at += 2
        return self.type_expression()


_KEYWORD_STATEMENTS: Final = {
    "if": StatementReader._if,
    "for": StatementReader._for,
    "submit": StatementReader._cell_word,
    "print": StatementReader._cell_word,
    "cancel": StatementReader._cancel,
}
_STATEMENTS: Final = {
    "let": StatementReader._let,
    "while": StatementReader._while,
    "break": StatementReader._loop_control,
    "continue": StatementReader._loop_control,
    "return": StatementReader._return,
    **dict.fromkeys(_PROCESS_WORDS, StatementReader._process_word),
}
