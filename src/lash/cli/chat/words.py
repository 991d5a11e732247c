"""What a typed line means: a message, a command, or the answer to a question. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

HELP: Final = """\
text              a message; while a turn runs it is queued behind it
/now TEXT         a message that joins the running turn at its next step
y, n REASON       answer the first tool call that asks; `y 2`, `n 2 REASON` the second, `y all` every one
/cancel           cancel the running turn (Ctrl-C)
/queue            what waits; `/queue drop 2` takes the second back
/fork [ID]        go on in a copy of this session
/compact [HOW]    go on from a summary, where a plugin makes one
/globals [NAME]   the variables of programs, or one of them whole
/cell [N]         the last program whole, or the Nth one of the session with what came of it
/usage            tokens that the session has used
/resume [ID]      go on in another session; without an id, list them
/settle again     run a tool call in doubt again; `/settle TEXT` says what came of it instead
/export FILE      write the session: .md, .html or .json
/quit             leave (Ctrl-D, or Ctrl-C twice); a running turn stays and goes on at the next open
//TEXT            a message that begins with a slash"""

COMMANDS: Final = frozenset(
    {
        "help",
        "now",
        "cancel",
        "queue",
        "fork",
        "compact",
        "usage",
        "resume",
        "settle",
        "export",
        "globals",
        "cell",
        "quit",
    }
)


@dataclass(frozen=True, slots=True)
class Message:
    """Something for the agent."""

    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """Something for the chat itself. `name` is one of `COMMANDS`."""

    name: str
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A slash and no command."""

    name: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """An empty line."""


Said: TypeAlias = Message | Command | Unknown | Nothing


def understand(line: str) -> Said:
    """A line as it is meant, when no question is open."""
    text = line.strip()
    if not text:
        return Nothing()
    if not text.startswith("/"):
        return Message(text)
    if text.startswith("//"):
        return Message(text[1:])
    name, _, rest = text[1:].partition(" ")
    name = name.lower()
    return Command(name, rest.strip()) if name in COMMANDS else Unknown(name)


@dataclass(frozen=True, slots=True)
class Answer:
    """A word on questions. `place` counts from 1; 0 means all of them."""

    is_yes: bool
    place: int
    reason: str = ""


_ANSWER: Final = re.compile(r"(y|yes|n|no)(?:\s+(\d+|all))?(?:\s+(.*))?", re.IGNORECASE | re.DOTALL)


def understand_answer(line: str) -> Answer | None:
    """A line as the answer to a question; None when it is none."""
    found = _ANSWER.fullmatch(line.strip())
    if found is None:
        return None
    word, which, reason = found.groups()
    is_yes = word[0].lower() == "y"
    if is_yes and reason:
        return None  # "yes please do" is a message
    place = 1 if which is None else 0 if which.lower() == "all" else int(which)
    return Answer(is_yes, place, (reason or "").strip())
