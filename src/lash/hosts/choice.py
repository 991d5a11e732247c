"""Choosing an effect host before there is a store: `effect_host=lash.hosts.Journal()`.

A choice is bound to the core's store when the core opens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lash.base.clock import Clock
from lash.base.ids import IdSource
from lash.effects.lease import LeaseTimings
from lash.effects.ports import ChangeFeed, EffectHost, JournalStore, WaitStore
from lash.hosts.inline import InlineEffectHost
from lash.hosts.journal import JournaledEffectHost


@dataclass(frozen=True, slots=True)
class HostParts:
    """What a host may need of the core it works for."""

    journal: JournalStore
    waits: WaitStore
    changes: ChangeFeed
    clock: Clock
    ids: IdSource
    executor_id: str
    timings: LeaseTimings
    producer: str


@runtime_checkable
class HostChoice(Protocol):
    """A host that still has to be bound to a store."""

    def bind(self, parts: HostParts) -> EffectHost:
        """The host over the parts of one core."""
        ...


@dataclass(frozen=True, slots=True)
class Journal:
    """Effects are recorded in the core's store and replayed from it. The default on a durable store."""

    def bind(self, parts: HostParts) -> EffectHost:
        """The journaled host of one core."""
        return JournaledEffectHost(
            parts.journal,
            parts.waits,
            clock=parts.clock,
            ids=parts.ids,
            owner=parts.executor_id,
            timings=parts.timings,
            producer=parts.producer,
        )


@dataclass(frozen=True, slots=True)
class Inline:
    """Effects run here and now and nothing is recorded. The default in memory."""

    def bind(self, parts: HostParts) -> EffectHost:
        """The inline host of one core."""
        return InlineEffectHost(clock=parts.clock, ids=parts.ids)
