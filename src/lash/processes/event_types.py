"""Event types: what may happen to a process, with a schema for what it carries and what it means.

Every registration has the core types; programs in lashlang also yield, wake and
receive signals (docs/spec/durability.md §4.3-4.5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from lash.base.canonical import canonical_json, sha256_hex
from lash.base.codec import to_json
from lash.base.json import Json
from lash.base.once import once
from lash.base.schema import Schema, compile_schema
from lash.processes.errors import InvalidSignalName
from lash.processes.outputs import TerminalState
from lash.processes.selectors import PAYLOAD, Choice, Selector, Template, pointer

CANCEL_REQUESTED: Final = "process.cancel_requested"
WAITING: Final = "process.waiting"
RESUMED: Final = "process.resumed"
COMPLETED: Final = "process.completed"
FAILED: Final = "process.failed"
CANCELLED: Final = "process.cancelled"
ABANDONED: Final = "process.abandoned"
YIELD: Final = "process.yield"
WAKE: Final = "process.wake"
ENDED: Final = "process.ended"
SIGNAL_PREFIX: Final = "signal."

_SIGNAL_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


class TerminalSpec(msgspec.Struct, frozen=True):
    """The event ends the process. Without a selector a completion's value is the payload."""

    state: TerminalState
    await_output: Selector | None = None


class SelectedKey(msgspec.Struct, frozen=True):
    """A dedupe key: a selected value as text, or a constant; exactly one is set."""

    selector: Selector | None = None
    const: str | None = None

    def __post_init__(self) -> None:
        if (self.selector is None) == (self.const is None):
            raise ValueError("a dedupe key is one of selector, const")


DedupeKey: TypeAlias = Literal["event_identity"] | SelectedKey


class WakeSpec(msgspec.Struct, frozen=True):
    """The event wakes a session, when `when` holds (always, without one)."""

    input: Selector = PAYLOAD
    dedupe_key: DedupeKey = "event_identity"
    when: Selector | None = None


class EventSemanticsSpec(msgspec.Struct, frozen=True):
    """What an event of a type means."""

    terminal: TerminalSpec | None = None
    wake: WakeSpec | None = None


class ProcessEventType(msgspec.Struct, frozen=True, dict=True):
    """One kind of event."""

    name: str
    payload_schema: Json = True
    semantics: EventSemanticsSpec = EventSemanticsSpec()

    @once
    def checker(self) -> Schema:
        """The schema, compiled. Raises `InvalidSchema`."""
        return compile_schema(self.payload_schema)


def end_wake(label: str) -> ProcessEventType:
    """Makes whatever ends a process wake its session: in the same transaction, whoever ends it, once.

    The session reads `{label} ended: {await output}`. A process that declares it needs no word of its own.
    """
    said = Template("{what} ended: {how}", {"what": Choice(const=label), "how": pointer("/await_output")})
    return ProcessEventType(ENDED, True, EventSemanticsSpec(wake=WakeSpec(Choice(template=said))))


def signal_event_type(name: str) -> str:
    """The event type of a signal; raises `InvalidSignalName`."""
    if not _SIGNAL_NAME.fullmatch(name):
        raise InvalidSignalName(name)
    return SIGNAL_PREFIX + name


def signal(name: str, payload_schema: Json = True) -> ProcessEventType:
    """The declaration of a signal that carries values of a schema."""
    return ProcessEventType(signal_event_type(name), payload_schema)


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _terminal(name: str, state: TerminalState, **more: Json) -> ProcessEventType:
    schema = _object(await_output={"type": "object"}, **more)
    return ProcessEventType(name, schema, EventSemanticsSpec(terminal=TerminalSpec(state, pointer("/await_output"))))


# process.cancel_requested is a request: whoever runs the process sees it and ends it.
CORE_EVENT_TYPES: Final = (
    ProcessEventType(CANCEL_REQUESTED, _object(reason={"type": ["string", "null"]})),
    ProcessEventType(WAITING, _object(wait={"type": "object"})),
    ProcessEventType(
        RESUMED, _object(signal={"type": "string"}, key={"type": "string"}, ordinal={"type": "integer", "minimum": 1})
    ),
    _terminal(COMPLETED, "completed"),
    _terminal(FAILED, "failed"),
    _terminal(CANCELLED, "cancelled"),
    _terminal(ABANDONED, "abandoned", request={"type": "object"}),
)
CORE_BY_NAME: Final = {event_type.name: event_type for event_type in CORE_EVENT_TYPES}


def event_types_text(event_types: Sequence[ProcessEventType]) -> str:
    """Event types as canonical JSON. Most processes declare none of their own, so that text is made once."""
    if all(CORE_BY_NAME.get(event_type.name) is event_type for event_type in event_types):
        return _core_text(tuple(event_type.name for event_type in event_types))
    return canonical_json(to_json(event_types))


@lru_cache(maxsize=16)
def _core_text(names: tuple[str, ...]) -> str:
    return canonical_json(to_json([CORE_BY_NAME[name] for name in names]))


_SPOKEN: Final[Json] = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["value", "text"]}

LASHLANG_EVENT_TYPES: Final = (
    ProcessEventType(YIELD, _SPOKEN),
    ProcessEventType(WAKE, _SPOKEN, EventSemanticsSpec(wake=WakeSpec(pointer("/text")))),
)


class DeclaredTypes(NamedTuple):
    """The event types of a registration, their canonical text and its hash: thousands of processes share them."""

    event_types: list[ProcessEventType]
    text: str
    hash: str

    @staticmethod
    def of(event_types: list[ProcessEventType]) -> DeclaredTypes:
        """Of types that were checked."""
        text = event_types_text(event_types)
        return DeclaredTypes(event_types, text, sha256_hex(text.encode()))


@cache
def nothing_declared(*, is_program: bool) -> DeclaredTypes:
    """What processes may do that declare nothing of their own. They share the list, which nobody changes."""
    return DeclaredTypes.of([*CORE_EVENT_TYPES, *(LASHLANG_EVENT_TYPES if is_program else ())])


TERMINAL_EVENT_OF: Final[dict[TerminalState, str]] = {
    "completed": COMPLETED,
    "failed": FAILED,
    "cancelled": CANCELLED,
    "abandoned": ABANDONED,
}
