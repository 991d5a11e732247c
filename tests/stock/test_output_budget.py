"""What a model sees of long tool results (R-081, docs/spec/runtime.md §6.8)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lash
from lash.base.errors import InvalidArgument
from lash.base.json import JsonObject
from lash.plugins import PluginRegistrationError
from lash.plugins.hooks import AfterToolCall
from lash.stock import OutputBudget, ToolOutputBudget
from lash.stock.output_budget import truncated
from lash.testing import ScriptedModel, calls, says
from lash.tools import ToolResult
from lash.tools.definition import ToolManifest
from lash.tools.model_view import model_text

HINT = "[Output truncated. Ask for a smaller range, or filter at the source, to see the rest.]"


def seen(value: object, budget: OutputBudget, *, tool: str = "look") -> str:
    """What the model sees of a result of `tool`."""
    output = ToolResult.ok(value)
    call = AfterToolCall("s", "t", "c", ToolManifest(f"tool:{tool}", tool), {}, output)
    return ToolOutputBudget(budget).project(call, model_text(output))


def test_what_fits_is_shown_as_it_is() -> None:
    text = "a\nb\n"

    assert seen(text, OutputBudget(limit=4, max_lines=2)) == text


def test_the_head_is_kept_on_a_line_boundary() -> None:
    assert seen("one\ntwo\nthree\n", OutputBudget(limit=10)) == f"one\ntwo\n…6 bytes truncated…\n{HINT}"


def test_too_many_lines_are_counted_as_lines() -> None:
    text = "".join(f"{number}\n" for number in range(10))

    assert seen(text, OutputBudget(max_lines=2)) == f"0\n1\n…8 lines truncated…\n{HINT}"


def test_tokens_are_four_bytes() -> None:
    assert seen("abcdefgh\n" * 4, OutputBudget("tokens", 5)) == f"abcdefgh\nabcdefgh\n…5 tokens truncated…\n{HINT}"


def test_of_a_shell_the_tail_is_kept() -> None:
    assert seen("one\ntwo\nend\n", OutputBudget(limit=8), tool="bash") == f"…4 bytes truncated…\n{HINT}\ntwo\nend\n"


def test_one_long_line_is_cut_between_characters() -> None:
    assert seen("äöü", OutputBudget(limit=3)) == f"ä\n…4 bytes truncated…\n{HINT}"
    assert seen("äöü", OutputBudget(limit=3), tool="bash") == f"…4 bytes truncated…\n{HINT}\nü"


def test_a_structured_result_stays_json_and_is_cut_string_by_string() -> None:
    shown = json.loads(seen({"big": "x" * 50_000, "small": "kept", "n": 7}, OutputBudget(limit=2_000)))

    assert (shown["small"], shown["n"]) == ("kept", 7)
    assert shown["big"].endswith(HINT)
    assert len(shown["big"]) < 3_000


def test_a_batch_shares_its_budget_among_its_entries() -> None:
    value = {"results": [{"text": "x" * 10_000}, {"text": "short"}]}
    shown = json.loads(seen(value, OutputBudget(limit=2_000), tool="batch"))

    assert shown["results"][1] == {"text": "short"}
    assert shown["results"][0]["text"].endswith(HINT)


def test_many_small_things_are_cut_as_text() -> None:
    shown = seen(list(range(10_000)), OutputBudget(limit=500))

    assert shown.startswith("[0,1,2,")
    assert shown.endswith(HINT)
    assert len(shown.encode()) < 700


@given(st.text(), st.integers(1, 40), st.integers(1, 5), st.sampled_from(["bytes", "tokens"]), st.booleans())
def test_what_is_kept_is_a_piece_of_the_text_within_the_budget(
    text: str,
    limit: int,
    max_lines: int,
    mode: str,
    tail: bool,
) -> None:
    budget = OutputBudget(mode, limit, max_lines)  # type: ignore[arg-type]
    shown = truncated(text, budget, keeps_tail=tail)
    if shown == text:
        assert len(text.encode()) <= budget.max_bytes
        return
    parts = shown.split(f"{HINT}\n", 1) if tail else shown.rsplit(f"\n{HINT}", 1)
    kept = parts[1] if tail else parts[0].rsplit("\n…", 1)[0]

    assert HINT in shown
    assert " truncated…" in shown
    assert text.endswith(kept) if tail else text.startswith(kept)
    assert len(kept.encode()) <= budget.max_bytes
    assert len(kept.splitlines()) <= max_lines


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="at least 1"):
        OutputBudget(limit=0)


@lash.tool
async def flood(size: int) -> str:
    """Text."""
    return "x" * size


def flooding(**options: object) -> lash.StandardCore:
    return lash.StandardCore(
        model=ScriptedModel([calls("flood", size=20_000), says("ok")]),
        tools=[flood],
        **options,  # type: ignore[arg-type]
    )


async def test_every_core_has_the_budget_and_the_record_has_everything() -> None:
    async with flooding() as core, core.session("s") as session:
        turn = await session.run("go", turn_id="t")
        again = await session.run("go", turn_id="t")

        assert session.messages[2].parts[0].content.startswith("x" * 16_384 + "\n…3616 bytes truncated…")
        assert again.replayed
        assert [len(str(made.tool_calls[0].output.value)) for made in (turn, again)] == [20_000, 20_000]


async def test_a_budget_of_ones_own_takes_its_place() -> None:
    async with flooding(plugins=[ToolOutputBudget(OutputBudget(limit=10))]) as core, core.session("s") as session:
        await session.run("go")

        assert session.messages[2].parts[0].content.startswith("x" * 10 + "\n…")


async def test_a_session_has_a_budget_by_its_options() -> None:
    options: JsonObject = {"tool_output_budget": {"limit": 7}}
    async with flooding() as core, core.session("s", plugin_options=options) as session:
        await session.run("go")

        assert session.messages[2].parts[0].content.startswith("x" * 7 + "\n…")

    with pytest.raises(PluginRegistrationError, match="tool_output_budget"):
        flooding(plugin_options={"tool_output_budget": {"limit": "much"}})
