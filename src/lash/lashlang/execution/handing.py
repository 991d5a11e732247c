"""Values on their way to the host and back, in slices where they are large.

`out`, `text` and `take` convert at once what is small and raise `Large` for what
would hold the event loop; then `prepare` converts it slice by slice, and the
same call finds it ready. Nothing is reported or counted before that, so the
second call is the first that anybody sees.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, TypeVar

from lash.base.json import Json
from lash.lashlang.errors import BudgetExceeded
from lash.lashlang.values.conversion import json_walk, value_walk
from lash.lashlang.values.json_form import from_json, json_within, to_json
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.markers import Marker
from lash.lashlang.values.room import Room
from lash.lashlang.values.text import display, integral_display
from lash.lashlang.values.walks import SLICE, quick_text, text_walk

T = TypeVar("T")
Slices = Generator[int, object, T]
_SHOWN: Final = frozenset(("print", "fail", "event"))


class Large(Exception):
    """A value is too large to convert at once."""


class Handing:
    """The conversions of one execution. `exact` and `sort_keys` are those of its dialect."""

    __slots__ = ("_exact", "_json", "_sort_keys", "_texts", "_values")

    def __init__(self, *, exact: bool, sort_keys: bool) -> None:
        self._exact = exact
        self._sort_keys = sort_keys
        # What has been prepared, by the identity of its source, which is alive meanwhile.
        self._json: dict[int, Json] = {}
        self._texts: dict[int, str] = {}
        self._values: dict[int, Value] = {}

    def out(self, value: Value) -> Json:
        """The JSON of `value`. Raises `Large`."""
        if type(value) is not list and type(value) is not dict:
            return to_json(value)
        if id(value) in self._json:
            return self._json[id(value)]
        try:
            return json_within(value, Room(SLICE))
        except BudgetExceeded:
            raise Large from None

    def text(self, value: Value) -> str:
        """The display form of `value`. Raises `Large`."""
        if type(value) is not list and type(value) is not dict:
            return display(value, exact=self._exact)
        if id(value) in self._texts:
            return self._texts[id(value)]
        found = quick_text(value, integral_display(self._exact))
        if isinstance(found, Marker):
            raise Large
        return found

    def take(self, data: Json) -> Value:
        """The value of what the host answered. Raises `Large`."""
        if type(data) is not list and type(data) is not dict:
            return from_json(data)
        if id(data) in self._values:
            return self._values[id(data)]
        try:
            return from_json(data, sort_keys=self._sort_keys, room=Room(SLICE))
        except BudgetExceeded:
            raise Large from None

    def prepare(self, message: tuple[object, ...]) -> Slices[None]:
        """Converts every container in a body's message."""
        stack: list[object] = [message]
        while stack:
            part = stack.pop()
            if isinstance(part, tuple):
                stack += reversed(part)
            elif isinstance(part, list | dict):
                self._json[id(part)] = yield from json_walk(part)
                if message[0] in _SHOWN:
                    self._texts[id(part)] = yield from text_walk(part, integral_display(self._exact))

    def prepare_answer(self, data: Json) -> Slices[None]:
        """Converts what the host answered."""
        if isinstance(data, list | dict):
            self._values[id(data)] = yield from value_walk(data, sort_keys=self._sort_keys)

    def done(self) -> None:
        """Forgets what was prepared."""
        if self._json or self._values:
            self._json.clear()
            self._texts.clear()
            self._values.clear()
