"""Where modules are kept by content: the port, and an in-memory store."""

from __future__ import annotations

from typing import Protocol

from lash.base.tier import DurabilityTier
from lash.lashlang.errors import ArtifactError
from lash.lashlang.modules.artifact import ModuleArtifact


class ArtifactStore(Protocol):
    """Modules and named bytes by reference. Putting the same thing twice is fine."""

    def durability_tier(self) -> DurabilityTier: ...

    async def put_module_artifact(self, artifact: ModuleArtifact) -> None:
        """Keeps a module under its reference."""
        ...

    async def get_module_artifact(self, module_ref: str) -> ModuleArtifact | None:
        """The module, None if unknown. Raises `ArtifactError` for corrupt bytes."""
        ...

    async def put_artifact_bytes(self, ref: str, descriptor: str, data: bytes) -> None:
        """Keeps bytes under a reference."""
        ...

    async def get_artifact_bytes(self, ref: str) -> bytes | None:
        """The bytes, None if unknown."""
        ...


class MemoryArtifactStore:
    """Keeps artifacts as bytes, so what is read was verified."""

    def __init__(self) -> None:
        self._bytes: dict[str, bytes] = {}

    def durability_tier(self) -> DurabilityTier:
        """Gone with the process."""
        return "inline"

    async def put_module_artifact(self, artifact: ModuleArtifact) -> None:
        """Keeps a module under its reference."""
        self._bytes[artifact.module_ref] = artifact.to_bytes()

    async def get_module_artifact(self, module_ref: str) -> ModuleArtifact | None:
        """The module, None if unknown. Raises `ArtifactError` for corrupt bytes."""
        data = self._bytes.get(module_ref)
        if data is None:
            return None
        try:
            return ModuleArtifact.from_bytes(data)
        except ArtifactError as error:
            raise ArtifactError(f"failed to decode lashlang artifact: {error}") from error

    async def put_artifact_bytes(self, ref: str, descriptor: str, data: bytes) -> None:
        """Keeps bytes under a reference; the descriptor is for stores that list."""
        del descriptor
        self._bytes[ref] = data

    async def get_artifact_bytes(self, ref: str) -> bytes | None:
        """The bytes, None if unknown."""
        return self._bytes.get(ref)
