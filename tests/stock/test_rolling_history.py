"""Long conversations stay within the window, and nothing is rewritten (R-097)."""

from __future__ import annotations

import lash
from lash.base.messages import AttachmentRef, Message, Part, unsettled_tool_calls, user_message
from lash.base.usage import PromptUsage
from lash.plugins import TurnContext
from lash.stock import RollingHistory
from lash.stock.rolling_history import recent, tokens_of
from lash.testing import ScriptedModel, calls, says

WINDOW = 100_000


def said(number: int, size: int) -> list[Message]:
    """One turn of about `size` tokens."""
    return [
        user_message(f"u{number}", f"question {number}"),
        Message(f"a{number}", "assistant", [Part("p0", "prose", "x" * (4 * size))]),
    ]


def pictured(number: int) -> Message:
    image = Part("p1", "image", attachment=AttachmentRef("f" * 64, "image/png", 10))
    return Message(f"u{number}", "user", [Part("p0", "text", f"look {number}"), image])


def shown(messages: list[Message], *, used: int = 0, window: int | None = WINDOW) -> list[Message]:
    """What a transform shows of history."""
    usage = PromptUsage(used, used, 0) if used else None
    context = TurnContext("s", "t", messages, [user_message("n", "next")], window, usage)
    prepared = RollingHistory().prepare(context)
    return list(messages if prepared is None else prepared.messages)


def images(messages: list[Message]) -> list[str]:
    return [message.id for message in messages if any(part.kind == "image" for part in message.parts)]


def test_what_fits_is_shown_whole() -> None:
    history = [pictured(0), *said(1, 100), pictured(2)]

    assert shown(history) == history


def test_past_sixty_percent_old_images_go_and_those_of_two_turns_stay() -> None:
    history = [pictured(0), pictured(1), pictured(2)]

    assert images(shown(history, used=59_000)) == ["u0", "u1", "u2"]
    assert images(shown(history, used=61_000)) == ["u1", "u2"]
    assert shown(history, used=61_000)[0].text == "look 0\n\n[image no longer shown]"


def test_near_the_window_system_messages_and_a_recent_tail_are_kept() -> None:
    rules = Message("sys", "system", [Part("p0", "text", "rules")])
    history = [rules, *(message for number in range(9) for message in said(number, 10_000))]
    kept = shown(history)

    assert kept[0] is rules
    assert kept[1].text == "question 8"
    assert kept[-1] is history[-1]
    assert tokens_of(kept) <= 20_000


def test_the_tail_never_tears_a_call_from_its_result() -> None:
    history = [*said(0, 15_000), user_message("u1", "go")]
    for number in range(4):
        history += [
            Message(
                f"c{number}", "assistant", [Part("p0", "tool_call", "{}", tool_call_id=f"c{number}", tool_name="f")]
            ),
            Message(
                f"r{number}",
                "user",
                [Part("p0", "tool_result", "y" * 60_000, tool_call_id=f"c{number}", tool_name="f")],
            ),
        ]
    kept = list(recent(history, 20_000))

    assert unsettled_tool_calls(kept) == []
    assert kept[0].id == "u1"


def test_without_a_known_window_nothing_is_cut() -> None:
    history = [message for number in range(30) for message in said(number, 10_000)]

    assert shown(history, window=None) == history


async def test_a_long_conversation_is_shown_in_part_and_kept_whole() -> None:
    model = ScriptedModel(
        lambda request: says(f"{'x' * 40_000} {request.place.turn_index}"), context_window_tokens=60_000
    )
    async with lash.StandardCore(model=model, plugins=[RollingHistory()]) as core, core.session("s") as session:
        for number in range(8):
            assert (await session.run(f"question {number}")).ok

        assert len(session.messages) == 16
        assert len(model.requests[-1].messages) < 10
        assert model.requests[-1].messages[-1].text == "question 7"


async def test_compaction_has_the_model_summarise_and_goes_on_from_there() -> None:
    @lash.tool
    async def look() -> str:
        """Looks."""
        return "seen"

    model = ScriptedModel([calls("look"), says("I looked"), says("THE SUMMARY"), says("ok")])
    async with (
        lash.StandardCore(model=model, tools=[look], plugins=[RollingHistory()]) as core,
        core.session("s") as session,
    ):
        assert not await session.compact()
        await session.run("look")
        assert await session.compact("mention what was seen")
        await session.run("and now?")

    asked = model.requests[2]
    assert asked.tools == []
    assert asked.messages[-1].text.endswith("mention what was seen")
    assert [message.text for message in model.requests[3].messages[1:]] == [
        "Summary of the conversation so far:\n\nTHE SUMMARY",
        "and now?",
    ]
