"""What the type checker knows of a decorated tool: lines that must check, and lines that must not."""

from __future__ import annotations

from typing import Any, assert_type

from lash.tools import Retry, Tool, ToolContext, ToolSet, tool


@tool
async def lookup(order_id: int, *, verbose: bool = False) -> dict[str, int]:
    """Look up."""
    return {"id": order_id}


@tool(name="add", repeat="idempotent", retry=Retry(2), timeout=3, scheduling="serial", module="notes")
def add_note(ctx: ToolContext, title: str) -> str:
    """Add."""
    return title


async def a_decorated_tool_keeps_its_call_signature(ctx: ToolContext) -> None:
    assert_type(await lookup(1), dict[str, int])
    assert_type(await lookup(1, verbose=True), dict[str, int])
    assert_type(add_note(ctx, "a"), str)
    assert_type(lookup.name, str)


def both_kinds_go_into_a_set() -> ToolSet:
    tools: list[Tool[..., Any]] = [lookup, add_note]
    return ToolSet(tools, prefix="p")


async def wrong_calls_are_found(ctx: ToolContext) -> None:
    await lookup("one")  # type: ignore[arg-type]
    await lookup(1, colour="red")  # type: ignore[call-arg]
    await lookup()  # type: ignore[call-arg]
    add_note("title")  # type: ignore[call-arg, arg-type]
    add_note(ctx, 3)  # type: ignore[arg-type]


def wrong_options_are_found() -> None:
    tool(repeat="always")  # type: ignore[call-overload]
    tool(approve="yes")  # type: ignore[call-overload]
    ToolSet([print])  # type: ignore[list-item]
