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
    """What every core takes, as keywords. Building one checks all of it and does no IO.

    An option that does not exist is a `TypeError`, a value that makes no sense `InvalidArgument`.
    """

    model: ModelChoice | None
    """Required: `"provider:model-id"`, a `ModelSpec`, or a `lash.testing.ScriptedModel`."""
    store: str | Store
    """A path, `postgresql://…`, or an open `Store`, which stays yours to close. Default `":memory:"`."""
    effect_host: HostChoice | EffectHost | None
    """What records effects. Default: a journal on a durable store, nothing in memory."""
    attachment_store: AttachmentStore | None
    """Where attachments lie. Default: in the store, up to 16 MiB each."""
    tools: Sequence[Tool[..., Any] | ToolProvider]
    """Functions decorated with `@lash.tool`, and providers of tools."""
    plugins: Sequence[PluginFactory]
    """What extends the core, beside its own output budget for tools."""
    plugin_options: JsonObject | None
    """Options by plugin id, for every session that is given none of its own."""
    instructions: str | None
    """What the agent is told about its work; a section of the prompt."""
    prompt: PromptLayer | None
    """A layer of the prompt, under those of sessions and turns."""
    max_turns: int | None
    """How many model calls a turn may need at most. Default: no limit."""
    residency: Literal["keep_all", "active_path_only"]
    """What of a session is kept in memory. Default `"keep_all"`."""
    workers: int
    """1: this core runs processes itself (the default); 0: `lash worker` or other cores do."""
    worker_concurrency: int
    """How many processes run at once here; those that wait for others are not counted. Default 64."""
    commit_budget: CommitBudget | None
    """The largest commit, in bytes and nodes. Default: no bound."""
    live_replay_store: LiveReplayStore | None
    """What observers that come back are told. Default: the last 2,048 events of 120 s of each session, here."""
    trace_sink: TraceSink | None
    """Who is told what happens, record by record (`lash.tracing`). Default: nobody."""
    trace_jsonl_path: str | os.PathLike[str] | None
    """A file that is told, a line of JSON each."""
    trace_level: TraceLevel
    """Whether requests and answers are told whole. Default `"standard"`: they are not."""
    trace_context: TraceContext | None
    """What stands in every record."""
    lashlang_execution_sink: Callable[[JsonObject], None] | None
    """Is told every step of programs (RLM mode, processes in lashlang)."""
    recover: bool
    """Whether turns and processes that a crash left are taken up here. Default `True`."""
    host_id: str | None
    """The name of this host in leases, without `/`. Default: the machine's."""
    lease_timings: LeaseTimings | None
    """How long a lease lasts and how often it is renewed. Default: 30 s and 10 s."""
    clock: Clock | None
    """The time. Default: the system's; `lash.testing` has a virtual one."""
    ids: IdSource | None
    """Where ids come from. Default: random ones."""
