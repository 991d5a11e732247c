"""The prompt speaks of what is there and of nothing else, and every example in it runs."""

from __future__ import annotations

import re

import pytest

import lash
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.host.environment import ALL_ABILITIES, Abilities, HostEnvironment
from lash.lashlang.syntax.features import ALL_FEATURES, NO_FEATURES, LanguageFeatures
from lash.protocols.rlm.cells import FencedCells
from lash.protocols.rlm.options import PromptFeatures, RlmConfig
from lash.protocols.rlm.prompt import execution_prompt
from lash.testing import ScriptedModel, cell

_FENCE = re.compile(r"```lashlang\n(.*?)```", re.DOTALL)
EVERYTHING = HostEnvironment(
    Catalog().add_operation("shop", "Shop", "price", "tool:price"), ALL_ABILITIES, ALL_FEATURES
)
NOTHING = HostEnvironment(Catalog(), Abilities(), NO_FEATURES)
PLAIN = PromptFeatures(images=False, common_patterns=False, type_literals=False, decomposition=False)
EXAMPLES = _FENCE.findall(execution_prompt(EVERYTHING, PromptFeatures()))


@lash.tool(module="shop")
async def price(name: str, currency: str = "EUR") -> dict[str, int]:
    """What something costs.

    Args:
        name: As the label says it.
    """
    return {"cents": len(name) + len(currency)}


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.split("\n")[0] for example in EXAMPLES])
async def test_every_example_prints_what_it_says(example: str) -> None:
    said = [line.partition("# -> ")[2] for line in example.splitlines() if "# -> " in line]
    config = RlmConfig(language_features=ALL_FEATURES)
    model = ScriptedModel([cell(example), cell("submit history[1]")])

    async with lash.RlmCore(model=model, rlm=config) as core, core.session("s") as session:
        step = (await session.run("go")).value

    assert said
    assert "error" not in step
    assert step["output"] == said


def test_there_are_examples_to_run() -> None:
    assert len(EXAMPLES) >= 8


def test_the_prompt_itself_holds_no_cell_that_a_screen_would_miss() -> None:
    assert FencedCells().find(execution_prompt(EVERYTHING, PromptFeatures())).code == EXAMPLES[0]


@pytest.mark.parametrize(
    ("word", "environment"),
    [
        ("sleep", HostEnvironment(Catalog(), Abilities(sleep=True))),
        ("process", HostEnvironment(Catalog(), Abilities(processes=True))),
        ("signal_run", HostEnvironment(Catalog(), Abilities(processes=True, process_signals=True))),
        ("triggers.register", HostEnvironment(Catalog(), Abilities(processes=True, triggers=True))),
        ("@label", HostEnvironment(Catalog(), Abilities(), LanguageFeatures(label_annotations=True))),
        ("fn ", HostEnvironment(Catalog(), Abilities(), LanguageFeatures(functions=True))),
        ("sort_by", HostEnvironment(Catalog(), Abilities(), LanguageFeatures(more_builtins=True))),
        ("await path", HostEnvironment(Catalog().add_operation("a", "A", "b", "c"))),
        ("continue_as", HostEnvironment(Catalog().add_operation("control", "Control", "continue_as", "c"))),
    ],
)
def test_what_the_host_does_not_offer_is_not_mentioned(word: str, environment: HostEnvironment) -> None:
    assert word in execution_prompt(environment, PLAIN)
    assert word not in execution_prompt(NOTHING, PLAIN)


@pytest.mark.parametrize(
    ("word", "features"),
    [
        ("### Images", PromptFeatures(images=False)),
        ("### Common patterns", PromptFeatures(common_patterns=False)),
        ("### Types as values", PromptFeatures(type_literals=False)),
        ("### Large tasks", PromptFeatures(decomposition=False)),
    ],
)
def test_sections_can_be_left_out(word: str, features: PromptFeatures) -> None:
    assert word in execution_prompt(EVERYTHING, PromptFeatures())
    assert word not in execution_prompt(EVERYTHING, features)


async def test_tools_are_told_by_path_types_and_description() -> None:
    model = ScriptedModel([cell("submit 1")])

    async with lash.RlmCore(model=model, tools=[price]) as core, core.session("s") as session:
        await session.run("go")

    system = model.requests[0].messages[0].text
    assert '- `await shop.price({ name: str, currency?: str = "EUR" })? -> ' in system
    assert "  What something costs." in system
    assert "  - name: str: As the label says it." in system
    assert model.requests[0].tools == []
    assert model.requests[0].tool_choice == "none"


async def test_a_hidden_tool_is_neither_told_nor_callable() -> None:
    model = ScriptedModel([cell('submit await shop.price({ name: "x" })?'), cell("submit history[1].error")])

    core = lash.RlmCore(model=model, tools=[price])
    async with core, core.session("s", hidden_tools=["price", "continue_as"]) as session:
        turn = await session.run("go")

    system = model.requests[0].messages[0].text
    assert "shop" not in system
    assert "continue_as" not in system
    assert "shop" in turn.value
