"""The agent that is simulated when you bring none: tools of every kind, and a model that does what it is told.

What is said to it is a plan: `t7: echo nap+echo pay` calls `echo`, then `nap` and `echo` at once, then
`pay`, and then says that it is done. The model answers from the request alone, so every drive of a turn
hears the same; and it refuses histories that no provider would accept.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.machine.llm import LlmMessage, LlmRequest, LlmResponse, TextBlock, ToolCallBlock, ToolResultBlock
from lash.models.provider import Provider, StreamSink
from lash.testing.script import Answer, calls, fails, says
from lash.testing.scripted import ScriptedModel
from lash.tools.context import ToolContext
from lash.tools.decorator import Tool, tool
from lash.tools.definition import Retry
from lash.tools.result import ToolCallOutput

# The tools, in order; `lost` is none of them.
PLANS: Final = ("echo", "nap", "pay", "ask", "hand", "shaky", "hang", "boom", "lost")


@dataclass(slots=True)
class AgentNotes:
    """What the agent's outside has seen: which calls were really made, and requests that were no history."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    invalid_requests: list[str] = field(default_factory=list)


def agent_tools(notes: AgentNotes) -> list[Tool[..., Any]]:
    """One tool of every kind."""

    @tool
    async def echo(ctx: ToolContext, n: int) -> int:
        """Says it back."""
        notes.calls.append(("echo", ctx.effect_key))
        return n

    @tool(repeat="idempotent")
    async def nap(ctx: ToolContext, n: int) -> str:
        """Takes its time."""
        notes.calls.append(("nap", ctx.effect_key))
        await asyncio.sleep(0.02 * n)
        return f"rested {n}"

    @tool(repeat="never")
    async def pay(ctx: ToolContext, n: int) -> str:
        """Must not happen twice."""
        notes.calls.append(("pay", ctx.effect_key))
        await asyncio.sleep(0.001)
        return f"paid {n}"

    @tool(approve=True, approval_timeout=3_600)
    async def ask(ctx: ToolContext, n: int) -> str:
        """Waits for a person."""
        notes.calls.append(("ask", ctx.effect_key))
        return f"allowed {n}"

    @tool
    async def hand(ctx: ToolContext, n: int) -> ToolCallOutput:
        """Is done by somebody outside."""
        notes.calls.append(("hand", ctx.effect_key))
        await ctx.completion_key()
        return ToolCallOutput.pending(deadline=120 if n % 2 else None)

    @tool(retry=Retry(attempts=3, base_ms=500))
    async def shaky(ctx: ToolContext, n: int) -> ToolCallOutput:
        """Fails until its third attempt."""
        notes.calls.append(("shaky", ctx.effect_key))
        if ctx.attempt_number < 3:
            return ToolCallOutput.retryable("unavailable", "busy", "try again")
        return ToolCallOutput.ok(n)

    @tool(repeat="idempotent", scheduling="serial")
    async def hang(ctx: ToolContext, n: int) -> str:
        """Takes longer than a lease lasts."""
        notes.calls.append(("hang", ctx.effect_key))
        await asyncio.sleep(40)
        return f"late {n}"

    @tool
    async def boom(ctx: ToolContext, n: int) -> str:
        """Raises."""
        notes.calls.append(("boom", ctx.effect_key))
        raise ValueError(f"boom {n}")

    return [echo, nap, pay, ask, hand, shaky, hang, boom]


class PlanningModel:
    """Does what the last message of the user says. A provider like any other."""

    def __init__(self, notes: AgentNotes, clock: Clock, random: Random) -> None:
        self._notes = notes
        self._clock = clock
        self._random = random
        self._inner = ScriptedModel(self._answer, clock=clock, chunk_chars=64)
        self.kind = self._inner.kind
        self.facts = self._inner.facts
        self.options = self._inner.options

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        """Thinks for a while, then answers."""
        await self._clock.sleep(int(self._random.random() ** 4 * 400))
        if cancel is not None and cancel.is_cancelled:
            return LlmResponse([], terminal_reason="cancelled")
        response = await self._inner.complete(request, stream, cancel)
        self._inner.requests.clear()
        return response

    def _answer(self, request: LlmRequest) -> Answer:
        if problem := invalid_history(request.messages):
            self._notes.invalid_requests.append(f"{request.session_id} {request.place.turn_id}: {problem}")
        steps, done = _plan(request.messages)
        if done < len(steps):
            wanted = steps[done].split("+")
            if "lost" in wanted:
                # The second time the wire holds.
                return fails("stream", after_text="half a th") if request.place.model_call % 2 == 0 else says("found")
            return [calls(name, n=done * 10 + index) for index, name in enumerate(wanted)]
        return says(f"done: {len(steps)}")


def agent_model(notes: AgentNotes, clock: Clock, random: Random) -> Provider:
    """The model of the built-in agent."""
    return PlanningModel(notes, clock, random)


def _plan(messages: list[LlmMessage]) -> tuple[list[str], int]:
    """The steps that the user's last message asks for, and how many were made."""
    done = 0
    for message in reversed(messages):
        if any(isinstance(block, ToolCallBlock) for block in message.blocks):
            done += 1
        texts = [block.text for block in message.blocks if isinstance(block, TextBlock)]
        if message.role == "user" and texts:
            steps = texts[-1].partition(": ")[2].split()
            # A wake is text as well, and asks for nothing.
            return [step for step in steps if set(step.split("+")) <= set(PLANS)], done
    return [], done


def invalid_history(messages: list[LlmMessage]) -> str | None:
    """Why a provider would refuse these messages: a call without its result, or a result without its call."""
    open_calls: dict[str, str] = {}
    for message in messages:
        for block in message.blocks:
            match block:
                case ToolCallBlock(call_id=call_id, tool_name=name):
                    if call_id in open_calls:
                        return f"call {call_id} is made twice"
                    open_calls[call_id] = name
                case ToolResultBlock(call_id=call_id):
                    if open_calls.pop(call_id, None) is None:
                        return f"a result of {call_id}, which nobody called"
                case TextBlock() if message.role == "user" and open_calls:
                    return f"the user speaks before {json.dumps(sorted(open_calls))} have results"
                case _:
                    pass
    return f"no result of {json.dumps(sorted(open_calls))}" if open_calls else None
