"""Assignments, and the in-place changes that keep loops linear."""

from __future__ import annotations

import ast as py

from lash.lashlang.codegen import nodes
from lash.lashlang.codegen.effects import EffectEmitter
from lash.lashlang.codegen.kinds import ANY, LAZY, LIST, NUMBER, RECORD, TEXT, UNSET, added
from lash.lashlang.codegen.ownership import DEEP, self_append, self_push
from lash.lashlang.codegen.pyast import Stmts
from lash.lashlang.syntax import ast


class AssignmentEmitter(EffectEmitter):
    """The part of the emitter that writes assignments."""

    def refuse_readonly(self, name: str) -> py.stmt:
        """Fails as an assignment to a read-only binding does."""
        return self.build.expr(self.build.call("readonly", self.build.const(name)))

    def assignment(self, node: ast.Assign) -> Stmts:
        """The statements of one assignment."""
        build = self.build
        if node.root in self.unit.readonly:
            parts = [self.expr(step.index) for step in node.steps if isinstance(step, ast.IndexStep)]
            return [build.expr(build.tuple(*parts, self.expr(node.value))), self.refuse_readonly(node.root)]
        if node.steps:
            self.refuse_sure()
            return self._path(node)
        if (item := self_push(node)) is not None:
            self.refuse_sure()
            return self._push(node, item)
        if isinstance(node.value, ast.Binary) and node.value.op == "add":
            left = node.value.left
            if isinstance(left, ast.Variable) and left.name == node.root:
                return self._self_append(node, node.value)
        return self._plain(node, self.expr(node.value), self.kind_now(node.value))

    def _plain(self, node: ast.Assign, value: py.expr, kind: int) -> Stmts:
        build = self.build
        lines = [build.assign(self.place(node.root), value)]
        flag = self.own_flag(node.root)
        if flag is not None:
            # A literal was just made: nobody else can have seen it.
            fresh = isinstance(node.value, ast.List | ast.Record)
            lines.append(build.assign(flag, self._owned_now(node.root) if fresh else build.const(None)))
        self.kinds[node.root] = kind & ~LAZY
        return lines

    def _owned_now(self, name: str) -> py.expr:
        if self.depths[name] == DEEP:
            return self.build.call("fresh_registry", self.build.name(self.place(name)))
        return self.build.const(True)

    def _is_owned(self, flag: str) -> py.expr:
        return self.build.compare(self.build.name(flag), nodes.IS_NOT, self.build.const(None))

    def _check_set(self, name: str) -> Stmts:
        if not self.kind(name) & UNSET:
            return []
        return [self.build.expr(self.variable(name, borrow=True))]

    def _push(self, node: ast.Assign, item: ast.Expr) -> Stmts:
        build, name = self.build, node.root
        check = self._check_set(name)
        local, flag, held = self.place(name), self.own_flag(name) or "", self.temp()
        value = self.part(item)
        self.heavy = self.uses_limits = True
        tests = [self._is_owned(flag)]
        if self.kind(name) != LIST:
            tests.append(build.is_type(build.name(local), "list"))
        tests.append(build.compare(build.call("len", build.name(local)), nodes.LESS, build.name("cap")))
        in_place = [build.expr(build.call("append", build.name(local), build.name(held)))]
        pushed = build.call("b_push", build.name("m"), build.name(local), build.name(held))
        copied = [build.assign(local, pushed), build.assign(flag, self._owned_now(name))]
        self.kinds[name] = LIST
        return [*check, build.assign(held, value), build.when(build.both(*tests), in_place, copied)]

    def _self_append(self, node: ast.Assign, value: ast.Binary) -> Stmts:
        build, name = self.build, node.root
        if self.kind(name) & UNSET:
            # The right side comes first here, which only an unset variable can show.
            self.refuse_sure()
            first = self.temp()
            lines: Stmts = [build.assign(first, self.entire(value.right)), *self._check_set(name)]
            total = build.call("add", build.name("m"), build.name(self.place(name)), build.name(first))
            self.heavy = True
            return lines + self._plain(node, total, added(self.kind(name), self.kind_now(value.right)))
        check: Stmts = []
        kind, other = self.kind(name), self.kind_now(value.right)
        if other == NUMBER or kind == NUMBER or not kind & (TEXT | LIST):
            return [*check, *self._plain(node, self.expr(value), self.kind_now(value))]
        self.refuse_sure()
        local, held = self.place(name), self.temp()
        if (literal := self_append(node)) is not None:
            return [*check, *self._extend(node, literal, kind)]
        constant = isinstance(value.right, ast.String)
        right = self.entire(value.right)
        self.heavy = self.uses_limits = True
        flag = self.own_flag(name)
        added_name = build.const(value.right.value) if isinstance(value.right, ast.String) else build.name(held)
        tests = [build.is_type(build.name(local), "str")] if kind != TEXT else []
        if other != TEXT:
            tests.append(build.is_type(added_name, "str"))
        tests.append(build.compare(build.call("len", build.name(local)), nodes.LESS, build.name("text_room")))
        if not constant:
            tests.append(build.compare(build.call("len", added_name), nodes.LESS, build.const(4096)))
        # Python grows a string in place when a local appends to itself.
        quick: Stmts = [build.assign(local, build.binop(build.name(local), nodes.ADD, added_name))]
        general: Stmts = [build.assign(local, build.call("add", build.name("m"), build.name(local), added_name))]
        if flag is not None:
            general.append(build.assign(flag, build.const(None)))
        self.kinds[name] = added(kind & ANY, other)
        before: Stmts = [] if constant else [build.assign(held, right)]
        return [*check, *before, build.when(build.both(*tests), quick, general)]

    def _extend(self, node: ast.Assign, literal: ast.Expr, kind: int) -> Stmts:
        build, name = self.build, node.root
        local, flag, held = self.place(name), self.own_flag(name) or "", self.temp()
        value = self.entire(literal)
        self.heavy = self.uses_limits = True
        size = build.binop(build.call("len", build.name(local)), nodes.ADD, build.call("len", build.name(held)))
        tests = [
            self._is_owned(flag),
            build.is_type(build.name(local), "list"),
            build.compare(size, nodes.AT_MOST, build.name("cap")),
        ]
        in_place: Stmts = [build.expr(build.call("extend", build.name(local), build.name(held)))]
        joined = build.call("add", build.name("m"), build.name(local), build.name(held))
        is_list = build.is_type(build.name(local), "list")
        owned = build.choose(is_list, self._owned_now(name), build.const(None))
        general: Stmts = [build.assign(local, joined), build.assign(flag, owned)]
        if not self.unit.dialect.self_append_of_any_kind:
            # The reference loses this append when the variable holds a string.
            general = [build.when(build.negated(build.is_type(build.name(local), "str")), general)]
        self.kinds[name] = added(kind & ANY, LIST) if kind != LIST else LIST
        return [build.assign(held, value), build.when(build.both(*tests), in_place, general)]

    def _path(self, node: ast.Assign) -> Stmts:
        build, name = self.build, node.root
        lines: Stmts = []
        keys: list[py.expr] = []
        for step in node.steps:
            if isinstance(step, ast.FieldStep):
                keys.append(build.const(step.name))
            elif self.simple(step.index) and not isinstance(step.index, ast.Variable):
                keys.append(self.expr(step.index))
            else:
                held = self.temp()
                lines.append(build.assign(held, self.expr(step.index, borrow=True)))
                keys.append(build.name(held))
        item = self_push(node)
        if item is not None and isinstance(node.value, ast.BuiltinCall):
            # The place is read before the item is evaluated, and may fail first.
            lines.append(build.expr(self.expr(node.value.args[0], borrow=True)))
        value = self.temp()
        lines.append(build.assign(value, self.expr(node.value) if item is None else self.part(item)))
        lines += self._check_set(name)
        local, flag = self.place(name), self.own_flag(name) or ""
        if len(node.steps) == 1 and not self.is_deep(name):
            return lines + self._store_one(node, local, flag, keys[0], build.name(value))
        path = [
            build.tuple(build.const(isinstance(step, ast.FieldStep)), key)
            for step, key in zip(node.steps, keys, strict=True)
        ]
        if item is not None:
            self.heavy = True
        if self.meets_lazy:
            met = build.call("meets_lazy", build.name(local), *(path if item is not None else path[:-1]))
            read = build.assign(local, build.delegate(build.call("read_whole", build.name(local))))
            lines.append(build.when(met, [read, build.assign(flag, build.const(None))]))
        function = "store_path" if item is None else "push_at_path"
        stored = build.call(
            function, build.name("m"), build.name(local), build.name(flag), build.tuple(*path), build.name(value)
        )
        lines.append(build.assign_pair(local, flag, stored))
        return lines

    def _store_one(self, node: ast.Assign, local: str, flag: str, key: py.expr, value: py.expr) -> Stmts:
        build, kind = self.build, self.kind(node.root)
        copy = [
            build.assign(local, build.call("own", build.name("m"), build.name(local))),
            build.assign(flag, build.const(True)),
        ]
        lines = [build.when(build.compare(build.name(flag), nodes.IS, build.const(None)), copy)]
        step = node.steps[0]
        is_field = isinstance(step, ast.FieldStep)
        numeric = isinstance(step, ast.IndexStep) and self.kind_now(step.index) == NUMBER
        store = "store_field" if is_field else "store_number" if numeric else "store_index"
        general: Stmts = [build.expr(build.call(store, build.name("m"), build.name(local), key, value))]
        textual = is_field or (isinstance(step, ast.IndexStep) and self.kind_now(step.index) == TEXT)
        if not textual or not kind & RECORD:
            return lines + general
        # Replacing an entry cannot grow the record, so it needs no accounting.
        tests = [] if kind == RECORD else [build.is_type(build.name(local), "dict")]
        tests.append(build.compare(key, nodes.IN, build.name(local)))
        quick: Stmts = [build.store_item(build.name(local), key, value)]
        return [*lines, build.when(build.both(*tests), quick, general)]
