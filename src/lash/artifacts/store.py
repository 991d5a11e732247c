"""The artifact port: modules and other bytes, by content (docs/spec/durability.md §3.7)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, Protocol

from lash.base.errors import LashError
from lash.base.tier import DurabilityTier

if TYPE_CHECKING:  # the language is large, and most stores never see a module
    from lash.lashlang.modules.artifact import ModuleArtifact

# The descriptor of compiled modules.
MODULE: Final = "lashlang_module"


class ArtifactStoreError(LashError):
    """Base of what an artifact store can report."""

    code = "artifact_store"


class ArtifactDecodeError(ArtifactStoreError):
    """Stored bytes are not what their reference says; nothing of them was used."""

    code = "artifact_decode"


class ArtifactConflict(ArtifactStoreError):
    """Other bytes lie under this reference already: references must follow from content."""

    code = "artifact_conflict"

    def __init__(self, ref: str) -> None:
        super().__init__(f"artifact `{ref}` is already stored with other bytes; derive its reference from its content")
        self.ref = ref


class ArtifactStore(Protocol):
    """Bytes under references that follow from their content. An unknown reference is None, never an error."""

    def durability_tier(self) -> DurabilityTier: ...

    async def put_module_artifact(self, artifact: ModuleArtifact) -> None:
        """Keeps a module under its reference; the same one again is fine. Raises `ArtifactError` if it is not whole."""
        ...

    async def get_module_artifact(self, module_ref: str) -> ModuleArtifact | None:
        """The verified module. Raises `ArtifactDecodeError` for damaged bytes."""
        ...

    async def put_artifact_bytes(self, ref: str, descriptor: str, data: bytes) -> None:
        """Keeps bytes; `descriptor` says what they are. Raises `ArtifactConflict` when others lie there."""
        ...

    async def get_artifact_bytes(self, ref: str) -> bytes | None:
        """The bytes. Raises `ArtifactDecodeError` when they are damaged."""
        ...

    async def list_artifacts(self, descriptor: str | None = None) -> list[str]:
        """References, sorted."""
        ...

    async def collect_artifacts(self, live: Collection[str], older_than_ms: int) -> list[str]:
        """Deletes what was last put before and is not in `live`; the references that are gone.

        `older_than_ms` lies a minute or more in the past: a start that is under way may rest on what was put
        ten seconds before it.

        The caller gathers `live` from every owner of references: subscriptions and open
        deliveries, processes, and the sessions that hold process values.
        """
        ...
