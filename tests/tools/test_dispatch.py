"""One call through the seam: every way it can end is a value, except being driven away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lash.base.cancel import CancelToken
from lash.base.canonical import canonical_json
from lash.base.json import JsonObject
from lash.tools import (
    PreparedToolCall,
    Tool,
    ToolCall,
    ToolCallLeft,
    ToolCallOutput,
    ToolCallRecord,
    ToolCatalog,
    ToolContext,
    ToolContract,
    ToolDefinition,
    ToolExecution,
    ToolManifest,
    ToolProvider,
    ToolResult,
    ToolRetry,
    ToolSet,
    ToolSource,
    build_catalog,
    finish_call,
    prepare_call,
    run_attempt,
    tool,
)
from lash.tools.dispatch import MAX_RESULT_BYTES
from lash.tools.provider import prepared


class ManualClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0
        self.sleepers: list[tuple[int, asyncio.Event]] = []

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1_000

    async def sleep(self, ms: int) -> None:
        event = asyncio.Event()
        self.sleepers.append((self.now + ms, event))
        await event.wait()

    def advance(self, ms: int) -> None:
        self.now += ms
        for due, event in self.sleepers:
            if due <= self.now:
                event.set()


def catalog_of(*tools: Tool[..., Any]) -> ToolCatalog:
    return build_catalog([ToolSource("app", ToolSet(tools))])


def context(name: str = "t", **changes: Any) -> ToolContext:
    values: dict[str, Any] = {"session_id": "s", "turn_id": "u", "tool_call_id": "c", "tool_name": name}
    return ToolContext(**{**values, **changes})


async def attempt(subject: Tool[..., Any], args: JsonObject | None = None, **changes: Any) -> ToolCallOutput:
    catalog = catalog_of(subject)
    call = await prepare_call(catalog, ToolCall("c", subject.name, args or {}))
    assert isinstance(call, PreparedToolCall)
    return await run_attempt(catalog, call, context(subject.name, **changes))


def failure(output: object) -> tuple[str, str, str, str]:
    assert isinstance(output, ToolCallOutput)
    assert output.error is not None
    return output.error.kind, output.error.code, output.error.source, output.error.message


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0)


@tool
async def add(a: int, b: int = 1) -> int:
    """Add."""
    return a + b


class TestPreparing:
    async def test_a_checked_call_is_ready_to_be_recorded(self) -> None:
        call = await prepare_call(catalog_of(add), ToolCall("c1", "add", {"a": 1}, replay={"item": 1}))

        assert call == PreparedToolCall("c1", "tool:add", "add", {"a": 1}, {"item": 1})

    async def test_an_unknown_tool_is_an_answer_that_lists_the_known_ones(self) -> None:
        output = await prepare_call(catalog_of(add), ToolCall("c1", "subtract", {}))

        assert failure(output) == (
            "unavailable",
            "tool_unavailable",
            "runtime",
            "there is no tool 'subtract'; available: add",
        )

    async def test_bad_arguments_never_reach_the_tool(self) -> None:
        output = await prepare_call(catalog_of(add), ToolCall("c1", "add", {"a": "x"}))

        assert failure(output)[:2] == ("invalid_request", "invalid_tool_args")

    async def test_a_hook_may_replace_arguments_and_they_are_checked_again(self) -> None:
        def replacing(args: JsonObject) -> Callable[[ToolCall], Awaitable[ToolCall]]:
            async def before(call: ToolCall) -> ToolCall:
                return ToolCall(call.call_id, call.tool_name, args)

            return before

        good = await prepare_call(catalog_of(add), ToolCall("c1", "add", {}), before=replacing({"a": 5}))
        bad = await prepare_call(catalog_of(add), ToolCall("c1", "add", {"a": 1}), before=replacing({"a": []}))

        assert isinstance(good, PreparedToolCall)
        assert good.args == {"a": 5}
        assert failure(bad)[1] == "invalid_tool_args"

    async def test_a_hook_may_answer_in_place_of_the_tool(self) -> None:
        async def before(call: ToolCall) -> ToolCallOutput:
            return ToolResult.ok("from the cache")

        output = await prepare_call(catalog_of(add), ToolCall("c1", "add", {"a": 1}), before=before)

        assert output == ToolResult.ok("from the cache")

    async def test_a_hook_that_fails_is_an_internal_failure(self) -> None:
        async def before(call: ToolCall) -> ToolCall:
            raise ValueError("no \ud800")

        output = await prepare_call(catalog_of(add), ToolCall("c1", "add", {"a": 1}), before=before)

        assert failure(output) == (
            "internal",
            "before_tool_call_failed",
            "plugin",
            "a hook failed on tool add: ValueError: no ?",
        )

    async def test_a_provider_that_prepares_another_call_is_caught(self) -> None:
        class Confused(Hand):
            async def prepare_tool_call(self, call: ToolCall, manifest: ToolManifest) -> PreparedToolCall:
                return PreparedToolCall("other", manifest.id, manifest.name, call.args)

        output = await prepare_call(hand_catalog(Confused()), ToolCall("c1", "hand", {}))

        assert failure(output)[:2] == ("internal", "prepared_tool_id_mismatch")

    async def test_a_provider_without_contract_is_unavailable(self) -> None:
        class Bare(Hand):
            def resolve_contract(self, name: str) -> ToolContract | None:
                return None

        output = await prepare_call(hand_catalog(Bare()), ToolCall("c1", "hand", {}))

        assert failure(output)[:2] == ("unavailable", "tool_contract_unavailable")

    async def test_a_provider_need_not_prepare(self) -> None:
        class Duck:
            def tool_manifests(self) -> list[ToolManifest]:
                return [Hand.definition.manifest]

            def resolve_contract(self, name: str) -> ToolContract | None:
                return Hand.definition.contract

            async def execute(self, call: ToolExecution) -> object:
                return call.name

        duck: Any = Duck()
        call = await prepare_call(hand_catalog(duck), ToolCall("c", "hand", {"x": 1}))

        assert call == PreparedToolCall("c", "tool:hand", "hand", {"x": 1})

    @pytest.mark.parametrize("ready", [None, PreparedToolCall("c1", "tool:hand", "hand", {"x": float("nan")})])
    async def test_a_preparation_that_cannot_be_recorded_is_contained(self, ready: Any) -> None:
        class Odd(Hand):
            async def prepare_tool_call(self, call: ToolCall, manifest: ToolManifest) -> PreparedToolCall:
                return ready  # type: ignore[no-any-return]

        output = await prepare_call(hand_catalog(Odd()), ToolCall("c1", "hand", {}))

        assert failure(output)[:2] == ("execution", "tool_error")

    async def test_a_provider_that_fails_to_prepare_is_contained(self) -> None:
        class Failing(Hand):
            async def prepare_tool_call(self, call: ToolCall, manifest: ToolManifest) -> PreparedToolCall:
                raise RuntimeError("no")

        output = await prepare_call(hand_catalog(Failing()), ToolCall("c1", "hand", {}))

        assert failure(output)[1] == "tool_error"


class Hand(ToolProvider):
    """One tool, written against the port."""

    definition = ToolDefinition.raw("hand")

    def tool_manifests(self) -> list[ToolManifest]:
        return [self.definition.manifest]

    def resolve_contract(self, name: str) -> ToolContract | None:
        return self.definition.contract

    async def prepare_tool_call(self, call: ToolCall, manifest: ToolManifest) -> PreparedToolCall:
        plain = prepared(call, manifest)
        return PreparedToolCall(plain.call_id, plain.tool_id, plain.tool_name, plain.args, None, {"note": 1})

    async def execute(self, call: ToolExecution) -> object:
        return ToolResult.ok([call.name, call.args, call.context.prepared_payload, call.call.prepared_payload])


def hand_catalog(provider: ToolProvider) -> ToolCatalog:
    return build_catalog([ToolSource("hand", provider)])


class TestRunning:
    async def test_a_plain_value_is_success(self) -> None:
        assert await attempt(add, {"a": 2}) == ToolResult.ok(3)

    async def test_a_provider_gets_back_what_it_prepared(self) -> None:
        catalog = hand_catalog(Hand())
        call = await prepare_call(catalog, ToolCall("c", "hand", {"x": 1}))
        assert isinstance(call, PreparedToolCall)

        output = await run_attempt(catalog, call, context("hand", prepared_payload=call.prepared_payload))

        assert output.value == ["hand", {"x": 1}, {"note": 1}, {"note": 1}]

    async def test_a_tool_that_is_gone_since_it_was_prepared_is_an_answer(self) -> None:
        output = await run_attempt(catalog_of(add), PreparedToolCall("c", "tool:old", "old", {}), context("old"))

        assert failure(output)[:2] == ("unavailable", "tool_unavailable")

    async def test_a_tool_whose_name_belongs_to_another_now_does_not_run(self) -> None:
        output = await run_attempt(catalog_of(add), PreparedToolCall("c", "tool:old", "add", {"a": 1}), context("add"))

        assert failure(output)[:2] == ("internal", "prepared_tool_id_mismatch")

    async def test_an_exception_is_a_failure_that_the_model_can_read(self) -> None:
        @tool
        def broken() -> None:
            raise KeyError("no such row")

        output = await attempt(broken)

        assert failure(output) == ("execution", "tool_error", "tool", "KeyError: 'no such row'")
        assert output.error is not None
        assert isinstance(output.error.raw, dict)
        assert output.error.raw["exception"] == "builtins.KeyError"
        assert str(output.error.raw["at"]).startswith("test_dispatch.py:")

    async def test_a_group_of_exceptions_lists_them(self) -> None:
        @tool
        async def broken() -> None:
            raise ExceptionGroup("both", [ValueError("a"), TypeError("b")])

        assert failure(await attempt(broken))[3] == "ExceptionGroup: ValueError: a; TypeError: b"

    async def test_tool_retry_talks_back_to_the_model(self) -> None:
        @tool
        def picky() -> None:
            raise ToolRetry("give a date as 2024-01-31")

        assert failure(await attempt(picky)) == (
            "invalid_request",
            "tool_retry",
            "tool",
            "give a date as 2024-01-31",
        )

    @pytest.mark.parametrize(
        ("error", "kind", "code"),
        [
            (TimeoutError("slow"), "timeout", "tool_timeout"),
            (ConnectionResetError("gone"), "external", "connection_lost"),
            (OSError("disk"), "execution", "tool_error"),
        ],
    )
    async def test_timeouts_and_lost_connections_are_told_apart(self, error: Exception, kind: str, code: str) -> None:
        @tool
        async def call_out() -> None:
            raise error

        @tool
        async def through_a_library() -> None:
            raise RuntimeError("client error") from error

        assert failure(await attempt(call_out))[:2] == (kind, code)
        assert failure(await attempt(through_a_library))[:2] == (kind, code)

    @pytest.mark.parametrize("value", [object(), float("nan"), "\ud800", {"a": {1j: 2}}, ToolResult.ok("\ud800")])
    async def test_a_result_that_cannot_be_kept_is_a_failure(self, value: object) -> None:
        @tool
        async def odd() -> Any:
            return value

        output = await attempt(odd)

        assert failure(output)[:2] == ("execution", "tool_result_invalid")
        canonical_json(output.to_json())

    @pytest.mark.parametrize(
        "output",
        [
            ToolResult.failure("no such class", "x", "y"),  # type: ignore[arg-type]
            ToolResult.failure("internal", "x", ValueError("not text")),  # type: ignore[arg-type]
            ToolResult("not an outcome"),  # type: ignore[arg-type]
            ToolResult.ok(1).with_control("finish"),  # type: ignore[arg-type]
        ],
    )
    async def test_a_result_that_could_not_be_read_back_is_a_failure(self, output: ToolCallOutput) -> None:
        @tool
        async def careless() -> Any:
            return output

        assert failure(await attempt(careless))[:2] == ("execution", "tool_result_invalid")

    async def test_a_result_that_never_ends_is_a_failure(self) -> None:
        @tool
        async def endless() -> Any:
            loop: list[Any] = []
            loop.append(loop)
            return loop

        assert failure(await attempt(endless))[1] == "tool_result_invalid"

    async def test_a_huge_result_is_a_resource_limit(self) -> None:
        @tool
        async def huge() -> str:
            return "x" * MAX_RESULT_BYTES

        assert failure(await attempt(huge))[:2] == ("resource_limit", "tool_result_too_large")

    async def test_an_error_text_that_could_not_be_stored_is_cleaned_and_cut(self) -> None:
        class Rude(Exception):
            def __str__(self) -> str:
                return "\ud800" + "x" * 100_000

        @tool
        async def rude() -> None:
            raise Rude

        output = await attempt(rude)

        canonical_json(output.to_json())
        assert len(failure(output)[3]) < 5_000

    @pytest.mark.parametrize(
        ("error", "text"), [(StopIteration(3), "StopIteration(3)"), (SystemExit(2), "sys.exit(2)")]
    )
    async def test_what_a_thread_raises_can_neither_hang_nor_end_the_process(
        self, error: BaseException, text: str
    ) -> None:
        @tool
        def odd() -> None:
            raise error

        assert failure(await attempt(odd)) == (
            "execution",
            "tool_error",
            "tool",
            f"RuntimeError: the tool {'raised' if 'Stop' in text else 'called'} {text}",
        )

    async def test_an_interpreter_exit_is_not_contained(self) -> None:
        class Exit(BaseException):
            pass

        @tool
        async def leave() -> None:
            raise Exit

        with pytest.raises(Exit):
            await attempt(leave)


class TestTheContext:
    async def test_its_effect_key_is_the_same_for_every_attempt_and_process(self) -> None:
        first, second = context(attempt_number=1), context(attempt_number=2)

        assert first.effect_key == second.effect_key
        assert first.effect_key == "lash-" + first.effect_key[5:].lower()
        assert len(first.effect_key) == 69
        assert context(tool_call_id="other").effect_key != first.effect_key
        assert context(turn_id="other").effect_key != first.effect_key
        assert first.replay_key == "lash-tool:s:c:t"

    async def test_progress_can_always_be_shown(self) -> None:
        heard: list[str] = []

        context(on_progress=heard.append).progress("\ud800" + "x" * 100_000)

        assert heard[0].startswith("?xx")
        assert len(heard[0]) < 5_000

    async def test_progress_reaches_the_watcher_also_from_a_thread(self) -> None:
        heard: list[str] = []

        @tool
        def work(ctx: ToolContext) -> None:
            ctx.progress("from a thread")

        @tool
        async def talk(ctx: ToolContext) -> None:
            ctx.progress("from the loop")

        await attempt(talk, on_progress=heard.append)
        await attempt(work, on_progress=heard.append)
        await until(lambda: len(heard) == 2, "progress from the thread")

        assert heard == ["from the loop", "from a thread"]


class TestBeingCutShort:
    async def test_a_timeout_is_by_the_injected_clock(self) -> None:
        clock, ended = ManualClock(), asyncio.Event()

        @tool(timeout=2)
        async def slow() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        running = asyncio.create_task(attempt(slow, clock=clock))
        await until(lambda: bool(clock.sleepers), "the deadline")
        clock.advance(1_999)
        assert not ended.is_set()
        clock.advance(1)

        assert failure(await running)[:3] == ("timeout", "tool_timeout", "runtime")
        assert ended.is_set()

    async def test_a_tool_that_finishes_in_spite_of_it_keeps_its_result(self) -> None:
        clock = ManualClock()

        @tool(timeout=1)
        async def stubborn() -> str:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "saved"
            return "never"

        running = asyncio.create_task(attempt(stubborn, clock=clock))
        await until(lambda: bool(clock.sleepers), "the deadline")
        clock.advance(1_000)

        assert await running == ToolResult.ok("saved")
        assert running.cancelling() == 0

    async def test_a_requested_cancel_is_an_output(self) -> None:
        token, started = CancelToken(), asyncio.Event()

        @tool
        async def slow() -> None:
            started.set()
            await asyncio.Event().wait()

        running = asyncio.create_task(attempt(slow, cancellation=token))
        await started.wait()
        token.cancel()

        output = await running
        assert output == ToolResult.cancelled("tool slow was cancelled before it finished")
        assert running.cancelling() == 0

    async def test_a_cancel_before_the_start_runs_nothing(self) -> None:
        token = CancelToken()
        token.cancel()

        output = await attempt(add, {"a": 1}, cancellation=token)

        assert not output.is_success
        assert output.error is None

    @pytest.mark.parametrize("reason", ["lease_lost", "shutdown"])
    async def test_leaving_the_work_is_not_an_outcome(self, reason: Any) -> None:
        token, started = CancelToken(), asyncio.Event()

        @tool
        async def slow() -> None:
            started.set()
            await asyncio.Event().wait()

        running = asyncio.create_task(attempt(slow, cancellation=token))
        await started.wait()
        token.cancel(reason)

        with pytest.raises(ToolCallLeft, match=reason):
            await running

    async def test_cancelling_the_driving_task_passes_through(self) -> None:
        started = asyncio.Event()

        @tool(timeout=60)
        async def slow() -> None:
            started.set()
            await asyncio.Event().wait()

        running = asyncio.create_task(attempt(slow))
        await started.wait()
        running.cancel()

        with pytest.raises(asyncio.CancelledError):
            await running

    async def test_cancelling_task_and_token_at_once_passes_through(self) -> None:
        token, started = CancelToken(), asyncio.Event()

        @tool
        async def slow() -> None:
            started.set()
            await asyncio.Event().wait()

        running = asyncio.create_task(attempt(slow, cancellation=token))
        await started.wait()
        token.cancel()
        running.cancel()

        with pytest.raises(asyncio.CancelledError):
            await running

    async def test_a_tool_that_cancels_itself_is_cancelled_and_nothing_else_is(self) -> None:
        @tool
        async def gives_up() -> None:
            raise asyncio.CancelledError

        output = await attempt(gives_up)
        await asyncio.sleep(0)

        assert output == ToolResult.cancelled("tool gives_up cancelled itself", source="tool")

    async def test_a_tool_that_cancels_its_own_token_does_not_hit_what_comes_next(self) -> None:
        @tool
        async def last_word(ctx: ToolContext) -> str:
            ctx.cancellation.cancel()
            return "done"

        output = await attempt(last_word)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert output == ToolResult.ok("done")

    async def test_a_thread_that_cannot_be_stopped_does_not_hold_the_turn(self) -> None:
        import threading

        clock, release = ManualClock(), threading.Event()

        @tool(timeout=1)
        def blocking() -> None:
            release.wait(5)

        running = asyncio.create_task(attempt(blocking, clock=clock))
        await until(lambda: bool(clock.sleepers), "the deadline")
        clock.advance(1_000)
        output = await running
        release.set()

        assert failure(output)[1] == "tool_timeout"


class TestFinishing:
    record = ToolCallRecord("c", "add", {}, ToolResult.ok(1), 3)

    async def test_without_hooks_the_output_stands(self) -> None:
        assert await finish_call(self.record) == ToolResult.ok(1)

    async def test_a_hook_may_replace_the_result(self) -> None:
        async def after(record: ToolCallRecord) -> ToolCallOutput:
            return ToolResult.ok([record.output.value])

        assert (await finish_call(self.record, after=after)).value == [1]

    async def test_a_hook_that_fails_is_an_internal_failure(self) -> None:
        async def after(record: ToolCallRecord) -> ToolCallOutput:
            raise ValueError("no")

        assert failure(await finish_call(self.record, after=after))[:3] == (
            "internal",
            "after_tool_call_failed",
            "plugin",
        )
