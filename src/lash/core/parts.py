"""Small parts that a core is put together from."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lash.base.clock import Clock
from lash.base.ids import IdSource
from lash.effects.lease import LeaseTimings
from lash.effects.ports import EffectHost
from lash.hosts.choice import HostChoice, HostParts, Inline, Journal
from lash.machine.prompt import PromptContribution, PromptLayer
from lash.plugins.plugin import Plugin, PluginFactory
from lash.processes.handles import SessionDeleteReport as ProcessDeleteReport
from lash.stores.store import Store
from lash.tools.decorator import Tool
from lash.tools.provider import ToolProvider
from lash.tools.toolset import ToolSet


@dataclass(frozen=True, slots=True)
class SessionDeleteReport:
    """What the deletion of a session did.

    `processes` is what became of its handles and wakes: none of its processes was stopped.
    `subscription_count` triggers and schedules that it had registered are gone, and so are `wait_count`
    approvals and detached calls that nobody had answered.
    """

    session_id: str
    processes: ProcessDeleteReport = field(default_factory=ProcessDeleteReport)
    subscription_count: int = 0
    wait_count: int = 0


def tool_plugin(tools: Sequence[Tool[..., Any] | ToolProvider]) -> list[PluginFactory]:
    """The plugin that offers the tools of a core, if there are any."""
    functions = [tool for tool in tools if not isinstance(tool, ToolProvider)]
    providers = [tool for tool in tools if isinstance(tool, ToolProvider)]
    if not tools:
        return []
    plugin = Plugin("embed_tools")
    if functions:
        plugin.tools(ToolSet(functions))
    for provider in providers:
        plugin.tools(provider)
    return [plugin]


def core_layer(instructions: str | None, prompt: PromptLayer | None) -> PromptLayer:
    """The core's layer of the prompt."""
    layer = prompt or PromptLayer()
    if instructions:
        layer = layer.adding(PromptContribution("project_instructions", instructions))
    return layer


def bind_host(
    choice: HostChoice | EffectHost | None,
    store: Store,
    clock: Clock,
    ids: IdSource,
    executor_id: str,
    timings: LeaseTimings,
) -> EffectHost:
    """The effect boundary that was chosen; by default the store decides whether it is durable."""
    if choice is None:
        choice = Journal() if store.durability_tier() == "durable" else Inline()
    if not isinstance(choice, HostChoice):
        return choice
    parts = HostParts(
        journal=store.journal,
        waits=store.waits,
        changes=store.changes,
        clock=clock,
        ids=ids,
        executor_id=executor_id,
        timings=timings,
        producer=producer(),
    )
    return choice.bind(parts)


def machine_id() -> str:
    """A name for this machine: its host name and hardware address."""
    return f"{socket.gethostname()}-{uuid.getnode():x}"


def producer() -> str:
    """Who writes journals: this release."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"lash-runtime {version('lash-runtime')}"
    except PackageNotFoundError:
        return "lash-runtime (source)"
