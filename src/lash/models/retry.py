"""When a failed model call is tried again, and after how long. Pure."""

from __future__ import annotations

import msgspec

from lash.base.errors import InvalidArgument
from lash.models.failure import ProviderFailure


class ModelRetry(msgspec.Struct, frozen=True):
    """How a provider's failures are tried again. `attempts` counts the first one.

    2 s doubling to 10 s rides out a rate limit and a restart of the other side;
    a `Retry-After` is obeyed up to a minute, beyond that the host should decide.
    """

    attempts: int = 4
    base_ms: int = 2_000
    max_ms: int = 10_000
    jitter_ms: int = 0
    retry_after_cap_ms: int = 60_000

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.base_ms, self.max_ms, self.jitter_ms, self.retry_after_cap_ms) < 0:
            raise InvalidArgument(f"{self}: attempts is at least 1 and no time is negative")


def retry_delay(failure: ProviderFailure, policy: ModelRetry, attempt: int, randomness: float = 0.0) -> int | None:
    """Milliseconds before attempt `attempt + 1`; None when the failure stands.

    Attempts count from 1; `randomness` in [0, 1) scales the jitter.
    """
    if not failure.retryable or attempt >= policy.attempts:
        return None
    if failure.retry_after_ms is not None:
        return min(failure.retry_after_ms, policy.retry_after_cap_ms)
    delay = min(policy.base_ms << min(attempt - 1, 32), policy.max_ms)
    return delay + int(policy.jitter_ms * randomness)
