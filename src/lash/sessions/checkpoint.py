"""The checkpoint: what a session needs besides its graph to go on.

Components are content-addressed blobs under open keys. A component with a body is
written; one with only a ref says "unchanged" and must resolve; one that is absent
is deleted (docs/spec/durability.md §3.2).
"""

from __future__ import annotations

import msgspec

from lash.base.json import JsonObject
from lash.base.usage import PromptUsage, TokenUsage
from lash.tools.state import ToolState

TOOL_STATE = "tool_state"
PLUGIN_SNAPSHOT = "plugin_snapshot"
EXECUTION_STATE = "execution_state"
# Before the hash of bytes that belong to the state of a plugin.
PLUGIN_ARTIFACT = "plugin_artifact:"


class TurnState(msgspec.Struct, frozen=True):
    """The counters of a session. `model_calls` counts committed model calls."""

    turn_index: int = 0
    token_usage: TokenUsage = TokenUsage()
    last_prompt_usage: PromptUsage | None = None
    protocol_turn_options: JsonObject = {}
    model_calls: int = 0


class Component(msgspec.Struct, frozen=True):
    """A checkpoint component: its bytes, its SHA-256 ref, or (loaded) both."""

    body: bytes | None = None
    ref: str | None = None


class Checkpoint(msgspec.Struct, frozen=True):
    """Turn state and components; hydrated (with bodies) when it was loaded."""

    turn_state: TurnState = TurnState()
    components: dict[str, Component] = {}
    plugin_snapshot_revision: int | None = None

    @property
    def tool_state(self) -> ToolState | None:
        """The decoded tool state, when its body is here."""
        body = self._body(TOOL_STATE)
        return None if body is None else ToolState.of_body(body)

    @property
    def execution_state(self) -> bytes | None:
        """The execution mode's snapshot, when its body is here."""
        return self._body(EXECUTION_STATE)

    @property
    def plugin_artifacts(self) -> dict[str, bytes | None]:
        """The bytes of plugins' states, by hash, as far as they are here."""
        return {
            key.removeprefix(PLUGIN_ARTIFACT): component.body
            for key, component in self.components.items()
            if key.startswith(PLUGIN_ARTIFACT)
        }

    @property
    def plugin_snapshot(self) -> bytes | None:
        """The plugins' snapshot, when its body is here."""
        return self._body(PLUGIN_SNAPSHOT)

    def with_component(self, key: str, body: bytes) -> Checkpoint:
        """A copy with one component set."""
        return msgspec.structs.replace(self, components={**self.components, key: Component(body)})

    def with_tool_state(self, state: ToolState) -> Checkpoint:
        """A copy with the tool state set."""
        return self.with_component(TOOL_STATE, state.body)

    def _body(self, key: str) -> bytes | None:
        component = self.components.get(key)
        return None if component is None else component.body
