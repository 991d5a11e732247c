"""Where a turn machine can stand, and its checkpointed form."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.json import JsonObject
from lash.machine.values import Environment, TurnCause, TurnRecord, TurnTotals

State: TypeAlias = Literal[
    "preparing_protocol",
    "waiting_execution_environment",
    "prepare_iteration",
    "waiting_llm",
    "waiting_tools",
    "waiting_exec",
    "waiting_checkpoint",
    "finished",
]


class MachineSnapshot(msgspec.Struct, frozen=True):
    """The checkpointed form."""

    state: State
    iteration: int
    next_id: int
    next_message: int
    synced_iteration: int
    limit_scheduled: bool
    records: list[TurnRecord]
    causes: list[TurnCause]
    totals: TurnTotals
    environment: Environment | None
    outstanding: JsonObject | None
    pending: list[JsonObject]
    driver_state: JsonObject | None
    on_empty: JsonObject | None
    outcome: JsonObject | None
