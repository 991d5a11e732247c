"""The public face as both type checkers see it; nothing here runs.

A line that must *not* check carries the complaint it must get: an ignore that is
not needed is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

import lash
from lash.testing import ScriptedModel, calls, says


@lash.tool
async def lookup_order(order_id: int) -> dict[str, str]:
    """Look an order up by its number."""
    return {"id": str(order_id)}


@lash.tool(name="shout", repeat="never")
def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


async def a_decorated_tool_stays_the_function_it_was() -> None:
    assert_type(await lookup_order(7), dict[str, str])
    assert_type(shout("x"), str)
    assert_type(lookup_order.name, str)
    await lookup_order("7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def a_turn_is_typed_from_end_to_end() -> None:
    model = ScriptedModel([calls("lookup_order", order_id=7), says("done")])
    async with lash.StandardCore(model=model, tools=[lookup_order, shout], store=":memory:") as core:
        assert_type(core, lash.StandardCore)
        async with core.session("chat") as chat:
            assert_type(chat, lash.Session)
            turn = await chat.run("hello", turn_id="req-1", timeout=5)
            assert_type(turn, lash.TurnResult)
            assert_type(turn.ok, bool)
            assert_type(turn.replayed, bool)
            assert_type(turn.usage, lash.TokenUsage)
            assert_type(chat.messages, list[lash.Message])
            async with chat.stream("again") as stream:
                async for activity in stream:
                    assert_type(activity, lash.TurnActivity)
                assert_type(await stream.result(), lash.TurnResult)


def options_of_later_issues_and_misspellings_do_not_exist() -> None:
    lash.StandardCore(model=ScriptedModel([]), stroe="x.db")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    by_place: Callable[[ScriptedModel], object]
    by_place = lash.StandardCore  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del by_place
    lash.tool(repeat="sometimes")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
