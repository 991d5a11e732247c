"""The tool calls that the current task works for: what must not wait for their turns asks here."""

from __future__ import annotations

from contextvars import ContextVar

from lash.base.errors import LashRuntimeError


class TurnWaitsForItself(LashRuntimeError):
    """A tool asked for a turn of the session whose turn waits for the tool."""

    def __init__(self, tool_name: str, session_id: str) -> None:
        super().__init__(
            "turn_waits_for_itself",
            f"tool {tool_name} asks session {session_id!r} for a turn, and a turn of it waits for the tool; "
            "give the input to session.enqueue(…), which runs it afterwards, or ask a session of its own",
        )


class OpenCall:
    """While a tool of a session's turn runs: `with OpenCall(session_id, tool_name):`."""

    __slots__ = ("_before", "is_open", "outer", "session_id", "tool_name")

    def __init__(self, session_id: str, tool_name: str) -> None:
        self.session_id = session_id
        self.tool_name = tool_name
        # Tasks that the tool leaves behind still see it.
        self.is_open = True
        # The call whose tool asked for the turn that this one belongs to. Ended ones are let go: a session whose
        # tools enqueue its next turn would keep them all.
        outer: OpenCall | None = _OPEN.get()
        while outer is not None and not outer.is_open:
            outer = outer.outer
        self.outer: OpenCall | None = outer

    def __enter__(self) -> None:
        self._before = _OPEN.set(self)

    def __exit__(self, *_: object) -> None:
        self.is_open = False
        _OPEN.reset(self._before)


_OPEN: ContextVar[OpenCall | None] = ContextVar("lash_open_call", default=None)


def refuse_own_turn(session_id: str) -> None:
    """Raises `TurnWaitsForItself` inside of a tool that a turn of this session waits for."""
    call = _OPEN.get()
    while call is not None:
        if call.is_open and call.session_id == session_id:
            raise TurnWaitsForItself(call.tool_name, session_id)
        call = call.outer
