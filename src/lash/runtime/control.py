"""What a host does with an open session between turns: actions, tools, configuration, compaction."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from lash.base.codec import DecodeError, from_json, to_json
from lash.base.errors import InvalidArgument
from lash.base.json import Json
from lash.plugins.actions import ActionContext, ActionDefinition
from lash.plugins.errors import PluginInvokeError
from lash.plugins.hooks import SessionConfigChanged
from lash.plugins.host import PluginSession, call_hook
from lash.plugins.transforms import ConfigChange
from lash.runtime.actor import SessionActor
from lash.runtime.amend import amend_session
from lash.runtime.compaction import Compaction
from lash.runtime.driving import SessionDrives
from lash.runtime.input import TurnOptions
from lash.sessions.commit import RuntimeCommit
from lash.sessions.frames import SessionPolicy
from lash.tools.definition import Availability
from lash.tools.provider import ToolProvider
from lash.tools.state import ToolState, apply_edit, overridden

T = TypeVar("T")


class SessionControl:
    """The changes that one open session takes."""

    def __init__(self, actor: SessionActor) -> None:
        self._actor = actor

    async def _opened(self) -> tuple[SessionDrives, PluginSession]:
        drives = await self._actor.running()
        return drives, drives.plugins

    # configuration

    async def configure(self, asked: SessionPolicy) -> SessionPolicy:
        """Changes the policy, as far as `asked` says something, after the mutators had their say."""
        drives, plugins = await self._opened()
        memory = drives.memory

        async def plan(commit: RuntimeCommit) -> RuntimeCommit | None:
            before = commit.policy
            after = msgspec.structs.replace(
                before,
                model=before.model if asked.model is None else asked.model,
                max_turns=before.max_turns if asked.max_turns is None else asked.max_turns,
                prompt=before.prompt if asked.prompt is None else asked.prompt,
            )
            for hook in plugins.registrations.config_mutators.items:
                said = await call_hook("config_mutator", hook, ConfigChange(memory.session_id, before, after))
                if said is None:
                    continue
                if not isinstance(said, SessionPolicy):
                    raise PluginInvokeError(
                        f"plugin {hook.plugin_id!r}: hook config_mutator returned {type(said).__name__}; "
                        "return SessionPolicy or None"
                    )
                after = said
            if after.model is not None:
                if asked.model is not None or after.model != before.model:
                    providers.append(asked.provider_id if after.model == asked.model else None)
                chosen = drives.engine.options.choose_model(TurnOptions(model=after.model, provider_id=providers[-1]))
                after = msgspec.structs.replace(after, provider_id=chosen.provider.kind)
            decided.append(after)
            return None if after == before else msgspec.structs.replace(commit, policy=after)

        decided: list[SessionPolicy] = []
        providers = [memory.configured_provider]
        if await amend_session(drives, plan) or providers[-1] != memory.configured_provider:
            memory.reconfigure(decided[-1], providers[-1])
            await plugins.tell(SessionConfigChanged(memory.session_id))
        return memory.policy

    # context

    async def compact(self, instructions: str | None) -> bool:
        """Opens a compaction frame; False when no compactor has anything to say."""
        drives, plugins = await self._opened()
        return await amend_session(
            drives, lambda commit: Compaction(drives.engine, drives.memory, plugins, instructions).plan(commit)
        )

    # actions

    async def actions(self) -> list[ActionDefinition]:
        """Every action of the session's plugins."""
        _, plugins = await self._opened()
        return [registered.value.definition for registered in plugins.registrations.actions.values()]

    async def invoke(self, name: str, args: Json) -> Json:
        """Runs an action; what a command changes in the state of plugins is committed before this returns."""
        drives, plugins = await self._opened()
        registered = plugins.registrations.actions.get(name)
        if registered is None:
            known = ", ".join(sorted(plugins.registrations.actions)) or "none"
            raise InvalidArgument(f"there is no action {name!r}; the session's plugins have: {known}")
        context = ActionContext(drives.memory.session_id, registered.plugin_id)
        action = registered.value
        if action.definition.kind == "query":
            return await action.invoke(context, args)
        returned: list[Json] = []

        async def plan(commit: RuntimeCommit) -> RuntimeCommit | None:
            returned.append(await action.invoke(context, args))
            if plugins.states.onto(drives.memory.plugin_snapshot) is drives.memory.plugin_snapshot:
                return None
            return commit

        await amend_session(drives, plan)
        return returned[0]

    # tools

    async def tool_state(self) -> ToolState:
        """The tools of the session as it would store them now."""
        drives, _ = await self._opened()
        drives.tools.catalog()
        return drives.tools.state.copy()

    async def tool_names(self) -> list[str]:
        """What the model may call."""
        drives, _ = await self._opened()
        return sorted(drives.tools.catalog().callable_names)

    async def edit_tools(self, edited: ToolState) -> ToolState:
        """Puts an edited state in force. Raises `ToolStateConflict` for one that is out of date."""
        drives, _ = await self._opened()

        async def plan(commit: RuntimeCommit) -> RuntimeCommit | None:
            drives.tools.catalog()
            state = apply_edit(drives.tools.state, edited)
            return msgspec.structs.replace(commit, checkpoint=commit.checkpoint.with_tool_state(state))

        await amend_session(drives, plan)
        return drives.memory.tool_state.copy()

    async def set_availability(self, tool: str, availability: Availability | None) -> None:
        """Overrides whether a tool may be called; None takes the override back. Raises `UnknownTool`."""
        drives, _ = await self._opened()

        async def plan(commit: RuntimeCommit) -> RuntimeCommit | None:
            drives.tools.catalog()
            state = drives.tools.state
            edited = overridden(state, tool, availability)
            if edited == state:
                return None
            return msgspec.structs.replace(
                commit, checkpoint=commit.checkpoint.with_tool_state(apply_edit(state, edited))
            )

        await amend_session(drives, plan)

    async def add_source(self, source_id: str, provider: ToolProvider) -> None:
        """Adds tools from the next turn on, as long as this core is open. Raises `DuplicateTool`."""
        drives, plugins = await self._opened()
        async with drives.exclusive():
            if source_id in plugins.added_sources or any(
                registered.plugin_id == source_id for registered in plugins.registrations.tool_providers.items
            ):
                raise InvalidArgument(
                    f"tool source {source_id!r} is there already; remove it first, or choose another id"
                )
            plugins.added_sources[source_id] = provider
            try:
                drives.tools.catalog()
            except Exception:
                del plugins.added_sources[source_id]
                raise

    async def remove_source(self, source_id: str) -> bool:
        """Takes a source away again; its tools stay in the tool state as orphans. False when it is unknown."""
        drives, plugins = await self._opened()
        async with drives.exclusive():
            return plugins.added_sources.pop(source_id, None) is not None


class SessionPlugins:
    """`session.plugins`: actions of the session's plugins."""

    def __init__(self, control: SessionControl) -> None:
        self._control = control

    async def actions(self) -> list[ActionDefinition]:
        """Every action, with its schemas."""
        return await self._control.actions()

    async def invoke(self, name: str, args: object = None, into: type[T] | None = None) -> T | Json:
        """Runs an action; `args` may be JSON or a struct, `into` is the type of what comes back.

        A command waits for the turn that runs; a query does not. Raises `InvalidArgument`,
        `PluginError`.
        """
        returned = await self._control.invoke(name, to_json(args))
        if into is None:
            return returned
        try:
            return from_json(returned, into)
        except DecodeError as error:
            raise PluginInvokeError(f"action {name} returned something else: {error}") from error


class SessionToolsHandle:
    """`session.tools`: the tools of one session, as a host changes them. Changes hold from the next turn on."""

    def __init__(self, control: SessionControl) -> None:
        self._control = control

    async def names(self) -> list[str]:
        """What the model may call."""
        return await self._control.tool_names()

    async def state(self) -> ToolState:
        """The stored state with its generation, orphans included."""
        return await self._control.tool_state()

    async def edit(self, edited: ToolState) -> ToolState:
        """Puts an edited state in force. Raises `ToolStateConflict` when the generation moved on."""
        return await self._control.edit_tools(edited)

    async def set_availability(self, tool: str, availability: Availability | None) -> None:
        """Turns a tool `off` or `callable` in this session, durably; None takes it back. Raises `UnknownTool`."""
        await self._control.set_availability(tool, availability)

    async def add_source(self, source_id: str, provider: ToolProvider) -> None:
        """Adds tools while the session is open. Raises `DuplicateTool`, `InvalidArgument`."""
        await self._control.add_source(source_id, provider)

    async def remove_source(self, source_id: str) -> bool:
        """Takes an added source away; False when it is not there."""
        return await self._control.remove_source(source_id)
