"""Subagents: `agents.spawn` gives a task to a session of its own and waits for the answer (docs/spec/runtime.md §7.5).

```
call ──> process `process:subagent:{session}:{turn}:{call}` ──> child session, one turn ──> answer
```

The process is durable: a turn that waits for a subagent finds it again after a restart. A
child may spawn children, down to a depth at which the tool is not there any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lash.base.canonical import canonical_json
from lash.base.codec import struct_to_json
from lash.machine.prompt import PromptContribution
from lash.plugins.errors import PluginRegistrationError
from lash.plugins.hooks import PluginSessionContext, PromptContext
from lash.plugins.plugin import CoreServices
from lash.plugins.registrar import PluginRegistrar
from lash.runtime.ancestry import MAX_DEPTH
from lash.stock.capabilities import Capability, Explore, Peer, SpawnRequest
from lash.stock.spawning import PLUGIN_ID, ChildFacts, ChildTools, Mode, Spawner, SpawnTools
from lash.tools.provider import ToolProvider

GUIDANCE: Final = (
    "You are a subagent: another agent gave you this task, and only your final answer goes back to it. It sees "
    "nothing else of what you do, and nobody can answer questions. When the task cannot be done, call "
    "`{submit_error}` and say why."
)
# So many shapes of sessions share their tools; beyond them the oldest are made anew.
SHARED: Final = 64
ANSWER_WITH: Final = "End with `submit_output`: its `value` is your answer."


class Subagents:
    """The plugin. `capabilities` by name; `explore` and `peer` unless given. Added in 0.1.

    It needs workers: those of its core, or others on the same store.
    """

    id = PLUGIN_ID

    def __init__(self, capabilities: Mapping[str, Capability] | None = None, *, max_depth: int = MAX_DEPTH) -> None:
        """Raises `PluginRegistrationError` for no capability at all, and for a depth beyond the limit."""
        default: dict[str, Capability] = {"explore": Explore(), "peer": Peer()}
        self._capabilities = default if capabilities is None else dict(capabilities)
        if not self._capabilities:
            raise PluginRegistrationError("subagents: capabilities is empty; leave it out, or name at least one")
        if not 1 <= max_depth <= MAX_DEPTH:
            raise PluginRegistrationError(f"subagents: max_depth={max_depth}: from 1 to {MAX_DEPTH}")
        self._max_depth = max_depth
        self._spawner = Spawner(self._capabilities)
        # Sessions whose subagents would be the same share their tools, and so their catalog.
        self._shared: dict[str, ToolProvider] = {}

    async def core_opened(self, services: CoreServices) -> None:
        """Subagents may be spawned from now on."""
        self._spawner.background = services.background
        if services.background is not None:
            for capability in self._capabilities.values():
                if capability.model is not None:
                    services.background.know_model(capability.model)

    async def core_closed(self) -> None:
        """Nothing is spawned any more."""
        self._spawner.background = None

    def build(self, context: PluginSessionContext) -> _SessionSubagents:
        """The tools of one session: what it may spawn, and how it answers if it is a child itself."""
        facts = context.options(PLUGIN_ID, ChildFacts) or ChildFacts()
        return _SessionSubagents(self, context, facts)

    def spawn_tools(self, context: PluginSessionContext, depth: int, mode: Mode) -> ToolProvider | None:
        """What a session at `depth` spawns with; None where nothing deeper may be."""
        if depth >= self._max_depth:
            return None
        options = {name: given for name, given in context.plugin_options.items() if name != PLUGIN_ID}
        access = struct_to_json(context.tool_access)
        key = canonical_json([depth, mode.is_rlm, options, access])
        request = SpawnRequest(options, context.tool_access, depth + 1)
        return self._once(key, lambda: SpawnTools(self._spawner, request, mode))

    def child_tools(self, facts: ChildFacts, mode: Mode) -> ToolProvider:
        """How a child answers."""
        schema = None if mode.is_rlm else facts.output
        key = canonical_json(["child", schema])
        return self._once(key, lambda: ChildTools(schema))

    def _once(self, key: str, make: Callable[[], ToolProvider]) -> ToolProvider:
        if key not in self._shared:
            while len(self._shared) >= SHARED:
                del self._shared[next(iter(self._shared))]
            self._shared[key] = make()
        return self._shared[key]


class _SessionSubagents:
    id = PLUGIN_ID

    def __init__(self, plugin: Subagents, context: PluginSessionContext, facts: ChildFacts) -> None:
        self._plugin = plugin
        self._context = context
        self._facts = facts
        self._mode = Mode()

    def register(self, registrar: PluginRegistrar) -> None:
        self._mode = Mode.of(registrar.protocol.binding)
        spawning = self._plugin.spawn_tools(self._context, self._facts.depth, self._mode)
        if spawning is not None:
            registrar.tools.provider(spawning)
        if self._facts.depth:
            registrar.tools.provider(self._plugin.child_tools(self._facts, self._mode))
            registrar.prompt.contribute(self._told)

    def _told(self, _context: PromptContext) -> Sequence[PromptContribution]:
        name = "agents.submit_error" if self._mode.is_rlm else "submit_error"
        told = [GUIDANCE.format(submit_error=name), self._facts.instructions]
        if self._facts.output is not None and not self._mode.is_rlm:
            told.append(ANSWER_WITH)
        return [PromptContribution("guidance", "\n".join(line for line in told if line))]
