"""The facet guard: a durable effect host never runs over an ephemeral facet.

A turn that believes to be durable and is not would lose work silently. The guard
stands where the tier becomes known: before a turn scope starts (durability.md P4).
"""

from __future__ import annotations

from collections.abc import Sequence

from lash.base.errors import InvalidArgument, LashRuntimeError
from lash.base.tier import DurabilityTier
from lash.plugins.bindings import PluginInput
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


def guard_inputs(engine: Engine, inputs: Sequence[PluginInput]) -> None:
    """Refuses live inputs where a turn may go on in another process, and turns that lack one they need.

    Raises `durable_effect_live_plugin_input` and `InvalidArgument`.
    """
    given = {item.plugin_id for item in inputs}
    if given and "durable" in (engine.host.durability_tier(), engine.store.sessions.durability_tier()):
        raise LashRuntimeError(
            "durable_effect_live_plugin_input",
            f"plugin {min(given)!r} was given a live input; a durable turn may go on where it is not, "
            "pass it as plugin_options or with the input's text",
        )
    if unknown := sorted(given - engine.plugins.bindings.keys()):
        raise InvalidArgument(f"plugin {unknown[0]!r} is no binding of this core; it takes no input with a turn")
    for plugin_id, is_needed in engine.plugins.bindings.items():
        if is_needed and plugin_id not in given:
            raise InvalidArgument(f"plugin {plugin_id!r} needs an input with each turn; pass plugin_inputs=[…]")
