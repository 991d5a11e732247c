"""Reading expressions.

Operators are read with one loop and an explicit stack, so a chain of any length
costs no recursion. `?` is the one ambiguous token (§2.5): see `_starts_ternary`
and `expression`, which tries the ternary reading and backs up to an unwrap.
"""

from __future__ import annotations

from typing import Final

from lash.lashlang.errors import ParseError
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.cursor import OPERATOR_LIMIT, NestingTooDeep
from lash.lashlang.syntax.lexer import END, IDENT, NUMBER, STRING
from lash.lashlang.syntax.parse_types import TypeReader

# token: (level, hash atom); a higher level binds tighter.
_BINARY: Final = {
    "or": (1, "or"),
    "||": (1, "or"),
    "and": (2, "and"),
    "&&": (2, "and"),
    "==": (3, "equal"),
    "!=": (3, "not-equal"),
    "<": (3, "less"),
    "<=": (3, "less-equal"),
    ">": (3, "greater"),
    ">=": (3, "greater-equal"),
    "+": (4, "add"),
    "-": (4, "subtract"),
    "*": (5, "multiply"),
    "/": (5, "divide"),
    "%": (5, "modulo"),
}
_MEMBERSHIP: Final = (3, "in")
_NOT_MEMBER: Final = (3, "not-in")
_OPERATORS: Final = frozenset((*_BINARY, "in", "not"))
_LEAVES: Final = frozenset((IDENT, NUMBER, STRING))
# What makes more of a name or a literal than a leaf, besides operators.
_POSTFIX: Final = frozenset((".", "[", "(", "?"))
_PREFIX: Final = frozenset(("-", "!", "not", "await"))
_STARTS_EXPRESSION: Final = frozenset(
    ("null", "true", "false", NUMBER, STRING, IDENT, "(", "[", "{", "await", "-", "!", "not")
)
_OPENERS: Final = frozenset(("(", "[", "{"))
_STOPS: Final = frozenset((":", "=", ",", ")", "]", "}", END))
_STATEMENT_WORDS: Final = frozenset(("let", "while", "break", "continue", "yield", "wake", "finish", "fail", "return"))
# A program whose `?` tokens could be misread more often than this is not one
# that anybody wrote; past it failed readings are no longer undone.
_RETRY_LIMIT: Final = 2_000


class ExpressionReader(TypeReader):
    """The part of the parser that reads expressions."""

    unwraps: frozenset[int] = frozenset()
    retries = 0
    settles = False
    """Whether the first reading of each `?` is final."""

    def expression(self) -> ast.Expr:
        """One expression, one level of nesting deeper."""
        self.enter()
        start, chain, kinds = self.at, self.chain, self.kinds
        loops, depth = self.loops, self.depth
        while True:
            condition = self._leaf() or self._unary()
            if kinds[self.at] in _OPERATORS:
                condition = self._operators(start, condition)
            if kinds[self.at] != "?":
                break
            question, known = self.at, self.unwraps
            try:
                condition = self._ternary(start, condition)
                break
            except NestingTooDeep:
                raise
            except ParseError:
                if self.settles or not self.dialect.unwrap_backtracking:
                    raise
                self.retries += 1
                self.unwraps = (known if self.retries < _RETRY_LIMIT else self.unwraps) | {question}
                self.at, self.depth, self.chain, self.loops = start, depth, chain, loops
        self.depth = depth - 1
        self.chain = chain
        return condition

    def _ternary(self, start: int, condition: ast.Expr) -> ast.Expr:
        self.expect("?")
        then = self.expression()
        self.expect(":")
        otherwise = self.expression()
        return ast.If(condition, then, otherwise, span=self.span_from(start))

    def _leaf(self) -> ast.Expr | None:
        """A name or a literal that is an operand by itself: most of what a program writes."""
        at = self.at
        kind = self.kinds[at]
        if kind not in _LEAVES or self.kinds[at + 1] in _POSTFIX:
            return None
        text, span = self.texts[at], (self.starts[at], self.ends[at])
        if kind == IDENT:
            if text in _WORDS:
                return None
            self.at = at + 1
            return ast.Variable(text, span=span)
        self.at = at + 1
        return ast.Number(float(text), span=span) if kind == NUMBER else ast.String(text, span=span)

    def _operators(self, start: int, first: ast.Expr) -> ast.Expr:
        """A chain of binary operators; its first operand was read from token `start` on."""
        operator = self._operator()
        if operator is None:
            return first
        operands: list[tuple[int, ast.Expr]] = [(start, first)]
        pending: list[tuple[int, str]] = []
        count = 0
        while operator is not None:
            count += 1
            if count > OPERATOR_LIMIT:
                self.fail_too_deep()
            while pending and pending[-1][0] >= operator[0]:
                self._reduce(operands, pending)
            self.at += 2 if operator is _NOT_MEMBER else 1
            pending.append(operator)
            start = self.at
            operands.append((start, self._leaf() or self._unary()))
            operator = self._operator()
        while pending:
            self._reduce(operands, pending)
        return operands[0][1]

    def _operator(self) -> tuple[int, str] | None:
        kind = self.kinds[self.at]
        if self.features.membership:
            if kind == "in":
                return _MEMBERSHIP
            if kind == "not" and self.kind_after() == "in":
                return _NOT_MEMBER
        return _BINARY.get(kind)

    def _reduce(self, operands: list[tuple[int, ast.Expr]], pending: list[tuple[int, str]]) -> None:
        _, right = operands.pop()
        start, left = operands.pop()
        _, name = pending.pop()
        span = (self.starts[start], max(right.span[1], self.starts[start]))
        if name == "not-in":
            node: ast.Expr = ast.Unary("not", ast.Binary("in", left, right, span=span), span=span)
        else:
            node = ast.Binary(name, left, right, span=span)
        operands.append((start, node))

    def _unary(self) -> ast.Expr:
        start = self.at
        if self.kinds[self.at] not in _PREFIX:
            return self._postfix()
        while self.kinds[self.at] in _PREFIX:
            self.at += 1
        prefixes = self.kinds[start : self.at]
        chain = self.chain
        self.lengthen_chain(len(prefixes))
        node = self._postfix()
        self.chain = chain
        end = self.ends[self.at - 1]
        for offset, prefix in reversed(list(enumerate(prefixes))):
            span = (self.starts[start + offset], end)
            if prefix == "await":
                node = ast.Await(node, span=span)
            else:
                node = ast.Unary("negate" if prefix == "-" else "not", node, span=span)
        return node

    def _postfix(self) -> ast.Expr:
        start = self.at
        node = self._primary()
        chain = self.chain
        while True:
            kind = self.kinds[self.at]
            if kind == ".":
                self.at += 1
                name = self.key()
                if self.kinds[self.at] == "(":
                    args = self._arguments()
                    node = ast.ReceiverCall(node, name, args, span=self.span_from(start))
                else:
                    node = ast.Field(node, name, span=self.span_from(start))
            elif kind == "[":
                self.at += 1
                index = self.expression()
                self.expect("]")
                node = ast.Index(node, index, span=self.span_from(start))
            elif kind == "?" and not self._starts_ternary():
                self.at += 1
                node = ast.ResultUnwrap(node, span=self.span_from(start))
            else:
                self.chain = chain
                return node
            self.lengthen_chain()

    def _starts_ternary(self) -> bool:
        """Whether the `?` at the cursor opens a ternary (specification §2.5)."""
        if self.at in self.unwraps or self.kind_after() not in _STARTS_EXPRESSION:
            return False
        if self.dialect.unwrap_backtracking and self._next_line_is_a_statement():
            return False
        return self._meets_colon(self.at + 1)

    def _next_line_is_a_statement(self) -> bool:
        following = self.at + 1
        if self.kinds[following] != IDENT or self.texts[following] not in _STATEMENT_WORDS:
            return False
        gap = self.tokens.source.encode("utf-8", "surrogatepass")[self.ends[self.at] : self.starts[following]]
        return b"\n" in gap and self.kind_after(2) not in {":", "?"}

    def _meets_colon(self, start: int) -> bool:
        """Whether a scan from `start` meets `:` before any other stop at depth 0."""
        known, kinds, last = self.colons, self.kinds, len(self.kinds) - 1
        asked, at = [start], start
        while at not in known and (kind := kinds[at]) not in _STOPS:
            at = min(self.partner(at) + 1, last) if kind in _OPENERS else at + 1
            if kind == "?":
                # A scan that starts here ends where this one does: together they are linear.
                asked.append(at)
        met = known[at] if at in known else kinds[at] == ":"
        known.update(dict.fromkeys(asked, met))
        return met

    def _arguments(self) -> tuple[ast.Expr, ...]:
        self.expect("(")
        return self._items(")")

    def _items(self, closer: str) -> tuple[ast.Expr, ...]:
        items: list[ast.Expr] = []
        kinds = self.kinds
        while kinds[self.at] != closer:
            items.append(self.expression())
            if kinds[self.at] != ",":
                break
            self.at += 1
        self.expect(closer)
        return tuple(items)

    def _named(self, closer: str) -> tuple[tuple[str, ast.Expr], ...]:
        entries: list[tuple[str, ast.Expr]] = []
        kinds = self.kinds
        while kinds[self.at] != closer:
            name = self.key()
            self.expect(":")
            entries.append((name, self.expression()))
            if kinds[self.at] != ",":
                break
            self.at += 1
        self.expect(closer)
        return tuple(entries)

    def _primary(self) -> ast.Expr:
        start, kind = self.at, self.kinds[self.at]
        if kind == IDENT:
            return self._name()
        if kind == "(":
            self.at += 1
            inner = self.expression()
            self.expect(")")
            return inner
        if kind == NUMBER:
            self.at += 1
            return ast.Number(float(self.texts[start]), span=self.span_from(start))
        if kind == STRING:
            self.at += 1
            return ast.String(self.texts[start], span=self.span_from(start))
        if kind == "[":
            self.at += 1
            return self._list(start)
        if kind == "{":
            self.at += 1
            entries = self._named("}")
            return ast.Record(entries, span=self.span_from(start))
        if kind == "null":
            self.at += 1
            return ast.Null(span=self.span_from(start))
        if kind in {"true", "false"}:
            self.at += 1
            return ast.Bool(kind == "true", span=self.span_from(start))
        return self.fail_unexpected()

    def _list(self, start: int) -> ast.Expr:
        if self.features.comprehensions and self.kinds[self.at] != "]":
            first = self.expression()
            if self.kinds[self.at] == "for":
                return self._comprehension(start, first)
            if not self.accept(","):
                self.expect("]")
                return ast.List((first,), span=self.span_from(start))
            return ast.List((first, *self._items("]")), span=self.span_from(start))
        return ast.List(self._items("]"), span=self.span_from(start))

    def _comprehension(self, start: int, item: ast.Expr) -> ast.Expr:
        self.expect("for")
        binding = self.identifier()
        self.expect("in")
        iterable = self.expression()
        condition = self.expression() if self.accept("if") else None
        self.expect("]")
        return ast.Comprehension(binding, iterable, condition, item, span=self.span_from(start))

    def _name(self) -> ast.Expr:
        start = self.at
        word = self.texts[start]
        reader = _WORDS.get(word)
        if reader is not None and (node := reader(self, start)) is not None:
            return node
        self.at += 1
        if self.kinds[self.at] == "(":
            args = self._arguments()
            return ast.BuiltinCall(word, args, span=self.span_from(start))
        return ast.Variable(word, span=self.span_from(start))

    def _type_literal(self, start: int) -> ast.Expr | None:
        if self.kind_after() != "{":
            return None
        self.at += 1
        return ast.TypeLiteral(self.object_type(), span=self.span_from(start))

    def _start(self, start: int) -> ast.Expr | None:
        following = self.kind_after()
        if following == "call":
            self.fail("unexpected `start call`")
        after = min(self.partner(start + 1) + 1, len(self.kinds) - 1) if following == "(" else start + 1
        if self.kinds[after] == "{":
            self.fail("unexpected inline `start` process body")
        if following != IDENT:
            return None
        self.at += 1
        process = self.identifier()
        self.expect("(")
        args = self._named(")")
        return ast.StartProcess(process, args, span=self.span_from(start))

    def _sleep(self, start: int) -> ast.Expr:
        self.at += 1
        if self.accept("for"):
            operand = self.expression()
            return ast.SleepFor(operand, span=self.span_from(start))
        if self.is_word("until"):
            self.at += 1
            operand = self.expression()
            return ast.SleepUntil(operand, span=self.span_from(start))
        return self.fail_expected("`for` or `until`")

    def _parallel(self, _start: int) -> ast.Expr | None:
        if self.kind_after() == "{":
            self.fail("unexpected `parallel`")
        return None

    def _wait_signal(self, start: int) -> ast.Expr | None:
        if self.kind_after() != "(":
            return None
        self.at += 1
        args, closer = self._open_arguments()
        if len(args) != 1:
            self.fail(f"expected one signal name argument, found {len(args)} arguments", closer)
        return ast.WaitSignal(self._signal_name(args[0], "wait_signal"), span=self.span_from(start))

    def _signal_run(self, start: int) -> ast.Expr | None:
        if self.kind_after() != "(":
            return None
        self.at += 1
        args, closer = self._open_arguments()
        if len(args) != 3:
            self.fail(f"expected run handle, signal name, and payload arguments, found {len(args)} arguments", closer)
        name = self._signal_name(args[1], "signal_run")
        return ast.SignalRun(name, args[0], args[2], span=self.span_from(start))

    def _open_arguments(self) -> tuple[tuple[ast.Expr, ...], int]:
        args = self._arguments()
        return args, self.at - 1

    def _signal_name(self, node: ast.Expr, word: str) -> str:
        if not isinstance(node, ast.String):
            raise ParseError(f"unexpected non-literal signal name in `{word}`", 0)
        return node.value

    def _older_wait(self, start: int) -> ast.Expr | None:
        if not self.is_word("signal", 1):
            return None
        self.at += 2
        return ast.WaitSignal("", span=self.span_from(start))

    def _older_signal(self, start: int) -> ast.Expr | None:
        if not self.is_word("run", 1):
            return None
        self.at += 2
        run = self.expression()
        if not self.is_word("with"):
            self.fail_expected("`with`")
        self.at += 1
        payload = self.expression()
        return ast.SignalRun("", run, payload, span=self.span_from(start))


_WORDS: Final = {
    "Type": ExpressionReader._type_literal,
    "start": ExpressionReader._start,
    "sleep": ExpressionReader._sleep,
    "parallel": ExpressionReader._parallel,
    "wait_signal": ExpressionReader._wait_signal,
    "signal_run": ExpressionReader._signal_run,
    "wait": ExpressionReader._older_wait,
    "signal": ExpressionReader._older_signal,
}
