"""The sessions that one core has in memory.

A session stays as long as somebody holds it or something of it runs. The last few that
nobody holds are kept as well, so that a server which opens a session for every request does
not read its history every time; all others are forgotten, whatever number of them there is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakValueDictionary

from lash.runtime.actor import SessionActor

# Sessions kept although nobody holds them.
IDLE_SESSIONS = 64


class SessionActors:
    """Actors by session id."""

    def __init__(self, idle_sessions: int = IDLE_SESSIONS) -> None:
        self._known: WeakValueDictionary[str, SessionActor] = WeakValueDictionary()
        self._recent: OrderedDict[str, SessionActor] = OrderedDict()
        self._idle_sessions = idle_sessions

    def get(self, session_id: str, make: Callable[[], SessionActor]) -> tuple[SessionActor, bool]:
        """The session's actor, and whether it was made just now."""
        actor = self._known.get(session_id)
        is_new = actor is None
        if actor is None:
            actor = self._known[session_id] = make()
        self._recent[session_id] = actor
        self._recent.move_to_end(session_id)
        while len(self._recent) > self._idle_sessions:
            self._recent.popitem(last=False)
        return actor, is_new

    def forget(self, session_id: str) -> SessionActor | None:
        """Lets go of a session; who still holds it may go on."""
        self._recent.pop(session_id, None)
        return self._known.pop(session_id, None)

    def clear(self) -> None:
        """Lets go of all."""
        self._recent.clear()
        self._known.clear()
