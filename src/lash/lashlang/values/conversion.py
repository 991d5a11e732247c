"""Values to JSON and back, in slices.

Like the walks of `walks.py`: every part is tried at once within a slice's room,
and only a part that does not fit is entered. Both yield `0` where other tasks
may have their turn, and give what `to_json` and `from_json` give.
"""

from __future__ import annotations

from lash.base.json import Json
from lash.lashlang.values.json_form import from_json, json_within, record_from_json
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.markers import Marker
from lash.lashlang.values.room import ENDLESS, Room
from lash.lashlang.values.walks import Pace, Walk, attempt


def json_walk(value: Value, room: Room | None = None) -> Walk[Json]:
    """What `to_json` gives, as long as `room` lasts."""
    return (yield from _json(value, 0, Pace(room)))


def _json(value: Value, depth: int, pace: Pace) -> Walk[Json]:
    if not isinstance(value, list | dict):
        return json_within(value, pace.room, depth)
    pace.room.enter(0, depth)
    made: list[Json] = []
    for item in value if isinstance(value, list) else value.values():
        part = attempt(pace, lambda room, item=item: json_within(item, room, depth + 1))  # type: ignore[misc]
        if isinstance(part, Marker):
            yield 0
            part = yield from _json(item, depth + 1, pace)
        made.append(part)
        pace.spend(1)
        if pace.tired():
            yield 0
    return made if isinstance(value, list) else dict(zip(value, made, strict=True))


def value_walk(data: Json, *, sort_keys: bool = False) -> Walk[Value]:
    """What `from_json` gives."""
    return (yield from _value(data, sort_keys, 0, Pace(Room(ENDLESS))))


def _value(data: Json, sort_keys: bool, depth: int, pace: Pace) -> Walk[Value]:
    if not isinstance(data, list | dict):
        return from_json(data, sort_keys=sort_keys, depth=depth)
    pace.room.enter(0, depth)
    names = [] if isinstance(data, list) else sorted(data) if sort_keys else list(data)
    made: list[Value] = []
    for item in data if isinstance(data, list) else (data[name] for name in names):

        def decode(room: Room, item: Json = item) -> Value:
            return from_json(item, sort_keys=sort_keys, depth=depth + 1, room=room)

        part = attempt(pace, decode)
        if isinstance(part, Marker):
            yield 0
            part = yield from _value(item, sort_keys, depth + 1, pace)
        made.append(part)
        pace.spend(1)
        if pace.tired():
            yield 0
    return made if isinstance(data, list) else record_from_json(dict(zip(names, made, strict=True)))
