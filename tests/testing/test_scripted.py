"""The scripted model behaves like a real one, and goes on after a restart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.cancel import CancelToken
from lash.base.errors import InvalidArgument
from lash.base.usage import TokenUsage
from lash.machine.llm import (
    LlmCallError,
    LlmMessage,
    LlmRequest,
    LlmResponse,
    LlmStreamEvent,
    PartDone,
    ReasoningDelta,
    ReasoningPart,
    RequestPlace,
    TextBlock,
    TextDelta,
    TextPart,
    ToolCallPart,
    UsageSoFar,
)
from lash.models import Provider, ProviderFailure, Streamed, call_model, reconcile
from lash.testing import ScriptedModel, UnconsumedSteps, UnexpectedModelCall, calls, fails, says, thinks


def asking(text: str = "hi", call: int = 0) -> LlmRequest:
    return LlmRequest("scripted", [LlmMessage("user", [TextBlock(text)])], place=RequestPlace(model_call=call))


async def hear(model: ScriptedModel, request: LlmRequest) -> tuple[LlmResponse, list[LlmStreamEvent]]:
    heard: list[LlmStreamEvent] = []
    return await model.complete(request, heard.append), heard


class TestAnswers:
    async def test_text_ends_with_stop(self) -> None:
        response = await ScriptedModel([says("hello")]).complete(asking())

        assert (response.full_text, response.terminal_reason) == ("hello", "stop")

    async def test_several_things_are_said_together(self) -> None:
        model = ScriptedModel([[thinks("hm"), says("Looking."), calls("read", path="a"), calls("read", path="b")]])

        response = await model.complete(asking())

        assert response.parts == [
            ReasoningPart("hm"),
            TextPart("Looking."),
            ToolCallPart("call_0_0", "read", '{"path":"a"}'),
            ToolCallPart("call_0_1", "read", '{"path":"b"}'),
        ]
        assert response.terminal_reason == "tool_use"

    async def test_a_callable_sees_the_request(self) -> None:
        model = ScriptedModel([lambda request: says(request.messages[0].text.upper())])

        assert (await model.complete(asking("shout"))).full_text == "SHOUT"

    async def test_one_callable_may_answer_everything_and_may_wait(self) -> None:
        async def answer(request: LlmRequest) -> Any:
            return [says(f"{request.place.model_call}")]

        model = ScriptedModel(answer)

        assert [(await model.complete(asking(call=n))).full_text for n in (5, 0)] == ["5", "0"]
        model.assert_done()

    async def test_a_ready_response_is_given_as_it_is(self) -> None:
        ready = LlmResponse([TextPart("cut")], TokenUsage(1, 2), "output_limit")

        response, heard = await hear(ScriptedModel([ready]), asking())

        assert response == ready
        assert heard == [TextDelta("cut"), PartDone(TextPart("cut")), UsageSoFar(TokenUsage(1, 2))]

    async def test_argument_text_may_be_broken(self) -> None:
        response = await ScriptedModel([calls("t", "{not json")]).complete(asking())

        assert response.tool_calls == [ToolCallPart("call_0_0", "t", "{not json")]

    async def test_an_empty_step_is_an_empty_response(self) -> None:
        assert (await ScriptedModel([[]]).complete(asking())).parts == []


class TestPlaces:
    async def test_a_request_is_answered_by_its_place(self) -> None:
        model = ScriptedModel([says("zero"), says("one"), says("two")])

        assert (await model.complete(asking(call=2))).full_text == "two"
        assert (await model.complete(asking(call=1))).full_text == "one"
        assert (await model.complete(asking(call=1))).full_text == "one"

    async def test_a_model_made_anew_goes_on_where_the_journal_ends(self) -> None:
        steps = [calls("t"), says("done")]
        await ScriptedModel(steps).complete(asking(call=0))

        restarted = ScriptedModel(steps)
        response = await restarted.complete(asking(call=1))

        assert response.full_text == "done"
        restarted.assert_done()

    async def test_call_ids_come_from_the_place(self) -> None:
        steps = [says("x"), calls("t")]

        first = await ScriptedModel(steps).complete(asking(call=1))
        again = await ScriptedModel(steps).complete(asking(call=1))

        assert first == again
        assert first.tool_calls[0].call_id == "call_1_0"

    async def test_order_calls_counts_in_memory(self) -> None:
        model = ScriptedModel([says("a"), says("b")], order="calls")

        assert [(await model.complete(asking(call=7))).full_text for _ in range(2)] == ["a", "b"]


class TestTheScript:
    async def test_an_unexpected_call_says_who_asked_and_is_remembered(self) -> None:
        model = ScriptedModel([says("only")])

        with pytest.raises(UnexpectedModelCall, match=r"unexpected model call 1: the script has 1 step\(s\).*'more'"):
            await model.complete(asking("more", call=1))
        with pytest.raises(UnexpectedModelCall):
            model.assert_done()

    async def test_steps_that_were_not_played_are_an_error(self) -> None:
        model = ScriptedModel([says("a"), says("b"), says("c")])
        await model.complete(asking())

        with pytest.raises(UnconsumedSteps, match=r"2 of 3 steps were not played; the next is Says\(text='b'\)"):
            model.assert_done()

    def test_what_is_not_a_step_is_refused_at_once(self) -> None:
        with pytest.raises(InvalidArgument, match=r"step 1 is 'text'; a step is says"):
            ScriptedModel([says("a"), "text"])  # type: ignore[list-item]

    async def test_what_a_callable_returns_is_checked_too(self) -> None:
        def wrong(request: LlmRequest) -> Any:
            return 3

        with pytest.raises(InvalidArgument, match="step 0 is 3"):
            await ScriptedModel(wrong).complete(asking())

    async def test_the_log_holds_what_really_reached_the_model(self) -> None:
        model = ScriptedModel([says("a"), says("b")])
        await model.complete(asking("one", 0))
        await model.complete(asking("two", 1))

        assert [request.messages[0].text for request in model.requests] == ["one", "two"]
        assert repr(model) == "ScriptedModel(2 steps, 2 requests)"


class TestTheStream:
    async def test_comes_in_pieces_then_the_part_then_usage(self) -> None:
        model = ScriptedModel([[thinks("abc"), says("hello")]], chunk_chars=2, usage=TokenUsage(3, 4))

        _, heard = await hear(model, asking())

        assert heard == [
            ReasoningDelta("ab"),
            ReasoningDelta("c"),
            PartDone(ReasoningPart("abc")),
            TextDelta("he"),
            TextDelta("ll"),
            TextDelta("o"),
            PartDone(TextPart("hello")),
            UsageSoFar(TokenUsage(3, 4)),
        ]

    @given(
        st.lists(
            st.text(min_size=1, max_size=40).map(says) | st.text(min_size=1).map(thinks) | st.just(calls("t", a=1)),
            max_size=5,
        ),
        st.integers(1, 9),
    )
    async def test_adds_up_to_the_response(self, items: list[Any], chunk: int) -> None:
        response, heard = await hear(ScriptedModel([items], chunk_chars=chunk), asking())

        streamed = Streamed()
        for event in heard:
            streamed.add(event)
        assert streamed.parts() == response.parts
        assert streamed.usage == response.usage
        assert reconcile(streamed, response) == response

    async def test_usage_is_counted_from_the_text(self) -> None:
        response = await ScriptedModel([[says("x" * 8), thinks("y" * 4), calls("t")]]).complete(asking("z" * 12))

        assert response.usage == TokenUsage(input_tokens=3, output_tokens=3, reasoning_tokens=1)

    async def test_latency_passes_by_the_clock(self) -> None:
        class Clock:
            waits: list[int] = []  # noqa: RUF012

            def now_ms(self) -> int:
                return 0

            def monotonic(self) -> float:
                return 0.0

            async def sleep(self, ms: int) -> None:
                self.waits.append(ms)

        await ScriptedModel([says("abcd")], chunk_chars=2, latency_ms=7, clock=Clock()).complete(asking())

        assert Clock.waits == [7, 7, 7]

    async def test_a_cancelled_token_cuts_it_short(self) -> None:
        token = CancelToken()
        model = ScriptedModel([[says("a"), says("b")]])

        response = await model.complete(
            asking(), lambda event: token.cancel() if isinstance(event, PartDone) else None, token
        )

        assert response == LlmResponse([TextPart("a")], terminal_reason="cancelled")


class TestFailures:
    async def test_are_raised_as_a_provider_would(self) -> None:
        model = ScriptedModel([fails("auth", "bad key", status=401)])

        with pytest.raises(ProviderFailure, match="bad key") as caught:
            await model.complete(asking())
        assert (caught.value.kind, caught.value.status, caught.value.retryable) == ("auth", 401, False)

    async def test_may_come_after_some_text(self) -> None:
        model = ScriptedModel([fails("stream", after_text="half a sen")], chunk_chars=5)
        heard: list[LlmStreamEvent] = []

        with pytest.raises(ProviderFailure):
            await model.complete(asking(), heard.append)
        assert heard == [TextDelta("half "), TextDelta("a sen")]

    @pytest.mark.parametrize(
        ("step", "retryable"),
        [
            (fails(status=503), True),
            (fails("transport"), True),
            (fails("timeout"), True),
            (fails("auth"), False),
            (fails(status=400), False),
            (fails(status=503, retryable=False), False),
        ],
    )
    def test_are_retryable_when_a_real_one_would_be(self, step: Any, retryable: bool) -> None:
        assert step.retryable is retryable

    async def test_are_tried_again_at_the_next_step_without_waiting(self) -> None:
        model = ScriptedModel([fails(status=503), says("second time lucky")])

        call = await call_model(model, asking())

        assert isinstance(call.result, LlmResponse)
        assert (call.result.full_text, call.attempts) == ("second time lucky", 2)
        model.assert_done()

    async def test_an_unexpected_call_is_final(self) -> None:
        call = await call_model(ScriptedModel([]), asking())

        assert isinstance(call.result, LlmCallError)
        assert (call.result.code, call.attempts) == ("unexpected_model_call", 1)


def test_it_is_a_provider() -> None:
    model: Provider = ScriptedModel([])

    assert isinstance(model, Provider)
    assert model.kind == "scripted"
