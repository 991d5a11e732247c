"""Plan mode: the agent looks and plans, and changes nothing until somebody approves (docs/spec/runtime.md §7.5).

While it is on, the model sees and may call only the tools of an allow list; tools that
edit files may touch the plan file alone. `plan_exit` asks a person, durably, through
`core.approvals`; on approval the session goes on in a fresh frame whose task is the plan.
The host turns it on and off with the actions `plan_mode.enable`, `plan_mode.disable` and
`plan_mode.toggle`; whoever watches hears `plan_mode.changed` with the next turn.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Mapping
from typing import Any, Final

import msgspec

from lash.base.canonical import tagged_hash
from lash.base.codec import from_json, to_json
from lash.base.messages import Message, PluginOrigin, user_message
from lash.plugins.actions import ActionContext, plugin_action
from lash.plugins.directives import AbortTurn, CustomEvent, Directive, EmitRuntimeEvents, EnqueueMessages
from lash.plugins.hooks import AfterToolCall, AtCheckpoint, BeforeToolCall, BeforeTurn
from lash.plugins.plugin import hook
from lash.plugins.snapshots import StatefulPlugin
from lash.plugins.transforms import CatalogContext, CatalogContribution
from lash.stock.plan_files import PathsOf, changes_only, path_argument, paths_of_patch, plan_file
from lash.tools.context import ToolContext
from lash.tools.decorator import Tool, tool
from lash.tools.definition import Availability
from lash.tools.result import SwitchAgentFrame, ToolCallOutput

PLUGIN_ID: Final = "plan_mode"
EXIT: Final = "plan_exit"
CHANGED: Final = "plan_mode.changed"
BLOCKED: Final = "plan_mode_blocked"

# Tools that look, ask or plan. Names that a session has not are no harm.
LOOKING: Final = frozenset(
    {
        "ask",
        "fetch_url",
        "glob",
        "grep",
        "llm_query",
        "ls",
        "read_file",
        "search_tools",
        "search_web",
        "showcase",
        "update_plan",
    }
)
EDITING: Final[Mapping[str, PathsOf]] = {"apply_patch": paths_of_patch, "write_file": path_argument("path")}

GUIDANCE = (
    "Plan mode is on. Look, ask and think, and change nothing: tools that change things are off. "
    "Work out a plan that somebody else could carry out: what is to be done, in which order, in which files, "
    "and how to see that it worked."
)
GUIDANCE_FILE = "Write the plan to {path}, the only file you may change. When it is complete, call `plan_exit`."
GUIDANCE_NO_FILE = "When the plan is complete, call `plan_exit` with it."
REMINDER = "Plan mode is still on: change nothing; when the plan is complete, call `plan_exit`."


class PlanModeStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the actions answer, and what `plan_mode.changed` carries."""

    session_id: str
    enabled: bool
    plan_path: str | None = None


class _State(msgspec.Struct, frozen=True):
    enabled: bool = False
    # Whether those who watch have heard of it.
    is_told: bool = True


class PlanMode(StatefulPlugin):
    """The plugin. Added in 0.1.

    `plans` is the folder of plan files, one a session; None where the agent writes no files: then the plan is
    the argument of `plan_exit`. `allow` are further tools that may be called while planning. `edits` are further
    tools that change files, each with a function that gives the files a call would change. `enabled` is how new
    sessions begin. `approval_timeout` is in seconds.
    """

    id = PLUGIN_ID

    def __init__(
        self,
        *,
        plans: str | None = "plans",
        allow: Collection[str] = (),
        edits: Mapping[str, PathsOf] | None = None,
        enabled: bool = False,
        approval_timeout: float | None = None,
    ) -> None:
        self.initial = to_json(_State(enabled=enabled, is_told=not enabled))
        super().__init__()
        self._plans = plans
        self._edits = {**EDITING, **(edits or {})} if plans is not None else {}
        self._allowed = LOOKING | frozenset(allow) | self._edits.keys() | {EXIT}
        self.tool(_exit_tool(self, approval_timeout))

    @property
    def is_enabled(self) -> bool:
        """Whether the session is planning."""
        return self._state.enabled

    def plan_path(self, session_id: str) -> str | None:
        """The plan file of a session."""
        return None if self._plans is None else plan_file(self._plans, session_id)

    # actions

    @plugin_action("plan_mode.enable")
    def enable(self, context: ActionContext) -> PlanModeStatus:
        """Turns plan mode on, from the next turn on."""
        return self._set(context.session_id, enabled=True)

    @plugin_action("plan_mode.disable")
    def disable(self, context: ActionContext) -> PlanModeStatus:
        """Turns plan mode off, from the next turn on."""
        return self._set(context.session_id, enabled=False)

    @plugin_action("plan_mode.toggle")
    def toggle(self, context: ActionContext) -> PlanModeStatus:
        """Turns plan mode on or off, whichever it is not."""
        return self._set(context.session_id, enabled=not self.is_enabled)

    @plugin_action("plan_mode.status", kind="query")
    def status(self, context: ActionContext) -> PlanModeStatus:
        """Whether plan mode is on."""
        return self._status(context.session_id)

    # hooks

    @hook.tool_catalog
    def hide(self, context: CatalogContext) -> CatalogContribution | None:
        """The tools of a turn: those that plan, or all but `plan_exit`."""
        hidden = [name for name in context.tool_names if name not in self._allowed] if self.is_enabled else [EXIT]
        off: dict[str, Availability] = dict.fromkeys(hidden, "off")
        return CatalogContribution(off)

    @hook.before_turn
    def begin(self, turn: BeforeTurn) -> list[Directive]:
        """Tells a change that is news, and tells the model what to do."""
        directives: list[Directive] = []
        if not self._state.is_told:
            self._keep(_State(enabled=self.is_enabled))
            directives.append(self._event(turn.session_id))
        if self.is_enabled:
            path = self.plan_path(turn.session_id)
            how = GUIDANCE_NO_FILE if path is None else GUIDANCE_FILE.format(path=path)
            directives.append(EnqueueMessages([_shown_once(f"{GUIDANCE} {how}")]))
        return directives

    @hook.checkpoint
    def remind(self, at: AtCheckpoint) -> EnqueueMessages | None:
        """Reminds between two model calls."""
        if at.checkpoint != "after_work" or not self.is_enabled:
            return None
        return EnqueueMessages([_shown_once(REMINDER)])

    @hook.before_tool_call
    def guard(self, call: BeforeToolCall) -> AbortTurn | None:
        """Refuses what is not on the list, and edits of anything but the plan."""
        if not self.is_enabled:
            return None
        name = call.manifest.name
        if name not in self._allowed:
            return AbortTurn(BLOCKED, f"plan mode is on: {name} is not for planning; plan, then call {EXIT}")
        path, paths_of = self.plan_path(call.session_id), self._edits.get(name)
        if path is None or paths_of is None or changes_only(paths_of(call.args), path):
            return None
        return AbortTurn(BLOCKED, f"plan mode is on: {name} may change {path} and nothing else")

    @hook.after_tool_call
    def leave(self, call: AfterToolCall) -> EmitRuntimeEvents | None:
        """An approved plan ends plan mode."""
        if call.manifest.name != EXIT or not call.output.is_success or not self.is_enabled:
            return None
        self._keep(_State(enabled=False))
        return self._event(call.session_id)

    # state

    @property
    def _state(self) -> _State:
        return from_json(self.state, _State)

    def _keep(self, state: _State) -> None:
        self.update(to_json(state))

    def _set(self, session_id: str, *, enabled: bool) -> PlanModeStatus:
        if enabled != self.is_enabled:
            self._keep(_State(enabled=enabled, is_told=False))
        return self._status(session_id)

    def _status(self, session_id: str) -> PlanModeStatus:
        return PlanModeStatus(session_id, self.is_enabled, self.plan_path(session_id))

    def _event(self, session_id: str) -> EmitRuntimeEvents:
        return EmitRuntimeEvents([CustomEvent(CHANGED, to_json(self._status(session_id)))])


def _exit_tool(
    mode: PlanMode, approval_timeout: float | None
) -> Tool[[ToolContext, str], Coroutine[Any, Any, ToolCallOutput]]:
    @tool(name=EXIT, module="plan", scheduling="serial", approve=True, approval_timeout=approval_timeout)
    async def plan_exit(ctx: ToolContext, plan: str) -> ToolCallOutput:
        """Ends plan mode: a person reads the plan and approves it, or says what is missing.

        Args:
            plan: What the person is asked to approve. A summary where the plan is in a file, else the whole plan.
        """
        path = mode.plan_path(ctx.session_id)
        if path is None:
            task = f"This plan was approved. Carry it out.\n\n{plan}"
        else:
            task = f"The plan in {path} was approved. Read it, then carry it out. In short:\n\n{plan}"
        number = tagged_hash("lash.plan.frame", ctx.session_id, ctx.turn_id, ctx.tool_call_id)[:12]
        return ToolCallOutput.ok("The plan was approved.").with_control(SwitchAgentFrame(f"plan-{number}", task=task))

    return plan_exit


def _shown_once(text: str) -> Message:
    """A message of this turn that history does not keep."""
    return user_message("", text, origin=PluginOrigin(PLUGIN_ID, transient=True))
