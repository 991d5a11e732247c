"""Plugins that come with lash.

The tool output budget (default), rolling history, plans and plan mode, tool discovery, questions to a model, `batch`,
process controls, subagents, sources of triggers.
"""

from lash.stock.batch_tool import BatchTool
from lash.stock.capabilities import Capability, ChildSession, Explore, Peer, SpawnRequest
from lash.stock.llm_query import LlmQuery
from lash.stock.output_budget import OutputBudget, ToolOutputBudget
from lash.stock.plan_mode import PlanMode, PlanModeStatus
from lash.stock.process_controls import ProcessControls
from lash.stock.rolling_history import RollingHistory
from lash.stock.subagents import Subagents
from lash.stock.tool_discovery import ToolDiscovery, ToolsFound
from lash.stock.trigger_sources import TriggerSource, TriggerSources
from lash.stock.update_plan import Plan, PlanStep, UpdatePlan

__all__ = [
    "BatchTool",
    "Capability",
    "ChildSession",
    "Explore",
    "LlmQuery",
    "OutputBudget",
    "Peer",
    "Plan",
    "PlanMode",
    "PlanModeStatus",
    "PlanStep",
    "ProcessControls",
    "RollingHistory",
    "SpawnRequest",
    "Subagents",
    "ToolDiscovery",
    "ToolOutputBudget",
    "ToolsFound",
    "TriggerSource",
    "TriggerSources",
    "UpdatePlan",
]
