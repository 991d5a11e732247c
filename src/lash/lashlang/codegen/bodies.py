"""One body to one generator function.

The function's shape is

```
def body(m, c, …):          # meter, fuel; then variables or parameters
    due, n, … = counters and limits
    v_x = get(read, "x", UNSET), v_y = v_z = UNSET, own_v_x = None, …
    try: <statements>        # effects are yields, loops count themselves
    finally: save(write, ("x", …), v_x, …)   # cells only
```
"""

from __future__ import annotations

import ast as py
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Final

from lash.lashlang.codegen.frame import Unit
from lash.lashlang.codegen.functions import FunctionEmitter
from lash.lashlang.codegen.kinds import ANY, UNSET, assigned_names
from lash.lashlang.codegen.namespace import NAMESPACE
from lash.lashlang.codegen.pyast import Stmts
from lash.lashlang.codegen.whole import whole_functions
from lash.lashlang.dialect import Dialect
from lash.lashlang.errors import Span
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import assignments
from lash.lashlang.tracking.sites import BodySites, Entry, Site

FILENAME: Final = "<lashlang>"
COMPILER_VERSION: Final = "3"


@dataclass(frozen=True, slots=True)
class CompiledBody:
    """A body ready to run. `spans[line - 1]` is the expression behind a line of its code."""

    entry: Entry
    artifact: ModuleArtifact
    function: FunctionType
    parameters: tuple[ast.Parameter, ...]
    sites: tuple[Site, ...]
    spans: tuple[Span, ...]
    statements: tuple[Span, ...]
    dialect: Dialect
    traced: bool


def entry_of(artifact: ModuleArtifact, process: str | None) -> Entry:
    """The entry of the main block, or of one process."""
    if process is None:
        return Entry(artifact.module_ref, "main", "main", "main")
    return Entry(artifact.module_ref, "process", process, artifact.exports[process].key)


def compile_body(
    artifact: ModuleArtifact,
    process: str | None,
    dialect: Dialect,
    *,
    traced: bool = False,
    readonly: frozenset[str] = frozenset(),
    lazy: frozenset[str] = frozenset(),
    keeps_lazy: bool = False,
    keeps_refs: Mapping[tuple[str, str], str] | None = None,
    inspect: Callable[[py.Module], None] | None = None,
) -> CompiledBody:
    """The main block of a linked module (`process=None`), or one of its processes.

    `readonly` names the projected bindings of the run; `lazy` those of them that
    are `LazyValue`s. `keeps_lazy` says that the cell's variables may hold lazy
    values that an earlier cell put into a container; `lazy` names imply it.
    `keeps_refs` names operations, as `(module, operation)`, and the field of their
    argument in which they get references to lazy values instead of what they stand for.
    `inspect` is shown the Python tree before it is compiled; it is not kept.
    """
    program = artifact.canonical_ir
    declaration = next((item for item in program.processes() if item.name == process), None)
    body = program.main if declaration is None else declaration.body
    params = declaration.params if declaration is not None else ()
    entry = entry_of(artifact, process)
    data_types = artifact.host_requirements.resources.named_data_types
    named: dict[str, object] = {name: data.type for name, data in data_types.items()}
    named.update((item.name, item.type) for item in program.types())
    unit = Unit(
        program,
        dialect,
        BodySites(entry, body),
        _process_values(artifact),
        traced,
        readonly | lazy,
        lazy,
        keeps_lazy or bool(lazy),
        keeps_refs or {},
        named_types=named,
        whole_functions=whole_functions(program),
    )
    kinds = {param.name: ANY for param in params}
    emitter = FunctionEmitter(unit, "body", body, kinds)
    emitter.meets_lazy = unit.keeps_lazy and declaration is None
    for function in program.functions():
        emitter.kinds.update(emitter.result_kind(function))
    if not dialect.constant_branches_observed:
        from lash.lashlang.codegen.folding import folded_ternaries

        emitter.silent_branches = folded_ternaries(body)
    tree = py.Module([], [])
    main = _write_cell(emitter, body) if declaration is None else _write_process(emitter, declaration)
    emitter.write_functions()
    tree.body = [*unit.functions, main]
    if inspect is not None:
        inspect(tree)
    code = compile(tree, FILENAME, "exec")
    namespace = dict(NAMESPACE)
    namespace.update(unit.constants)
    exec(code, namespace)
    made = namespace["body"]
    assert isinstance(made, FunctionType)
    return CompiledBody(
        entry,
        artifact,
        made,
        params,
        tuple(unit.sites.sites),
        tuple(unit.spans),
        tuple(unit.statements),
        dialect,
        traced,
    )


def _process_values(artifact: ModuleArtifact) -> dict[str, dict[str, object]]:
    return {
        name: {
            "$lash_process": True,
            "module_ref": artifact.module_ref,
            "host_requirements_ref": artifact.host_requirements_ref,
            "process_ref": {"component": ref.component, "pos": float(ref.position)},
            "process_name": name,
        }
        for name, ref in artifact.exports.items()
    }


def _write_top_level(emitter: FunctionEmitter, body: ast.Block) -> Stmts:
    build = emitter.build
    lines: Stmts = []
    for item in body.items:
        emitter.statement = item.span
        heavy_before, emitter.heavy = emitter.heavy, False
        lines += emitter.stmt(item)
        if emitter.heavy:
            lines.append(build.when(build.name("due"), [emitter.give_turn()]))
        emitter.heavy |= heavy_before
    # An unreachable request makes this a generator even without effects.
    lines.append(build.when(build.const(False), [build.expr(build.request(build.const("never")))]))
    return lines


def _write_cell(emitter: FunctionEmitter, body: ast.Block) -> py.stmt:
    build = emitter.build
    emitter.is_cell = True
    lines = _write_top_level(emitter, body)
    assigned = sorted(assigned_names(body) | {item.root for item in assignments(body)})
    assigned = [name for name in assigned if name not in emitter.unit.readonly]
    # What an earlier cell left is looked up only for names that may be read before they are set.
    loaded = sorted((emitter.used | set(assigned)) & emitter.unset_reads)
    unset = [f"v_{name}" for name in assigned if name not in emitter.unset_reads]
    prologue = [
        *emitter.prologue(),
        *(
            build.assign(f"v_{name}", build.call("get", build.name("read"), build.const(name), build.name("UNSET")))
            for name in loaded
        ),
        *build.assign_all(unset, build.name("UNSET")),
    ]
    if assigned:
        names = build.name(emitter.unit.constant(tuple(assigned)))
        values = [build.name(f"v_{name}") for name in assigned]
        lines = [build.guarded(lines, [build.expr(build.call("save", build.name("write"), names, *values))])]
    return build.function("body", ["m", "c", "read", "write"], [*prologue, *lines])


def _write_process(emitter: FunctionEmitter, process: ast.ProcessDeclaration) -> py.stmt:
    build = emitter.build
    names = [param.name for param in process.params]
    bound: Stmts = []
    if emitter.unit.dialect.bound_input:
        for name in ("input", "inputs"):
            if name not in names:
                emitter.kinds[name] = ANY
    lines = _write_top_level(emitter, process.body)
    if emitter.unit.dialect.bound_input:
        values = [build.name(f"v_{name}") for name in names]
        whole = values[0] if len(values) == 1 else build.record(names, values) if values else build.const(None)
        bound = [
            build.assign(f"v_{name}", whole)
            for name in ("input", "inputs")
            if name not in names and name in emitter.used
        ]
    unset = sorted(name for name in emitter.unset_reads if name not in names)
    cleared = [build.assign(f"v_{name}", build.name("UNSET")) for name in unset]
    params = ["m", "c", *(f"v_{name}" for name in names)]
    return build.function("body", params, [*emitter.prologue(), *cleared, *bound, *lines])


__all__ = ["UNSET", "CompiledBody", "compile_body", "entry_of"]
