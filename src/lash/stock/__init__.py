"""Plugins that come with lash: the tool output budget (default), rolling history, the batch tool."""

from lash.stock.batch_tool import BatchTool
from lash.stock.output_budget import OutputBudget, ToolOutputBudget
from lash.stock.rolling_history import RollingHistory

__all__ = ["BatchTool", "OutputBudget", "RollingHistory", "ToolOutputBudget"]
