"""Filters of `processes.list`, with the words that a model reads when it gets them wrong."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import msgspec

from lash.base.canonical import canonical_json
from lash.base.json import Json
from lash.processes.definitions import ProcessDefinition
from lash.processes.errors import InvalidProcessFilter
from lash.processes.handles import GrantEntry
from lash.processes.inputs import LashlangProcessInput, ProcessInput
from lash.processes.record import ProcessRecord

ProcessStatusFilter: TypeAlias = Literal["running", "completed", "failed", "cancelled", "any"]
ProcessListMode: TypeAlias = Literal["live", "all"]

DEFAULT_LIST_MODE: ProcessListMode = "live"


class ProcessListFilter(msgspec.Struct, frozen=True):
    """Which processes to list."""

    definition: ProcessDefinition | None = None
    status: ProcessStatusFilter = "running"
    waiting: bool | None = None

    @staticmethod
    def decode(value: Json) -> ProcessListFilter:
        """The filter that a record asks for; raises `InvalidProcessFilter` and `InvalidProcessDefinition`."""
        if not isinstance(value, dict):
            raise InvalidProcessFilter("processes.list expects a record of process filters")
        for key in value:
            if key not in ("definition", "status", "waiting"):
                raise InvalidProcessFilter(f"processes.list unknown filter `{key}`")
        definition = ProcessDefinition.of_value(value["definition"]) if "definition" in value else None
        waiting = value.get("waiting")
        if "waiting" in value and not isinstance(waiting, bool):
            raise InvalidProcessFilter("processes.list `waiting` filter must be a boolean")
        status = _status(value["status"]) if "status" in value else "running"
        return ProcessListFilter(definition, status, waiting if isinstance(waiting, bool) else None)

    def list_mode(self) -> ProcessListMode:
        """Whether live processes are enough to answer."""
        return "live" if self.status == "running" else "all"

    def matches(self, record: ProcessRecord) -> bool:
        """Whether a process is listed."""
        return (
            self.status in ("any", record.status.state)
            and (self.definition is None or matches_input(self.definition, record.input))
            and (self.waiting is None or (record.wait is not None) == self.waiting)
        )

    def matches_entry(self, entry: GrantEntry) -> bool:
        """The same of a granted process."""
        return self.matches(entry[1])


def matches_input(definition: ProcessDefinition, work: ProcessInput) -> bool:
    """Whether an input runs exactly this definition; only lashlang inputs can."""
    return isinstance(work, LashlangProcessInput) and work.definition == definition


def _status(value: Json) -> ProcessStatusFilter:
    for known in get_args(ProcessStatusFilter):
        if value == known:
            found: ProcessStatusFilter = known
            return found
    given = value if isinstance(value, str) else canonical_json(value)
    raise InvalidProcessFilter(
        f"processes.list status must be `running`, `completed`, `failed`, `cancelled`, or `any`, got `{given}`"
    )
