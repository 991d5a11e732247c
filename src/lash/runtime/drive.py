"""One owned turn, from its claim to its settlement.

Whoever calls has the session lease. What comes back is the settled turn, or the
reason why somebody else must go on: lost, left, or in doubt.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from lash.base.cancel import CancelToken
from lash.base.codec import DecodeError, from_json
from lash.effects.errors import EffectInDoubt, EffectLeaseLost, LeaseLost
from lash.effects.invocation import RuntimeScope
from lash.effects.ports import EffectController
from lash.effects.scope import ExecutionScope
from lash.machine.driver import message_id
from lash.machine.outcome import Stopped, TurnOutcome
from lash.machine.turn import MachineConfig, TurnMachine
from lash.machine.values import Done, Said
from lash.plugins.directives import EmitRuntimeEvents, EnqueueMessages, only_conversation
from lash.plugins.errors import PluginError, PluginInvokeError
from lash.plugins.hooks import AfterTurn, TurnFinalized, TurnPersisted
from lash.plugins.host import PluginSession
from lash.runtime import activity
from lash.runtime.activity import ActivityStream
from lash.runtime.engine import DoubtfulEffect, Engine, PromptRequest
from lash.runtime.environment import EnvironmentSync, TurnAborted, TurnIdentity
from lash.runtime.inbox import QueueInbox
from lash.runtime.input import QueuedInput, TurnOptions, input_message
from lash.runtime.leases import Holding
from lash.runtime.memory import SessionMemory
from lash.runtime.model_call import HistoryRef
from lash.runtime.result import TurnIssue, TurnResult
from lash.runtime.settle import (
    TurnSummary,
    compact_effects,
    turn_commit,
    turn_result,
)
from lash.runtime.turn_driver import DrivenTurn, TurnDriver
from lash.sessions.accept import Owned
from lash.sessions.commit import LeaseGuard, StoredTurn, delta_nodes
from lash.sessions.errors import SessionDeleted
from lash.sessions.graph import ActivePath, Conversation
from lash.sessions.queue import TurnInputPayload
from lash.sessions.store import SessionStore

logger = logging.getLogger("lash.runtime")


@dataclass(frozen=True, slots=True)
class Lost:
    """Another owner is authoritative, or this process is leaving; the turn goes on elsewhere."""

    reason: str


@dataclass(frozen=True, slots=True)
class Parked:
    """The turn waits for the host to settle an effect in doubt."""

    doubt: DoubtfulEffect


Driven: TypeAlias = TurnResult | Lost | Parked


class TurnDrive:
    """Drives the turn of one `Owned` answer until it is settled."""

    def __init__(
        self,
        engine: Engine,
        store: SessionStore,
        memory: SessionMemory,
        plugins: PluginSession,
        owned: Owned,
        cancel: CancelToken,
        stream: ActivityStream,
    ) -> None:
        self._engine = engine
        self._store = store
        self._memory = memory
        self._plugins = plugins
        self._owned = owned
        self._cancel = cancel
        self._stream = stream
        self._turn_id = owned.turn.turn_id
        self._scope = ExecutionScope.turn(memory.session_id, self._turn_id)
        self._holding = Holding(owned.lease, cancel, [owned.claim], has_new_work=owned.has_more)
        self._is_settled = False
        self._must_not_repeat = False

    async def run(self) -> Driven:
        """Drives, with a few tries against trouble that may pass; always gives the lease back."""
        self._engine.keeper.hold(self._holding)
        try:
            return await self._with_retries()
        except asyncio.CancelledError:
            self._cancel.cancel("shutdown")
            raise
        finally:
            self._engine.keeper.drop(self._holding)
            if not self._is_settled:
                with contextlib.suppress(Exception):  # the lease runs out by itself otherwise
                    await asyncio.shield(self._store.release_session_lease(self._owned.lease))

    async def _with_retries(self) -> Driven:
        options = self._engine.options
        is_fresh = self._owned.is_fresh
        for attempt in range(1, options.drive_attempts + 1):
            try:
                return await self._once(is_fresh=is_fresh)
            except (EffectLeaseLost, LeaseLost) as lost:
                self._cancel.cancel("lease_lost")
                return Lost(str(lost))
            except EffectInDoubt as doubt:
                found = DoubtfulEffect(self._memory.session_id, self._turn_id, doubt.replay_key)
                if found not in self._engine.recovery.in_doubt:
                    self._engine.recovery.in_doubt.append(found)
                return Parked(found)
            except TurnAborted as refused:
                issue = TurnIssue("plugin", refused.code, None, refused.message)
                return await self._settle_without_history(Stopped("plugin_abort"), issue)
            except SessionDeleted:
                raise  # nothing is left to settle
            except Exception as error:
                if self._cancel.is_cancelled and not self._cancel.is_requested:
                    return Lost(self._cancel.reason or "cancelled")
                if attempt == options.drive_attempts or self._must_not_repeat:
                    return await self._give_up(error)
                logger.warning("turn %s: drive %d failed", self._turn_id, attempt, exc_info=True)
                is_fresh = False
                await self._engine.clock.sleep(options.drive_backoff_ms << (attempt - 1))
        raise AssertionError("unreachable")

    async def _once(self, *, is_fresh: bool) -> TurnResult:
        await self._refresh()
        inputs = self._inputs()
        problem = next((queued.problem for queued in inputs if queued.problem is not None), None)
        if problem is not None:
            issue = TurnIssue("input_validation", "invalid_turn_input", None, problem)
            return await self._settle_without_history(Stopped("invalid_input"), issue)
        controller = await self._engine.host.owned(
            self._scope, self._owned.lease, is_fresh=is_fresh, on_lost=lambda: self._cancel.cancel("lease_lost")
        )
        options = inputs[0].options
        machine = self._machine(inputs, options)
        driver = self._driver(machine, controller, options)
        # Where nothing is recorded a second drive would do everything again, payments too.
        self._must_not_repeat = controller.durability_tier() != "durable"
        driven = await driver.run()
        await self._after_turn(driven, machine)
        return await self._commit(driven, machine, controller, options)

    async def _refresh(self) -> None:
        """Another owner may have committed since: what is in memory must be the stored head."""
        if self._memory.head_revision == self._owned.head_revision:
            return
        stored = await self._store.load_session(ActivePath())
        if stored is not None:
            self._memory.load(stored)

    def _inputs(self) -> list[QueuedInput]:
        inputs: list[QueuedInput] = []
        for batch in self._owned.claim.batches:
            for item in batch.items:
                if not isinstance(item.payload, TurnInputPayload):
                    inputs.append(QueuedInput([], problem=f"queued work of type {type(item.payload).__name__}"))
                    continue
                try:
                    inputs.append(from_json(item.payload.input, QueuedInput))
                except DecodeError as error:
                    inputs.append(QueuedInput([], problem=f"the queued input cannot be read: {error}"))
        return inputs or [QueuedInput([], problem="the queued batch is empty")]

    def _machine(self, inputs: list[QueuedInput], options: TurnOptions) -> TurnMachine:
        turn_index = self._memory.turn_index + 1
        chosen = self._engine.options.choose_model(options)
        config = MachineConfig(
            driver=self._plugins.protocol.driver,
            turn_index=turn_index,
            max_turns=options.max_turns or self._memory.policy.max_turns or self._engine.options.max_turns,
            context_window_tokens=chosen.facts.context_window_tokens,
        )
        return TurnMachine(config, [input_message(message_id(turn_index, 0), inputs)])

    def _driver(self, machine: TurnMachine, controller: EffectController, options: TurnOptions) -> TurnDriver:
        memory, engine = self._memory, self._engine
        chosen = engine.options.choose_model(options)
        catalog = engine.options.build_catalog(self._plugins)
        environment = EnvironmentSync(
            turn=TurnIdentity(
                memory.session_id,
                self._turn_id,
                memory.turn_index + 1,
                memory.frame_id,
                memory.checkpoint.turn_state.model_calls,
            ),
            provider=chosen.provider,
            model=chosen.facts,
            history=memory.history,
            plugins=self._plugins,
            render_prompt=lambda iteration: engine.options.render_prompt(
                PromptRequest(
                    memory.session_id,
                    self._turn_id,
                    iteration,
                    memory.policy.prompt,
                    options.prompt,
                    self._plugins,
                    catalog,
                )
            ),
            tool_specs=catalog.specs,
            stream=self._stream,
            causes=[],
        )
        return TurnDriver(
            machine=machine,
            controller=controller,
            environment=environment,
            catalog=catalog,
            plugins=self._plugins,
            queue=QueueInbox(self._store, memory.session_id, self._holding, engine.ids, engine.options.timings),
            history=HistoryRef(memory.leaf_node_id, memory.frame_id),
            scope=RuntimeScope(memory.session_id, self._turn_id, memory.turn_index + 1),
            frame_id=memory.frame_id,
            stream=self._stream,
            cancel=self._cancel,
            clock=engine.clock,
        )

    async def _after_turn(self, driven: DrivenTurn, machine: TurnMachine) -> None:
        hooks = self._plugins.registrations.after_turn
        if not hooks.items:
            return
        context = AfterTurn(self._memory.session_id, self._turn_id, driven.done.outcome, machine.messages)
        records = list(driven.done.records)
        try:
            for plugin_id, directive in await self._plugins.run("after_turn", hooks, context):
                match directive:
                    case EnqueueMessages(messages=messages):
                        records += [Said(message) for message in only_conversation(plugin_id, messages)]
                    case EmitRuntimeEvents(events=events):
                        for event in events:
                            self._stream.tell(plugin_id, activity.PluginRuntime(plugin_id, event))
                    case _:
                        raise PluginInvokeError(f"plugin {plugin_id!r} may not change the turn after it ended")
        except PluginError as error:
            # What the turn did stands; the failure is told with its result.
            driven.issues.append(TurnIssue("plugin", error.code, None, error.message))
        driven.done = msgspec.structs.replace(driven.done, records=records)

    async def _commit(
        self, driven: DrivenTurn, machine: TurnMachine, controller: EffectController, options: TurnOptions
    ) -> TurnResult:
        memory, engine = self._memory, self._engine
        turn_index = memory.turn_index + 1
        await self._plugins.tell(TurnFinalized(memory.session_id, self._turn_id, driven.done.outcome))
        lingering = await controller.retract()
        prefix = f"{memory.session_id}:{self._turn_id}:{turn_index}:"
        commit = turn_commit(
            memory,
            turn_id=self._turn_id,
            turn_index=turn_index,
            records=driven.done.records,
            outcome=driven.done.outcome,
            totals=machine.totals,
            usage_model=engine.options.choose_model(options).facts.id,
            errors=driven.issues,
            effects=compact_effects(controller.summary(), prefix),
            tool_calls=driven.tool_calls,
            guard=LeaseGuard(self._owned.lease),
            completions=[claim.completion() for claim in self._holding.claims],
            retire_scope_key=self._scope.journal_key,
            budget=engine.options.commit_budget,
            now_ms=engine.clock.now_ms(),
        )
        try:
            result = await self._store.commit(commit)
        except Exception:
            controller.restore(lingering)
            raise
        self._is_settled = True
        memory.apply(commit, result)
        await self._plugins.tell(TurnPersisted(memory.session_id, self._turn_id, result.head_revision))
        messages = [
            node.payload.message for node in delta_nodes(commit.graph) if isinstance(node.payload, Conversation)
        ]
        summary = TurnSummary(turn_index, len(messages), driven.done.outcome, machine.totals.usage, driven.issues)
        return turn_result(
            turn_id=self._turn_id,
            revision=result.head_revision,
            summary=summary,
            messages=messages,
            tool_calls=driven.tool_calls,
            replayed=False,
        )

    async def _settle_without_history(self, outcome: TurnOutcome, issue: TurnIssue) -> TurnResult:
        """Outcomes that change no history still settle their input (decisions 7)."""
        summary = TurnSummary(self._memory.turn_index, 0, outcome, errors=[issue])
        turn = StoredTurn(self._turn_id, None, summary.to_json(), self._engine.clock.now_ms())
        await self._store.settle_without_commit(self._owned.lease, turn, self._owned.claim)
        self._is_settled = True
        return turn_result(
            turn_id=self._turn_id,
            revision=self._memory.head_revision,
            summary=summary,
            messages=[],
            tool_calls=[],
            replayed=False,
        )

    async def _give_up(self, error: Exception) -> TurnResult:
        """The last try failed: the input is kept in history, the failure is the outcome."""
        logger.error("turn %s: given up after %d drives", self._turn_id, self._engine.options.drive_attempts)
        code = getattr(error, "code", None) or type(error).__name__
        issue = TurnIssue("runtime_effect_controller", str(code), None, str(error))
        # Nothing live is asked here: the model or the tools may be what is broken.
        turn_index = self._memory.turn_index + 1
        config = MachineConfig(driver=self._plugins.protocol.driver, turn_index=turn_index)
        machine = TurnMachine(config, [input_message(message_id(turn_index, 0), self._inputs())])
        machine.interrupt(Stopped("runtime_error"))
        self._stream.tell("turn", activity.Error(issue.message))
        controller = await self._engine.host.owned(
            self._scope, self._owned.lease, is_fresh=False, on_lost=lambda: self._cancel.cancel("lease_lost")
        )
        driven = DrivenTurn(Done(Stopped("runtime_error"), machine.records, 0), [issue])
        return await self._commit(driven, machine, controller, TurnOptions())
