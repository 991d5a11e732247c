"""What a turn runs with: preparation, prompt and tools, recorded as one environment.

The first sync of a turn prepares it (plugins may add messages or abort), every sync
renders prompt and tool specs. The result is content-addressed and recorded, so that
recorded effects replay against what they were made with, while the live application
applies from the first unrecorded effect on (decisions 3).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from lash.base.canonical import sha256_hex
from lash.base.codec import decode, encode, from_json, to_json
from lash.base.json import JsonObject
from lash.base.messages import Message, unsettled_tool_calls
from lash.base.usage import PromptUsage
from lash.effects.envelope import EffectCommand, EffectOutcome
from lash.effects.errors import EffectCorrupt
from lash.effects.ports import EffectController
from lash.machine.capability import ModelCapability
from lash.machine.history import History
from lash.machine.llm import LlmMessage, LlmRequest, LoadAttachment, RequestPlace, TextBlock, ToolSpec
from lash.machine.prompt import PromptContribution
from lash.machine.turn import TurnMachine
from lash.machine.values import Environment, EnvironmentSynced, RequestSpec, SyncEnvironment, TurnCause
from lash.models.provider import Provider
from lash.models.spec import ModelFacts
from lash.plugins.directives import (
    AbortTurn,
    CreateSession,
    EmitRuntimeEvents,
    EmitTrace,
    EnqueueMessages,
    only_conversation,
)
from lash.plugins.errors import PluginError, PluginInvokeError
from lash.plugins.hooks import BeforeTurn
from lash.plugins.host import PluginSession, call_hook
from lash.plugins.services import Lend
from lash.plugins.transforms import PreparedContext, TurnContext
from lash.runtime.activity import ActivityStream
from lash.runtime.asides import carry_out
from lash.runtime.direct import DirectModel
from lash.runtime.turn_tools import TurnTools
from lash.runtime.view import HistoryView, messages_of, view_of


class TurnAborted(PluginError):
    """A plugin refused the turn before it began; nothing of it enters history."""

    def __init__(self, plugin_id: str, code: str, message: str) -> None:
        super().__init__(message, code=code)
        self.plugin_id = plugin_id


class Abort(msgspec.Struct, frozen=True):
    """Who refused a turn, and why."""

    plugin_id: str
    code: str
    message: str


class Synced(msgspec.Struct, frozen=True):
    """The recorded outcome of a sync. `ref` is None when nothing changed."""

    ref: str | None = None
    messages: list[Message] = []
    abort: Abort | None = None


class _Prepared(msgspec.Struct, frozen=True):
    """What context transforms made of the turn; it holds until the turn ends."""

    view: HistoryView | None = None
    prompt: list[PromptContribution] = []
    tool_sources: list[str] = []
    includes_base_tools: bool = True


UNCHANGED = _Prepared()


class _Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """The content-addressed part."""

    system_prompt: str
    tool_specs: list[ToolSpec]
    prepared: _Prepared = UNCHANGED
    offered: list[JsonObject] = []


@dataclass(frozen=True, slots=True)
class TurnIdentity:
    """Which turn of which session."""

    session_id: str
    turn_id: str
    turn_index: int
    frame_id: str
    committed_model_calls: int


class EnvironmentSync:
    """Prepares one turn and renders its environment; builds its model requests."""

    def __init__(
        self,
        *,
        turn: TurnIdentity,
        provider: Provider,
        model: ModelFacts,
        capability: ModelCapability,
        load_attachment: LoadAttachment,
        history: History,
        plugins: PluginSession,
        render_prompt: Callable[[int, Sequence[PromptContribution]], str],
        tools: TurnTools,
        offered: list[JsonObject],
        stream: ActivityStream,
        causes: list[TurnCause],
        last_prompt_usage: PromptUsage | None = None,
        turn_inputs: Mapping[str, object] | None = None,
    ) -> None:
        self._turn = turn
        self.provider = provider
        self._model = model
        self._capability = capability
        self._load_attachment = load_attachment
        self._history = history
        self._plugins = plugins
        self._render_prompt = render_prompt
        self._tools = tools
        self._offered = offered
        self._stream = stream
        self._causes = causes
        self._last_prompt_usage = last_prompt_usage
        self._turn_inputs = turn_inputs or {}
        # What transforms made of the turn: known from the first sync on, live or replayed.
        self._prepared = UNCHANGED
        self._shown: list[LlmMessage] | None = None
        self._known: dict[str, Environment] = {}

    @property
    def direct(self) -> DirectModel:
        """The turn's model, for tools that ask it something themselves."""
        return DirectModel(self.provider, self._model, self._capability, self._load_attachment)

    def command(self, effect: SyncEnvironment) -> EffectCommand:
        """The command of a sync effect."""
        body: JsonObject = {"update_machine_config": effect.update_machine_config}
        return EffectCommand("sync_execution_environment", body)

    async def prepare(self, machine: TurnMachine, lend: Lend | None = None) -> EffectOutcome:
        """The live half: hooks at the first sync, then prompt and tools."""
        messages: list[Message] = []
        registrations = self._plugins.registrations
        if machine.environment is None and registrations.context_transforms.items:
            self._take(await self._transformed(machine))
        if machine.environment is None and registrations.before_turn.items:
            try:
                messages = await self._before_turn(machine, lend)
            except TurnAborted as refused:
                abort = Abort(refused.plugin_id, refused.code, refused.message)
                return _outcome(Synced(abort=abort), {})
        system_prompt = self._render_prompt(machine.iteration, self._prepared.prompt)
        text, environment = _addressed(system_prompt, self._tools.specs(), self._offered, self._prepared)
        ref = environment.ref
        self._known[ref] = environment
        if machine.environment is not None and machine.environment.ref == ref:
            return _outcome(Synced(messages=messages), {})
        return _outcome(Synced(ref, messages), {ref: text})

    async def answer(self, effect_id: int, outcome: EffectOutcome, controller: EffectController) -> EnvironmentSynced:
        """The machine's answer. Raises `TurnAborted` when a plugin had refused the turn."""
        result = outcome.expect("sync_execution_environment")["result"]
        assert isinstance(result, dict)
        synced = from_json(result["ok"], Synced)
        if synced.abort is not None:
            raise TurnAborted(synced.abort.plugin_id, synced.abort.code, synced.abort.message)
        environment = None if synced.ref is None else await self._environment(synced.ref, controller)
        return EnvironmentSynced(effect_id, environment, messages=synced.messages)

    def request(self, spec: RequestSpec, machine: TurnMachine) -> LlmRequest:
        """The model request that a spec stands for, with the environment it names."""
        environment = machine.environment
        assert environment is not None
        assert environment.ref == spec.environment_ref
        protocol = self._plugins.protocol
        messages: list[LlmMessage] = []
        if environment.system_prompt.strip():
            messages.append(LlmMessage("system", [TextBlock(environment.system_prompt)]))
        messages += self._history_shown()
        messages += protocol.project_turn(spec.messages, self._causes)
        return LlmRequest(
            model=self._model.id,
            messages=messages,
            tools=environment.tool_specs if spec.use_tools else [],
            tool_choice="auto" if spec.use_tools and environment.tool_specs else "none",
            model_variant=self._model.variant,
            generation=spec.generation,
            session_id=self._turn.session_id,
            output_spec=spec.output_spec,
            place=RequestPlace(
                turn_id=self._turn.turn_id,
                turn_index=self._turn.turn_index,
                iteration=spec.iteration,
                model_call=self._turn.committed_model_calls + machine.totals.model_calls,
            ),
            capability=self._capability,
            output_token_capacity=self._model.output_token_capacity,
            load_attachment=self._load_attachment,
        )

    def _history_shown(self) -> list[LlmMessage]:
        project = self._plugins.protocol.project
        if self._prepared.view is None:
            return self._history.projected(project)
        if self._shown is None:
            self._shown = project(messages_of(self._prepared.view, self._history.messages))
        return self._shown

    async def _transformed(self, machine: TurnMachine) -> _Prepared:
        history = tuple(self._history.messages)
        shown: Sequence[Message] = history
        prompt: list[PromptContribution] = []
        sources: list[str] = []
        includes_base = True
        for hook in self._plugins.registrations.context_transforms.items:
            context = TurnContext(
                self._turn.session_id,
                self._turn.turn_id,
                shown,
                machine.messages,
                self._model.context_window_tokens,
                self._last_prompt_usage,
            )
            said = await call_hook("prepare_turn", hook, context)
            if said is None:
                continue
            if not isinstance(said, PreparedContext):
                raise PluginInvokeError(
                    f"plugin {hook.plugin_id!r}: hook prepare_turn returned {type(said).__name__}; "
                    "return PreparedContext or None"
                )
            shown = said.messages
            prompt += said.prompt_contributions
            sources += self._known_sources(hook.plugin_id, said.tool_sources)
            includes_base = includes_base and said.include_base_tools
            if shown is not context.messages and (broken := unsettled_tool_calls(shown)):
                raise PluginInvokeError(
                    f"plugin {hook.plugin_id!r}: hook prepare_turn tears call {broken[0]!r} from its result; "
                    "keep or drop both"
                )
        return _Prepared(view_of(history, shown), prompt, list(dict.fromkeys(sources)), includes_base)

    def _known_sources(self, plugin_id: str, chosen: Sequence[str]) -> Sequence[str]:
        registered = self._plugins.registrations.turn_sources
        for source_id in chosen:
            if source_id not in registered:
                known = ", ".join(sorted(registered)) or "none"
                raise PluginInvokeError(
                    f"plugin {plugin_id!r}: hook prepare_turn chose tool source {source_id!r}; registered: {known}"
                )
        return chosen

    def _take(self, prepared: _Prepared) -> None:
        self._prepared = prepared
        self._tools.choose(prepared.tool_sources, includes_base=prepared.includes_base_tools)

    async def _before_turn(self, machine: TurnMachine, lend: Lend | None) -> list[Message]:
        context = BeforeTurn(
            self._turn.session_id,
            self._turn.turn_id,
            self._turn.turn_index,
            self._turn.frame_id,
            tuple(self._history.messages),  # a hook may keep it; the list grows with each commit
            machine.messages,
            self._turn_inputs,
        )
        messages: list[Message] = []
        hooks = self._plugins.registrations.before_turn
        for plugin_id, directive in await self._plugins.run("before_turn", hooks, context, lend):
            match directive:
                case AbortTurn(code=code, message=message):
                    raise TurnAborted(plugin_id, code, message)
                case EnqueueMessages(messages=queued):
                    messages += only_conversation(plugin_id, queued)
                case EmitRuntimeEvents() | CreateSession() | EmitTrace():
                    await carry_out(self._plugins, self._stream, plugin_id, directive)
                case _:
                    raise PluginInvokeError(f"plugin {plugin_id!r} may not change tool calls before a turn")
        return messages

    async def _environment(self, ref: str, controller: EffectController) -> Environment:
        known = self._known.get(ref)
        if known is None:
            data = await controller.load_blob(ref)
            if data is None:
                raise EffectCorrupt(ref, "the recorded environment is gone")
            body = decode(data, _Body)
            known = self._known[ref] = Environment(ref, body.system_prompt, body.tool_specs, body.offered)
            self._take(body.prepared)
        return known


# Prompt and tools seldom change between two turns: the same objects need not be hashed again.
# Keyed by identity, and the objects are kept beside their ids so that these stay theirs.
_recent: OrderedDict[tuple[str, int, int], tuple[list[ToolSpec], list[JsonObject], bytes, Environment]] = OrderedDict()
_RECENT_LIMIT = 64


def _addressed(
    system_prompt: str, tool_specs: list[ToolSpec], offered: list[JsonObject], prepared: _Prepared
) -> tuple[bytes, Environment]:
    """The stored bytes of an environment, and the environment under their hash."""
    if prepared is not UNCHANGED and prepared != UNCHANGED:
        text = encode(_Body(system_prompt, tool_specs, prepared, offered)).encode()
        return text, Environment(sha256_hex(text), system_prompt, tool_specs, offered)
    key = (system_prompt, id(tool_specs), id(offered))
    known = _recent.get(key)
    if known is not None:
        return known[2], known[3]
    text = encode(_Body(system_prompt, tool_specs, offered=offered)).encode()
    environment = Environment(sha256_hex(text), system_prompt, tool_specs, offered)
    _recent[key] = (tool_specs, offered, text, environment)
    if len(_recent) > _RECENT_LIMIT:
        _recent.popitem(last=False)
    return text, environment


def _outcome(synced: Synced, blobs: dict[str, bytes]) -> EffectOutcome:
    return EffectOutcome("sync_execution_environment", {"result": {"ok": to_json(synced)}}, blobs)
