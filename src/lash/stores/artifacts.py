"""The artifact and environment facets."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from lash.artifacts.environments import PROCESS_ENV
from lash.artifacts.store import MODULE, ArtifactDecodeError
from lash.base.canonical import sha256_hex
from lash.base.clock import Clock
from lash.base.ids import IdSource
from lash.base.tier import DurabilityTier
from lash.stores.driver import Driver
from lash.stores.facet import Facet
from lash.stores.sql import artifacts as sql

if TYPE_CHECKING:  # the language is large, and most stores never see a module
    from lash.lashlang.modules.artifact import ModuleArtifact

# What was put so short a time ago counts as put now.
FRESH_MS: Final = 10_000
# Modules and environments that are remembered as put.
KEPT: Final = 256


class SqlArtifacts(Facet):
    """Bytes in `lash_artifacts`. Implements `ArtifactStore` and `ProcessEnvStore`."""

    def __init__(self, driver: Driver, clock: Clock, ids: IdSource) -> None:
        super().__init__(driver, clock, ids)
        # What was put here, and when.
        self._put: dict[str, tuple[int, bytes]] = {}

    def durability_tier(self) -> DurabilityTier:
        """What the database behind it promises."""
        return self._driver.tier

    async def put_module_artifact(self, artifact: ModuleArtifact) -> None:
        """See `ArtifactStore`. What was put here a moment ago is not put again: every start names one."""
        await self._put_once(artifact.module_ref, MODULE, artifact.to_bytes())

    async def get_module_artifact(self, module_ref: str) -> ModuleArtifact | None:
        """See `ArtifactStore`."""
        data = await self.get_artifact_bytes(module_ref)
        if data is None:
            return None
        from lash.lashlang.errors import ArtifactError
        from lash.lashlang.modules.artifact import ModuleArtifact

        try:
            artifact = ModuleArtifact.from_bytes(data)
        except ArtifactError as error:
            raise ArtifactDecodeError(f"failed to decode lashlang artifact: {error}") from error
        if artifact.module_ref != module_ref:
            raise ArtifactDecodeError(
                f"module artifact module_ref mismatch: expected {module_ref}, got {artifact.module_ref}"
            )
        return artifact

    async def put_artifact_bytes(self, ref: str, descriptor: str, data: bytes) -> None:
        """See `ArtifactStore`."""
        await self._driver.run(sql.put(ref, descriptor, sha256_hex(data), data, self._clock.now_ms()))

    async def get_artifact_bytes(self, ref: str) -> bytes | None:
        """See `ArtifactStore`."""
        row = await self._driver.run(sql.get(ref))
        if row is None:
            return None
        if sha256_hex(row.content) != row.content_hash:
            raise ArtifactDecodeError(f"the bytes of artifact `{ref}` are damaged: they do not hash to what was stored")
        return row.content

    async def list_artifacts(self, descriptor: str | None = None) -> list[str]:
        """See `ArtifactStore`."""
        return [row.artifact_ref for row in await self._driver.run(sql.list_refs(descriptor))]

    async def collect_artifacts(self, live: Collection[str], older_than_ms: int) -> list[str]:
        """See `ArtifactStore`."""
        self._put.clear()
        return sorted(row.artifact_ref for row in await self._driver.run(sql.collect(sorted(live), older_than_ms)))

    async def put_process_execution_env(self, env_ref: str, data: bytes) -> None:
        """See `ProcessEnvStore`. What was put here a moment ago is not put again: every start names one."""
        await self._put_once(env_ref, PROCESS_ENV, data)

    async def get_process_execution_env(self, env_ref: str) -> bytes | None:
        """See `ProcessEnvStore`."""
        return await self.get_artifact_bytes(env_ref)

    async def _put_once(self, ref: str, descriptor: str, data: bytes) -> None:
        now_ms = self._clock.now_ms()
        known = self._put.get(ref)
        if known is not None and 0 <= now_ms - known[0] < FRESH_MS and known[1] == data:
            return
        await self.put_artifact_bytes(ref, descriptor, data)
        if len(self._put) >= KEPT:
            self._put.clear()
        self._put[ref] = (now_ms, data)
