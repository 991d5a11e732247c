"""Errors carry a stable code, a plain message, and say what to do."""

from __future__ import annotations

import pytest

from lash.base.errors import (
    ConfigurationError,
    InvalidArgument,
    LashError,
    LashRuntimeError,
    MissingExtra,
    NotCanonical,
)


def _family(root: type[LashError]) -> list[type[LashError]]:
    return [root, *(found for child in root.__subclasses__() for found in _family(child))]


def test_a_runtime_error_renders_code_and_message_and_keeps_unknown_codes() -> None:
    error = LashRuntimeError("made_up_code", "what happened")

    assert str(error) == "made_up_code: what happened"
    assert error.code == "made_up_code"
    assert error.message == "what happened"


def test_a_missing_extra_says_what_to_install() -> None:
    error = MissingExtra("postgres", "a postgresql:// store")

    assert "pip install 'lash-runtime[postgres]'" in str(error)
    assert error.code == "missing_extra"
    assert isinstance(error, ImportError)
    assert isinstance(error, ConfigurationError)


def test_a_value_that_cannot_be_stored_names_its_path() -> None:
    error = NotCanonical("$.a[1]", "set is not JSON")

    assert error.message == "$.a[1] cannot be stored: set is not JSON; pass plain JSON values"


def test_an_unusable_argument_is_also_a_value_error() -> None:
    with pytest.raises(ValueError, match="no"):
        raise InvalidArgument("no")


def test_every_class_of_the_tree_explains_itself_and_has_a_code_of_its_own() -> None:
    for kind in _family(LashError):
        assert kind.__doc__, kind
        assert kind.code, kind
