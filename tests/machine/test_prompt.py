"""Templates, slots, layers, gates; and what becomes of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lash.base.codec import decode, encode
from lash.machine.prompt import (
    DEFAULT_TEMPLATE,
    BuiltinEntry,
    PromptContribution,
    PromptGate,
    PromptLayer,
    PromptSection,
    PromptSlot,
    PromptTemplate,
    SlotEntry,
    SlotLayer,
    TextEntry,
    layer_of,
    resolve_layers,
)
from lash.machine.prompt_render import PromptMemo, core_guidance, fingerprint, render_prompt

PLAIN = PromptTemplate([PromptSection([SlotEntry("guidance")])])


def note(
    content: str, priority: int = 0, slot: PromptSlot = "guidance", title: str | None = None
) -> PromptContribution:
    return PromptContribution(slot, content, title, priority)


def guidance(*layers: PromptLayer, tools: list[str] | None = None) -> str:
    return render_prompt(resolve_layers([PromptLayer(PLAIN), *layers]), {}, tools or [])


class TestLayers:
    def test_append_in_order(self) -> None:
        assert guidance(layer_of([note("core")]), layer_of([note("session")]), layer_of([note("turn")])) == (
            "core\n\nsession\n\nturn"
        )

    def test_may_reset_what_came_before_but_not_what_comes_after(self) -> None:
        resetting = layer_of([note("only this")]).resetting("guidance")

        assert guidance(layer_of([note("gone")]), resetting, layer_of([note("and this")])) == ("only this\n\nand this")

    def test_reset_one_slot_only(self) -> None:
        prompt = resolve_layers(
            [
                layer_of([note("kept", slot="intro"), note("gone")]),
                PromptLayer(slots={"guidance": SlotLayer(reset=True)}),
            ]
        )

        assert [content.content for content in prompt.slots["intro"]] == ["kept"]
        assert prompt.slots["guidance"] == []

    def test_the_last_template_wins(self) -> None:
        first, last = PromptTemplate([]), PromptTemplate([PromptSection([TextEntry("x")])])

        assert resolve_layers([PromptLayer(first), PromptLayer(last), PromptLayer()]).template == last
        assert resolve_layers([]).template == DEFAULT_TEMPLATE

    def test_read_back(self) -> None:
        layer = PromptLayer(DEFAULT_TEMPLATE).adding(PromptContribution("intro", "x", gate=PromptGate(["t"])))

        assert decode(encode(layer), PromptLayer) == layer


class TestRendering:
    def test_the_default_template_has_four_sections_and_drops_the_empty_ones(self) -> None:
        layer = layer_of([note("Be nice."), note("Linux.", slot="environment"), note("Hi.", slot="intro")])

        text = render_prompt(
            resolve_layers([layer]), {"main_agent_intro": "You are an agent.", "core_guidance": "- Short."}, []
        )

        assert text == ("You are an agent.\n\nHi.\n\n## Guidance\n\n- Short.\n\nBe nice.\n\n## Environment\n\nLinux.")

    def test_contributions_are_sorted_by_priority_and_stable(self) -> None:
        assert guidance(layer_of([note("c", 5), note("a"), note("b"), note("first", -1)])) == "first\n\na\n\nb\n\nc"

    def test_exact_duplicates_appear_once(self) -> None:
        assert guidance(layer_of([note("a"), note("a"), note("a ", 0), note("a", 1)])) == "a\n\na"

    def test_titled_contributions_get_a_heading(self) -> None:
        assert guidance(layer_of([note("text", title="House rules")])) == "### House rules\n\ntext"

    def test_blank_contributions_leave_no_trace(self) -> None:
        assert guidance(layer_of([note(" \n"), note("a")])) == "a"

    def test_a_gate_opens_when_one_of_its_tools_may_be_called(self) -> None:
        gated = layer_of([PromptContribution("guidance", "use it", gate=PromptGate(["read", "grep"]))])

        assert guidance(gated, tools=["grep"]) == "use it"
        assert guidance(gated, tools=["write"]) == ""

    def test_a_template_may_hold_texts_and_builtins(self) -> None:
        template = PromptTemplate([PromptSection([TextEntry("a"), BuiltinEntry("main_agent_intro")], "T")])

        assert render_prompt(resolve_layers([PromptLayer(template)]), {"main_agent_intro": "b"}, []) == "## T\n\na\n\nb"

    def test_guidance_speaks_of_asking_only_when_one_can_ask(self) -> None:
        assert len(core_guidance([]).splitlines()) == 3
        assert len(core_guidance(["ask"]).splitlines()) == 4


class TestTheMemo:
    def test_renders_each_prompt_once(self) -> None:
        memo, prompt = PromptMemo(), resolve_layers([layer_of([note("a")])])

        first = memo.render(prompt, {}, ["t"])

        assert memo.render(prompt, {}, ["t"]) is first
        assert memo.hits == 1
        assert memo.render(prompt, {}, ["ask"]) != first

    def test_is_bounded(self) -> None:
        memo = PromptMemo()
        for n in range(PromptMemo.CAPACITY * 2):
            memo.render(resolve_layers([layer_of([note(str(n))])]), {}, [])

        memo.render(resolve_layers([layer_of([note("0")])]), {}, [])

        assert memo.hits == 0

    @given(st.permutations(["a", "b", "c"]))
    def test_the_order_of_tools_does_not_matter(self, tools: list[str]) -> None:
        prompt = resolve_layers([])

        assert fingerprint(prompt, {}, tools) == fingerprint(prompt, {}, ["a", "b", "c"])
