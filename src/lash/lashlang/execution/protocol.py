"""From what a body yields to typed requests, and from answers to values.

Each effect has one `_ask_…` method, which makes the request, and one branch of
`settle`, which turns the answer into the value or error that the specification
gives it (§3.8, §3.10) and reports the observations (§9.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from lash.base.json import Json
from lash.lashlang.codegen.bodies import CompiledBody
from lash.lashlang.errors import BudgetExceeded, RuntimeFailure
from lash.lashlang.execution import effects
from lash.lashlang.execution.arguments import argument_problem, argument_walk
from lash.lashlang.execution.budgets import Budgets, Spent
from lash.lashlang.execution.handing import Handing, Large, Slices
from lash.lashlang.execution.outcomes import Failed, Finished, Outcome
from lash.lashlang.tracking.observations import ChildStarted, NodeCompleted, NodeFailed, SiteCounter
from lash.lashlang.tracking.sites import Site
from lash.lashlang.values.kinds import LazyValue, Resource, Value, kind_name
from lash.lashlang.values.markers import UNFINISHED, Marker
from lash.lashlang.values.room import Room
from lash.lashlang.values.walks import SLICE

Message = tuple[str, ...]
_UNWRAPPED: Final = "`?` unwrapped failed module operation: "


class Thrown(Exception):
    """An error that must surface inside the body, at the effect's place."""

    def __init__(self, error: RuntimeFailure) -> None:
        super().__init__(str(error))
        self.error = error


class Pending(Struct):
    """A request that waits for its answer."""

    kind: str
    sites: list[tuple[Site, int]] = []
    unwraps: list[bool] = []
    value: Value = None
    text: str = ""
    process: str = ""


class Settled(Struct, frozen=True):
    """What the body receives, or how the run ends."""

    value: Value | tuple[bool, Value] = None
    outcome: Outcome | None = None
    error: RuntimeFailure | None = None


class BodyProtocol:
    """The two directions of one execution."""

    def __init__(self, body: CompiledBody, counter: SiteCounter, budgets: Budgets, spent: Spent) -> None:
        self.body = body
        self.counter = counter
        self.budgets = budgets
        self.spent = spent
        self.handing = Handing(exact=body.dialect.exact_integers, sort_keys=not body.dialect.insertion_order)
        self._modules = body.artifact.host_requirements.resources.module_instances
        # What was found of the arguments of a start, where that was looked for in slices.
        self._checked: str | Marker | None = UNFINISHED
        self._events = 0
        self._sleeps = 0
        self._waits: dict[str, int] = {}
        self._signals: dict[str, int] = {}

    def request(self, message: tuple[object, ...]) -> tuple[Pending, effects.Request]:
        """The typed request behind a yielded tuple. Raises `Large`, `Thrown` and `RuntimeFailure`."""
        return _ASK[str(message[0])](self, *message[1:])

    def request_in_slices(self, message: tuple[object, ...]) -> Slices[tuple[Pending, effects.Request]]:
        """`request` of a message with large values."""
        try:
            yield from self.handing.prepare(message)
            if message[0] == "start" and self.body.dialect.checked_arguments:
                _, _, process, args = message
                self._checked = yield from argument_walk(self.body.artifact, process, dict(args))  # type: ignore[arg-type,call-overload]
            return self.request(message)
        finally:
            self.handing.done()
            self._checked = UNFINISHED

    def settle_in_slices(self, pending: Pending, answer: effects.Answer) -> Slices[Settled]:
        """`settle` of a large answer."""
        try:
            for item in answer.members if isinstance(answer, effects.BatchAnswered) else (answer,):
                if isinstance(item, effects.Answered):
                    yield from self.handing.prepare_answer(item.value)
            return self.settle(pending, answer)
        finally:
            self.handing.done()

    def _started(self, number: int) -> tuple[tuple[Site, int], effects.CallSite]:
        site, occurrence = self.counter.started(number)
        return (site, occurrence), effects.CallSite(site.node_id, site.kind, site.label, occurrence)

    def _silent(self, number: int) -> effects.CallSite:
        site, occurrence = self.counter.next(number)
        return effects.CallSite(site.node_id, site.kind, site.label, occurrence)

    def _operation(
        self, number: int, receiver: Value, operation: str, given: tuple[Json, ...]
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
        return at, effects.ResourceOperation(receiver, operation, host, given, site)

    def _ask_operation(
        self, number: int, receiver: Value, operation: str, args: tuple[Value, ...], unwrap: bool
    ) -> tuple[Pending, effects.Request]:
        at, request = self._operation(number, receiver, operation, self._given(args))
        return Pending("op", [at], [unwrap]), request

    def _given(self, args: tuple[Value, ...]) -> tuple[Json, ...]:
        return tuple(self.handing.out(arg) for arg in args)

    def _ask_batch(
        self, members: tuple[tuple[int, Value, str, tuple[Value, ...], bool], ...]
    ) -> tuple[Pending, effects.Request]:
        pending = Pending("batch")
        operations = []
        given = [self._given(args) for _, _, _, args, _ in members]
        for (number, receiver, operation, _, unwrap), sent in zip(members, given, strict=True):
            at, request = self._operation(number, receiver, operation, sent)
            pending.sites.append(at)
            pending.unwraps.append(unwrap)
            operations.append(request)
        return pending, effects.ResourceOperationBatch(tuple(operations))

    def _ask_await(self, number: int, value: Value) -> tuple[Pending, effects.Request]:
        return Pending("await"), effects.AwaitHandle(self.handing.out(value), self._silent(number))

    def _ask_cancel(self, number: int, value: Value) -> tuple[Pending, effects.Request]:
        return Pending("cancel"), effects.CancelHandle(self.handing.out(value), self._silent(number))

    def _refuse_outside(self, kind: str, text: str) -> None:
        """Refuses a word in the wrong kind of body, which only a tree made without source can hold (§3.10)."""
        if self.body.entry.kind != kind:
            raise Thrown(RuntimeFailure(text))

    def _ask_print(self, value: Value) -> tuple[Pending, effects.Request]:
        self._refuse_outside("main", "`print` can't be used inside a process body")
        return Pending("print"), effects.Print(self.handing.out(value), self.handing.text(value))

    def _ask_submit(self, _number: int, value: Value) -> tuple[Pending, effects.Request]:
        self._refuse_outside("main", "`submit` can't be used inside a process body")
        return Pending("submit"), effects.Submit(self.handing.out(value))

    def _ask_finish(self, number: int, value: Value) -> tuple[Pending, effects.Request]:
        self._refuse_outside("process", "`finish` can only be used inside a process body")
        result = self.handing.out(value)
        at, site = self._started(number)
        return Pending("finish", [at]), effects.Finish(result, site)

    def _ask_fail(self, number: int, value: Value) -> tuple[Pending, effects.Request]:
        self._refuse_outside("process", "`fail` can only be used inside a process body")
        reason, text = self.handing.out(value), self.handing.text(value)
        at, site = self._started(number)
        return Pending("fail", [at], text=text), effects.Fail(reason, text, site)

    def _ask_start(
        self, number: int, process: str, args: tuple[tuple[str, Value], ...]
    ) -> tuple[Pending, effects.Request]:
        values: dict[str, Json] = {name: self.handing.out(value) for name, value in args}
        limit = self.budgets.started_children
        if limit is not None and self.spent.started_children >= limit:
            raise Thrown(BudgetExceeded("started_children", f"more than {limit} processes started; await some first"))
        problem = self._argument_problem(process, dict(args))
        self.spent.started_children += 1
        at, site = self._started(number)
        artifact = self.body.artifact
        if problem is not None:
            raise Thrown(self._failed(at, f"process start failed: {problem}"))
        request = effects.StartProcess(
            artifact.module_ref, artifact.exports[process], artifact.host_requirements_ref, process, values, site
        )
        return Pending("start", [at], process=process), request

    def _argument_problem(self, process: str, args: dict[str, Value]) -> str | None:
        if not self.body.dialect.checked_arguments:
            return None
        if not isinstance(self._checked, Marker):
            return self._checked
        try:
            return argument_problem(self.body.artifact, process, args, Room(SLICE))
        except BudgetExceeded:
            raise Large from None

    def _ask_event(self, number: int, kind: str, value: Value) -> tuple[Pending, effects.Request]:
        self._refuse_outside("process", f"`{kind}` can only be used inside a process body")
        payload, text = self.handing.out(value), self.handing.text(value)
        at, site = self._started(number)
        sequence, self._events = self._events, self._events + 1
        return Pending("event", [at], value=value), effects.ProcessEvent(kind, payload, text, sequence, site)

    def _ask_sleep(self, number: int, kind: str, value: Value) -> tuple[Pending, effects.Request]:
        until = self.handing.out(value)
        at, site = self._started(number)
        sequence, self._sleeps = self._sleeps, self._sleeps + 1
        return Pending("sleep", [at]), effects.Sleep(kind, until, sequence, site)

    def _ask_wait(self, number: int, name: str) -> tuple[Pending, effects.Request]:
        at, site = self._started(number)
        ordinal = self._waits[name] = self._waits.get(name, 0) + 1
        return Pending("wait", [at]), effects.WaitSignal(name or None, ordinal, site)

    def _ask_signal(self, number: int, name: str, run: Value, payload: Value) -> tuple[Pending, effects.Request]:
        target, sent = self.handing.out(run), self.handing.out(payload)
        at, site = self._started(number)
        sequence = self._signals.get(name, 0)
        self._signals[name] = sequence + 1
        return Pending("signal", [at]), effects.SignalRun(target, name or None, sent, sequence, site)

    def _ask_read(self, value: LazyValue, operation: str, args: tuple[Value, ...]) -> tuple[Pending, effects.Request]:
        arguments = tuple(self.handing.out(arg) for arg in args)
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
            return Settled((found, self.handing.take(self._json(answer))))
        if kind == "submit":
            if not isinstance(answer, effects.Answered):
                raise Thrown(RuntimeFailure("submit returned no value"))
            return Settled(outcome=Finished(answer.value))
        if kind == "fail":
            site, occurrence = pending.sites[0]
            self.counter.report(NodeFailed(site, occurrence, pending.text))
            return Settled(outcome=Failed(self._json(answer), pending.text))
        given = self.handing.take(self._json(answer)) if kind in _GIVES else None
        if kind == "start":
            self._child_started(pending, answer)
        for site, occurrence in pending.sites:
            self.counter.report(NodeCompleted(site, occurrence))
        if kind == "finish":
            return Settled(outcome=Finished(self._json(answer)))
        if kind == "event":
            return Settled(pending.value)
        return Settled(given)

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
        return {"ok": True, "value": self.handing.take(self._json(answer))}

    def _wrapper(self, at: tuple[Site, int], unwrap: bool, answer: effects.Answer) -> Value:
        site, occurrence = at
        if isinstance(answer, effects.Refused) and unwrap:
            raise Thrown(self._failed(at, _UNWRAPPED + answer.error))
        value = self.handing.take(self._json(answer)) if unwrap else self._wrapped(answer)
        self.counter.completed(site, occurrence)
        return value

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
        for unwrap, member in zip(pending.unwraps, answer.members, strict=True):
            plain = unwrap and isinstance(member, effects.Answered)
            values.append(self.handing.take(self._json(member)) if plain else self._wrapped(member))
        for (site, occurrence), unwrap, member in zip(pending.sites, pending.unwraps, answer.members, strict=True):
            if unwrap and isinstance(member, effects.Refused):
                self.counter.report(NodeFailed(site, occurrence, member.error))
                failure = failure or RuntimeFailure(_UNWRAPPED + member.error)
            else:
                self.counter.report(NodeCompleted(site, occurrence))
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


# Effects whose answer is the value of the expression.
_GIVES: Final = frozenset(("start", "wait", "cancel"))
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
