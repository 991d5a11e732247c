"""The facet guard: a durable effect host never runs over an ephemeral facet.

A turn that believes to be durable and is not would lose work silently. The guard
stands where the tier becomes known: before a turn scope starts (durability.md P4).
"""

from __future__ import annotations

from lash.base.errors import LashRuntimeError
from lash.base.tier import DurabilityTier
from lash.runtime.engine import Engine


def guard_facets(engine: Engine) -> None:
    """Raises `durable_store_required:<facet>` for the first ephemeral facet under a durable host."""
    if engine.host.durability_tier() != "durable":
        return
    # The order is observable; facets that do not exist yet are not checked.
    facets: list[tuple[str, str, DurabilityTier]] = [
        ("attachment_store", "attachment store", engine.attachments.durability_tier()),
        ("session_store", "session store", engine.store.sessions.durability_tier()),
    ]
    for facet, label, tier in facets:
        if tier != "durable":
            raise LashRuntimeError(f"durable_store_required:{facet}", f"durable effect hosts require a durable {label}")
