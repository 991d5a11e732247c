"""lash: a durable runtime for LLM agents.

The daily path is here; domain vocabulary lives in submodules (`lash.tools`,
`lash.plugins`, `lash.hosts`, `lash.testing`, …). Names load when they are first used,
so that `import lash` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lash.base.errors import ConfigurationError as ConfigurationError
    from lash.base.errors import InvalidArgument as InvalidArgument
    from lash.base.errors import LashError as LashError
    from lash.base.errors import LashRuntimeError as LashRuntimeError
    from lash.base.errors import MissingExtra as MissingExtra
    from lash.base.messages import Message as Message
    from lash.base.usage import TokenUsage as TokenUsage
    from lash.core import CoreOptions as CoreOptions
    from lash.core import LashCore as LashCore
    from lash.core import RlmCore as RlmCore
    from lash.core import StandardCore as StandardCore
    from lash.effects.errors import EffectInDoubt as EffectInDoubt
    from lash.effects.lease import LeaseTimings as LeaseTimings
    from lash.models.resolver import ModelSpec as ModelSpec
    from lash.plugins.plugin import Plugin as Plugin
    from lash.plugins.plugin import hook as hook
    from lash.plugins.snapshots import StatefulPlugin as StatefulPlugin
    from lash.protocols.rlm.options import RlmConfig as RlmConfig
    from lash.runtime.activity import ActivityFanout as ActivityFanout
    from lash.runtime.activity import TurnActivity as TurnActivity
    from lash.runtime.approvals import Approval as Approval
    from lash.runtime.doubt import RUN_AGAIN as RUN_AGAIN
    from lash.runtime.engine import RecoveryReport as RecoveryReport
    from lash.runtime.input import TurnInput as TurnInput
    from lash.runtime.observation.cursor import MalformedCursor as MalformedCursor
    from lash.runtime.observation.events import Gap as Gap
    from lash.runtime.observation.events import ObservationEvent as ObservationEvent
    from lash.runtime.observation.mirror import SessionMirror as SessionMirror
    from lash.runtime.observation.relay import SharedReplay as SharedReplay
    from lash.runtime.observation.replay import LiveReplayStore as LiveReplayStore
    from lash.runtime.observation.replay import RecentEvents as RecentEvents
    from lash.runtime.process_handle import ProcessAbandoned as ProcessAbandoned
    from lash.runtime.process_handle import ProcessCancelled as ProcessCancelled
    from lash.runtime.process_handle import ProcessFailed as ProcessFailed
    from lash.runtime.process_handle import ProcessHandle as ProcessHandle
    from lash.runtime.process_handle import ProcessStillRunning as ProcessStillRunning
    from lash.runtime.programs.definition import LangProcess as LangProcess
    from lash.runtime.result import TurnResult as TurnResult
    from lash.runtime.result import TurnStopped as TurnStopped
    from lash.runtime.work import External as External
    from lash.runtime.work import SessionTurn as SessionTurn
    from lash.session import Session as Session
    from lash.sessions.commit import CommitBudget as CommitBudget
    from lash.sessions.commit import SessionState as SessionState
    from lash.sessions.errors import SessionDeleted as SessionDeleted
    from lash.sessions.errors import StoreError as StoreError
    from lash.sessions.errors import TurnInputConflict as TurnInputConflict
    from lash.stores.store import Store as Store
    from lash.tools.context import ToolContext as ToolContext
    from lash.tools.decorator import tool as tool
    from lash.tools.definition import Retry as Retry
    from lash.tools.provider import ToolProvider as ToolProvider
    from lash.tools.result import ToolResult as ToolResult
    from lash.tools.result import ToolRetry as ToolRetry
    from lash.tools.toolset import ToolSet as ToolSet

_HOMES = {
    "ConfigurationError": "lash.base.errors",
    "InvalidArgument": "lash.base.errors",
    "LashError": "lash.base.errors",
    "LashRuntimeError": "lash.base.errors",
    "MissingExtra": "lash.base.errors",
    "Message": "lash.base.messages",
    "TokenUsage": "lash.base.usage",
    "CoreOptions": "lash.core",
    "LashCore": "lash.core",
    "RlmCore": "lash.core",
    "RlmConfig": "lash.protocols.rlm.options",
    "StandardCore": "lash.core",
    "EffectInDoubt": "lash.effects.errors",
    "LeaseTimings": "lash.effects.lease",
    "ModelSpec": "lash.models.resolver",
    "Plugin": "lash.plugins.plugin",
    "hook": "lash.plugins.plugin",
    "StatefulPlugin": "lash.plugins.snapshots",
    "TurnActivity": "lash.runtime.activity",
    "Approval": "lash.runtime.approvals",
    "RUN_AGAIN": "lash.runtime.doubt",
    "RecoveryReport": "lash.runtime.engine",
    "TurnInput": "lash.runtime.input",
    "ActivityFanout": "lash.runtime.activity",
    "MalformedCursor": "lash.runtime.observation.cursor",
    "Gap": "lash.runtime.observation.events",
    "ObservationEvent": "lash.runtime.observation.events",
    "SessionMirror": "lash.runtime.observation.mirror",
    "SharedReplay": "lash.runtime.observation.relay",
    "LiveReplayStore": "lash.runtime.observation.replay",
    "RecentEvents": "lash.runtime.observation.replay",
    "ProcessAbandoned": "lash.runtime.process_handle",
    "ProcessCancelled": "lash.runtime.process_handle",
    "ProcessFailed": "lash.runtime.process_handle",
    "ProcessHandle": "lash.runtime.process_handle",
    "ProcessStillRunning": "lash.runtime.process_handle",
    "External": "lash.runtime.work",
    "LangProcess": "lash.runtime.programs.definition",
    "SessionTurn": "lash.runtime.work",
    "TurnResult": "lash.runtime.result",
    "TurnStopped": "lash.runtime.result",
    "Session": "lash.session",
    "CommitBudget": "lash.sessions.commit",
    "SessionState": "lash.sessions.commit",
    "SessionDeleted": "lash.sessions.errors",
    "StoreError": "lash.sessions.errors",
    "TurnInputConflict": "lash.sessions.errors",
    "Store": "lash.stores.store",
    "ToolContext": "lash.tools.context",
    "tool": "lash.tools.decorator",
    "Retry": "lash.tools.definition",
    "ToolProvider": "lash.tools.provider",
    "ToolResult": "lash.tools.result",
    "ToolRetry": "lash.tools.result",
    "ToolSet": "lash.tools.toolset",
}
_SUBMODULES = frozenset(
    {
        "attachments",
        "direct",
        "effects",
        "hosts",
        "models",
        "plugins",
        "processes",
        "providers",
        "sessions",
        "stock",
        "stores",
        "testing",
        "tools",
        "tracing",
        "triggers",
    }
)

__all__ = [
    "RUN_AGAIN",
    "ActivityFanout",
    "Approval",
    "CommitBudget",
    "ConfigurationError",
    "CoreOptions",
    "EffectInDoubt",
    "External",
    "Gap",
    "InvalidArgument",
    "LangProcess",
    "LashCore",
    "LashError",
    "LashRuntimeError",
    "LeaseTimings",
    "LiveReplayStore",
    "MalformedCursor",
    "Message",
    "MissingExtra",
    "ModelSpec",
    "ObservationEvent",
    "Plugin",
    "ProcessAbandoned",
    "ProcessCancelled",
    "ProcessFailed",
    "ProcessHandle",
    "ProcessStillRunning",
    "RecentEvents",
    "RecoveryReport",
    "Retry",
    "RlmConfig",
    "RlmCore",
    "Session",
    "SessionDeleted",
    "SessionMirror",
    "SessionState",
    "SessionTurn",
    "SharedReplay",
    "StandardCore",
    "StatefulPlugin",
    "Store",
    "StoreError",
    "TokenUsage",
    "ToolContext",
    "ToolProvider",
    "ToolResult",
    "ToolRetry",
    "ToolSet",
    "TurnActivity",
    "TurnInput",
    "TurnInputConflict",
    "TurnResult",
    "TurnStopped",
    "hook",
    "tool",
]


if not TYPE_CHECKING:  # or a checker would believe in every name

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is not None:
            value = getattr(import_module(home), name)
            globals()[name] = value
            return value
        if name in _SUBMODULES:
            return import_module(f"lash.{name}")
        raise AttributeError(f"module 'lash' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_SUBMODULES})
