"""Occurrences: something happened, recorded once per idempotency key (docs/spec/durability.md §6)."""

from __future__ import annotations

import msgspec

from lash.base.canonical import stable_hash
from lash.base.json import Json
from lash.triggers.errors import InvalidTrigger
from lash.triggers.sources import checked_name


class OccurrenceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a host emits. The key makes it idempotent within its source: same key, same thing that happened."""

    source_type: str
    source_key: str
    payload: Json
    idempotency_key: str
    source: Json = None

    def validated(self) -> OccurrenceRequest:
        """The request itself; raises `InvalidTrigger`."""
        for field, value in (
            ("source_type", self.source_type),
            ("source_key", self.source_key),
            ("idempotency_key", self.idempotency_key),
        ):
            if not value:
                raise InvalidTrigger(f"trigger occurrence requires {field}")
            checked_name(f"trigger occurrence {field}", value)
        return self

    @property
    def occurrence_id(self) -> str:
        """Where and under which key, as one id."""
        return f"trigger:{stable_hash([self.source_type, self.source_key, self.idempotency_key])}"

    @property
    def request_hash(self) -> str:
        """What happened; another hash under the same id is a conflict."""
        return stable_hash([self.source_type, self.source_key, self.payload, self.source])


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded occurrence. `reserved_at_ms` is when it was decided who was subscribed."""

    occurrence_id: str
    source_type: str
    source_key: str
    payload: Json
    idempotency_key: str
    occurred_at_ms: int
    source: Json = None
    reserved_at_ms: int | None = None


class OccurrenceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which occurrences to list, the newest first."""

    source_type: str | None = None
    source_key: str | None = None
    limit: int = 100
