"""Plugins that come with lash: the tool output budget (default), rolling history, plans and plan mode."""

from lash.stock.output_budget import OutputBudget, ToolOutputBudget
from lash.stock.plan_mode import PlanMode, PlanModeStatus
from lash.stock.rolling_history import RollingHistory
from lash.stock.update_plan import Plan, PlanStep, UpdatePlan

__all__ = [
    "OutputBudget",
    "Plan",
    "PlanMode",
    "PlanModeStatus",
    "PlanStep",
    "RollingHistory",
    "ToolOutputBudget",
    "UpdatePlan",
]
