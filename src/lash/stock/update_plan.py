"""`update_plan`: the model keeps a list of steps, and a person may watch it (docs/spec/runtime.md §7.5).

Each call replaces the whole list. The plugin remembers it with the session, tells
`update_plan.changed` whenever it changes, and gives it to the host as the query
`update_plan.read`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.codec import from_json, to_json
from lash.base.json import Json
from lash.machine.prompt import PromptContribution, PromptGate
from lash.plugins.actions import ActionContext, plugin_action
from lash.plugins.directives import CustomEvent, EmitRuntimeEvents
from lash.plugins.hooks import AfterToolCall
from lash.plugins.plugin import hook
from lash.plugins.snapshots import StatefulPlugin
from lash.tools.decorator import tool
from lash.tools.result import ToolRetry

PLUGIN_ID = "update_plan"
TOOL = "update_plan"
CHANGED = "update_plan.changed"

NOTE = (
    "Keep a plan with `update_plan` when a task has several steps. Steps are short. Exactly one is "
    "`in_progress` while you work; mark it `completed` as soon as it is done, and send the whole list each time. "
    "Do not plan what takes a single step."
)

StepStatus: TypeAlias = Literal["pending", "in_progress", "completed"]


class PlanStep(msgspec.Struct, frozen=True):
    """One step of a plan."""

    step: str
    status: StepStatus = "pending"


class Plan(msgspec.Struct, frozen=True):
    """The plan as it stands. `explanation` is why it was changed last."""

    steps: list[PlanStep] = []
    explanation: str | None = None


# Two plans in one answer are taken one after the other, the last one stands.
@tool(name=TOOL, module="plan", scheduling="serial")
async def update_plan(plan: list[PlanStep], explanation: str | None = None) -> str:
    """Replaces the plan of the current task: its steps in order, each with its status.

    Args:
        plan: Every step, done or not. At most one is in_progress.
        explanation: Why the plan changed.
    """
    del explanation
    if blank := [number for number, step in enumerate(plan, 1) if not step.step.strip()]:
        raise ToolRetry(f"step {blank[0]} says nothing; write what is to be done")
    if (running := sum(step.status == "in_progress" for step in plan)) > 1:
        raise ToolRetry(f"{running} steps are in_progress; keep one of them")
    return "Plan updated"


class UpdatePlan(StatefulPlugin):
    """The tool, a note in the prompt, and the plan that the session remembers. Added in 0.1."""

    id = PLUGIN_ID

    def __init__(self) -> None:
        super().__init__()
        self.tool(update_plan)

    @property
    def plan(self) -> Plan:
        """The plan as it stands."""
        return Plan() if self.state is None else from_json(self.state, Plan)

    @hook.prompt
    def note(self, _context: object) -> PromptContribution:
        """How to use the tool, where the model has it."""
        return PromptContribution("guidance", NOTE, gate=PromptGate([TOOL]))

    @hook.after_tool_call
    def keep(self, call: AfterToolCall) -> EmitRuntimeEvents | None:
        """Remembers a plan that was taken, and tells it."""
        if call.manifest.name != TOOL or not call.output.is_success:
            return None
        explanation = call.args.get("explanation")
        steps = from_json(call.args["plan"], list[PlanStep])
        told: Json = to_json(Plan(steps, explanation if isinstance(explanation, str) else None))
        self.update(told)
        return EmitRuntimeEvents([CustomEvent(CHANGED, told)])

    @plugin_action("update_plan.read", kind="query")
    def read(self, _context: ActionContext) -> Plan:
        """The plan as it stands."""
        return self.plan
