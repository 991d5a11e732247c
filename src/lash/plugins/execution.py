"""Ports of a mode that runs programs: what executes a cell, and what a cell may do to the world.

A cell is no effect of its own. It is a deterministic program that is run again from its
start in every drive; each thing that it does to the world is an effect, recorded under a
key below the cell's own. So a crash in the middle of a cell repeats nothing that was
recorded (docs/spec/lashlang.md §8.3).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lash.base.json import Json, JsonObject
from lash.base.messages import Message
from lash.machine.values import CompletedCall
from lash.plugins.directives import RuntimeEvent
from lash.tools.catalog import ToolCatalog
from lash.tools.result import ToolCallOutput


@dataclass(frozen=True, slots=True)
class CellsBegin:
    """A drive begins: what is committed, and what is offered.

    `snapshot` is what was stored of the frame (`CodeExecutor.snapshot`); `records`
    are the mode's own records in the frame, `history` its messages.
    """

    snapshot: bytes | None
    catalog: ToolCatalog
    history: Sequence[Message]
    records: Sequence[Json]


@dataclass(frozen=True, slots=True)
class Cell:
    """One program to run.

    `messages` is the turn so far, with the message that holds the program last; `offered` is what the
    turn's recorded environment says that programs may call.
    """

    code: str
    turn_index: int
    number: int
    messages: Sequence[Message]
    offered: Sequence[JsonObject] = ()
    turn_id: str = ""


@dataclass(frozen=True, slots=True)
class CellCall:
    """A tool call that a cell makes. `key` is unique within the cell and the same in every drive."""

    key: str
    call_id: str
    tool_name: str
    args: JsonObject


@dataclass(frozen=True, slots=True)
class CellCallDone:
    """What came of it; `completed` is its short form, with the control that may end the turn."""

    output: ToolCallOutput
    completed: CompletedCall


class CellCut(Exception):
    """The turn was cancelled and the effect that is asked for is not recorded: the cell ends here."""


class CellEffects(Protocol):
    """What a cell may do. Every method may raise `CellCut`, and what ends a drive."""

    @property
    def replay_key(self) -> str:
        """The key of the cell; keys of its effects are below it."""
        ...

    def must_stop(self) -> bool:
        """Whether the turn was cancelled, and nothing of this cell is recorded that would be cut off."""
        ...

    def has_ended(self) -> bool:
        """Whether an earlier drive came past this cell."""
        ...

    def has_recorded(self, key: str) -> bool:
        """Whether the effect `key` of this cell is recorded."""
        ...

    async def call(self, calls: Sequence[CellCall]) -> list[CellCallDone]:
        """Runs tool calls as one batch: hooks, approvals, retries, detached completion and scheduling as ever."""
        ...

    async def sleep(self, key: str, *, duration_ms: int | None = None, until_ms: int | None = None) -> None:
        """A durable sleep."""
        ...

    async def step(self, key: str, step_input: Json, run: Callable[[], Awaitable[Json]]) -> Json:
        """A value that is computed once and recorded."""
        ...

    async def command(self, key: str, command: JsonObject, run: Callable[[], Awaitable[Json]]) -> Json:
        """A command to background work: what it answered is recorded (docs/spec/durability.md §2.4).

        `run` may run again when it was cut off in the middle, so the command must be idempotent.
        """
        ...

    async def wait(self, key: str, command: JsonObject, run: Callable[[], Awaitable[Json]]) -> Json:
        """A command that changes nothing and waits for others: a cancelled turn cuts it off."""
        ...


class CodeExecutor(Protocol):
    """Runs the cells of one session, and keeps what lives between them."""

    def begin(self, start: CellsBegin) -> None:
        """Forgets what an earlier drive did and goes on from what is committed. Raises a `LashError`."""
        ...

    @property
    def offered(self) -> list[JsonObject]:
        """What programs may call in this drive; recorded with the turn's environment. The same object while it
        says the same."""
        ...

    async def execute(self, cell: Cell, effects: CellEffects) -> JsonObject:
        """Runs a cell; what comes of it, as the mode's driver understands it.

        The same recorded effects give the same answer. What is wrong with the program is part
        of the answer, never an exception.
        """
        ...

    async def write_out(self, committed: bytes | None) -> None:
        """Prepares what `snapshot` will give, leaving other tasks their turn where it is large."""
        ...

    def snapshot(self, committed: bytes | None) -> bytes | None:
        """What the next commit stores of the frame; `committed` itself when nothing changed since.

        Also when the last `begin` was given another snapshot: then nothing was run since.
        """
        ...


@dataclass(frozen=True, slots=True)
class Screened:
    """What of a piece of model text is told at once, and `event` with it. `is_over`: end the call."""

    text: str = ""
    event: RuntimeEvent | None = None
    is_over: bool = False


class TextScreen(Protocol):
    """Holds a program back while the model writes it; one per model call."""

    @property
    def plugin_id(self) -> str:
        """Whose events are told."""
        ...

    def feed(self, text: str) -> Screened:
        """Takes the next piece."""
        ...

    def rest(self) -> Screened:
        """The text has ended."""
        ...

    def reset(self) -> None:
        """The text begins anew."""
        ...
