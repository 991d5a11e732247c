"""Registrations: a process as it is asked for, checked and hashed before anything is stored.

Equal registrations of one id are the same process; different ones are a conflict.
Schemas are compiled here once, so that an append can only fail for its payload.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final, NamedTuple, get_args

import msgspec

from lash.base.canonical import canonical_json
from lash.base.codec import encode, to_json
from lash.base.ids import is_name
from lash.base.schema import InvalidSchema
from lash.processes.authority import Recovery
from lash.processes.errors import InvalidRegistration, InvalidSignalName
from lash.processes.event_types import (
    CORE_BY_NAME,
    CORE_EVENT_TYPES,
    LASHLANG_EVENT_TYPES,
    SIGNAL_PREFIX,
    DeclaredTypes,
    ProcessEventType,
    nothing_declared,
    signal_event_type,
)
from lash.processes.inputs import (
    ExternalInput,
    LashlangProcessInput,
    ProcessIdentity,
    ProcessInput,
    identity_of,
    needs_environment,
)
from lash.processes.scopes import ProcessProvenance, WakeTarget

_RECOVERIES: Final[tuple[str, ...]] = get_args(Recovery)


def default_event_types() -> list[ProcessEventType]:
    """What every process may do."""
    return list(CORE_EVENT_TYPES)


class ProcessRegistration(msgspec.Struct, frozen=True, gc=False):
    """A process to register.

    `env_ref` names the captured environment, for inputs that need one. `identity` and
    `recovery` are derived from the input unless given.
    """

    id: str
    input: ProcessInput
    provenance: ProcessProvenance
    event_types: list[ProcessEventType] = msgspec.field(default_factory=default_event_types)
    env_ref: str | None = None
    wake_target: WakeTarget = None
    identity: ProcessIdentity | None = None
    recovery: Recovery | None = None


class PreparedRegistration(NamedTuple):
    """A registration with everything derived, checked, and its hash.

    `stored_json` is what a row holds as text: all but the id, the recovery and the event types.
    """

    registration: ProcessRegistration
    identity: ProcessIdentity
    recovery: Recovery
    registration_hash: str
    stored_json: str
    declared: DeclaredTypes


def prepare_registration(draft: ProcessRegistration) -> PreparedRegistration:
    """Adds the core event types, checks, hashes. Raises `InvalidRegistration`."""
    if not is_name(draft.id):
        raise InvalidRegistration("process id must be a non-empty string")
    _check_environment(draft)
    declared = _declared_types(draft)
    identity = draft.identity or identity_of(draft.input)
    recovery = _recovery(draft)
    registration = ProcessRegistration(
        draft.id,
        draft.input,
        draft.provenance,
        declared.event_types,
        draft.env_ref,
        draft.wake_target,
        identity,
        recovery,
    )
    # The keys of an object are sorted, what thousands of processes share comes first, and an input is large:
    # what the row and the hash both hold is written once.
    both = canonical_json(
        {
            "identity": to_json(identity),
            "input": to_json(draft.input),
            "provenance": to_json(draft.provenance),
        }
    )[1:-1]
    target = _wake_target(draft.wake_target)
    shared = _shared(draft.env_ref, declared.text)
    digest = shared.hash.copy()
    digest.update(f'"id":{canonical_json(draft.id)},{both},"recovery":"{recovery}"{target}}}]'.encode())
    return PreparedRegistration(
        registration, identity, recovery, digest.hexdigest(), f"{{{shared.env_ref}{both}{target}}}", declared
    )


def _wake_target(target: WakeTarget) -> str:
    """The target as the last member of an object, or nothing. Most processes wake nobody."""
    if target == "detached":
        return ',"wake_target":"detached"'
    return "" if target is None else f',"wake_target":{encode(target)}'


class _Shared(NamedTuple):
    """What many registrations have in common."""

    # The environment as the first member of an object, or nothing.
    env_ref: str
    # The hash of a registration (`tagged_hash` of it as a whole) up to the end of its event types.
    hash: hashlib._Hash


@lru_cache(maxsize=64)
def _shared(env_ref: str | None, event_types: str) -> _Shared:
    first = "" if env_ref is None else f'"env_ref":{canonical_json(env_ref)},'
    text = f'["lash.process.registration/v1",{{{first}"event_types":{event_types},'
    return _Shared(first, hashlib.sha256(text.encode()))


def _declared_types(draft: ProcessRegistration) -> DeclaredTypes:
    is_program = isinstance(draft.input, LashlangProcessInput)
    if not draft.event_types:
        return nothing_declared(is_program=is_program)
    event_types = [*draft.event_types, *_missing_types(draft)]
    _check_event_types(draft.id, event_types)
    return DeclaredTypes.of(event_types)


def _check_environment(draft: ProcessRegistration) -> None:
    if needs_environment(draft.input):
        if draft.env_ref is None:
            raise InvalidRegistration(f"process `{draft.id}` requires a captured execution env")
    elif draft.env_ref is not None:
        raise InvalidRegistration(f"process `{draft.id}` must not capture an execution env for this input kind")


def _recovery(draft: ProcessRegistration) -> Recovery:
    is_external = isinstance(draft.input, ExternalInput)
    recovery = draft.recovery or ("externally_owned" if is_external else "rerunnable")
    if recovery not in _RECOVERIES:
        raise InvalidRegistration(
            f"process `{draft.id}` has recovery `{recovery}`; give one of {', '.join(_RECOVERIES)}"
        )
    if is_external and recovery != "externally_owned":
        raise InvalidRegistration(
            f"process `{draft.id}` is external and cannot be {recovery}; leave recovery out or say externally_owned"
        )
    return recovery


def _missing_types(draft: ProcessRegistration) -> list[ProcessEventType]:
    declared = {event_type.name for event_type in draft.event_types}
    wanted = list(CORE_EVENT_TYPES)
    if isinstance(draft.input, LashlangProcessInput):
        wanted += LASHLANG_EVENT_TYPES
    return [event_type for event_type in wanted if event_type.name not in declared]


def _check_event_types(process_id: str, event_types: list[ProcessEventType]) -> None:
    seen: set[str] = set()
    for event_type in event_types:
        name = event_type.name
        core = CORE_BY_NAME.get(name)
        if core is not event_type and not is_name(name):
            raise InvalidRegistration(f"process `{process_id}` declares an empty event type name")
        if name in seen:
            raise InvalidRegistration(f"process `{process_id}` declares duplicate event type `{name}`")
        seen.add(name)
        if core is event_type:
            continue
        if core is not None and core != event_type:
            raise InvalidRegistration(f"process `{process_id}` redeclares core event type `{name}`")
        _check_event_type(process_id, event_type)


def _check_event_type(process_id: str, event_type: ProcessEventType) -> None:
    name, terminal = event_type.name, event_type.semantics.terminal
    if terminal is not None and terminal.state != "completed" and terminal.await_output is None:
        raise InvalidRegistration(
            f"process `{process_id}` event type `{name}` ends it {terminal.state} without an await_output selector"
        )
    if name.startswith(SIGNAL_PREFIX):
        try:
            signal_event_type(name.removeprefix(SIGNAL_PREFIX))
        except InvalidSignalName as error:
            raise InvalidRegistration(f"process `{process_id}`: {error.message}") from error
    try:
        _ = event_type.checker
    except InvalidSchema as error:
        raise InvalidRegistration(f"process `{process_id}` event type `{name}`: {error.message}") from error
