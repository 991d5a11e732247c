"""Leases: who owns a session or a process, and for how long.

Expiry makes a lease takeable; a takeover makes it lost. Claims and renewals
compare the time, guarded writes compare only the token: a laptop that slept past
its expiry without a rival simply goes on (docs/design/stores.md §5).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.errors import ConfigurationError

LeaseKind: TypeAlias = Literal["session", "process"]


class Lease(msgspec.Struct, frozen=True, gc=False):
    """A held lease. `fence` strictly increases with every new owner of the same key."""

    kind: LeaseKind
    key: str
    owner: str
    token: str
    fence: int
    expires_at_ms: int


class LeaseTimings(msgspec.Struct, frozen=True):
    """How long a lease lasts without renewal, and how often it is renewed."""

    # 30 s: a garbage collection, a paused container and a slow disk fit in; a dead
    # owner on the same machine is noticed at once by its lock, not by the clock.
    ttl_ms: int = 30_000
    renew_ms: int = 10_000

    def __post_init__(self) -> None:
        if self.renew_ms <= 0 or self.ttl_ms < 3 * self.renew_ms:
            raise ConfigurationError(
                f"lease_timings ttl={self.ttl_ms} ms, renew={self.renew_ms} ms: "
                "the time to live must be at least three renewals"
            )
