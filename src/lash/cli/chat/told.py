"""Committed messages as they are told again: what a person said, programs, what they printed, answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lash.base.messages import Message, Part

Kind: TypeAlias = Literal["you", "agent", "thought", "program", "printed", "problem", "event"]


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that was said or done."""

    kind: Kind
    text: str


@dataclass(slots=True)
class ToldCell:
    """A program, what it printed and what went wrong, in order."""

    code: str
    came_of: list[Told] = field(default_factory=list)


def told_of(messages: Iterable[Message]) -> Iterator[Told]:
    """What messages tell a person. Reminders to the model and tool results are not told."""
    for message in messages:
        if message.role == "assistant":
            has_program = any(part.kind == "code" for part in message.parts)
            for part in message.parts:
                match part.kind:
                    case "text" | "prose" if part.content:
                        yield Told("thought" if has_program else "agent", part.content)
                    case "code":
                        yield Told("program", part.content)
                    case _:
                        pass
        elif message.role == "event" and message.text:
            yield Told("event", message.text)
        elif message.role == "user":
            if message.text:
                yield Told("you", message.text)
            yield from _came_of(message.parts)


def cells_of(messages: Iterable[Message]) -> list[ToldCell]:
    """The programs of a conversation, in order."""
    cells: list[ToldCell] = []
    for told in told_of(messages):
        if told.kind == "program":
            cells.append(ToldCell(told.text))
        elif cells and told.kind in ("printed", "problem"):
            cells[-1].came_of.append(told)
    return cells


def last_exchange(messages: Iterable[Message]) -> list[Told]:
    """What was said last by the person and by the agent, as far as there is any."""
    last: dict[str, Told] = {}
    for told in told_of(messages):
        if told.kind in ("you", "agent"):
            last.pop(told.kind, None)
            last[told.kind] = told
    return list(last.values())


def _came_of(parts: Iterable[Part]) -> Iterator[Told]:
    """What a program printed and where it failed. A value that it submitted is what the agent says."""
    found = list(parts)
    is_refused = any(part.kind == "error" for part in found)
    for part in found:
        match part.kind:
            case "output" if part.id.endswith(".final_output") and not is_refused:
                yield Told("agent", part.content)
            case "output":
                yield Told("printed", part.content)
            case "error":
                yield Told("problem", part.content)
            case _:
                pass
