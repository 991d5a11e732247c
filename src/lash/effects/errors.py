"""Errors of the effect machinery.

```
LashRuntimeError
└── EffectControllerError     deterministic contract failures, journaled as outcomes
    ├── EffectHashConflict    a recorded effect does not match the reconstructed one
    ├── EffectLeaseLost       another owner is authoritative; the driver must stop
    ├── EffectInDoubt         a `never` effect may or may not have happened
    └── EffectCorrupt         a journal row cannot be read
LashError
├── TransientEffectError      infrastructure trouble; never recorded, worth another try
└── LeaseLost                 a guarded write found another owner
```
"""

from __future__ import annotations

import msgspec

from lash.base.errors import LashError, LashRuntimeError
from lash.base.json import Json, JsonObject


class MismatchSummary(msgspec.Struct, frozen=True):
    """Where two envelopes differ: how many paths, and the first eight."""

    divergent_path_count: int
    first_divergent_paths: list[str]


class EffectControllerError(LashRuntimeError):
    """A deterministic failure of the effect machinery; replays like an outcome."""

    def __init__(self, code: str, message: str, summary: MismatchSummary | None = None) -> None:
        super().__init__(code, message)
        self.summary = summary

    def to_json(self) -> JsonObject:
        """The journaled form."""
        body: JsonObject = {"code": self.code, "message": self.message}
        if self.summary is not None:
            paths: list[Json] = list(self.summary.first_divergent_paths)
            body["summary"] = {
                "divergent_path_count": self.summary.divergent_path_count,
                "first_divergent_paths": paths,
            }
        return body


class EffectHashConflict(EffectControllerError):
    """The runtime rebuilt another effect than the one recorded under this key.

    Terminal for the scope: the runtime itself changed between the two builds.
    Finish the scope with the build that started it, or delete the session.
    """

    def __init__(self, message: str, summary: MismatchSummary) -> None:
        super().__init__("effect_replay_hash_conflict", message, summary)


class EffectLeaseLost(EffectControllerError):
    """Another owner took the scope over; what it records counts. Stop this run."""

    is_interruption = True

    def __init__(self, what: str) -> None:
        super().__init__(
            "effect_replay_lease_lost", f"{what} is owned by another executor now; drop this run, it resumes there"
        )


class SleepCut(EffectControllerError):
    """A sleep ended before its time because its token was cancelled. `due_ms` is when it would have ended."""

    def __init__(self, reason: str, due_ms: int) -> None:
        super().__init__("runtime_effect_sleep_cancelled", f"the sleep was cancelled: {reason}")
        self.due_ms = due_ms


class EffectInDoubt(EffectControllerError):
    """An effect declared `repeat="never"` started and its outcome is unknown.

    It may have happened. Look at the outside world, then decide with
    `core.settle(effect, ToolResult | lash.RUN_AGAIN)`.
    """

    is_interruption = True

    def __init__(self, replay_key: str) -> None:
        super().__init__(
            "effect_in_doubt",
            f"effect {replay_key} was started and its outcome is unknown; settle it with core.settle",
        )
        self.replay_key = replay_key


class EffectCorrupt(EffectControllerError):
    """A journal row cannot be read back."""

    def __init__(self, replay_key: str, what: str) -> None:
        super().__init__("effect_replay_corrupt_row", f"journal row {replay_key}: {what}")


class TransientEffectError(LashError):
    """Infrastructure failed, not the effect: nothing was recorded and it may be tried again."""

    code = "transient_effect"
    is_interruption = True


class LeaseLost(LashError):
    """A guarded write found that another owner holds the lease."""

    code = "lease_lost"
    is_interruption = True

    def __init__(self, kind: str, key: str, fence: int) -> None:
        super().__init__(
            f"{kind} {key!r} is no longer held under fence {fence}; another owner took over. "
            "Drop this run; it is resumed there."
        )
        self.kind = kind
        self.key = key
        self.fence = fence
