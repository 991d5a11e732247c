"""A view of history: what a turn shows the model in place of it.

Stored as ranges of history plus the messages that are new, so that a view of a long
history is as small as what it changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from lash.base.messages import Message


class KeptRange(msgspec.Struct, frozen=True, tag="kept", tag_field="type"):
    """Messages of history from `start` up to `end`, not included."""

    start: int
    end: int


class ShownMessage(msgspec.Struct, frozen=True, tag="shown", tag_field="type"):
    """A message that history does not have like this."""

    message: Message


HistoryView: TypeAlias = list[KeptRange | ShownMessage]


def view_of(history: Sequence[Message], shown: Sequence[Message]) -> HistoryView | None:
    """The view that shows `shown`; None when that is history itself."""
    places = {id(message): place for place, message in enumerate(history)}
    view: HistoryView = []
    for message in shown:
        place = places.get(id(message))
        last = view[-1] if view else None
        if place is None:
            view.append(ShownMessage(message))
        elif isinstance(last, KeptRange) and last.end == place:
            view[-1] = KeptRange(last.start, place + 1)
        else:
            view.append(KeptRange(place, place + 1))
    whole = [KeptRange(0, len(history))] if history else []
    return None if view == whole else view


def messages_of(view: HistoryView, history: Sequence[Message]) -> list[Message]:
    """What a view shows."""
    messages: list[Message] = []
    for item in view:
        match item:
            case KeptRange(start=start, end=end):
                messages += history[start:end]
            case ShownMessage(message=message):
                messages.append(message)
    return messages
