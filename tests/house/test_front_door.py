"""The names of `import lash`: all load, all explain themselves, and the checkers see the same ones."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import lash

NAMES = [str(name) for name in lash.__all__]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_loads_and_explains_itself(name: str) -> None:
    value = getattr(lash, name)

    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value), f"lash.{name} has no docstring"


def test_type_checkers_see_exactly_the_names_that_load() -> None:
    tree = ast.parse(Path(str(lash.__file__)).read_text())

    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    declared = {alias.asname for node in imports for alias in node.names if alias.asname}

    assert declared == set(NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    misspelt = "StandradCore"

    with pytest.raises(AttributeError, match=misspelt):
        getattr(lash, misspelt)


def test_dir_lists_what_can_be_had() -> None:
    assert set(NAMES) <= set(dir(lash))
