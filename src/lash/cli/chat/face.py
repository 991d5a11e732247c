"""What the conversation asks of whoever shows it."""

from __future__ import annotations

import re
from typing import Final, Literal, Protocol, TypeAlias

from lash.base.json import Json

Tone: TypeAlias = Literal["plain", "faint", "good", "warning", "bad"]

# A model or a tool must not be able to drive the terminal: no escape, no control character
# but line break and tab.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """The text without characters that would steer a terminal."""
    return _CONTROL.sub("", text)


class Face(Protocol):
    """Shows what is said and done."""

    def piece(self, text: str) -> None:
        """A piece of what the agent says."""
        ...

    def retract(self) -> None:
        """What was said since the last `finish` is void."""
        ...

    def finish(self) -> None:
        """What the agent says is whole up to here."""
        ...

    def note(self, text: str, tone: Tone = "faint") -> None:
        """A line about what happens."""
        ...

    def value(self, value: Json) -> None:
        """A value that is the answer."""
        ...

    def think(self, text: str) -> None:
        """All that was thought so far in the running model call: it stands, or is void, with what is said."""
        ...

    def program(self, code: str) -> None:
        """A program that starts."""
        ...

    def printed(self, text: str) -> None:
        """What a program printed for the model."""
        ...

    def problem(self, text: str) -> None:
        """Why a program ended. The model is told, and goes on."""
        ...
