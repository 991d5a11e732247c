"""Process environments: what a background process runs with, by content (docs/spec/durability.md §3.8).

An environment is captured once, when a process is started or a trigger registered,
and named by its hash. Credentials are never in it; they are resolved again by
provider id where the process runs.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from lash.artifacts.store import ArtifactStoreError
from lash.base.canonical import canonical_json_bytes, stable_hash
from lash.base.codec import DecodeError, decode, struct_to_json
from lash.base.json import JsonObject
from lash.base.tier import DurabilityTier

# The descriptor of environments among other artifacts.
PROCESS_ENV: Final = "process_execution_env"


class ProcessEnvError(ArtifactStoreError):
    """An environment cannot be had; what needs it fails for good."""

    code = "process_execution_env"


class ProcessEnvSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Plugin options by plugin id, and the session policy in its stored form. Closed: unknown fields are refused."""

    plugin_options: JsonObject = {}
    policy: JsonObject = {}

    @property
    def ref(self) -> str:
        """The reference: equal environments have one."""
        return f"process-env:sha256:{stable_hash(struct_to_json(self))}"

    def to_bytes(self) -> bytes:
        """The stored form."""
        return canonical_json_bytes(struct_to_json(self))


class ProcessEnvStore(Protocol):
    """Environments by reference."""

    def durability_tier(self) -> DurabilityTier: ...

    async def put_process_execution_env(self, env_ref: str, data: bytes) -> None:
        """Keeps the bytes; the same ones again are fine. Raises `ArtifactConflict`."""
        ...

    async def get_process_execution_env(self, env_ref: str) -> bytes | None:
        """The bytes, None if unknown."""
        ...


async def persist_process_env(store: ProcessEnvStore, spec: ProcessEnvSpec) -> str:
    """Keeps an environment; its reference."""
    await store.put_process_execution_env(spec.ref, spec.to_bytes())
    return spec.ref


async def load_process_env(store: ProcessEnvStore, env_ref: str) -> ProcessEnvSpec:
    """The environment. Raises `ProcessEnvError` when it is missing or is not what its reference says."""
    data = await store.get_process_execution_env(env_ref)
    if data is None:
        raise ProcessEnvError(f"missing process execution env `{env_ref}`")
    try:
        spec = decode(data, ProcessEnvSpec)
    except DecodeError as error:
        raise ProcessEnvError(f"failed to decode process execution env `{env_ref}`: {error}") from error
    if spec.ref != env_ref:
        raise ProcessEnvError(
            f"failed to decode process execution env `{env_ref}`: hash mismatch, the bytes are of {spec.ref}"
        )
    return spec
