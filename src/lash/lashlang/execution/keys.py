"""Stable keys: what a journal files a request under (specification §8.3).

A key depends only on the run, the site and counters, never on the clock or
chance, so a replay asks under the keys of the first run.
"""

from __future__ import annotations

import hashlib
import json

from lash.lashlang.execution.effects import (
    AwaitHandle,
    CancelHandle,
    Fail,
    Finish,
    Print,
    ProcessEvent,
    ReadValue,
    Request,
    ResourceOperation,
    ResourceOperationBatch,
    SignalRun,
    Sleep,
    StartProcess,
    Submit,
    WaitSignal,
)


def operation_key(run: str, operation: ResourceOperation, *, child: int | None = None) -> str:
    """The key of one operation; `child` is its place in a batch."""
    return f"lashlang:{run}:resource:{operation_name(operation, child=child)}"


def operation_name(operation: ResourceOperation, *, child: int | None = None) -> str:
    """What tells one operation of a run from the others: the end of its key."""
    host = operation.host_operation or f"{operation.receiver.alias}.{operation.operation}"
    name = f"{host}:{operation.site.node_id}:{operation.site.occurrence}"
    return name if child is None else f"{name}:child:{child}"


def child_run_id(seed: str, start: StartProcess) -> str:
    """The run id of a started process.

    `seed` is `parent-process:{run}` in a process; in a cell `runtime-replay:{key}`,
    else `runtime-effect:{id}`, else `runtime-scope:{id}`.
    """
    args = json.dumps(start.args, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    parts = (
        "lashlang-process-start:v1",
        seed,
        start.site.node_id,
        str(start.site.occurrence),
        start.module_ref,
        start.process_ref.key,
        start.host_requirements_ref,
        start.process_name,
        args,
    )
    data = b"".join(part.encode() + b"\0" for part in parts)
    return f"process:lashlang:sha256:{hashlib.sha256(data).hexdigest()}"


def event_key(run: str, event: ProcessEvent) -> str:
    """The key of a `yield` or `wake`."""
    return f"process:{run}:event:{event.sequence}"


def wait_key(run: str, wait: WaitSignal, phase: str) -> str:
    """The key of a wait's `waiting` or `resumed` event."""
    return f"process:{run}:{phase}:signal.{wait.name or 'default'}:{wait.ordinal}"


def signal_key(run: str, signal: SignalRun) -> str:
    """The key of a signal sent."""
    return f"lashlang:{run}:signal.{signal.name or 'default'}:{signal.sequence}"


def request_key(run: str, request: Request) -> str:
    """The key of any request of run `run`.

    Awaits and cancels are keyed by site too; the reference draws a random id there.
    """
    match request:
        case ResourceOperation():
            return operation_key(run, request)
        case ResourceOperationBatch(operations=operations):
            return f"{operation_key(run, operations[0])}:batch:{len(operations)}"
        case ProcessEvent():
            return event_key(run, request)
        case WaitSignal():
            return wait_key(run, request, "waiting")
        case SignalRun():
            return signal_key(run, request)
        case Sleep(sequence=sequence):
            return f"process:{run}:sleep:{sequence}"
        case StartProcess():
            return child_run_id(f"parent-process:{run}", request)
        case AwaitHandle(site=site) | CancelHandle(site=site) | Finish(site=site) | Fail(site=site):
            return f"lashlang:{run}:{site.node_kind}:{site.node_id}:{site.occurrence}"
        case ReadValue(name=name, operation=operation):
            return f"lashlang:{run}:read:{name}:{operation}"
        case Print():
            return f"lashlang:{run}:print"
        case Submit():
            return f"lashlang:{run}:submit"
