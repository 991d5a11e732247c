"""Programs that the suite of workers speaks of, and what is needed to register and run them."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import msgspec

import lash
from lash.base.json import JsonObject
from lash.lashlang.host.environment import ALL_ABILITIES, Abilities, HostEnvironment
from lash.lashlang.linking.linker import LinkedModule, link
from lash.lashlang.syntax.features import ALL_FEATURES
from lash.lashlang.syntax.parser import parse
from lash.processes.inputs import LashlangProcessInput
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import ProcessProvenance, WakeTarget
from lash.runtime.actor import SessionActor
from lash.runtime.programs.modules import definition_of, signal_types
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.testing.conformance.worker_drafts import draft
from lash.tools.catalog import CatalogCache, ToolSource
from lash.tools.surface import environment_with, offered_by, surface_of
from lash.tools.toolset import ToolSet

# The authority over the one tool, as an argument.
TOOLS: JsonObject = {"__resource__": True, "type": "Tools", "alias": "tools"}


@lash.tool
async def process_echo(value: str) -> JsonObject:
    """Says it again."""
    return {"payload": f"raw:{value}"}


def environment(abilities: Abilities = ALL_ABILITIES) -> HostEnvironment:
    """The one tool, and what the host allows."""
    catalog = CatalogCache().build([ToolSource("tools", ToolSet([process_echo]))])
    return surface_of(offered_by(catalog), environment_with(abilities, ALL_FEATURES, ())).environment


def linked(source: str) -> LinkedModule:
    """A module. Raises `LinkError`."""
    return link(parse(source, features=ALL_FEATURES), environment(), source=source)


async def program(
    store: lash.Store,
    process_id: str,
    module: LinkedModule,
    name: str = "main",
    args: JsonObject | None = None,
    *,
    provenance: ProcessProvenance | None = None,
    wake_target: WakeTarget = None,
) -> ProcessRegistration:
    """A process of a module, which is stored. Not registered yet."""
    await store.artifacts.put_module_artifact(module.artifact)
    found = definition_of(module.artifact, name)
    work = LashlangProcessInput(found.module_ref, found.process_ref, found.host_requirements_ref, name, args or {})
    made = await draft(store, process_id, work, provenance=provenance, wake_target=wake_target)
    types = [*made.event_types, *signal_types(module.artifact, name)]
    return msgspec.structs.replace(made, event_types=types)


def waking_nobody(config: ProcessWorkerConfig) -> ProcessWorkerConfig:
    """A worker that delivers wakes, and leaves the sessions alone that they are for."""

    class Still:
        def poke(self) -> None:
            """Stays where it is."""

    return replace(config, actor_of=lambda _session_id: cast("SessionActor", Still()), recovers=False)
