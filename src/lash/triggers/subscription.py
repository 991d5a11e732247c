"""Subscriptions: whoever wants a process started when something happens (docs/spec/durability.md §6).

A subscription captures everything its runs need: the target by reference, the
environment by hash. Deleting the session that made it takes it away; runs that it
has started go on.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from lash.base.canonical import tagged_hash
from lash.base.codec import struct_to_json
from lash.base.json import Json, JsonObject
from lash.processes.inputs import ProcessIdentity
from lash.triggers.errors import InvalidTrigger
from lash.triggers.registrant import Registrant, SessionScope, session_of
from lash.triggers.sources import checked_name, checked_schema
from lash.triggers.template import InputTemplate

# What happens to an occurrence while an earlier run of the same subscription has not ended:
# allow starts it beside; skip drops it; queue starts it afterwards, in order.
Overlap: TypeAlias = Literal["allow", "skip", "queue"]
OVERLAPS: Final[tuple[Overlap, ...]] = ("allow", "skip", "queue")


class SubscriptionDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as its maker describes it.

    `target` is a process input in its stored form (`{"type": "lashlang_process", …}`): it is
    carried, and only its arguments are filled in. `key` names the subscription within its
    registrant: registering the same key again changes it instead of adding another.
    """

    registrant: Registrant
    source_type: str
    source_key: str
    source: Json
    payload_schema: Json
    target: JsonObject
    target_identity: ProcessIdentity
    input_template: InputTemplate
    env_ref: str | None = None
    wake_target: SessionScope | None = None
    name: str | None = None
    event_types: list[JsonObject] = []
    target_label: str | None = None
    overlap: Overlap = "allow"
    key: str | None = None

    def validated(self) -> SubscriptionDraft:
        """The draft itself; raises `InvalidTrigger` naming what is wrong."""
        for what, value in (("source_type", self.source_type), ("source_key", self.source_key)):
            if not value:
                raise InvalidTrigger(f"trigger subscription requires {what}")
            checked_name(f"trigger subscription {what}", value)
        session_id = session_of(self.registrant)
        if session_id is not None:
            checked_name("session id of a trigger registrant", session_id)
        for what, optional in (("key", self.key), ("name", self.name)):
            if optional is not None:
                checked_name(f"trigger subscription {what}", optional)
        checked_schema(self.source_type, self.payload_schema)
        if not isinstance(self.target.get("type"), str):
            raise InvalidTrigger("trigger target must be a process input with its `type`")
        label = self.target_identity.label
        if self.target_label is not None and label is not None and self.target_label != label:
            raise InvalidTrigger("trigger target_label must match target_identity.label when both are present")
        if self.overlap not in OVERLAPS:
            raise InvalidTrigger(f"overlap={self.overlap!r} must be one of {', '.join(OVERLAPS)}")
        return self

    @property
    def content_hash(self) -> str:
        """Equal drafts have equal hashes: registering one again changes nothing."""
        return tagged_hash("lash.trigger.subscription/v1", struct_to_json(self))


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A registered subscription. `revision` rises with every change, cancelling included."""

    subscription_id: str
    handle: str
    revision: int
    enabled: bool
    created_at_ms: int
    updated_at_ms: int
    draft: SubscriptionDraft

    @property
    def label(self) -> str | None:
        """What lists show for the target."""
        return self.draft.target_label or self.draft.target_identity.label


class SubscriptionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which subscriptions to list; everything that is given must hold."""

    session_id: str | None = None
    registrant_scope_id: str | None = None
    handle: str | None = None
    name: str | None = None
    source_type: str | None = None
    source_key: str | None = None
    target: Json = None
    enabled: bool | None = None

    def matches_target(self, subscription: Subscription) -> bool:
        """Whether the wanted target is this one's: all four parts of a process value, or the whole definition."""
        if self.target is None:
            return True
        return _identity(self.target) == _identity(_definition(subscription.draft))


_PARTS: Final = ("module_ref", "host_requirements_ref", "process_ref", "process_name")


def _definition(draft: SubscriptionDraft) -> Json:
    if draft.target_identity.definition is not None:
        return draft.target_identity.definition
    return draft.target


def _identity(value: Json) -> Json:
    if isinstance(value, dict) and all(part in value for part in _PARTS):
        return [value[part] for part in _PARTS]
    return value


def filter_of(fields: Json, session_id: str | None = None) -> SubscriptionFilter:
    """The filter that a program's `triggers.list` asks for. Raises `TriggerRequestError` for anything else."""
    from lash.lashlang.host.trigger_requests import decode_filters

    wanted = decode_filters(fields)
    name, source_type, enabled = wanted.get("name"), wanted.get("source_type"), wanted.get("enabled")
    return SubscriptionFilter(
        session_id=session_id,
        name=name if isinstance(name, str) else None,
        source_type=source_type if isinstance(source_type, str) else None,
        target=wanted.get("target"),
        enabled=enabled if isinstance(enabled, bool) else None,
    )
