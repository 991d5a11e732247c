"""Messages round-trip, read as text, and say which histories a provider would refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.causes import EffectCause, TriggerOccurrenceCause, TurnCause
from lash.base.codec import decode, encode
from lash.base.messages import (
    AttachmentRef,
    Message,
    Part,
    PluginOrigin,
    ProcessOrigin,
    Role,
    unsettled_tool_calls,
    user_message,
)


def calls(*ids: str | None, role: Role = "assistant") -> Message:
    return Message("m", role, [Part("p", "tool_call", "{}", tool_call_id=call_id, tool_name="t") for call_id in ids])


def results(*ids: str | None, role: Role = "user") -> Message:
    return Message("m", role, [Part("p", "tool_result", "ok", tool_call_id=call_id) for call_id in ids])


@pytest.mark.parametrize(
    "history",
    [
        [],
        [user_message("u", "hello")],
        [calls("a"), results("a")],
        [calls("a", "b"), results("b", "a")],
        [calls("a", "b"), results("a"), results("b")],
        [calls("a"), results("a"), user_message("u", "next"), calls("b"), results("b")],
    ],
)
def test_a_history_with_every_call_answered_once_is_resume_safe(history: list[Message]) -> None:
    assert unsettled_tool_calls(history) == []


@pytest.mark.parametrize(
    ("history", "broken"),
    [
        pytest.param([calls("a")], {"a"}, id="unanswered"),
        pytest.param([calls("a", "b"), results("b")], {"a"}, id="one of two unanswered"),
        pytest.param([results("a"), calls("a")], {"a"}, id="answered before it was asked"),
        pytest.param([results("a")], {"a"}, id="answer without a call"),
        pytest.param([calls("a"), results("a", "a")], {"a"}, id="answered twice"),
        pytest.param([calls("a"), results("a"), calls("a"), results("a")], {"a"}, id="id used twice"),
        pytest.param([calls("a", "a"), results("a")], {"a"}, id="id used twice in one message"),
        pytest.param([calls(""), results("")], {""}, id="empty id"),
        pytest.param([calls(None), results(None)], {""}, id="no id"),
        pytest.param([calls("a", role="user"), results("a")], {"a"}, id="call outside an assistant message"),
        pytest.param([calls("a"), results("a", role="assistant")], {"a"}, id="result outside a user message"),
    ],
)
def test_a_history_that_a_provider_would_refuse_names_the_broken_calls(
    history: list[Message], broken: set[str]
) -> None:
    assert set(unsettled_tool_calls(history)) == broken


@given(st.lists(st.lists(st.text(min_size=1), max_size=4), max_size=5))
def test_answered_turns_stay_safe_and_dropping_any_result_breaks_them(turns: list[list[str]]) -> None:
    history: list[Message] = []
    for index, ids in enumerate(turns):
        unique = [f"{index}:{place}:{call_id}" for place, call_id in enumerate(ids)]
        history += [calls(*unique), results(*reversed(unique))]

    assert unsettled_tool_calls(history) == []
    for place, message in enumerate(history):
        if message.role == "user" and message.parts:
            cut = [*history[:place], *history[place + 1 :]]
            assert sorted(unsettled_tool_calls(cut)) == sorted(str(part.tool_call_id) for part in message.parts)


def test_the_text_of_a_message_joins_what_a_person_reads() -> None:
    message = Message(
        "m",
        "assistant",
        [
            Part("1", "reasoning", "hidden"),
            Part("2", "prose", "first"),
            Part("3", "tool_call", "{}", tool_call_id="a", tool_name="t"),
            Part("4", "text", ""),
            Part("5", "text", "second"),
        ],
    )

    assert message.text == "first\n\nsecond"


def test_only_a_plugin_can_write_a_transient_message() -> None:
    assert user_message("u", "x", origin=PluginOrigin("p", transient=True)).is_transient
    assert not user_message("u", "x", origin=PluginOrigin("p")).is_transient
    assert not user_message("u", "x", origin=ProcessOrigin("p", "done", 1)).is_transient
    assert not user_message("u", "x").is_transient


@pytest.mark.parametrize(
    "message",
    [
        user_message("u", "hello"),
        user_message("u", "hello", origin=PluginOrigin("p", transient=True)),
        user_message("e", "woke", origin=ProcessOrigin("p", "done", 3, "w", TurnCause("s", "t"))),
        user_message("e", "woke", origin=ProcessOrigin("p", "done", 3, caused_by=EffectCause("s", "e"))),
        user_message("e", "woke", origin=ProcessOrigin("p", "done", 3, caused_by=TriggerOccurrenceCause("o"))),
        Message("i", "user", [Part("p", "image", attachment=AttachmentRef("0" * 64, "image/png", 3, 1, 1))]),
        Message("r", "assistant", [Part("p", "reasoning", "…", reasoning_meta={"signature": None, "x": [1.5]})]),
    ],
)
def test_a_message_comes_back_equal_from_storage(message: Message) -> None:
    assert decode(encode(message), Message) == message


def test_a_stored_message_leaves_absent_fields_out() -> None:
    assert encode(user_message("u", "hi")) == (
        '{"id":"u","parts":[{"content":"hi","id":"u:p0","kind":"text"}],"role":"user"}'
    )
