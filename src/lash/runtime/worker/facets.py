"""The facet guard of workers: a durable host never runs a process over an ephemeral facet."""

from __future__ import annotations

from lash.base.tier import DurabilityTier
from lash.plugins.errors import PluginSessionError
from lash.runtime.worker.config import ProcessWorkerConfig


def guard_worker_facets(config: ProcessWorkerConfig) -> None:
    """Raises `durable_store_required:<facet>: …` for the first ephemeral facet under a durable host (WB-01 to 07)."""
    if config.host.durability_tier() != "durable":
        return
    facets: list[tuple[str, str, DurabilityTier]] = [
        ("attachment_store", "attachment store", config.attachments.durability_tier()),
        ("artifact_store", "lashlang artifact store", config.artifacts.durability_tier()),
        ("process_env_store", "process execution env store", config.process_envs.durability_tier()),
        ("session_store", "session store", config.sessions.durability_tier()),
        ("process_registry", "process registry", config.processes.durability_tier()),
        ("trigger_store", "trigger store", config.triggers.durability_tier()),
    ]
    for facet, label, tier in facets:
        if tier != "durable":
            raise PluginSessionError(f"durable_store_required:{facet}: durable effect hosts require a durable {label}")
