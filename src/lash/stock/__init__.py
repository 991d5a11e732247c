"""Plugins that come with lash.

The tool output budget (default), rolling history, plans and plan mode, tool discovery, questions to a model, `batch`,
process controls, subagents, sources of triggers. Each is loaded when its name is first used: every core has
the first one, and some need the language.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lash.stock.batch_tool import BatchTool as BatchTool
    from lash.stock.capabilities import Capability as Capability
    from lash.stock.capabilities import ChildSession as ChildSession
    from lash.stock.capabilities import Explore as Explore
    from lash.stock.capabilities import Peer as Peer
    from lash.stock.capabilities import SpawnRequest as SpawnRequest
    from lash.stock.llm_query import LlmQuery as LlmQuery
    from lash.stock.output_budget import OutputBudget as OutputBudget
    from lash.stock.output_budget import ToolOutputBudget as ToolOutputBudget
    from lash.stock.plan_mode import PlanMode as PlanMode
    from lash.stock.plan_mode import PlanModeStatus as PlanModeStatus
    from lash.stock.process_controls import ProcessControls as ProcessControls
    from lash.stock.rolling_history import RollingHistory as RollingHistory
    from lash.stock.subagents import Subagents as Subagents
    from lash.stock.tool_discovery import ToolDiscovery as ToolDiscovery
    from lash.stock.tool_discovery import ToolsFound as ToolsFound
    from lash.stock.trigger_sources import SCHEDULES as SCHEDULES
    from lash.stock.trigger_sources import TriggerSource as TriggerSource
    from lash.stock.trigger_sources import TriggerSources as TriggerSources
    from lash.stock.update_plan import Plan as Plan
    from lash.stock.update_plan import PlanStep as PlanStep
    from lash.stock.update_plan import UpdatePlan as UpdatePlan

_HOMES: Final = {
    "SCHEDULES": "trigger_sources",
    "BatchTool": "batch_tool",
    "Capability": "capabilities",
    "ChildSession": "capabilities",
    "Explore": "capabilities",
    "LlmQuery": "llm_query",
    "OutputBudget": "output_budget",
    "Peer": "capabilities",
    "Plan": "update_plan",
    "PlanMode": "plan_mode",
    "PlanModeStatus": "plan_mode",
    "PlanStep": "update_plan",
    "ProcessControls": "process_controls",
    "RollingHistory": "rolling_history",
    "SpawnRequest": "capabilities",
    "Subagents": "subagents",
    "ToolDiscovery": "tool_discovery",
    "ToolOutputBudget": "output_budget",
    "ToolsFound": "tool_discovery",
    "TriggerSource": "trigger_sources",
    "TriggerSources": "trigger_sources",
    "UpdatePlan": "update_plan",
}

__all__ = [
    "SCHEDULES",
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

if not TYPE_CHECKING:  # or a checker would believe in every name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'lash.stock' has no attribute {name!r}")
        value = getattr(import_module(f"lash.stock.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
