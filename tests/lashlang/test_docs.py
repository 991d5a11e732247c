"""Every program on every page of the language's documentation does what the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lash.lashlang import (
    IMPROVED,
    Answer,
    Answered,
    Budgets,
    Continued,
    Faulted,
    Finished,
    LanguageError,
    Request,
    State,
    Submit,
    parse,
)
from lash.lashlang.cases.runner import same_json
from lash.lashlang.cases.world import CaseWorld
from lash.lashlang.linking.inference import BUILTIN_TYPES
from lashlang.running import ENVIRONMENT, linked

_ROOT = Path(__file__).parents[2]
_PAGES = sorted((_ROOT / "docs" / "lang").glob("*.md"))
_BLOCK = re.compile(r"^```lashlang\n(.*?)^```$(?:\n\n^```(json|text)\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
_BLOCKS = [
    pytest.param(source, form, expected, id=f"{page.stem}-{number}")
    for page in _PAGES
    for number, (source, form, expected) in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8")), 1)
]


@pytest.mark.parametrize(("source", "form", "expected"), _BLOCKS)
def test_a_block_does_what_the_page_says(source: str, form: str, expected: str) -> None:
    try:
        module = linked(source)
    except LanguageError as error:
        refused = str(error) if form == "text" else f"unexpected: {error}"
        module = None
    if module is None:
        assert refused == expected.strip()
        return
    world = CaseWorld(module.artifact, ENVIRONMENT.resources, IMPROVED, {}, budgets=Budgets())

    outcome = world.run_cell({}, {})

    if form == "json":
        assert isinstance(outcome, Finished), outcome
        assert same_json(outcome.value, json.loads(expected))
    elif form == "text":
        assert isinstance(outcome, Faulted), outcome
        assert str(outcome.error) == expected.strip()
    else:
        assert isinstance(outcome, Finished | Continued), outcome


_PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PYTHON = [
    pytest.param(source, id=f"{page.stem}-{number}")
    for page in _PAGES
    for number, source in enumerate(_PYTHON_BLOCK.findall(page.read_text(encoding="utf-8")), 1)
]


class _Host:
    async def perform(self, request: Request) -> Answer:
        return Answered(request.value if isinstance(request, Submit) else None)


@pytest.mark.parametrize("source", _PYTHON)
async def test_a_python_block_does_what_the_page_says(source: str) -> None:
    given: dict[str, object] = {
        "source": "x = 1\nsubmit x + 1",
        "environment": ENVIRONMENT,
        "state": State(),
        "budgets": Budgets(),
        "host": _Host(),
    }
    lines = "".join(f"    {line}\n" for line in source.splitlines())
    found: dict[str, Callable[..., Awaitable[tuple[object, State]]]] = {}
    exec(f"async def block({', '.join(given)}):\n{lines}    return outcome, state", found)
    outcome, state = await found["block"](**given)

    assert outcome == Finished(2)
    assert state.variables == {"x": 1}


def test_the_pages_hold_programs() -> None:
    assert {page.stem for page in _PAGES} >= {"tutorial", "reference", "limits", "prompt"}
    assert len(_BLOCKS) > 30
    assert _PYTHON


def test_the_summary_names_every_builtin() -> None:
    text = (_ROOT / "docs" / "lang" / "prompt.md").read_text(encoding="utf-8")

    assert all(name in text for name in BUILTIN_TYPES)


def test_the_summary_fits_one_screen() -> None:
    assert len((_ROOT / "docs" / "lang" / "prompt.md").read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.parametrize("page", sorted((_ROOT / "examples" / "lang").glob("*.lash")), ids=lambda path: path.stem)
def test_an_example_runs_in_the_case_host(page: Path) -> None:
    module = linked(page.read_text(encoding="utf-8"))

    outcome = CaseWorld(module.artifact, ENVIRONMENT.resources, IMPROVED, {}).run_cell({}, {})

    assert isinstance(outcome, Finished)
    assert parse("submit 1")
