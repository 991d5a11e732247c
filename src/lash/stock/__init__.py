"""Plugins that come with lash.

The tool output budget (default), rolling history, plans and plan mode, tool discovery, questions to a model, `batch`.
"""

from lash.stock.batch_tool import BatchTool
from lash.stock.llm_query import LlmQuery
from lash.stock.output_budget import OutputBudget, ToolOutputBudget
from lash.stock.plan_mode import PlanMode, PlanModeStatus
from lash.stock.rolling_history import RollingHistory
from lash.stock.tool_discovery import ToolDiscovery, ToolsFound
from lash.stock.update_plan import Plan, PlanStep, UpdatePlan

__all__ = [
    "BatchTool",
    "LlmQuery",
    "OutputBudget",
    "Plan",
    "PlanMode",
    "PlanModeStatus",
    "PlanStep",
    "RollingHistory",
    "ToolDiscovery",
    "ToolOutputBudget",
    "ToolsFound",
    "UpdatePlan",
]
