"""Where the compatible setting differs from the default one beyond the cases."""

from __future__ import annotations

import pytest

from lash.base.json import Json
from lash.lashlang import COMPAT, IMPROVED, Dialect
from lash.lashlang.cases.document import Case
from lash.lashlang.cases.runner import run_case

_BIG = "[100000000000000000000000, 36893488147419103232, 18446744073709551616, 9223372036854775808]"


@pytest.mark.parametrize(
    ("source", "compat", "improved"),
    [
        (
            f"submit to_string({_BIG})",
            "[1e23,3.6893488147419103e19,18446744073709551615,9223372036854775807]",
            "[99999999999999991611392,36893488147419103232,18446744073709551616,9223372036854775808]",
        ),
        ('submit keys(json_parse("{\\"b\\": 1, \\"a\\": 2}"))', ["a", "b"], ["b", "a"]),
        ("submit keys(tools.echo({ value: { b: 1, a: 2 } })?)", ["a", "b"], ["b", "a"]),
    ],
)
def test_both_settings_give_what_they_promise(source: str, compat: Json, improved: Json) -> None:
    def value(dialect: Dialect) -> Json:
        return run_case(Case("x", source, {}), dialect)["expect"]

    assert (value(COMPAT), value(IMPROVED)) == (compat, improved)
