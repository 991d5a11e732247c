"""What a core is configured with, and what follows from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict

from lash.attachments.store import AttachmentStore
from lash.base.clock import Clock
from lash.base.ids import IdSource
from lash.base.json import JsonObject
from lash.effects.lease import LeaseTimings
from lash.effects.ports import EffectHost
from lash.hosts.choice import HostChoice
from lash.machine.prompt import PromptLayer
from lash.models.resolver import ModelChoice
from lash.plugins.plugin import PluginFactory
from lash.runtime.observation.replay import LiveReplayStore
from lash.sessions.commit import CommitBudget
from lash.stores.store import Store
from lash.tools.decorator import Tool
from lash.tools.provider import ToolProvider
from lash.tracing.records import TraceContext, TraceLevel, TraceSink


class CoreOptions(TypedDict, total=False):
    """The options that every core takes, for those that preset its mode. Their defaults are those of `CorePlan`."""

    model: ModelChoice | None
    store: str | Store
    effect_host: HostChoice | EffectHost | None
    attachment_store: AttachmentStore | None
    tools: Sequence[Tool[..., Any] | ToolProvider]
    plugins: Sequence[PluginFactory]
    plugin_options: JsonObject | None
    instructions: str | None
    prompt: PromptLayer | None
    max_turns: int | None
    residency: Literal["keep_all", "active_path_only"]
    workers: int
    worker_concurrency: int
    commit_budget: CommitBudget | None
    live_replay_store: LiveReplayStore | None
    trace_sink: TraceSink | None
    trace_jsonl_path: str | os.PathLike[str] | None
    trace_level: TraceLevel
    trace_context: TraceContext | None
    lashlang_execution_sink: Callable[[JsonObject], None] | None
    recover: bool
    host_id: str | None
    lease_timings: LeaseTimings | None
    clock: Clock | None
    ids: IdSource | None
