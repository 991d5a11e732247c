"""Artifacts: compiled modules and process environments, kept by content."""

from __future__ import annotations

from lash.artifacts.environments import (
    ProcessEnvError,
    ProcessEnvStore,
    env_ref_of,
    load_process_env,
    persist_process_env,
)
from lash.artifacts.store import ArtifactConflict, ArtifactDecodeError, ArtifactStore, ArtifactStoreError

__all__ = [
    "ArtifactConflict",
    "ArtifactDecodeError",
    "ArtifactStore",
    "ArtifactStoreError",
    "ProcessEnvError",
    "ProcessEnvStore",
    "env_ref_of",
    "load_process_env",
    "persist_process_env",
]
