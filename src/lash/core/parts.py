"""Small parts that a core is put together from."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Sequence
from typing import Any

from lash.machine.prompt import PromptContribution, PromptLayer
from lash.plugins.plugin import Plugin, PluginFactory
from lash.tools.decorator import Tool
from lash.tools.provider import ToolProvider
from lash.tools.toolset import ToolSet


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
