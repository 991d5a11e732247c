"""Committed history as a turn sees it, projected for the model once and not again.

History only grows while a session lives, so its projection is cached and extended:
the price of a turn does not depend on how many came before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lash.base.messages import Message
from lash.machine.llm import LlmMessage

Project = Callable[[Sequence[Message]], list[LlmMessage]]


class History:
    """Messages of the active path of one frame, oldest first."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._messages = list(messages)
        self._projected: list[LlmMessage] = []
        self._projected_count = 0
        self._project: Project | None = None

    @property
    def messages(self) -> Sequence[Message]:
        """The messages; do not change the list."""
        return self._messages

    def __len__(self) -> int:
        return len(self._messages)

    def extend(self, messages: Iterable[Message]) -> None:
        """Adds what a commit made part of history."""
        self._messages.extend(messages)

    def projected(self, project: Project) -> list[LlmMessage]:
        """The history as model messages; `project` must treat each message on its own."""
        if self._project is not project:
            self._projected, self._projected_count, self._project = [], 0, project
        if self._projected_count < len(self._messages):
            self._projected.extend(project(self._messages[self._projected_count :]))
            self._projected_count = len(self._messages)
        return self._projected
