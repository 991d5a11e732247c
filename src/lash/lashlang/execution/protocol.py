"""From what a body yields to typed requests, and from answers to values.

Each effect has one `_ask_…` method, which makes the request, and one branch of
`settle`, which turns the answer into the value or error that the specification
gives it (§3.8, §3.10) and reports the observations (§9.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lash.base.json import Json
from lash.lashlang.codegen.bodies import CompiledBody
from lash.lashlang.errors import BudgetExceeded, RuntimeFailure
from lash.lashlang.execution import effects
from lash.lashlang.execution.arguments import argument_problem
from lash.lashlang.execution.budgets import Budgets, Spent
from lash.lashlang.execution.outcomes import Failed, Finished, Outcome
from lash.lashlang.tracking.observations import ChildStarted, NodeCompleted, NodeFailed, SiteCounter
from lash.lashlang.tracking.sites import Site
from lash.lashlang.values.json_form import from_json, to_json
from lash.lashlang.values.kinds import LazyValue, Resource, Value, kind_name
from lash.lashlang.values.text import display

Message = tuple[str, ...]
_UNWRAPPED: Final = "`?` unwrapped failed module operation: "


class Thrown(Exception):
    """An error that must surface inside the body, at the effect's place."""

    def __init__(self, error: RuntimeFailure) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(slots=True)
class Pending:
    """A request that waits for its answer."""

    kind: str
    sites: list[tuple[Site, int]] = field(default_factory=list)
    unwraps: list[bool] = field(default_factory=list)
    value: Value = None
    process: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """What the body receives, or how the run ends."""

    value: Value | tuple[bool, Value] = None
    outcome: Outcome | None = None


class BodyProtocol:
    """The two directions of one execution."""

    def __init__(self, body: CompiledBody, counter: SiteCounter, budgets: Budgets, spent: Spent) -> None:
        self.body = body
        self.counter = counter
        self.budgets = budgets
        self.spent = spent
        self.sort_keys = not body.dialect.insertion_order
        self._modules = body.artifact.host_requirements.resources.module_instances
        self._events = 0
        self._sleeps = 0
        self._waits: dict[str, int] = {}
        self._signals: dict[str, int] = {}

    def request(self, message: tuple[object, ...]) -> tuple[Pending, effects.Request]:
        """The typed request behind a yielded tuple."""
        return _ASK[str(message[0])](self, *message[1:])

    def _text(self, value: Value) -> str:
        return display(value, exact=self.body.dialect.exact_integers)

    def _started(self, number: int) -> tuple[tuple[Site, int], effects.CallSite]:
        site, occurrence = self.counter.started(number)
        return (site, occurrence), effects.CallSite(site.node_id, site.kind, site.label, occurrence)

    def _silent(self, number: int) -> effects.CallSite:
        site, occurrence = self.counter.next(number)
        return effects.CallSite(site.node_id, site.kind, site.label, occurrence)

    def _operation(
        self, number: int, receiver: Value, operation: str, args: tuple[Value, ...]
    ) -> tuple[tuple[Site, int], effects.ResourceOperation]:
        if type(receiver) is not Resource:
            raise Thrown(
                RuntimeFailure(
                    f"receiver for operation `{operation}` is not a module authority, got {kind_name(receiver)}"
                )
            )
        at, site = self._started(number)
        module = self._modules.get(receiver.alias)
        host = module.operations.get(operation) if module is not None else None
        return at, effects.ResourceOperation(receiver, operation, host, tuple(to_json(arg) for arg in args), site)

    def _ask_operation(
        self, number: int, receiver: Value, operation: str, args: tuple[Value, ...], unwrap: bool
    ) -> tuple[Pending, effects.Request]:
        at, request = self._operation(number, receiver, operation, args)
        return Pending("op", [at], [unwrap]), request

    def _ask_batch(
        self, members: tuple[tuple[int, Value, str, tuple[Value, ...], bool], ...]
    ) -> tuple[Pending, effects.Request]:
        pending = Pending("batch")
        operations = []
        for number, receiver, operation, args, unwrap in members:
            at, request = self._operation(number, receiver, operation, args)
            pending.sites.append(at)
            pending.unwraps.append(unwrap)
            operations.append(request)
        return pending, effects.ResourceOperationBatch(tuple(operations))

    def _ask_await(self, number: int, value: Value) -> tuple[Pending, effects.Request]:
        return Pending("await"), effects.AwaitHandle(to_json(value), self._silent(number))

    def _ask_cancel(self, number: int, value: Value) -> tuple[Pending, effects.Request]:
        return Pending("cancel"), effects.CancelHandle(to_json(value), self._silent(number))

    def _ask_print(self, value: Value) -> tuple[Pending, effects.Request]:
        return Pending("print"), effects.Print(to_json(value), self._text(value))

    def _ask_submit(self, _number: int, value: Value) -> tuple[Pending, effects.Request]:
        return Pending("submit"), effects.Submit(to_json(value))

    def _ask_finish(self, number: int, value: Value) -> tuple[Pending, effects.Request]:
        at, site = self._started(number)
        return Pending("finish", [at]), effects.Finish(to_json(value), site)

    def _ask_fail(self, number: int, value: Value) -> tuple[Pending, effects.Request]:
        at, site = self._started(number)
        return Pending("fail", [at], value=value), effects.Fail(to_json(value), self._text(value), site)

    def _ask_start(
        self, number: int, process: str, args: tuple[tuple[str, Value], ...]
    ) -> tuple[Pending, effects.Request]:
        limit = self.budgets.started_children
        if limit is not None and self.spent.started_children >= limit:
            raise Thrown(BudgetExceeded("started_children", f"more than {limit} processes started; await some first"))
        self.spent.started_children += 1
        at, site = self._started(number)
        artifact = self.body.artifact
        if self.body.dialect.checked_arguments:
            problem = argument_problem(artifact, process, dict(args))
            if problem is not None:
                raise Thrown(self._failed(at, f"process start failed: {problem}"))
        values: dict[str, Json] = {name: to_json(value) for name, value in args}
        request = effects.StartProcess(
            artifact.module_ref, artifact.exports[process], artifact.host_requirements_ref, process, values, site
        )
        return Pending("start", [at], process=process), request

    def _ask_event(self, number: int, kind: str, value: Value) -> tuple[Pending, effects.Request]:
        at, site = self._started(number)
        sequence, self._events = self._events, self._events + 1
        return Pending("event", [at], value=value), effects.ProcessEvent(
            kind, to_json(value), self._text(value), sequence, site
        )

    def _ask_sleep(self, number: int, kind: str, value: Value) -> tuple[Pending, effects.Request]:
        at, site = self._started(number)
        sequence, self._sleeps = self._sleeps, self._sleeps + 1
        return Pending("sleep", [at]), effects.Sleep(kind, to_json(value), sequence, site)

    def _ask_wait(self, number: int, name: str) -> tuple[Pending, effects.Request]:
        at, site = self._started(number)
        ordinal = self._waits[name] = self._waits.get(name, 0) + 1
        return Pending("wait", [at]), effects.WaitSignal(name or None, ordinal, site)

    def _ask_signal(self, number: int, name: str, run: Value, payload: Value) -> tuple[Pending, effects.Request]:
        at, site = self._started(number)
        sequence = self._signals.get(name, 0)
        self._signals[name] = sequence + 1
        return Pending("signal", [at]), effects.SignalRun(to_json(run), name or None, to_json(payload), sequence, site)

    def _ask_read(self, value: LazyValue, operation: str, args: tuple[Value, ...]) -> tuple[Pending, effects.Request]:
        arguments = tuple(to_json(arg) for arg in args)
        return Pending("read"), effects.ReadValue(value.name, value.descriptor, value.path, operation, arguments)

    # Answers

    def settle(self, pending: Pending, answer: effects.Answer) -> Settled:
        """What `answer` means to the body. Raises `Thrown`."""
        kind = pending.kind
        if kind == "op":
            return Settled(self._wrapper(pending.sites[0], pending.unwraps[0], answer))
        if kind == "batch":
            return Settled(self._batch(pending, answer))
        if kind == "await":
            return Settled(self._wrapped(answer))
        if isinstance(answer, effects.Refused):
            raise Thrown(self._failed_all(pending, _PREFIXES[kind] + answer.error))
        if kind == "read":
            found = isinstance(answer, effects.Answered)
            return Settled((found, from_json(self._json(answer), sort_keys=self.sort_keys)))
        if kind == "submit":
            if not isinstance(answer, effects.Answered):
                raise Thrown(RuntimeFailure("submit returned no value"))
            return Settled(outcome=Finished(answer.value))
        if kind == "fail":
            site, occurrence = pending.sites[0]
            text = self._text(pending.value)
            self.counter.report(NodeFailed(site, occurrence, text))
            return Settled(outcome=Failed(self._json(answer), text))
        if kind == "start":
            self._child_started(pending, answer)
        for site, occurrence in pending.sites:
            self.counter.report(NodeCompleted(site, occurrence))
        if kind == "finish":
            return Settled(outcome=Finished(self._json(answer)))
        if kind == "event":
            return Settled(pending.value)
        if kind in {"start", "wait", "cancel"}:
            return Settled(from_json(self._json(answer), sort_keys=self.sort_keys))
        return Settled(None)

    def _json(self, answer: effects.Answer) -> Json:
        return answer.value if isinstance(answer, effects.Answered) else None

    def _child_started(self, pending: Pending, answer: effects.Answer) -> None:
        site, occurrence = pending.sites[0]
        handle = self._json(answer)
        child = handle.get("id") if isinstance(handle, dict) else None
        artifact = self.body.artifact
        key = artifact.exports[pending.process].key
        self.counter.report(ChildStarted(site, occurrence, str(child), artifact.module_ref, key, pending.process))

    def _wrapped(self, answer: effects.Answer) -> Value:
        if isinstance(answer, effects.Refused):
            return {"ok": False, "error": answer.error}
        return {"ok": True, "value": from_json(self._json(answer), sort_keys=self.sort_keys)}

    def _wrapper(self, at: tuple[Site, int], unwrap: bool, answer: effects.Answer) -> Value:
        site, occurrence = at
        if isinstance(answer, effects.Refused) and unwrap:
            raise Thrown(self._failed(at, _UNWRAPPED + answer.error))
        self.counter.report(NodeCompleted(site, occurrence))
        if unwrap:
            return from_json(self._json(answer), sort_keys=self.sort_keys)
        return self._wrapped(answer)

    def _batch(self, pending: Pending, answer: effects.Answer) -> Value:
        if isinstance(answer, effects.Refused):
            raise Thrown(self._failed_all(pending, f"resource operation batch failed: {answer.error}"))
        if not isinstance(answer, effects.BatchAnswered):
            raise Thrown(RuntimeFailure("resource operation batch returned invalid result"))
        if len(answer.members) != len(pending.sites):
            raise Thrown(
                RuntimeFailure(
                    f"resource operation batch returned {len(answer.members)} results for "
                    f"{len(pending.sites)} operations"
                )
            )
        failure: RuntimeFailure | None = None
        values: list[Value] = []
        for (site, occurrence), unwrap, member in zip(pending.sites, pending.unwraps, answer.members, strict=True):
            if unwrap and isinstance(member, effects.Refused):
                self.counter.report(NodeFailed(site, occurrence, member.error))
                failure = failure or RuntimeFailure(_UNWRAPPED + member.error)
                continue
            self.counter.report(NodeCompleted(site, occurrence))
            plain = unwrap and isinstance(member, effects.Answered)
            values.append(
                from_json(member.value, sort_keys=self.sort_keys)  # type: ignore[union-attr]
                if plain
                else self._wrapped(member)
            )
        if failure is not None:
            raise Thrown(failure)
        return values

    def _failed(self, at: tuple[Site, int], text: str) -> RuntimeFailure:
        self.counter.report(NodeFailed(*at, text))
        return RuntimeFailure(text)

    def _failed_all(self, pending: Pending, text: str) -> RuntimeFailure:
        for at in pending.sites:
            self.counter.report(NodeFailed(*at, text))
        return RuntimeFailure(text)


_PREFIXES: Final = {
    "read": "",
    "print": "print failed: ",
    "submit": "submit failed: ",
    "finish": "finish failed: ",
    "fail": "fail failed: ",
    "event": "process event failed: ",
    "cancel": "cancel failed: ",
    "sleep": "sleep failed: ",
    "wait": "wait_signal failed: ",
    "signal": "signal_run failed: ",
    "start": "process start failed: ",
}
_ASK: Final[dict[str, Callable[..., tuple[Pending, effects.Request]]]] = {
    "op": BodyProtocol._ask_operation,
    "batch": BodyProtocol._ask_batch,
    "await": BodyProtocol._ask_await,
    "cancel": BodyProtocol._ask_cancel,
    "print": BodyProtocol._ask_print,
    "submit": BodyProtocol._ask_submit,
    "finish": BodyProtocol._ask_finish,
    "fail": BodyProtocol._ask_fail,
    "start": BodyProtocol._ask_start,
    "event": BodyProtocol._ask_event,
    "sleep": BodyProtocol._ask_sleep,
    "wait": BodyProtocol._ask_wait,
    "signal": BodyProtocol._ask_signal,
    "read": BodyProtocol._ask_read,
}
