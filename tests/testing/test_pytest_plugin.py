"""The fixtures, in a pytest of their own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

HEAD = """
import asyncio
import lash
from lash.testing import calls, says

@lash.tool(repeat="idempotent")
async def double(number: int) -> int:
    "Twice a number."
    return number * 2
"""


def run(pytester: pytest.Pytester, body: str, *args: str) -> pytest.RunResult:
    pytester.makeconftest('pytest_plugins = ["lash.testing.pytest_plugin"]')
    pytester.makepyfile(HEAD + body)
    return pytester.runpytest_inprocess("-p", "no:asyncio", "-p", "no:xdist", "-p", "no:cacheprovider", *args)


def test_a_model_with_steps_left_fails_a_test_that_passed(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_it(scripted, lash_store):
    async def main():
        core = lash.StandardCore(model=scripted([says("a"), says("b")]), store=lash_store)
        async with core, core.session("s") as s:
            assert (await s.run("go")).text == "a"
    asyncio.run(main())
""",
    )

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*1 of 2 steps were not played*"])


def test_the_lab_takes_its_stores_from_the_command_line(pytester: pytest.Pytester) -> None:
    body = """
def test_it(lab):
    def make(life):
        model = lash.testing.ScriptedModel([calls("double", number=1), says("2")])
        return lash.StandardCore(model=model, tools=[double], store=life.store, effect_host=life.effect_host)
    async def talk(core):
        async with core.session("s") as s:
            return (await s.run("go", turn_id="t")).text
    asyncio.run(lab(make).kill_at(talk, effect="double")).raise_for_problems()
"""
    run(pytester, body).assert_outcomes(passed=1)
    refused = run(pytester, body, "--lash-stores", ":memory:")

    refused.assert_outcomes(failed=1)
    refused.stdout.fnmatch_lines(["*nothing survives in memory*"])


def test_clock_and_faults_are_there(pytester: pytest.Pytester) -> None:
    body = """
def test_it(lash_clock, store_faults):
    assert lash_clock.now_ms() > 0
    assert store_faults.programs == []
"""
    run(pytester, body).assert_outcomes(passed=1)
