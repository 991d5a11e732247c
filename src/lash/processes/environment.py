"""The environment that a process captures when it starts, named by its content.

A worker rebuilds what it needs from it; credentials are never captured, they are
resolved again by provider id (docs/spec/durability.md §3.8, §5.3).
"""

from __future__ import annotations

import msgspec

from lash.base.canonical import stable_hash
from lash.base.codec import to_json
from lash.base.json import JsonObject
from lash.sessions.frames import SessionPolicy


class ProcessExecutionEnvSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a process runs with: plugin options and the session policy."""

    plugin_options: JsonObject = {}
    policy: SessionPolicy = SessionPolicy()

    @property
    def env_ref(self) -> str:
        """The name of this environment: equal ones have equal names."""
        return f"process-env:sha256:{stable_hash(to_json(self))}"
