"""A session's variables, and their snapshot between cells (§8.3)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

import msgspec

from lash.base.json import Json, JsonObject
from lash.lashlang.errors import BudgetExceeded, LanguageError
from lash.lashlang.values.conversion import json_walk
from lash.lashlang.values.json_form import from_json, json_within, to_json
from lash.lashlang.values.kinds import LazyValue, Value
from lash.lashlang.values.room import ENDLESS, Room
from lash.lashlang.values.walks import SLICE, Walk

SNAPSHOT_VERSION: Final = 3
_PROJECTED: Final = "__lashlang_snapshot_projected__"


class SnapshotError(LanguageError):
    """A stored snapshot is not one of ours; the session's variables were not touched."""

    code = "lashlang.snapshot"


@dataclass(slots=True)
class State:
    """What cells of one session share: their variables.

    Only `snapshot` and `restore` cross a process boundary; declarations never do.
    """

    variables: dict[str, Value] = field(default_factory=dict)

    def snapshot(self, files: dict[str, str] | None = None) -> JsonObject:
        """The stored form. Variables keep their order."""
        return _stored([_entry(name, to_json(value)) for name, value in self.variables.items()], files)

    def written(self, files: dict[str, str] | None = None) -> Walk[JsonObject]:
        """What `snapshot` gives, in slices where variables are large. Each must have passed `keeping_walk`."""
        entries: list[str] = []
        for name, value in self.variables.items():
            try:
                data = json_within(value, Room(SLICE))
            except BudgetExceeded:
                yield 0
                data = yield from json_walk(value, Room(ENDLESS))
            entries.append(_entry(name, data))
        return _stored(entries, files)

    @classmethod
    def restore(cls, snapshot: Json) -> State:
        """The state that `snapshot` holds. Raises `SnapshotError`."""
        match snapshot:
            case {"version": version, "engine": engine, "vars": str(text)}:
                pass
            case _:
                raise SnapshotError("unsupported RLM snapshot format")
        if version != SNAPSHOT_VERSION:
            raise SnapshotError(f"unsupported RLM snapshot version {version}")
        if engine != "lashlang":
            raise SnapshotError(f"unsupported RLM snapshot engine {engine}")
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            raise SnapshotError("unsupported RLM snapshot format") from None
        if not isinstance(body, dict) or not isinstance(body.get("globals"), dict):
            raise SnapshotError("unsupported RLM snapshot format")
        return cls({str(name): _restored(value) for name, value in body["globals"].items()})


def _entry(name: str, data: Json) -> str:
    body = {name: data}
    try:
        text = msgspec.json.encode(body).decode()
    except (OverflowError, ValueError):
        # Integers beyond 64 bits are carried exactly, in the slower way.
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text[1:-1]


def _stored(entries: list[str], files: dict[str, str] | None) -> JsonObject:
    text = f'{{"globals":{{{",".join(entries)}}}}}'
    return {"version": SNAPSHOT_VERSION, "engine": "lashlang", "vars": text, "files": dict(files or {})}


def _restored(data: Json) -> Value:
    if isinstance(data, dict):
        if data.get(_PROJECTED) is True:
            steps = data.get("path")
            path = tuple(step for step in steps if isinstance(step, str | int)) if isinstance(steps, list) else ()
            return LazyValue(str(data.get("name")), str(data.get("type_name")), data.get("projection_ref"), path)
        if "type" in data or "__resource__" in data:
            special = from_json(data)
            if not isinstance(special, dict):
                return special
        return {key: item if isinstance(item, str) else _restored(item) for key, item in data.items()}
    if isinstance(data, list):
        return [item if isinstance(item, str) else _restored(item) for item in data]
    return from_json(data)
