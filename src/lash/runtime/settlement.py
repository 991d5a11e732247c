"""How an owned turn is settled: by its commit, without a trace in history, or given up.

The commit is the second of the two transactions of a turn; whatever settles it also
settles its input, retires its journal and gives the session lease back.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass

from lash.base.usage import merge_ledger
from lash.effects.errors import EffectLeaseLost, LeaseLost
from lash.effects.ports import EffectController
from lash.effects.scope import ExecutionScope
from lash.machine.driver import message_id
from lash.machine.outcome import Stopped, TurnOutcome, outcome_name
from lash.machine.turn import MachineConfig, TurnMachine
from lash.machine.values import Done
from lash.plugins.errors import PluginSnapshotError
from lash.plugins.hooks import TurnFinalized, TurnPersisted
from lash.plugins.host import PluginSession
from lash.runtime import activity
from lash.runtime.activity import ActivityStream
from lash.runtime.ancestry import tell_ancestors
from lash.runtime.carried import carried, with_tools, with_variables
from lash.runtime.engine import Engine
from lash.runtime.input import QueuedInput, TurnOptions, input_message
from lash.runtime.leases import Holding
from lash.runtime.memory import SessionMemory
from lash.runtime.result import TurnIssue, TurnResult
from lash.runtime.settle import TurnSummary, compact_effects, turn_commit, turn_result
from lash.runtime.tooling import SessionTools
from lash.runtime.turn_driver import DrivenTurn, TurnDriver
from lash.sessions.accept import Owned
from lash.sessions.checkpoint import Checkpoint
from lash.sessions.commit import LeaseGuard, StoredTurn, delta_nodes
from lash.sessions.errors import SessionDeleted, StoredDataCorrupt, StoreUnavailable
from lash.sessions.graph import Conversation
from lash.sessions.queue import QueuedWorkClaim
from lash.sessions.store import SessionStore
from lash.tracing.turn import TurnTrace

logger = logging.getLogger("lash.runtime")


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a drive came."""

    machine: TurnMachine
    driver: TurnDriver
    options: TurnOptions


class TurnSettlement:
    """Settles one owned turn, once."""

    def __init__(
        self,
        engine: Engine,
        store: SessionStore,
        memory: SessionMemory,
        plugins: PluginSession,
        tools: SessionTools,
        owned: Owned,
        scope: ExecutionScope,
        holding: Holding,
        stream: ActivityStream,
        trace: TurnTrace | None = None,
    ) -> None:
        self._trace = trace
        self._engine = engine
        self._store = store
        self._memory = memory
        self._plugins = plugins
        self._tools = tools
        self._owned = owned
        self._turn_id = owned.turn.turn_id
        self._scope = scope
        self._holding = holding
        self._stream = stream
        self.is_settled = False

    async def commit(
        self,
        driven: DrivenTurn,
        machine: TurnMachine,
        controller: EffectController,
        options: TurnOptions,
        *,
        keeps_variables: bool = True,
    ) -> TurnResult:
        """Makes the turn true. Without `keeps_variables` those of the execution mode stay as they were."""
        memory, engine = self._memory, self._engine
        turn_index = memory.turn_index + 1
        await self._plugins.tell(TurnFinalized(memory.session_id, self._turn_id, driven.done.outcome))
        lingering = await controller.retract()
        prefix = f"{memory.session_id}:{self._turn_id}:{turn_index}:"
        executor = self._plugins.protocol.executor
        if keeps_variables and executor is not None:
            await executor.write_out(memory.execution_state)
        settled = [
            self._owned.claim,
            *(one for one in self._holding.early if driven.delivered.issuperset(one.batch_ids)),
        ]
        commit = turn_commit(
            memory,
            checkpoint=self._checkpoint(driven, keeps_variables=keeps_variables),
            turn_id=self._turn_id,
            turn_index=turn_index,
            records=driven.done.records,
            outcome=driven.done.outcome,
            totals=machine.totals,
            usage_model=engine.options.choose_model(options).facts.id,
            errors=driven.issues,
            effects=compact_effects(controller.summary(), prefix),
            tool_calls=driven.tool_calls,
            shaped_calls=driven.shaped_calls,
            direct_usage=driven.direct_usage,
            appended=driven.appended,
            guard=LeaseGuard(self._owned.lease),
            completions=[claim.completion() for claim in settled],
            retire_scope_key=self._scope.journal_key,
            budget=engine.options.commit_budget,
            now_ms=engine.clock.now_ms(),
            turn_options=options.protocol_turn_options,
        )
        began = engine.clock.monotonic()
        try:
            result = await self._store.commit(commit)
        except Exception:
            controller.restore(lingering)
            raise
        self.is_settled = True
        await self._give_back(settled)
        memory.apply(commit, result)
        if memory.ancestors and commit.usage_deltas:
            await tell_ancestors(engine, memory.ancestors)
        if self._trace is not None:
            self._trace.committed(
                revision=result.head_revision,
                nodes=len(delta_nodes(commit.graph)),
                duration_ms=round((engine.clock.monotonic() - began) * 1000),
                batch_ids=[batch_id for claim in settled for batch_id in claim.batch_ids],
            )
            self._completed(driven.done.outcome, driven.issues)
        await self._plugins.tell(TurnPersisted(memory.session_id, self._turn_id, result.head_revision))
        left = {node.node_id for node in driven.appended}
        if left:
            await self._plugins.tell_appended([node for node in delta_nodes(commit.graph) if node.node_id in left])
        messages = [
            node.payload.message
            for node in delta_nodes(commit.graph)
            if isinstance(node.payload, Conversation) and node.node_id not in left
        ]
        summary = TurnSummary(
            turn_index,
            len(messages),
            driven.done.outcome,
            machine.totals.usage,
            driven.issues,
            direct_usage=merge_ledger(driven.direct_usage),
        )
        return turn_result(
            turn_id=self._turn_id,
            revision=result.head_revision,
            summary=summary,
            messages=messages,
            tool_calls=driven.tool_calls,
            replayed=False,
        )

    def _completed(self, outcome: TurnOutcome, issues: list[TurnIssue]) -> None:
        if self._trace is not None:
            told = [(issue.kind, issue.code) for issue in issues]
            self._trace.completed(outcome_name(outcome), is_ok=not isinstance(outcome, Stopped), issues=told)

    def _checkpoint(self, driven: DrivenTurn, *, keeps_variables: bool) -> Checkpoint:
        try:
            checkpoint = carried(self._memory, self._plugins, self._tools)
        except PluginSnapshotError as error:
            # What the turn did is not lost with a state that cannot be stored.
            driven.issues.append(TurnIssue("plugin", error.code, None, error.message))
            checkpoint = with_tools(self._memory, self._tools)
        return with_variables(checkpoint, self._memory, self._plugins) if keeps_variables else checkpoint

    async def without_history(self, outcome: TurnOutcome, issue: TurnIssue) -> TurnResult:
        """Outcomes that change no history still settle their input (decisions 7)."""
        summary = TurnSummary(self._memory.turn_index, 0, outcome, errors=[issue])
        turn = StoredTurn(self._turn_id, None, summary.to_json(), self._engine.clock.now_ms())
        await self._store.settle_without_commit(self._owned.lease, turn, self._owned.claim)
        self.is_settled = True
        await self._give_back([self._owned.claim])
        self._completed(outcome, [issue])
        return turn_result(
            turn_id=self._turn_id,
            revision=self._memory.head_revision,
            summary=summary,
            messages=[],
            tool_calls=[],
            replayed=False,
        )

    async def _give_back(self, settled: list[QueuedWorkClaim]) -> None:
        """What the turn had claimed and never took in is for the next one."""
        for claim in self._holding.early:
            if claim not in settled:
                with contextlib.suppress(StoreUnavailable):  # the claim runs out by itself otherwise
                    await self._store.abandon_queued_work_claim(claim)

    async def give_up(
        self, error: Exception, drives: int, inputs: list[QueuedInput], reached: Reached | None
    ) -> TurnResult:
        """The failure is the outcome; history keeps what the turn had said and done, at least its input."""
        logger.error("turn %s: given up after %d drives", self._turn_id, drives, exc_info=error)
        code = getattr(error, "code", None) or type(error).__name__
        issue = TurnIssue("runtime_effect_controller", str(code), None, str(error))
        self._stream.tell("turn", activity.Error(issue.message))
        if reached is not None:
            try:
                return await self._give_up_with(reached, issue)
            except (EffectLeaseLost, LeaseLost, SessionDeleted, StoreUnavailable):
                raise
            except Exception:
                # What it had done may be what cannot be stored.
                logger.warning("turn %s: only its input can be kept", self._turn_id, exc_info=True)
        # Nothing live is asked here: the model or the tools may be what is broken.
        turn_index = self._memory.turn_index + 1
        config = MachineConfig(driver=self._plugins.protocol.driver, turn_index=turn_index)
        machine = TurnMachine(config, [input_message(message_id(turn_index, 0), inputs)])
        machine.interrupt(Stopped("runtime_error"))
        driven = DrivenTurn(Done(Stopped("runtime_error"), machine.records, 0), [issue])
        # Not the variables either: they may be what is too large.
        return await self.commit(driven, machine, await self._controller(), TurnOptions(), keeps_variables=False)

    async def _give_up_with(self, reached: Reached, issue: TurnIssue) -> TurnResult:
        machine = reached.machine
        machine.interrupt(Stopped("runtime_error"))
        done = Done(Stopped("runtime_error"), machine.records, machine.iteration)
        driven = DrivenTurn(
            done,
            [*reached.driver.issues, issue],
            reached.driver.tool_calls,
            reached.driver.shaped_calls,
            reached.driver.direct_usage,
        )
        reached.driver.gather(driven)
        return await self.commit(driven, machine, await self._controller(), reached.options)

    async def _controller(self) -> EffectController:
        def on_lost() -> None:
            self._holding.cancel.cancel("lease_lost")

        try:
            return await self._engine.host.owned(self._scope, self._owned.lease, is_fresh=False, on_lost=on_lost)
        except StoredDataCorrupt:
            # The journal is what is broken. It is retired with the turn.
            return await self._engine.host.owned(self._scope, self._owned.lease, is_fresh=True, on_lost=on_lost)
