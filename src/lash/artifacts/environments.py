"""Process environments: what a background process runs with, by content (docs/spec/durability.md §3.8).

An environment is captured once, when a process is started or a trigger registered,
and named by its hash. What is in it belongs to whoever runs processes; credentials
never are, they are resolved again by provider id where the process runs.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

import msgspec

from lash.artifacts.store import ArtifactStoreError
from lash.base.canonical import canonical_json_bytes, sha256_hex
from lash.base.codec import DecodeError, decode, struct_to_json
from lash.base.tier import DurabilityTier

# The descriptor of environments among other artifacts.
PROCESS_ENV: Final = "process_execution_env"

PREFIX: Final = "process-env:sha256:"

T = TypeVar("T", bound=msgspec.Struct)


class ProcessEnvError(ArtifactStoreError):
    """An environment cannot be had; what needs it fails for good."""

    code = "process_execution_env"


class ProcessEnvStore(Protocol):
    """Environments by reference."""

    def durability_tier(self) -> DurabilityTier: ...

    async def put_process_execution_env(self, env_ref: str, data: bytes) -> None:
        """Keeps the bytes; the same ones again are fine. Raises `ArtifactConflict`."""
        ...

    async def get_process_execution_env(self, env_ref: str) -> bytes | None:
        """The bytes, None if unknown."""
        ...


def env_ref_of(data: bytes) -> str:
    """The reference of an environment in its stored form, which is canonical JSON."""
    return f"{PREFIX}{sha256_hex(data)}"


async def persist_process_env(store: ProcessEnvStore, spec: msgspec.Struct) -> str:
    """Keeps an environment; its reference. Equal environments have one."""
    env = EncodedEnv(spec)
    await store.put_process_execution_env(env.ref, env.data)
    return env.ref


class EncodedEnv:
    """An environment in its stored form. Whoever captures the same one again and again encodes it once."""

    __slots__ = ("data", "ref", "spec")

    def __init__(self, spec: msgspec.Struct) -> None:
        self.spec = spec
        self.data = canonical_json_bytes(struct_to_json(spec))
        self.ref = env_ref_of(self.data)


async def load_process_env(store: ProcessEnvStore, env_ref: str, shape: type[T]) -> T:
    """The environment as `shape`. Raises `ProcessEnvError` when it is missing or is not what its reference says."""
    data = await store.get_process_execution_env(env_ref)
    if data is None:
        raise ProcessEnvError(f"missing process execution env `{env_ref}`")
    if env_ref_of(data) != env_ref:
        raise ProcessEnvError(
            f"failed to decode process execution env `{env_ref}`: the bytes are of {env_ref_of(data)}"
        )
    try:
        return decode(data, shape)
    except DecodeError as error:
        raise ProcessEnvError(f"failed to decode process execution env `{env_ref}`: {error}") from error
