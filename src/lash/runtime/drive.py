"""One owned turn, from its claim to its settlement.

Whoever calls has the session lease. What comes back is the settled turn, or the
reason why somebody else must go on: lost, left, or in doubt.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from lash.base.cancel import CancelToken
from lash.base.errors import ConfigurationError
from lash.base.json import JsonObject
from lash.effects.errors import EffectControllerError, EffectInDoubt, EffectLeaseLost, LeaseLost
from lash.effects.invocation import RuntimeScope
from lash.effects.ports import EffectController
from lash.effects.scope import ExecutionScope
from lash.machine.driver import message_id
from lash.machine.outcome import Stopped
from lash.machine.turn import MachineConfig, TurnMachine
from lash.machine.values import Said
from lash.plugins.directives import CreateSession, EmitRuntimeEvents, EmitTrace, EnqueueMessages, only_conversation
from lash.plugins.errors import PluginError, PluginInvokeError
from lash.plugins.execution import CellsBegin
from lash.plugins.hooks import AfterTurn
from lash.plugins.host import PluginSession
from lash.plugins.services import Lend
from lash.plugins.trail import HookTrail
from lash.runtime.activity import ActivityStream
from lash.runtime.asides import carry_out
from lash.runtime.engine import DoubtfulEffect, Engine, PromptRequest
from lash.runtime.environment import EnvironmentSync, TurnAborted, TurnIdentity
from lash.runtime.hook_services.asking import LendingTurn
from lash.runtime.inbox import QueueInbox
from lash.runtime.input import QueuedInput, TurnOptions, input_message, queued_inputs
from lash.runtime.leases import Holding
from lash.runtime.memory import SessionMemory
from lash.runtime.model_call import HistoryRef
from lash.runtime.result import TurnIssue, TurnResult
from lash.runtime.settlement import Reached, TurnSettlement
from lash.runtime.tooling import SessionTools
from lash.runtime.turn_driver import DrivenTurn, TurnDriver
from lash.runtime.turn_tools import TurnTools
from lash.runtime.worker.run import ProcessRun
from lash.runtime.worker.yielding import YieldingController
from lash.sessions.accept import Owned
from lash.sessions.errors import SessionDeleted, StoredDataCorrupt, StoreUnavailable, ValueTooLarge
from lash.sessions.store import SessionStore
from lash.tracing.controller import TracedController
from lash.tracing.turn import TurnTrace

logger = logging.getLogger("lash.runtime")


@dataclass(frozen=True, slots=True)
class Lost:
    """Another owner is authoritative, or this process is leaving; the turn goes on elsewhere."""

    reason: str


@dataclass(frozen=True, slots=True)
class Parked:
    """The turn waits for the host to settle an effect in doubt."""

    doubt: DoubtfulEffect


def _may_pass(error: Exception) -> bool:
    """Whether another try may go better. What is stored wrong, configured wrong or too large stays so."""
    if isinstance(error, StoredDataCorrupt | ConfigurationError | PluginError | ValueTooLarge):
        return False
    return not isinstance(error, EffectControllerError)  # those are deterministic (effects/errors.py)


@dataclass(frozen=True, slots=True)
class Applied:
    """What ran was a session command, not a turn; it is committed."""

    batch_id: str


Driven: TypeAlias = TurnResult | Lost | Parked | Applied


_NOTHING: Final[list[JsonObject]] = []


class TurnDrive:
    """Drives the turn of one `Owned` answer until it is settled."""

    def __init__(
        self,
        engine: Engine,
        store: SessionStore,
        memory: SessionMemory,
        plugins: PluginSession,
        tools: SessionTools,
        owned: Owned,
        cancel: CancelToken,
        stream: ActivityStream,
        turn_inputs: Mapping[str, object],
    ) -> None:
        self._engine = engine
        self._store = store
        self._memory = memory
        self._plugins = plugins
        self._tools = tools
        self._turn_inputs = turn_inputs
        self._owned = owned
        self._cancel = cancel
        self._stream = stream
        self._turn_id = owned.turn.turn_id
        self._scope = ExecutionScope.turn(memory.session_id, self._turn_id)
        self._holding = Holding(owned.lease, cancel, [owned.claim], has_new_work=owned.has_more)
        tracer = engine.options.tracer
        self._trace: TurnTrace | None = None
        if tracer is not None:
            self._trace = TurnTrace(
                tracer, session_id=memory.session_id, turn_id=self._turn_id, turn_index=memory.turn_index + 1
            )
        self._settlement = TurnSettlement(
            engine, store, memory, plugins, tools, owned, self._scope, self._holding, stream, self._trace
        )
        # As far as the last try came: what a turn that is given up keeps.
        self._reached: Reached | None = None
        self._controller: EffectController | None = None
        self._must_not_repeat = False
        # The process whose work the turn is, if it is any's.
        self.process_run: ProcessRun | None = None

    async def run(self) -> Driven:
        """Drives, with a few tries against trouble that may pass; always gives the lease back."""
        self._engine.keeper.hold(self._holding)
        if self._trace is not None:
            batch_ids = [batch.batch_id for batch in self._owned.claim.batches]
            self._trace.started(batch_ids, is_first=self._owned.is_fresh)
        try:
            return await self._with_retries()
        except (EffectLeaseLost, LeaseLost) as lost:
            self._cancel.cancel("lease_lost")
            return Lost(str(lost))
        except asyncio.CancelledError:
            self._cancel.cancel("shutdown")
            raise
        finally:
            self._engine.keeper.drop(self._holding)
            if self._trace is not None:
                self._trace.left(self._cancel.reason or "not settled")
            if not self._settlement.is_settled:
                if self._controller is not None:
                    with contextlib.suppress(Exception):  # what is paid for should not be paid for again
                        await asyncio.shield(self._controller.barrier())
                with contextlib.suppress(Exception):  # the lease runs out by itself otherwise
                    await asyncio.shield(self._store.release_session_lease(self._owned.lease))

    async def _with_retries(self) -> Driven:
        options = self._engine.options
        is_fresh = self._owned.is_fresh
        for attempt in range(1, options.drive_attempts + 1):
            try:
                return await self._once(is_fresh=is_fresh)
            except (EffectLeaseLost, LeaseLost):
                raise
            except EffectInDoubt as doubt:
                found = DoubtfulEffect(self._memory.session_id, self._turn_id, doubt.replay_key)
                if found not in self._engine.recovery.in_doubt:
                    self._engine.recovery.in_doubt.append(found)
                return Parked(found)
            except TurnAborted as refused:
                issue = TurnIssue("plugin", refused.code, None, refused.message)
                return await self._settlement.without_history(Stopped("plugin_abort"), issue)
            except SessionDeleted:
                raise  # nothing is left to settle
            except Exception as error:
                if self._engine.is_closing:  # a task group that fails swallows the cancellation
                    return Lost("shutdown")
                if self._cancel.is_cancelled and not self._cancel.is_requested:
                    return Lost(self._cancel.reason or "cancelled")
                if attempt == options.drive_attempts or self._must_not_repeat or not _may_pass(error):
                    if isinstance(error, StoreUnavailable) and not self._must_not_repeat:
                        # No fault of the turn: what is recorded waits until the store is back.
                        raise
                    return await self._settlement.give_up(error, attempt, self._inputs(), self._reached)
                logger.warning("turn %s: drive %d failed", self._turn_id, attempt, exc_info=True)
                is_fresh = False
                self._stream.restart()
                await self._engine.clock.sleep(options.drive_backoff_ms << (attempt - 1))
        raise AssertionError("unreachable")

    async def _once(self, *, is_fresh: bool) -> TurnResult:
        await self._refresh()
        inputs = self._inputs()
        problem = next((queued.problem for queued in inputs if queued.problem is not None), None)
        if problem is not None:
            issue = TurnIssue("input_validation", "invalid_turn_input", None, problem)
            return await self._settlement.without_history(Stopped("invalid_input"), issue)
        cancel = self._cancel
        controller = await self._engine.host.owned(
            self._scope, self._owned.lease, is_fresh=is_fresh, on_lost=lambda: cancel.cancel("lease_lost")
        )
        if self.process_run is not None:
            controller = YieldingController(self.process_run, controller)
        if self._trace is not None:
            self._trace.again()
            controller = TracedController(controller, self._trace)
        options = self._memory.as_configured(inputs[0].options)
        trail = None
        if self._plugins.states:
            # An earlier drive may have gone further than what is recorded.
            self._plugins.states.restore(self._memory.plugin_snapshot)
        if self._plugins.states or self._plugins.registrations.has_turn_hooks:
            trail = HookTrail(self._plugins.states)
        machine = self._machine(inputs, options)
        driver = self._driver(machine, controller, options, trail)
        # Where nothing is recorded a second drive would do everything again, payments too.
        self._must_not_repeat = controller.durability_tier() != "durable"
        self._controller, self._reached = controller, Reached(machine, driver, options)
        driven = await driver.run()
        await self._after_turn(driven, machine, driver.lend("after_turn"))
        driver.gather(driven)
        return await self._settlement.commit(driven, machine, controller, options)

    async def _refresh(self) -> None:
        """Another owner may have committed since: what is in memory must be the stored head."""
        if self._memory.head_revision == self._owned.head_revision:
            if self._memory.head_revision == 0 and not self._owned.is_fresh:
                await self._memory.book(self._store)  # the first turn, begun by somebody else: children may have spent
            return
        await self._memory.refresh(self._store)

    def _inputs(self) -> list[QueuedInput]:
        inputs = [queued for batch in self._owned.claim.batches for queued in queued_inputs(batch)]
        return inputs or [QueuedInput([], problem="the queued batch is empty")]

    def _machine(self, inputs: list[QueuedInput], options: TurnOptions) -> TurnMachine:
        turn_index = self._memory.turn_index + 1
        chosen = self._engine.options.choose_model(options)
        config = MachineConfig(
            driver=self._plugins.protocol.driver,
            turn_index=turn_index,
            max_turns=options.max_turns or self._memory.policy.max_turns or self._engine.options.max_turns,
            context_window_tokens=self._engine.window_of(chosen.facts),
            turn_options=options.protocol_turn_options,
            last_prompt=self._memory.checkpoint.turn_state.last_prompt_usage,
        )
        return TurnMachine(config, [input_message(message_id(turn_index, 0), inputs)])

    def _driver(
        self, machine: TurnMachine, controller: EffectController, options: TurnOptions, trail: HookTrail | None
    ) -> TurnDriver:
        memory, engine, plugins = self._memory, self._engine, self._plugins
        turn_id, turn_inputs = self._turn_id, self._turn_inputs
        chosen = engine.options.choose_model(options)
        if self._trace is not None:
            self._trace.model, self._trace.provider = chosen.facts.id, chosen.provider.kind
        catalog = self._tools.catalog()
        protocol = self._plugins.protocol
        if protocol.executor is not None:
            records = [event.payload for event in memory.records if event.plugin_id == protocol.driver.plugin_id]
            protocol.executor.begin(CellsBegin(memory.execution_state, catalog, memory.history.messages, records))
        tools = TurnTools(
            catalog,
            self._plugins,
            memory.assignment.tool_access,
            session_id=memory.session_id,
            turn_id=self._turn_id,
            offers_tools=protocol.offers_tools,
        )
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
            capability=chosen.capability,
            load_attachment=engine.load_attachment,
            history=memory.history,
            plugins=self._plugins,
            render_prompt=lambda iteration, context_prompt: engine.options.render_prompt(
                PromptRequest(
                    memory.session_id,
                    turn_id,
                    iteration,
                    memory.policy.prompt,
                    options.prompt,
                    plugins,
                    tools.catalog,
                    context_prompt,
                    turn_inputs,
                )
            ),
            tools=tools,
            offered=_NOTHING if protocol.executor is None else protocol.executor.offered,
            stream=self._stream,
            causes=[],
            last_prompt_usage=memory.checkpoint.turn_state.last_prompt_usage,
            turn_inputs=self._turn_inputs,
        )
        scope = RuntimeScope(memory.session_id, self._turn_id, memory.turn_index + 1)
        lent, doors = None, engine.options.doors
        if doors is not None and trail is not None and self._plugins.registrations.has_turn_hooks:
            lent = LendingTurn(
                engine,
                doors,
                self._store,
                memory,
                self._plugins,
                tools,
                self._tools,
                controller,
                scope,
                environment.direct,
                trail,
                self._cancel,
            )
        return TurnDriver(
            machine=machine,
            controller=controller,
            environment=environment,
            tools=tools,
            plugins=self._plugins,
            queue=QueueInbox(self._store, self._holding, engine.ids, engine.options.timings),
            history=HistoryRef(memory.leaf_node_id, memory.frame_id),
            scope=scope,
            frame_id=memory.frame_id,
            stream=self._stream,
            cancel=self._cancel,
            clock=engine.clock,
            trail=trail,
            trace=self._trace,
            lent=lent,
        )

    async def _after_turn(self, driven: DrivenTurn, machine: TurnMachine, lend: Lend | None) -> None:
        hooks = self._plugins.registrations.after_turn
        if not hooks.items:
            return
        context = AfterTurn(self._memory.session_id, self._turn_id, driven.done.outcome, machine.messages)
        records = list(driven.done.records)
        try:
            for plugin_id, directive in await self._plugins.run("after_turn", hooks, context, lend):
                match directive:
                    case EnqueueMessages(messages=messages):
                        records += [Said(message) for message in only_conversation(plugin_id, messages)]
                    case EmitRuntimeEvents() | CreateSession() | EmitTrace():
                        await carry_out(self._plugins, self._stream, plugin_id, directive)
                    case _:
                        raise PluginInvokeError(f"plugin {plugin_id!r} may not change the turn after it ended")
        except PluginError as error:
            # What the turn did stands; the failure is told with its result.
            driven.issues.append(TurnIssue("plugin", error.code, None, error.message))
        driven.done = msgspec.structs.replace(driven.done, records=records)
