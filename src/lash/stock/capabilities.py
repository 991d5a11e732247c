"""What a subagent may be: capabilities turn a request to spawn one into the session that it runs in.

```python
Subagents({"explore": Explore(model=small, tools=["read_file"]), "peer": Peer()})
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lash.base.json import JsonObject
from lash.models.resolver import ModelSpec
from lash.sessions.frames import ToolAccess


@dataclass(frozen=True, slots=True)
class SpawnRequest:
    """Who asks for a subagent: the session's options and authority, and how deep the child would be (from 1)."""

    plugin_options: JsonObject = field(default_factory=dict)
    tool_access: ToolAccess = field(default_factory=ToolAccess)
    depth: int = 1


@dataclass(frozen=True, slots=True)
class ChildSession:
    """The session of a subagent. What is left out is the core's own; `instructions` join its prompt. Added in 0.1."""

    plugin_options: JsonObject = field(default_factory=dict)
    tool_access: ToolAccess = field(default_factory=ToolAccess)
    model: ModelSpec | None = None
    max_turns: int | None = None
    instructions: str = ""


class Capability(Protocol):
    """A kind of subagent. Added in 0.1."""

    @property
    def description(self) -> str:
        """When to choose it, for the model that spawns."""
        ...

    @property
    def model(self) -> ModelSpec | None:
        """The model it runs with, where that is not the core's."""
        ...

    def session(self, request: SpawnRequest) -> ChildSession:
        """The session of one subagent. The same request gives the same session."""
        ...


@dataclass(frozen=True, slots=True)
class Explore:
    """Looks something up and reports: plugins as the core has them, perhaps a smaller model and fewer tools.

    `tools`, by name, is all that it may use, less `hidden_tools`. Added in 0.1.
    """

    model: ModelSpec | None = None
    tools: Sequence[str] = ()
    hidden_tools: Sequence[str] = ()
    max_turns: int | None = None
    description: str = "looks something up or tries something out, and reports what it found"

    def session(self, request: SpawnRequest) -> ChildSession:
        """Nothing of the parent goes along."""
        del request
        access = ToolAccess(list(self.tools), list(self.hidden_tools))
        return ChildSession(
            tool_access=access,
            model=self.model,
            max_turns=self.max_turns,
            instructions="Look around, change as little as you can, and report what you found.",
        )


@dataclass(frozen=True, slots=True)
class Peer:
    """Works like the session that spawns it: the same plugin options, the same tools. Added in 0.1."""

    model: ModelSpec | None = None
    max_turns: int | None = None
    description: str = "takes over a part of the work, with the same tools"

    def session(self, request: SpawnRequest) -> ChildSession:
        """The parent's options and authority."""
        return ChildSession(request.plugin_options, request.tool_access, self.model, self.max_turns)
