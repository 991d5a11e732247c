"""Generated code is closed by construction: it can name and do only what is listed here."""

from __future__ import annotations

import ast as py
import re

import pytest
from hypothesis import HealthCheck, given, settings

from lash.lashlang import IMPROVED, LinkError, compile_body
from lash.lashlang.cases.document import Case
from lash.lashlang.codegen.namespace import NAMESPACE
from lashlang.programs import programs
from lashlang.running import linked
from lashlang.test_cases import CASES

# Names that generated code makes itself: variables, temporaries, flags, constants, functions.
_MADE = re.compile(
    r"v_[A-Za-z_][A-Za-z0-9_]*|[tfrK][0-9]+|own_(v_[A-Za-z_][A-Za-z0-9_]*|f[0-9]+)"
    r"|(fn|raw|gen|try|sure|bare)_[A-Za-z_][A-Za-z0-9_]*|comp[0-9]+"
)
_FIXED = {"m", "c", "d", "n", "due", "cap", "text_room", "read", "write", "items", "body"}
_NODES = (
    py.Module,
    py.FunctionDef,
    py.arguments,
    py.arg,
    py.Assign,
    py.AugAssign,
    py.Expr,
    py.If,
    py.For,
    py.While,
    py.Break,
    py.Continue,
    py.Return,
    py.Pass,
    py.Try,
    py.ExceptHandler,
    py.Name,
    py.Constant,
    py.Call,
    py.Tuple,
    py.List,
    py.Dict,
    py.Subscript,
    py.NamedExpr,
    py.BinOp,
    py.UnaryOp,
    py.BoolOp,
    py.Compare,
    py.IfExp,
    py.Yield,
    py.YieldFrom,
    py.JoinedStr,
    py.FormattedValue,
    py.Load,
    py.Store,
    py.operator,
    py.unaryop,
    py.boolop,
    py.cmpop,
)


def _inspect(tree: py.Module) -> None:
    for node in py.walk(tree):
        assert isinstance(node, _NODES), f"{type(node).__name__} must not be generated"
        assert not isinstance(node, py.Attribute)
        if isinstance(node, py.Name):
            assert _is_allowed(node.id), f"the name {node.id} must not be generated"
        if isinstance(node, py.Call):
            assert isinstance(node.func, py.Name), "only names are called"
            assert not node.keywords
            called = node.func.id
            assert called in NAMESPACE or re.fullmatch(r"(fn|raw|gen|try|sure|bare)_\w+|comp[0-9]+", called), called
        if isinstance(node, py.Subscript) and isinstance(node.ctx, py.Load):
            assert isinstance(node.slice, py.Constant | py.UnaryOp), "only constant positions are read directly"
        if isinstance(node, py.FunctionDef):
            assert not node.decorator_list


def _is_allowed(name: str) -> bool:
    return name in NAMESPACE or name in _FIXED or _MADE.fullmatch(name) is not None


def _compiles(case: Case) -> bool:
    return not {"parse_error", "link_error", "setup"} & case.expected.keys()


def _bodies(source: str) -> list[py.Module]:
    module = linked(source)
    trees: list[py.Module] = []
    for process in (None, *module.artifact.exports):
        for traced in (False, True):
            compile_body(module.artifact, process, IMPROVED, traced=traced, inspect=trees.append)
    return trees


@pytest.mark.parametrize("case", [case for case in CASES if _compiles(case)], ids=lambda case: case.id)
def test_a_case_compiles_to_allowed_code(case: Case) -> None:
    for tree in _bodies(case.source):
        _inspect(tree)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs)
def test_random_programs_compile_to_allowed_code(source: str) -> None:
    try:
        trees = _bodies(source)
    except LinkError:
        return

    for tree in trees:
        _inspect(tree)


def test_generated_code_has_no_python_builtins() -> None:
    body = compile_body(linked("submit 1").artifact, None, IMPROVED)

    assert body.function.__globals__["__builtins__"] == {}


def test_the_inspection_notices_an_attribute() -> None:
    with pytest.raises(AssertionError, match="Attribute must not be generated"):
        _inspect(py.parse("v_a.b"))


def test_the_inspection_notices_a_foreign_name() -> None:
    with pytest.raises(AssertionError, match="the name open must not be generated"):
        _inspect(py.parse("open"))


def test_variables_cannot_collide_with_generated_names() -> None:
    names = ("t1", "v_x", "m", "c", "own_v_x", "K1", "body", "read", "add")
    source = "\n".join(f"{name} = 1" for name in names) + f"\nsubmit [{', '.join(names)}]"

    for tree in _bodies(source):
        _inspect(tree)
        stored = {node.id for node in py.walk(tree) if isinstance(node, py.Name) and isinstance(node.ctx, py.Store)}
        assert {f"v_{name}" for name in names} <= stored
