"""Declared functions, loop counting and the start of every function."""

from __future__ import annotations

import ast as py
from typing import Final

from lash.lashlang.codegen import nodes
from lash.lashlang.codegen.attempts import FAST_STEPS, STEPS_AT_ONCE, first_slot
from lash.lashlang.codegen.costs import weight_of
from lash.lashlang.codegen.frame import NotSure
from lash.lashlang.codegen.kinds import ANY, BOOL, LIST, NULL, NUMBER, RECORD, TEXT, Kinds, function_key
from lash.lashlang.codegen.namespace import CALL_DEPTH
from lash.lashlang.codegen.pyast import Stmts
from lash.lashlang.codegen.statements import StatementEmitter
from lash.lashlang.codegen.whole import FINITE, OVERFLOWING, UNKNOWN
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import assignments, descendants
from lash.lashlang.syntax.types import (
    ANY as ANY_TYPE,
)
from lash.lashlang.syntax.types import (
    FLOAT,
    INT,
    ListType,
    ObjectType,
    RefType,
    Simple,
    TypeExpr,
    type_text,
)
from lash.lashlang.values.schema import schema_of

# Loop turns and calls between two looks at the clock.
TURN_STEPS: Final = 1024
# A function that takes no more steps, and makes no more texts or lists by `+`, is simply called.
SURE_STEPS: Final = 64
SURE_ADDITIONS: Final = 4


_KINDS: Final = {"int": NUMBER, "float": NUMBER, "str": TEXT, "bool": BOOL, "null": NULL, "dict": RECORD}


class FunctionEmitter(StatementEmitter):
    """The complete emitter."""

    result: tuple[str, TypeExpr] | None = None

    def prologue(self) -> Stmts:
        """Counters, limits and ownership flags."""
        build = self.build
        lines: Stmts = []
        if self.mode not in {"fast", "sure"}:
            lines.append(build.assign("due", build.call("due_list", build.name("m"))))
        if self.counts_itself:
            lines.append(build.assign("n", build.const(TURN_STEPS)))
        if self.uses_limits:
            lines.append(build.assign("cap", build.call("item_limit", build.name("m"))))
            lines.append(build.assign("text_room", build.call("text_limit", build.name("m"))))
        return lines + build.assign_all(sorted(self.owned), build.const(None))

    def give_turn(self, allocated: int = 0) -> py.stmt:
        """Lets the driver look around; it is told what may have been allocated, and answers with new steps."""
        build = self.build
        turn = nodes.Yield(build.const(allocated), build.line)
        if self.counts_itself:
            return build.assign("n", turn)
        return build.store_item(build.name("c"), build.const(0), turn)

    def tick(self, weight: int, allocates: int = 0) -> Stmts:
        """Counts one turn of a loop that makes about `allocates` bytes per turn."""
        self.refuse_sure()
        allocated = allocates * TURN_STEPS // weight
        build = self.build
        if self.mode == "fast":
            spent = build.compare(build.pick(build.name("c"), 0), nodes.LESS, build.const(0))
            return [build.subtract_first("c", weight), build.when(spent, [build.expr(build.call("out_of_fuel"))])]
        if not self.counts_itself:
            spent = build.compare(build.pick(build.name("c"), 0), nodes.LESS, build.const(0))
            return [
                build.subtract_first("c", weight),
                build.when(build.either(spent, build.name("due")), [self.give_turn(allocated)]),
            ]
        spent = build.compare(build.name("n"), nodes.LESS, build.const(0))
        test = build.either(spent, build.name("due")) if self.heavy else spent
        return [build.subtract_from("n", weight), build.when(test, [self.give_turn(allocated)])]

    def look_around(self) -> Stmts:
        """Statements that give a turn if one is due."""
        self.refuse_sure()
        build = self.build
        if self.mode != "fast":
            return [build.when(build.name("due"), [self.give_turn()])]
        spent = build.compare(build.pick(build.name("c"), 0), nodes.LESS, build.const(0))
        return [build.when(spent, [build.expr(build.call("out_of_fuel"))])]

    def result_kind(self, function: ast.FunctionDeclaration) -> Kinds:
        """What calls of a function give, for the kinds of a body."""
        return {function_key(function.name): self.type_kind(function.return_type)}

    def type_kind(self, type_: TypeExpr | None) -> int:
        """The kinds that a checked type admits."""
        match type_:
            case Simple(name):
                return _KINDS.get(name, ANY)
            case ListType():
                return LIST
            case _:
                return ANY

    def write_functions(self) -> None:
        """Writes the functions that are called, in the ways in which they are called."""
        unit = self.unit
        positions = {item.name: at for at, item in enumerate(unit.program.functions())}
        written: set[tuple[str, str]] = set()
        while True:
            wanted = {("try_", name) for name in unit.called}
            wanted |= {("gen_", name) for name in unit.called}
            wanted |= {("fn_", name) for name in unit.called | unit.called_fast}
            wanted |= {("raw_", name) for name in unit.called_raw}
            if wanted <= written:
                return
            # In one order always: what is generated depends on the program alone.
            for prefix, name in sorted(wanted - written, key=lambda item: (positions[item[1]], item[0])):
                written.add((prefix, name))
                if prefix == "try_":
                    unit.functions.append(self._attempt(self._declaration(name), positions[name]))
                else:
                    mode = "slow" if prefix == "gen_" else "fast"
                    unit.functions.append(self._function(self._declaration(name), mode, prefix))

    def _declaration(self, name: str) -> ast.FunctionDeclaration:
        return next(item for item in self.unit.program.functions() if item.name == name)

    def function_weight(self, name: str) -> int:
        """What one call of a function counts for, the calls in it apart."""
        return weight_of(self._declaration(name).body)

    def sure(self, name: str) -> tuple[int, bool] | None:
        """The steps of a call that its function's text bounds, and whether it may make large texts."""
        known = self.unit.sure
        if name not in known:
            # Until it is known, a function that reaches itself is not sure.
            known[name] = None
            known[name] = self._sure(self._declaration(name))
        return known[name]

    def _sure(self, function: ast.FunctionDeclaration) -> tuple[int, bool] | None:
        types = [param.type for param in function.params]
        types += [] if function.return_type is None else [function.return_type]
        # Checking a list or an object walks it.
        if not all(isinstance(type_, Simple) for type_ in types):
            return None
        frame = self._frame(function, "sure")
        try:
            frame.block(function.body)
        except NotSure:
            return None
        steps = weight_of(function.body) + frame.uncounted
        return (steps, frame.additions > 0) if steps <= SURE_STEPS and frame.additions <= SURE_ADDITIONS else None

    def write_sure(self, name: str, *, bare: bool) -> str:
        """Writes a sure function, once; its Python name. `bare` leaves out the checks of its arguments."""
        made = f"{'bare' if bare else 'sure'}_{name}"
        if made not in self.unit.written_sure:
            self.unit.written_sure.add(made)
            self.unit.functions.append(self._function(self._declaration(name), "sure", made[:5]))
        return made

    def _frame(self, function: ast.FunctionDeclaration, mode: str) -> FunctionEmitter:
        kinds = {param.name: self.type_kind(param.type) for param in function.params}
        for other in self.unit.program.functions():
            kinds.update(self.result_kind(other))
        frame = FunctionEmitter(self.unit, mode, function.body, kinds)
        frame.statement = function.span
        if function.return_type is not None and function.return_type != ANY_TYPE:
            frame.result = (function.name, function.return_type)
        bound = {item.root for item in assignments(function.body)}
        bound |= {item.binding for item in descendants(function.body) if isinstance(item, ast.For | ast.Comprehension)}
        frame.whole = frozenset(item.name for item in function.params if item.type == INT and item.name not in bound)
        return frame

    def _function(self, function: ast.FunctionDeclaration, mode: str, prefix: str) -> py.stmt:
        frame = self._frame(function, mode)
        build = frame.build
        with frame.at(function):
            checks = (
                []
                if prefix in {"raw_", "bare_"}
                else [line for param in function.params for line in frame.check_parameter(function.name, param)]
            )
            body = frame.block(function.body)
            deep = build.compare(build.name("d"), nodes.MORE, build.const(CALL_DEPTH))
            names = {param.name for param in function.params}
            unset = sorted(name for name in frame.unset_reads if name not in names)
            # A sure call is the body's, or another sure call's: it is never deep.
            counted: Stmts = [] if mode == "sure" else [build.when(deep, [build.expr(build.call("too_deep"))])]
            lines: Stmts = [
                *counted,
                *frame.prologue(),
                *(frame.tick(weight_of(function.body)) if mode == "slow" else ()),
                *(build.assign(f"v_{name}", build.name("UNSET")) for name in unset),
                *checks,
                *body,
            ]
            if not (function.body.items and isinstance(function.body.items[-1], ast.Return)):
                lines.append(build.give(frame.checked_result(build.const(None), NULL)))
            if mode == "slow":
                lines.append(build.expr(build.request(build.const("never"))))
            params = ["m"] if mode == "sure" else ["m", "c", "d"]
            params += [f"v_{param.name}" for param in function.params]
            return build.function(f"{prefix}{function.name}", params, lines)

    def _attempt(self, function: ast.FunctionDeclaration, at: int) -> py.stmt:
        """`try_NAME`: a fast call that gives `UNFINISHED` when it takes too long, or lately did."""
        build = self.build
        slot = first_slot(at)
        names = [f"v_{param.name}" for param in function.params]
        c, d, n = build.name("c"), build.name("d"), build.name("n")
        call = build.call(f"fn_{function.name}", *map(build.name, ["m", "c", "d", *names]))
        shallow = build.compare(d, nodes.AT_MOST, build.pick(c, slot))
        caught = build.tuple(build.name("OutOfFuel"), build.name("BudgetExceeded"))
        given_up = build.expr(build.call("given_up", c, build.const(slot), d, n))
        handler = py.ExceptHandler(caught, None, [given_up, build.give(build.name("UNFINISHED"))], **build.at())
        taken = FAST_STEPS + weight_of(function.body)
        used = build.binop(build.const(taken), nodes.SUBTRACT, build.pick(c, 0))
        lines: Stmts = [
            build.when(
                build.both(shallow, build.call("held_back", c, build.const(slot))),
                [build.give(build.name("UNFINISHED"))],
            ),
            build.assign("n", build.pick(c, 0)),
            build.store_item(c, build.const(0), build.const(FAST_STEPS)),
            py.Try([build.assign("r0", call)], [handler], [], [], **build.at()),
            build.assign("n", build.binop(n, nodes.SUBTRACT, used)),
            build.store_item(c, build.const(0), n),
            build.when(shallow, [build.expr(build.call("went_well", c, build.const(slot)))]),
            build.when(
                build.compare(n, nodes.LESS, build.const(-STEPS_AT_ONCE)),
                [build.expr(build.call("give_way", build.name("m")))],
            ),
            build.give(build.name("r0")),
        ]
        return build.function(f"try_{function.name}", ["m", "c", "d", *names], lines)

    def returned(self, operand: ast.Expr) -> py.expr:
        """The value a function returns, checked against its type."""
        whole = self.wholeness(operand)
        return self.checked_result(self.expr(operand), self.kind_now(operand), whole)

    def checked_result(self, value: py.expr, kind: int, whole: int = UNKNOWN) -> py.expr:
        """`value`, checked against the declared result."""
        if self.result is None:
            return value
        name, type_ = self.result
        return self._checked(value, kind, whole, type_, f"function `{name}` result")

    def check_parameter(self, function: str, param: ast.Parameter) -> Stmts:
        """Statements that check one argument at the function's start."""
        if param.type == ANY_TYPE:
            return []
        build, local = self.build, f"v_{param.name}"
        what = f"function `{function}` argument `{param.name}`"
        if param.type in (INT, FLOAT):
            test = build.compare(build.call("type", build.name(local)), nodes.IS_NOT, build.name("float"))
            if param.type == INT:
                test = build.either(test, build.binop(build.name(local), nodes.MODULO, build.const(1.0)))
            return [build.when(test, [build.assign(local, self._problem(build.name(local), param.type, what))])]
        return [build.assign(local, self._problem(build.name(local), param.type, what))]

    def _checked(self, value: py.expr, kind: int, whole: int, type_: TypeExpr, what: str) -> py.expr:
        build = self.build
        if kind == NUMBER and (type_ == FLOAT or (type_ == INT and whole == FINITE)):
            return value
        if kind == NUMBER and type_ == INT:
            held = self.temp()
            bound = build.bind(held, value)
            # A whole number is broken only if it is not finite; inf - inf and nan - nan are nan, which is true.
            if whole == OVERFLOWING:
                broken = build.binop(bound, nodes.SUBTRACT, build.name(held))
            else:
                broken = build.binop(bound, nodes.MODULO, build.const(1.0))
            return build.choose(broken, self._problem(build.name(held), type_, what), build.name(held))
        return self._problem(value, type_, what)

    def _problem(self, value: py.expr, type_: TypeExpr, what: str) -> py.expr:
        build = self.build
        schema = self.unit.constant(self._schema(type_))
        return build.call("check_value", value, build.name(schema), build.const(what), build.const(type_text(type_)))

    def _schema(self, type_: TypeExpr) -> object:
        definition = self.unit.named_types.get(type_.name) if isinstance(type_, RefType) else None
        shape = definition if isinstance(definition, ObjectType | Simple | ListType) else type_
        return schema_of(shape, {})
