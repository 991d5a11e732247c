"""The case host: it answers effects at once and logs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lash.base.json import Json, JsonObject
from lash.lashlang.codegen.bodies import compile_body
from lash.lashlang.dialect import Dialect
from lash.lashlang.execution import effects
from lash.lashlang.execution.arguments import argument_problem
from lash.lashlang.execution.budgets import DEFAULT_BUDGETS, Budgets, Spent
from lash.lashlang.execution.driver import Execution
from lash.lashlang.execution.outcomes import Breath, Continued, Failed, Faulted, Finished, Outcome, Step
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.tracking import observations
from lash.lashlang.values.json_form import from_json
from lash.lashlang.values.kinds import Value

_FILES = {"a.txt": "alpha\nbeta\n"}


@dataclass(slots=True)
class Log:
    """Every effect, in order, by kind."""

    prints: list[Json] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    starts: list[Json] = field(default_factory=list)
    awaits: list[Json] = field(default_factory=list)
    cancels: list[Json] = field(default_factory=list)
    sleeps: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    sent_signals: list[Json] = field(default_factory=list)
    observations: list[Json] = field(default_factory=list)


class CaseWorld:
    """Runs bodies of one module against the case host.

    Sleeps return at once unless there is a `sleeper`; `printer` hears of every
    `print` as it happens.
    """

    def __init__(
        self,
        artifact: ModuleArtifact,
        catalog: Catalog,
        dialect: Dialect,
        signals: JsonObject,
        *,
        budgets: Budgets = DEFAULT_BUDGETS,
        sleeper: Callable[[effects.Sleep], effects.Answer] | None = None,
        printer: Callable[[Json], None] | None = None,
    ) -> None:
        self.budgets = budgets
        self._sleeper = sleeper
        self._printer = printer
        self.spent = Spent()
        self.artifact = artifact
        self.catalog = catalog
        self.dialect = dialect
        self.log = Log()
        self.queues = {name: list(queue) for name, queue in signals.items() if isinstance(queue, list)}
        self.children: dict[str, Outcome] = {}

    def run_cell(self, variables: dict[str, Value], projected: dict[str, Value]) -> Outcome:
        """The main block."""
        body = compile_body(self.artifact, None, self.dialect, traced=True, readonly=frozenset(projected))
        execution = Execution(
            body,
            variables=variables,
            projected=projected,
            budgets=self.budgets,
            spent=self.spent,
            observer=lambda item: self._observe("main", item),
        )
        return self._drive(execution, "main")

    def run_process(self, name: str, arguments: JsonObject, run_id: str) -> Outcome:
        """One process."""
        body = compile_body(self.artifact, name, self.dialect, traced=True)
        values = {key: from_json(value) for key, value in arguments.items()}
        execution = Execution(
            body,
            arguments=values,
            budgets=self.budgets,
            spent=self.spent,
            observer=lambda item: self._observe(run_id, item),
        )
        return self._drive(execution, run_id)

    def argument_problem(self, name: str, arguments: JsonObject) -> str | None:
        """What is wrong with the arguments of a run, or None."""
        return argument_problem(self.artifact, name, {key: from_json(value) for key, value in arguments.items()})

    def _drive(self, execution: Execution, run_id: str) -> Outcome:
        step: Step = execution.start()
        while not isinstance(step, Finished | Failed | Continued | Faulted):
            step = execution.resume() if isinstance(step, Breath) else execution.resume(self._answer(step, run_id))
        return step

    def _observe(self, run_id: str, item: observations.Observation) -> None:
        entry: JsonObject = {"n": item.occurrence, "in": run_id, "label": item.site.label}
        match item:
            case observations.BranchSelected(selected=selected):
                entry |= {"e": "branch_selected", "selected": selected}
            case observations.ChildStarted(child=child, process_name=name):
                entry |= {"e": "child_started", "process_id": child, "child": name}
            case observations.NodeStarted():
                entry |= {"e": "node_started", "kind": item.site.kind, "id": item.site.node_id}
            case observations.NodeCompleted():
                entry |= {"e": "node_completed", "kind": item.site.kind}
            case observations.NodeFailed(error=error):
                entry |= {"e": "node_failed", "kind": item.site.kind, "error": error}
        self.log.observations.append(entry)

    def _answer(self, request: effects.Request, run_id: str) -> effects.Answer:
        log = self.log
        match request:
            case effects.ResourceOperation():
                return self._operation(request)
            case effects.ResourceOperationBatch(operations=operations):
                log.calls.append({"batch": len(operations)})
                return effects.BatchAnswered(tuple(self._operation(item) for item in operations))
            case effects.Print(value=value):
                log.prints.append(value)
                if self._printer is not None:
                    self._printer(value)
            case effects.Submit(value=value) | effects.Finish(value=value) | effects.Fail(value=value):
                return effects.Answered(value)
            case effects.StartProcess():
                return self._start(request)
            case effects.AwaitHandle(value=value):
                log.awaits.append(value)
                return self._awaited(value)
            case effects.CancelHandle(value=value):
                log.cancels.append(value)
                return effects.Answered(True)
            case effects.Sleep(kind=kind, value=value):
                log.sleeps.append({"kind": kind, "value": value})
                if self._sleeper is not None:
                    return self._sleeper(request)
            case effects.ProcessEvent(kind=kind, value=value, text=text):
                log.events.append({"process": run_id, "kind": kind, "value": value, "text": text})
            case effects.WaitSignal(name=name):
                queued = name or "process.signal"
                queue = self.queues.get(queued, [])
                return effects.Answered(queue.pop(0)) if queue else effects.Refused(f"no signal `{queued}`")
            case effects.SignalRun(run=run, name=name, payload=payload):
                log.sent_signals.append({"run": run, "name": name, "payload": payload})
            case effects.ReadValue():
                return effects.NoAnswer()
        return effects.Answered(None)

    def _operation(self, request: effects.ResourceOperation) -> effects.Answered | effects.Refused:
        module = self.catalog.module_instances[request.receiver.alias]
        host = module.operations[request.operation]
        payload = request.payload
        self.log.calls.append({"op": host, "args": payload})
        fields: JsonObject = payload if isinstance(payload, dict) else {}
        field_of = fields.get
        match host:
            case "echo":
                return effects.Answered(field_of("value"))
            case "fail":
                reason = field_of("reason")
                return effects.Refused(reason if isinstance(reason, str) else "boom")
            case "text_upper":
                return effects.Answered(str(field_of("text")).upper())
            case "read_file":
                path = str(field_of("path"))
                return effects.Answered(_FILES[path]) if path in _FILES else effects.Refused(f"no such file: {path}")
            case "mail_work_send" | "mail_personal_send":
                return effects.Answered({"account": host.split("_")[1], "to": field_of("to")})
            case "triggers.register":
                handle: JsonObject = {"type": "trigger_handle", "id": "trigger:1", "name": field_of("name")}
                return effects.Answered(handle)
            case "triggers.list":
                return effects.Answered([])
            case _:
                return effects.Answered(True)

    def _start(self, request: effects.StartProcess) -> effects.Answer:
        run_id = f"p{len(self.children) + 1}"
        self.log.starts.append(
            {
                "process": request.process_name,
                "args": dict(request.args),
                "site_kind": request.site.node_kind,
                "site_label": request.site.label,
                "occurrence": request.site.occurrence,
            }
        )
        self.children[run_id] = Continued()
        self.children[run_id] = self.run_process(request.process_name, request.args, run_id)
        return effects.Answered({"__handle__": "process", "id": run_id})

    def _awaited(self, value: Json) -> effects.Answer:
        run_id = value.get("id") if isinstance(value, dict) else None
        if not isinstance(run_id, str):
            return effects.Refused("expected process handle")
        if run_id not in self.children:
            return effects.Refused(f"unknown process `{run_id}`")
        match self.children[run_id]:
            case Failed(text=text):
                return effects.Refused(text)
            case Faulted(error=error):
                return effects.Refused(str(error))
            case Finished(value=result):
                return effects.Answered(result)
            case _:
                return effects.Answered(None)
