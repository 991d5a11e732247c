"""From what a host types as `model=` to a provider and the facts of a model."""

from __future__ import annotations

import pytest

from lash.base.errors import InvalidArgument
from lash.models import (
    InvalidModelVariant,
    ModelCapability,
    ModelFacts,
    ModelSpec,
    UnknownProvider,
    parse_model_name,
    resolve_model,
)
from lash.models.spec import OutputCapTooLarge, check_output_cap
from lash.testing import ScriptedModel

PROVIDER = ScriptedModel([])


def test_a_name_is_a_provider_and_an_id_that_may_hold_colons() -> None:
    name = parse_model_name("openai-compatible:vendor/model:free")

    assert (name.provider, name.model_id) == ("openai-compatible", "vendor/model:free")
    assert str(name) == "openai-compatible:vendor/model:free"


@pytest.mark.parametrize("text", ["", "gpt", ":gpt", "openai:"])
def test_a_name_without_both_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidArgument, match="write for example 'openai:"):
        parse_model_name(text)


def test_an_installed_wire_is_used() -> None:
    spec = resolve_model("mine:m1", {"mine": lambda: PROVIDER})

    assert (spec.id, spec.provider) == ("m1", PROVIDER)


def test_a_wire_that_this_release_lacks_is_named_with_the_way_around() -> None:
    with pytest.raises(UnknownProvider, match=r"model 'google:x': this release has no wire .*has: mine.*ModelSpec"):
        resolve_model("google:x", {"mine": lambda: PROVIDER})


def test_an_unknown_provider_lists_the_known_ones() -> None:
    with pytest.raises(UnknownProvider, match="known: mine"):
        resolve_model("other:x", {"mine": lambda: PROVIDER})


def test_a_scripted_model_is_taken_as_it_is() -> None:
    spec = resolve_model(PROVIDER, {})

    assert spec.provider is PROVIDER
    assert spec.facts == ModelFacts("scripted", context_window_tokens=200_000)


def test_a_spec_brings_its_own_provider() -> None:
    spec = ModelSpec("m", PROVIDER, context_window_tokens=10, output_token_capacity=5)

    assert resolve_model(spec, {}) is spec
    assert spec.facts == ModelFacts("m", None, 10, 5)


def test_anything_else_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="give 'provider:model-id'"):
        resolve_model(3, {})  # type: ignore[arg-type]


def test_variants_are_checked_against_what_the_host_knows() -> None:
    capability = ModelCapability(("low", "high"), (("max", "high"),))

    assert ModelSpec("m", PROVIDER, variant="max", capability=capability).facts.variant == "high"
    with pytest.raises(InvalidModelVariant, match="model m has no variant 'huge'; its variants: low, high"):
        ModelSpec("m", PROVIDER, variant="huge", capability=capability)


def test_without_knowledge_a_variant_is_passed_on() -> None:
    assert ModelSpec("m", PROVIDER, variant="anything").facts.variant == "anything"


@pytest.mark.parametrize("changes", [{"context_window_tokens": 0}, {"output_token_capacity": -1}])
def test_facts_that_make_no_sense_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InvalidArgument, match="give a positive number or leave it out"):
        ModelSpec("m", PROVIDER, context_window_tokens=changes.get("context_window_tokens"),
                  output_token_capacity=changes.get("output_token_capacity"))  # fmt: skip


def test_an_output_cap_above_the_capacity_is_refused() -> None:
    facts = ModelFacts("m", output_token_capacity=10)

    check_output_cap(facts, 10)
    check_output_cap(facts, None)
    check_output_cap(ModelFacts("m"), 10**9)
    with pytest.raises(OutputCapTooLarge, match="gives at most 10 output tokens, the cap is 11"):
        check_output_cap(facts, 11)
