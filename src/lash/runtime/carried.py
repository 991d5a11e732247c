"""What a commit carries along besides messages: the states of plugins and tools, and the mode's variables.

All are components of the checkpoint, written when they changed and only named when not.
"""

from __future__ import annotations

import msgspec

from lash.plugins.host import PluginSession
from lash.runtime.memory import SessionMemory
from lash.runtime.tooling import SessionTools
from lash.sessions.checkpoint import EXECUTION_STATE, PLUGIN_ARTIFACT, PLUGIN_SNAPSHOT, Checkpoint, Component


def carried(memory: SessionMemory, plugins: PluginSession, tools: SessionTools) -> Checkpoint:
    """The session's checkpoint with whatever changed since. Raises `PluginSnapshotError`."""
    checkpoint = with_tools(memory, tools)
    if plugins.states:
        snapshot = plugins.states.onto(memory.plugin_snapshot)
        if snapshot is not memory.plugin_snapshot:
            refs = snapshot.refs
            components = {
                key: component
                for key, component in checkpoint.components.items()
                if not key.startswith(PLUGIN_ARTIFACT) or key.removeprefix(PLUGIN_ARTIFACT) in refs
            }
            for ref in refs:
                components.setdefault(f"{PLUGIN_ARTIFACT}{ref}", Component(snapshot.data[ref]))
            checkpoint = msgspec.structs.replace(
                checkpoint,
                components={**components, PLUGIN_SNAPSHOT: Component(snapshot.encoded())},
                plugin_snapshot_revision=snapshot.fingerprint,
            )
    return checkpoint


def with_tools(memory: SessionMemory, tools: SessionTools) -> Checkpoint:
    """The same for the tools alone."""
    state = tools.state
    return memory.checkpoint if state is memory.tool_state else memory.checkpoint.with_tool_state(state)


def with_variables(checkpoint: Checkpoint, memory: SessionMemory, plugins: PluginSession) -> Checkpoint:
    """The checkpoint with what the execution mode keeps of the current frame."""
    executor = plugins.protocol.executor
    if executor is None:
        return checkpoint
    body = executor.snapshot(memory.execution_state)
    return (
        checkpoint
        if body is memory.execution_state or body is None
        else checkpoint.with_component(EXECUTION_STATE, body)
    )
