"""Tools: functions and providers that a model may call, and what comes of it.

Write tools with `tool` (`decorator.py`); offer them from elsewhere with `ToolProvider`
(`provider.py`); read `dispatch.py` for how one call runs and `result.py` for its result.
"""

from lash.tools.batch import waves as waves
from lash.tools.calls import PreparedToolCall as PreparedToolCall
from lash.tools.calls import ToolCall as ToolCall
from lash.tools.calls import ToolExecution as ToolExecution
from lash.tools.catalog import CatalogEntry as CatalogEntry
from lash.tools.catalog import ToolCatalog as ToolCatalog
from lash.tools.catalog import ToolSource as ToolSource
from lash.tools.catalog import build_catalog as build_catalog
from lash.tools.context import NoCompletionKey as NoCompletionKey
from lash.tools.context import ToolContext as ToolContext
from lash.tools.decorator import Tool as Tool
from lash.tools.decorator import tool as tool
from lash.tools.definition import AttemptPolicy as AttemptPolicy
from lash.tools.definition import Retry as Retry
from lash.tools.definition import ToolContract as ToolContract
from lash.tools.definition import ToolDefinition as ToolDefinition
from lash.tools.definition import ToolManifest as ToolManifest
from lash.tools.dispatch import ToolCallLeft as ToolCallLeft
from lash.tools.dispatch import finish_call as finish_call
from lash.tools.dispatch import prepare_call as prepare_call
from lash.tools.dispatch import run_attempt as run_attempt
from lash.tools.errors import DuplicateTool as DuplicateTool
from lash.tools.errors import ToolDefinitionError as ToolDefinitionError
from lash.tools.errors import ToolStateConflict as ToolStateConflict
from lash.tools.errors import UnknownTool as UnknownTool
from lash.tools.model_view import ModelToolReturn as ModelToolReturn
from lash.tools.model_view import model_return as model_return
from lash.tools.model_view import model_text as model_text
from lash.tools.provider import CancelsCalls as CancelsCalls
from lash.tools.provider import JudgesCalls as JudgesCalls
from lash.tools.provider import ToolProvider as ToolProvider
from lash.tools.result import FailTurn as FailTurn
from lash.tools.result import FinishTurn as FinishTurn
from lash.tools.result import PendingToolCall as PendingToolCall
from lash.tools.result import SwitchAgentFrame as SwitchAgentFrame
from lash.tools.result import ToolCallOutput as ToolCallOutput
from lash.tools.result import ToolCallRecord as ToolCallRecord
from lash.tools.result import ToolFailure as ToolFailure
from lash.tools.result import ToolResult as ToolResult
from lash.tools.result import ToolRetry as ToolRetry
from lash.tools.retry import allowed_attempts as allowed_attempts
from lash.tools.retry import next_attempt as next_attempt
from lash.tools.retry import settled as settled
from lash.tools.toolset import ToolSet as ToolSet
from lash.tools.validation import parse_arguments as parse_arguments
