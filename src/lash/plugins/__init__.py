"""Plugins: hooks, directives, registrar, and the host that runs them."""

from lash.plugins.directives import (
    AbortTurn,
    CustomEvent,
    EmitRuntimeEvents,
    EnqueueMessages,
    ReplaceToolArgs,
    ShortCircuitTool,
    StatusEvent,
)
from lash.plugins.errors import (
    PluginError,
    PluginInvokeError,
    PluginRegistrationError,
    PluginSessionError,
    PluginSnapshotError,
)
from lash.plugins.hooks import (
    AfterToolCall,
    AfterTurn,
    AtCheckpoint,
    BeforeToolCall,
    BeforeTurn,
    PluginSessionContext,
    PromptContext,
    SessionConfigChanged,
    SessionRestored,
    TurnFinalized,
    TurnPersisted,
)
from lash.plugins.plugin import Plugin, PluginFactory, PluginSpecFactory, SessionPlugin, StaticPluginFactory, hook
from lash.plugins.registrar import PluginRegistrar

__all__ = [
    "AbortTurn",
    "AfterToolCall",
    "AfterTurn",
    "AtCheckpoint",
    "BeforeToolCall",
    "BeforeTurn",
    "CustomEvent",
    "EmitRuntimeEvents",
    "EnqueueMessages",
    "Plugin",
    "PluginError",
    "PluginFactory",
    "PluginInvokeError",
    "PluginRegistrar",
    "PluginRegistrationError",
    "PluginSessionContext",
    "PluginSessionError",
    "PluginSnapshotError",
    "PluginSpecFactory",
    "PromptContext",
    "ReplaceToolArgs",
    "SessionConfigChanged",
    "SessionPlugin",
    "SessionRestored",
    "ShortCircuitTool",
    "StaticPluginFactory",
    "StatusEvent",
    "TurnFinalized",
    "TurnPersisted",
    "hook",
]
