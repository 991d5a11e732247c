"""Effects to `yield`s.

A body yields one tuple per effect, `(kind, …)`, and receives the answer as its
value; the driver (execution/driver.py) turns tuples into typed requests. Calls
with `?` say so in the request, because the driver reports a failed node with
the text of the unwrap.
"""

from __future__ import annotations

import ast as py

from lash.lashlang.codegen.calls import CallEmitter
from lash.lashlang.syntax import ast

_PURE = (
    ast.Null,
    ast.Bool,
    ast.Number,
    ast.String,
    ast.Variable,
    ast.ProcessRef,
    ast.ResourceRef,
    ast.TypeLiteral,
)
_PURE_OVER = (
    ast.List,
    ast.Record,
    ast.ResultUnwrap,
    ast.HostDescriptorConstructor,
    ast.BuiltinCall,
    ast.FunctionCall,
    ast.Field,
    ast.Index,
    ast.Unary,
    ast.Binary,
    ast.If,
)


def is_pure(node: ast.Expr) -> bool:
    """Whether evaluating `node` reaches nobody (specification §3.8)."""
    from lash.lashlang.syntax.traversal import descendants

    return all(isinstance(item, _PURE + _PURE_OVER) for item in descendants(node))


class EffectEmitter(CallEmitter):
    """The part of the emitter that writes effects."""

    def effect(self, node: ast.Expr) -> py.expr:
        """The request of an effect node."""
        build = self.build
        match node:
            case ast.ReceiverCall():
                return self._operation(node, node, unwrap=False)
            case ast.ResultUnwrap(operand=operand):
                return self._unwrap(operand)
            case ast.Await(operand=operand):
                return self._await(node, operand)
            case ast.StartProcess(process=process, args=args):
                pairs = build.tuple(*(build.tuple(build.const(key), self.entire(value)) for key, value in args))
                return build.request(build.const("start"), self._site(node), build.const(process), pairs)
            case ast.SleepFor(operand=operand) | ast.SleepUntil(operand=operand):
                kind = build.const("for" if isinstance(node, ast.SleepFor) else "until")
                return build.request(build.const("sleep"), self._site(node), kind, self.entire(operand))
            case ast.WaitSignal(name=name):
                return build.request(build.const("wait"), self._site(node), build.const(name))
            case ast.SignalRun(name=name, run=run, payload=payload):
                values = self.entire(run), self.entire(payload)
                return build.request(build.const("signal"), self._site(node), build.const(name), *values)
            case ast.Cancel(operand=operand):
                return build.request(build.const("cancel"), self._site(node), self.entire(operand))
            case ast.Print(operand=operand) if self.may_be_lazy(operand):
                return build.request(build.const("print"), self._shown(operand))
            case ast.Print(operand=operand):
                return build.request(build.const("print"), self.entire(operand))
            case ast.Yield(operand=operand) | ast.Wake(operand=operand):
                kind = build.const("yield" if isinstance(node, ast.Yield) else "wake")
                return build.request(build.const("event"), self._site(node), kind, self.entire(operand))
            case ast.Submit(operand=maybe) | ast.Finish(operand=maybe):
                kind = build.const("submit" if isinstance(node, ast.Submit) else "finish")
                value = build.const(None) if maybe is None else self.entire(maybe)
                return build.request(kind, self._site(node), value)
            case ast.Fail(operand=operand):
                return build.request(build.const("fail"), self._site(node), self.entire(operand))
            case ast.LabelAnnotated(inner=inner):
                return self.expr(inner)
            case _:
                raise TypeError(f"{type(node).__name__} is not an expression")

    def _shown(self, operand: ast.Expr) -> py.expr:
        build, held = self.build, self.temp()
        shown = build.delegate(build.call("lazy_render", build.name(held)))
        lazy = build.is_type(build.bind(held, self.part(operand)), "LazyValue")
        return build.choose(lazy, shown, self.entire_value(build.name(held)))

    def _site(self, node: ast.Expr) -> py.expr:
        return self.build.const(self.unit.sites.number(node))

    def _call_parts(self, node: ast.ReceiverCall) -> tuple[py.expr, py.expr]:
        build, receiver = self.build, self.expr(node.receiver)
        fields = self._kept_fields(node)
        if not fields:
            return receiver, build.tuple(*(self.entire(arg) for arg in node.args))
        if isinstance(node.receiver, ast.ResourceRef):
            field: py.expr = build.const(fields[node.receiver.alias])
        else:  # a module in a variable: known when it is called
            held = self.temp()
            receiver = build.bind(held, receiver)
            field = build.call("kept_field", build.name(self.unit.constant(fields)), build.name(held))
        return receiver, build.tuple(self.entire_besides(node.args[0], field))

    def _kept_fields(self, node: ast.ReceiverCall) -> dict[str, str]:
        """By module: the field in which the operation that may be called here gets references."""
        if not self.unit.keeps_refs or not self.meets_lazy or len(node.args) != 1:
            return {}
        receiver = node.receiver
        return {
            module: field
            for (module, operation), field in self.unit.keeps_refs.items()
            if operation == node.operation and (not isinstance(receiver, ast.ResourceRef) or receiver.alias == module)
        }

    def _operation(self, node: ast.Expr, call: ast.ReceiverCall, *, unwrap: bool) -> py.expr:
        build = self.build
        receiver, args = self._call_parts(call)
        return build.request(
            build.const("op"), self._site(call), receiver, build.const(call.operation), args, build.const(unwrap)
        )

    def _unwrap(self, operand: ast.Expr) -> py.expr:
        inner = operand
        if isinstance(inner, ast.Await):
            inner = inner.operand
        if isinstance(inner, ast.ReceiverCall):
            return self._operation(operand, inner, unwrap=True)
        return self.build.call("unwrap", self.entire(operand))

    def _await(self, node: ast.Await, operand: ast.Expr) -> py.expr:
        match operand:
            case ast.ReceiverCall():
                return self._operation(node, operand, unwrap=False)
            case ast.ResultUnwrap(operand=ast.ReceiverCall() as call):
                return self._operation(node, call, unwrap=True)
            case ast.ResultUnwrap(operand=inner):
                return self.build.call("unwrap", self._awaited(node, inner))
            case ast.List() | ast.Record() if self._is_aggregate(operand):
                return self._aggregate(node, operand)
            case _:
                return self._awaited(node, operand)

    def _awaited(self, node: ast.Await, operand: ast.Expr) -> py.expr:
        build = self.build
        plain = build.const(self.unit.dialect.plain_data_awaits_to_itself)
        return build.delegate(build.call("await_value", self._site(node), self.entire(operand), plain))

    # Aggregates: `await { a: m.op(x)?, b: [m.op(y), z] }` is one batch.

    def _leaves(self, node: ast.Expr) -> list[ast.Expr]:
        if isinstance(node, ast.List):
            return [leaf for item in node.items for leaf in self._leaves(item)]
        if isinstance(node, ast.Record):
            return [leaf for _, item in node.entries for leaf in self._leaves(item)]
        return [node]

    def _is_aggregate(self, node: ast.Expr) -> bool:
        leaves = self._leaves(node)
        starts = self.unit.dialect.plain_data_awaits_to_itself
        return any(_called(leaf) for leaf in leaves) and all(
            _called(leaf) or is_pure(leaf) or (starts and _started(leaf)) for leaf in leaves
        )

    def _aggregate(self, awaiting: ast.Await, node: ast.Expr) -> py.expr:
        build = self.build
        steps: list[py.expr] = []
        members: list[py.expr] = []
        held: dict[int, tuple[str, str | int]] = {}
        for leaf in self._leaves(node):
            call = _called(leaf)
            if call is None:
                name = self.temp()
                start = _started(leaf)
                steps.append(build.bind(name, self.part(start or leaf)))
                held[id(leaf)] = ("start" if start else "value", name)
                continue
            with self.at(leaf):
                receiver, args = self._call_parts(call)
                receiver_name, args_name = self.temp(), self.temp()
                steps += [build.bind(receiver_name, receiver), build.bind(args_name, args)]
                held[id(leaf)] = ("call", len(members))
                members.append(
                    build.tuple(
                        self._site(call),
                        build.name(receiver_name),
                        build.const(call.operation),
                        build.name(args_name),
                        build.const(isinstance(leaf, ast.ResultUnwrap)),
                    )
                )
        results = self.temp()
        steps.append(build.bind(results, build.request(build.const("batch"), build.tuple(*members))))
        steps.append(self._placed(node, held, results, self._site(awaiting)))
        return build.last_of(*steps)

    def _placed(self, node: ast.Expr, held: dict[int, tuple[str, str | int]], results: str, site: py.expr) -> py.expr:
        build = self.build
        if id(node) in held:
            kind, where = held[id(node)]
            if isinstance(where, int):
                return build.pick(build.name(results), where)
            if kind == "start":
                awaited = build.delegate(build.call("await_value", site, build.name(where), build.const(True)))
                return build.call("unwrap", awaited) if isinstance(node, ast.ResultUnwrap) else awaited
            return build.name(where)
        if isinstance(node, ast.List):
            return build.list_of(*(self._placed(item, held, results, site) for item in node.items))
        assert isinstance(node, ast.Record)
        keys = [key for key, _ in node.entries]
        return build.record(keys, [self._placed(value, held, results, site) for _, value in node.entries])


def _called(leaf: ast.Expr) -> ast.ReceiverCall | None:
    if isinstance(leaf, ast.ResultUnwrap):
        leaf = leaf.operand
    return leaf if isinstance(leaf, ast.ReceiverCall) else None


def _started(leaf: ast.Expr) -> ast.StartProcess | None:
    if isinstance(leaf, ast.ResultUnwrap):
        leaf = leaf.operand
    return leaf if isinstance(leaf, ast.StartProcess) else None
