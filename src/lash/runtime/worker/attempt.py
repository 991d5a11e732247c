"""One attempt at a claimed process: what came of it, or why this worker cannot say."""

from __future__ import annotations

import asyncio
import logging

from lash.base.cancel import CancelToken
from lash.effects.errors import EffectInDoubt, LeaseLost
from lash.effects.ports import EffectController
from lash.effects.scope import ExecutionScope
from lash.processes.outputs import CancelledOutput, FailureOutput, ProcessAwaitOutput
from lash.processes.record import ProcessRecord
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ClaimedProcess
from lash.runtime.engine import DoubtfulEffect
from lash.runtime.leases import Holding
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.run import Park, ProcessRun
from lash.runtime.worker.runner import NOT_ITS_FAULT, ProcessRunner
from lash.runtime.worker.slots import Slots

logger = logging.getLogger("lash.worker")


class Attempts:
    """Runs what a worker has claimed, each under its lease and in its slot."""

    def __init__(self, config: ProcessWorkerConfig, slots: Slots) -> None:
        self._config = config
        self._engine = config.engine
        self._runner = ProcessRunner(config)
        self._slots = slots

    async def outcome(self, claimed: ClaimedProcess, holding: Holding) -> ProcessAwaitOutput | Park | None:
        """How the process ended or why it waits; None when this worker cannot say."""
        record, lease, cancel = claimed.record, claimed.lease, holding.cancel
        if record.recovery == "owner_bound" and record.first_started_by != self._engine.executor_id:
            return FailureOutput(
                "unavailable", "process_owner_lost", f"process `{record.id}` was bound to {record.first_started_by}"
            )
        try:
            if record.last_sequence:  # a request from before the run counts
                await self._engine.keeper.look_for_cancels([holding])
            controller = await self._engine.host.owned(
                ExecutionScope.process(record.id),
                holding.lease,
                is_fresh=lease.fencing_token == 1,
                on_lost=lambda: cancel.cancel("lease_lost"),
            )
            outcome = await self._runner.run(self._process_run(record, controller, cancel))
            if isinstance(outcome, Park):  # what was recorded is durable before the process is parked
                await controller.barrier()
            else:  # of one that ended nothing is needed any more
                await controller.retract()
            return outcome
        except asyncio.CancelledError:
            cancel.cancel("shutdown")
            raise
        except EffectInDoubt as doubt:
            self._note_doubt(record.id, doubt.replay_key)
            return None
        except NOT_ITS_FAULT as error:
            logger.warning("process %s stops here: %s", record.id, error)
            if isinstance(error, LeaseLost):
                cancel.cancel("lease_lost")
            return None
        except Exception as error:
            if cancel.is_cancelled and not cancel.is_requested:
                return None
            if cancel.is_requested:
                return CancelledOutput(f"process `{record.id}` was cancelled")
            logger.warning("process %s failed", record.id, exc_info=True)
            return FailureOutput("execution", "process_recovery_failed", str(error) or type(error).__name__)

    def _process_run(self, record: ProcessRecord, controller: EffectController, cancel: CancelToken) -> ProcessRun:
        # What is bound to its owner stays with it while it waits: a parked process is anybody's.
        may_park = controller.durability_tier() == "durable" and record.recovery != "owner_bound"
        return ProcessRun(
            registration_of(record),
            controller,
            cancel,
            self._engine.clock,
            self._slots,
            self._config.park_after_ms if may_park else None,
            record.last_sequence,
            record.wait,
        )

    def _note_doubt(self, process_id: str, replay_key: str) -> None:
        doubt = DoubtfulEffect("", "", replay_key, process_id)
        if doubt not in self._engine.recovery.in_doubt:
            self._engine.recovery.in_doubt.append(doubt)
            logger.warning("process %s waits for core.settle: nobody knows what came of %s", process_id, replay_key)


def registration_of(record: ProcessRecord) -> ProcessRegistration:
    """What was registered, from what is stored of it."""
    return ProcessRegistration(
        record.id,
        record.input,
        record.provenance,
        record.event_types,
        record.env_ref,
        record.wake_target,
        record.identity,
        record.recovery,
    )
