"""Plugins that come with lash: the tool output budget (default) and rolling history."""

from lash.stock.output_budget import OutputBudget, ToolOutputBudget
from lash.stock.rolling_history import RollingHistory

__all__ = ["OutputBudget", "RollingHistory", "ToolOutputBudget"]
