"""What an execution asks of its host, and what the host answers.

Requests are values; nothing here performs anything. Payloads are JSON, copied
out of the program, so a host can keep or change them freely. `CallSite` and the
ordinals make a request's stable key (execution/keys.py): the same in every
replay.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from lash.base.json import Json
from lash.lashlang.modules.artifact import ProcessRef
from lash.lashlang.values.kinds import Resource


class CallSite(Struct, frozen=True):
    """Where and for which time a request is made."""

    node_id: str
    node_kind: str
    label: str
    occurrence: int


class ResourceOperation(Struct, frozen=True):
    """`receiver.operation(args)`. `host_operation` is None for an authority that came as a parameter."""

    receiver: Resource
    operation: str
    host_operation: str | None
    args: tuple[Json, ...]
    site: CallSite

    @property
    def payload(self) -> Json:
        """A single record argument as it is, anything else as `{"args": […]}`."""
        if len(self.args) == 1 and isinstance(self.args[0], dict):
            return self.args[0]
        return {"args": list(self.args)}


class ResourceOperationBatch(Struct, frozen=True):
    """Operations that may run concurrently; answered with one answer each, in order."""

    operations: tuple[ResourceOperation, ...]


class AwaitHandle(Struct, frozen=True):
    value: Json
    site: CallSite


class CancelHandle(Struct, frozen=True):
    value: Json
    site: CallSite


class Print(Struct, frozen=True):
    """`text` is the display form."""

    value: Json
    text: str


class Submit(Struct, frozen=True):
    value: Json


class Finish(Struct, frozen=True):
    value: Json
    site: CallSite


class Fail(Struct, frozen=True):
    value: Json
    text: str
    site: CallSite


class StartProcess(Struct, frozen=True):
    module_ref: str
    process_ref: ProcessRef
    host_requirements_ref: str
    process_name: str
    args: dict[str, Json]
    site: CallSite


class ProcessEvent(Struct, frozen=True):
    """`kind` is `yield` or `wake`; `sequence` counts a run's events from 0."""

    kind: str
    value: Json
    text: str
    sequence: int
    site: CallSite


class Sleep(Struct, frozen=True):
    """`kind` is `for` or `until`; `sequence` counts a run's sleeps from 0."""

    kind: str
    value: Json
    sequence: int
    site: CallSite


class WaitSignal(Struct, frozen=True):
    """`name` is None for the unnamed signal; `ordinal` counts per name from 1."""

    name: str | None
    ordinal: int
    site: CallSite


class SignalRun(Struct, frozen=True):
    """`sequence` counts per name from 0."""

    run: Json
    name: str | None
    payload: Json
    sequence: int
    site: CallSite


class ReadValue(Struct, frozen=True):
    """A read of a lazy binding, not journaled unless its source may change.

    `operation` is one of Len, Empty, Truthy, Contains, Find, GrepText, Keys,
    Values, StartsWith, EndsWith, Split, Join, Trim, Slice, Push, ToNumber,
    JsonParse, Render, Reference, Materialize, on what `path` leads to inside `descriptor`.
    `NoAnswer` means: fetch the whole value instead. The answer to Reference stands for the
    value in the argument of an operation that takes references.
    """

    name: str
    descriptor: Json
    path: tuple[str | int, ...]
    operation: str
    args: tuple[Json, ...]


Request: TypeAlias = (
    ReadValue
    | ResourceOperation
    | ResourceOperationBatch
    | AwaitHandle
    | CancelHandle
    | Print
    | Submit
    | Finish
    | Fail
    | StartProcess
    | ProcessEvent
    | Sleep
    | WaitSignal
    | SignalRun
)


class Answered(Struct, frozen=True):
    """The host did it; `value` is the result."""

    value: Json = None


class Refused(Struct, frozen=True):
    """The host did not; `error` says why, for the program to read."""

    error: str


class NoAnswer(Struct, frozen=True):
    """The host answered `submit` with nothing."""


class BatchAnswered(Struct, frozen=True):
    """One answer per member of a batch, in request order."""

    members: tuple[Answered | Refused, ...]


Answer: TypeAlias = Answered | Refused | NoAnswer | BatchAnswered
