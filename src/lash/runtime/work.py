"""What can be started in the background, and what is stored of it.

```python
await core.processes.start(research, args={"topic": "tides"})   # a tool of the core
await core.processes.start(lash.LangProcess("process nap(ms: int) { sleep for ms }"), args={"ms": 50})
await core.processes.start(lash.External("deploy", signals=["approve"]))
```

Starting and subscribing go the same way: a `WorkPlan` is the stored form of a work,
the environment captured by reference (docs/spec/durability.md §4.1).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec

from lash.artifacts.environments import EncodedEnv, ProcessEnvStore
from lash.artifacts.store import ArtifactStore
from lash.attachments.store import AttachmentStore
from lash.base.canonical import canonical_json_bytes
from lash.base.codec import struct_to_json, to_json
from lash.base.errors import InvalidArgument, NotCanonical
from lash.base.ids import is_name
from lash.base.json import Json, JsonObject
from lash.base.schema import compile_schema
from lash.processes.definitions import ProcessDefinition
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.event_types import ProcessEventType, end_wake, signal
from lash.processes.inputs import (
    ExternalInput,
    LashlangProcessInput,
    ProcessIdentity,
    ProcessInput,
    SessionTurnInput,
    ToolCallInput,
    identity_of,
    needs_environment,
)
from lash.runtime.input import TurnInput, TurnOptions, prepare_input
from lash.runtime.programs.definition import LangProcess
from lash.sessions.frames import ToolAccess
from lash.tools.calls import PreparedToolCall, ToolCall
from lash.tools.catalog import ToolCatalog
from lash.tools.decorator import Tool
from lash.tools.definition import ToolContract
from lash.tools.dispatch import prepare_call
from lash.tools.provider import prepared

if TYPE_CHECKING:  # the language is large, and most hosts start no programs
    from lash.runtime.programs.planning import ProgramPlanner

# Every process has a scope of its own, so its one call needs no name of its own.
CALL_ID = "call"


class UnknownTool(InvalidArgument):
    """A process was asked for with a tool that the core does not have."""

    code = "process_tool_unknown"

    def __init__(self, name: str, known: Collection[str]) -> None:
        has = ", ".join(sorted(known)) or "none"
        super().__init__(f"tool `{name}` is not among this core's tools ({has}); pass it in tools=[…] of the core")


class InvalidWork(InvalidArgument):
    """What was asked to be started, or its arguments, cannot be; nothing was stored."""

    code = "process_work_invalid"


@dataclass(frozen=True, slots=True)
class External:
    """Work that somebody else does and reports; no worker ever runs it. Added in 0.1.

    `label` is what lists show, `metadata` any JSON; `signals` are the names it may be sent.
    """

    label: str
    metadata: JsonObject | None = None
    signals: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SessionTurn:
    """One turn of a session of its own, made for it. Added in 0.1.

    The result is `{"process_id", "child_session_id", "turn": {"text", "value", "outcome", "usage", …}}`.
    Without `session_id` the session is named after the process. `tools`, by name, is all that it may use,
    less `hidden_tools`; `max_turns` limits the turn. Whoever starts it from a session is its parent.
    """

    input: str | TurnInput
    session_id: str | None = None
    tools: Sequence[str] = ()
    hidden_tools: Sequence[str] = ()
    plugin_options: JsonObject | None = None
    max_turns: int | None = None
    usage_source: str = "child"


# What `start` takes: a tool of the core or its name, a process of a program, a turn, external work, or a
# stored process input.
Work: TypeAlias = Tool[..., Any] | LangProcess | ProcessDefinition | SessionTurn | External | ProcessInput | str


@dataclass(frozen=True, slots=True)
class WorkPlan:
    """A work in its stored form."""

    input: ProcessInput
    identity: ProcessIdentity
    event_types: list[ProcessEventType]
    env_ref: str | None

    def label(self) -> str:
        """What people call it."""
        return self.identity.label or self.identity.kind

    def waking(self) -> WorkPlan:
        """The same, whose end wakes the session it is given; programs wake with their own words."""
        if isinstance(self.input, LashlangProcessInput):
            return self
        return WorkPlan(self.input, self.identity, [*self.event_types, end_wake(self.label())], self.env_ref)


class WorkPlanner:
    """Turns what a host asks for into plans, with the tools and the environment of one core."""

    def __init__(
        self,
        catalog: Callable[[], ToolCatalog],
        environment: Callable[[], ProcessExecutionEnvSpec],
        envs: ProcessEnvStore,
        attachments: AttachmentStore,
        artifacts: ArtifactStore,
        contributions: Sequence[Json] = (),
    ) -> None:
        """`contributions` is what plugins add to programs."""
        self._catalog = catalog
        self._environment = environment
        self._envs = envs
        self._attachments = attachments
        self._artifacts = artifacts
        self._contributions = contributions
        self._made_programs: ProgramPlanner | None = None
        self._env: EncodedEnv | None = None

    async def plan(self, what: Work, args: Mapping[str, Json] | None) -> WorkPlan:
        """A work that is started now. Raises `UnknownTool` and `InvalidWork`."""
        if isinstance(what, str | Tool):
            name = what if isinstance(what, str) else what.name
            return await self._planned(what, ToolCallInput(await self._call(name, _record(args))))
        given = json_object(args)
        match what:
            case LangProcess() | ProcessDefinition() | LashlangProcessInput():
                return await self._program(what, given, None)
            case SessionTurn():
                work: ProcessInput = await self._turn(what, given)
            case _:
                work = _input_of(what, given)
        return await self._planned(what, work)

    async def target(self, what: Work, args: Mapping[str, Json] | None, inputs: Collection[str]) -> WorkPlan:
        """A work that occurrences start; they fill in the arguments named by `inputs`."""
        given = json_object(args)
        match what:
            case LangProcess() | ProcessDefinition() | LashlangProcessInput():
                return await self._program(what, given, inputs)
            case str() | Tool():
                name = what if isinstance(what, str) else what.name
                work: ProcessInput = ToolCallInput(self._open_call(name, given, inputs))
            case _:
                work = await self._turn(what, given) if isinstance(what, SessionTurn) else _input_of(what, given)
                if inputs and isinstance(work, ExternalInput | SessionTurnInput):
                    raise InvalidWork(
                        f"{type(what).__name__} takes no arguments, so inputs {sorted(inputs)} lead nowhere; "
                        "leave inputs out, or start a tool"
                    )
        return await self._planned(what, work)

    async def _program(
        self,
        what: LangProcess | ProcessDefinition | LashlangProcessInput,
        args: JsonObject,
        inputs: Collection[str] | None,
    ) -> WorkPlan:
        if isinstance(what, LangProcess):
            definition = await self._programs.definition(what)
        elif isinstance(what, LashlangProcessInput):
            definition, args = what.definition, {**what.args, **args}
        else:
            definition = what
        work, signals = await self._programs.input(definition, args, inputs)
        return WorkPlan(work, identity_of(work), signals, await self._captured())

    @property
    def _programs(self) -> ProgramPlanner:
        if self._made_programs is None:
            from lash.runtime.programs.modules import Modules
            from lash.runtime.programs.planning import ProgramPlanner

            self._made_programs = ProgramPlanner(Modules(self._artifacts), self._catalog, self._contributions)
        return self._made_programs

    async def _captured(self) -> str:
        spec = self._environment()
        env = self._env
        if env is None or env.spec is not spec:
            env = self._env = EncodedEnv(spec)
        await self._envs.put_process_execution_env(env.ref, env.data)
        return env.ref

    async def _planned(self, what: Work, work: ProcessInput) -> WorkPlan:
        signals = [signal(name) for name in what.signals] if isinstance(what, External) else []
        env_ref = await self._captured() if needs_environment(work) else None
        return WorkPlan(work, identity_of(work), signals, env_ref)

    async def _call(self, name: str, args: JsonObject) -> PreparedToolCall:
        catalog = self._catalog()
        if catalog.resolve(name) is None:
            raise UnknownTool(name, catalog.callable_names)
        ready = await prepare_call(catalog, ToolCall(CALL_ID, name, args))
        if isinstance(ready, PreparedToolCall):
            return ready
        return_json(args, "args")  # that says it better
        said = "it cannot be called now" if ready.error is None else ready.error.message
        raise InvalidWork(f"tool `{name}` cannot be started: {' '.join(said.split())}")

    async def _turn(self, what: SessionTurn, args: JsonObject) -> SessionTurnInput:
        if args:
            raise InvalidWork("a turn takes no args; say it in its input")
        if what.session_id is not None and not is_name(what.session_id):
            raise InvalidWork(f"session_id={what.session_id!r} is empty or no plain text; leave it out")
        for name, names in (("tools", what.tools), ("hidden_tools", what.hidden_tools)):
            if isinstance(names, str):
                raise InvalidWork(f"{name}={names!r} is one text; give a list of names, [{names!r}]")
        said = TurnInput.text(what.input) if isinstance(what.input, str) else what.input
        queued = await prepare_input(said, TurnOptions(max_turns=what.max_turns), self._attachments)
        if queued.problem is not None:
            raise InvalidWork(f"the turn cannot be started: {queued.problem}")
        options = return_json(what.plugin_options or {}, "plugin_options")
        request: JsonObject = {
            "plugin_options": options,
            "tool_access": struct_to_json(ToolAccess(list(what.tools), list(what.hidden_tools))),
            "usage_source": what.usage_source,
        }
        if what.session_id is not None:
            request["session_id"] = what.session_id
        return SessionTurnInput(request, struct_to_json(queued))

    def _open_call(self, name: str, args: JsonObject, inputs: Collection[str]) -> PreparedToolCall:
        catalog = self._catalog()
        entry = catalog.resolve(name)
        if entry is None:
            raise UnknownTool(name, catalog.callable_names)
        if (contract := entry.contract()) is not None:
            check_open_arguments(name, contract, args, inputs)
        return prepared(ToolCall(CALL_ID, name, args), entry.manifest)


def check_open_arguments(name: str, contract: ToolContract, args: JsonObject, inputs: Collection[str]) -> None:
    """Raises `InvalidWork` unless `args` are right and, with `inputs`, complete."""
    schema = contract.input_schema
    required = schema.get("required")
    wanted = [str(field) for field in required] if isinstance(required, list) else []
    missing = [field for field in wanted if field not in args and field not in inputs]
    if missing:
        raise InvalidWork(f'tool `{name}` needs `{missing[0]}`; give it in args, or in inputs as "event"')
    properties = schema.get("properties")
    if schema.get("additionalProperties") is False and isinstance(properties, dict):
        unknown = sorted(set(inputs) - set(properties))
        if unknown:
            raise InvalidWork(f"tool `{name}` takes no `{unknown[0]}`; it takes {', '.join(properties) or 'nothing'}")
    problems = compile_schema({**schema, "required": []}).problems(args)
    if problems:
        raise InvalidWork(f"tool `{name}` cannot be started with these args: {problems[0]}")


def json_object(args: object) -> JsonObject:
    """Arguments as plain JSON. Raises `InvalidWork`."""
    given = _record(args)
    return_json(given, "args")
    return given


def _record(args: object) -> JsonObject:
    """Arguments whose values nobody has looked at yet."""
    if args is None:
        return {}
    if not isinstance(args, Mapping):
        raise InvalidWork(f"args={args!r} is {type(args).__name__}, not a record; pass a dict of JSON values")
    return dict(cast("Mapping[str, Json]", args))


def return_json(value: Json, what: str) -> Json:
    """The value itself. Raises `InvalidWork` when it is not JSON."""
    try:
        canonical_json_bytes(value)
    except NotCanonical as error:
        raise InvalidWork(f"{what} is not JSON: {error.message}") from error
    return value


def _input_of(what: object, args: JsonObject) -> ProcessInput:
    match what:
        case External(label=label, metadata=metadata):
            if args:
                raise InvalidWork("external work takes no args; put them into metadata=")
            if not is_name(label):
                raise InvalidWork(f"label={label!r} of external work is empty; say what it is")
            if isinstance(what.signals, str):
                raise InvalidWork(f"signals={what.signals!r} is one text; give a list of names, [{what.signals!r}]")
            fields = {"label": label, **(metadata or {})}
            return ExternalInput(return_json(fields, "metadata"))
        case msgspec.Struct() if isinstance(what, ProcessInput):
            if args:
                raise InvalidWork(f"args belong into the input itself when a {type(what).__name__} is started")
            return what
        case _:
            raise InvalidWork(
                f"{what!r} cannot be started; give a tool of the core, lash.LangProcess(…), lash.SessionTurn(…), "
                "lash.External(…), or a stored process input"
            )


def as_target(plan: WorkPlan) -> tuple[JsonObject, list[JsonObject]]:
    """A plan's input and event types as triggers carry them."""
    work = to_json(plan.input)
    assert isinstance(work, dict)
    types = [to_json(event_type) for event_type in plan.event_types]
    return work, [event_type for event_type in types if isinstance(event_type, dict)]
