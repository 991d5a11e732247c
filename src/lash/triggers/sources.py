"""Sources: what something happened to, as a type and a key (docs/spec/durability.md §3.5, §6).

A source type says which kind of thing (`ui.button.pressed`); the source value says
which one, and only its hash is compared, as the source key.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lash.base.canonical import stable_hash
from lash.base.errors import InvalidArgument
from lash.base.ids import is_name
from lash.base.json import Json
from lash.base.schema import compile_schema
from lash.triggers.errors import InvalidTrigger


class TriggerEvent(msgspec.Struct, frozen=True):
    """A source type that a host or a plugin declares, and the schema of what it emits."""

    resource_type: str
    alias: str
    event: str
    payload_schema: Json

    @property
    def source_type(self) -> str:
        """The type that subscriptions name: `{alias}.{event}`."""
        return f"{self.alias}.{self.event}"


def trigger_catalog(events: Iterable[TriggerEvent]) -> dict[str, TriggerEvent]:
    """Declared events by source type. Raises `InvalidTrigger` for a duplicate or a schema that does not compile."""
    catalog: dict[str, TriggerEvent] = {}
    for event in events:
        first = catalog.get(event.source_type)
        if first is not None:
            raise InvalidTrigger(
                f"duplicate trigger source `{event.source_type}` declared by "
                f"`{first.resource_type}` and `{event.resource_type}`"
            )
        checked_schema(event.source_type, event.payload_schema)
        catalog[event.source_type] = event
    return catalog


def source_key(source_type: str, source: Json) -> str:
    """The stable key of one source. Equal values have equal keys on every machine."""
    return f"source:{source_type}:sha256:{stable_hash([source_type, source])}"


def empty_source_key(source_type: str) -> str:
    """The key of a source that needs no configuration: that of `{}`."""
    return source_key(source_type, {})


def checked_schema(source_type: str, payload_schema: Json) -> None:
    """Raises `InvalidTrigger` unless the schema compiles: later only payloads can be wrong."""
    try:
        compile_schema(payload_schema)
    except InvalidArgument as error:
        raise InvalidTrigger(f"payload_schema of trigger source `{source_type}` is invalid: {error}") from error


def checked_name(what: str, value: str) -> str:
    """`value`; raises `InvalidTrigger` when no store could hold it as a name."""
    if not is_name(value):
        raise InvalidTrigger(f"{what} {value!r} is no usable name; give some text without NUL")
    return value
