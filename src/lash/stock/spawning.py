"""The tools of subagents: `spawn_agent` for who gives a task away, `submit_error` for who has one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from lash.base.canonical import canonical_json
from lash.base.causes import CausalRef, ProcessCause, ToolCallCause
from lash.base.codec import struct_to_json
from lash.base.errors import InvalidArgument
from lash.base.json import Json, JsonObject
from lash.base.schema import InvalidSchema, compile_schema
from lash.plugins.background import BackgroundServices
from lash.plugins.registrations import ProtocolBinding
from lash.processes.errors import ProcessError, ProcessNoLongerRetained, RegistrationConflict
from lash.processes.events import cancel_requested
from lash.processes.handles import ProcessHandleDescriptor, ProcessStartGrant
from lash.processes.inputs import SessionTurnInput, identity_of
from lash.processes.outputs import CancelledOutput, FailureOutput, ProcessAwaitOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import ProcessOriginator, ProcessProvenance, SessionOriginator, SessionScope
from lash.runtime.input import QueuedInput, TextItem, TurnOptions
from lash.runtime.worker.run import CURRENT_RUN, waiting_for_others
from lash.runtime.worker.session_turn import ChildRequest
from lash.sessions.frames import ToolAccess
from lash.sessions.graph import ProtocolEvent
from lash.stock.capabilities import Capability, ChildSession, SpawnRequest
from lash.tools.calls import ToolExecution
from lash.tools.context import ToolContext
from lash.tools.definition import OutputFromInput, ToolContract, ToolManifest
from lash.tools.provider import ToolProvider
from lash.tools.result import FailTurn, FinishTurn, ToolCallOutput, ToolFailure

PLUGIN_ID: Final = "subagents"
SPAWN: Final = "spawn_agent"
SUBMIT_ERROR: Final = "submit_error"
SUBMIT_OUTPUT: Final = "submit_output"
USAGE_SOURCE: Final = "subagent"
GONE: Final = "its parent was cancelled"
# How a type of the language stands in JSON.
_TYPE_KEY: Final = "$lash_type"


class ChildFacts(msgspec.Struct, frozen=True):
    """What a child session knows of itself; stored with it as the options of this plugin."""

    depth: int = 0
    output: JsonObject | None = None
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class Mode:
    """The execution mode, as far as it matters here: parent and child have the same one."""

    binding: ProtocolBinding | None = None

    @staticmethod
    def of(binding: ProtocolBinding | None) -> Mode:
        """Of a session's protocol."""
        return Mode(binding)

    @property
    def is_rlm(self) -> bool:
        """Whether the model writes programs, which have variables and submit values."""
        return self.binding is not None and self.binding.executor is not None


class Spawner:
    """Starts subagents and waits for them. `background` is there while the core is open."""

    def __init__(self, capabilities: Mapping[str, Capability]) -> None:
        self.capabilities = capabilities
        self.background: BackgroundServices | None = None

    async def run(self, context: ToolContext, work: SessionTurnInput) -> ProcessAwaitOutput:
        """Starts the process of a call, once, and waits for its end. Raises `ProcessError`."""
        background = self.background
        if background is None:
            raise ProcessError("processes are unavailable in this runtime")
        # Call ids of programs count anew in every turn, so they alone name nothing.
        process_id = f"process:subagent:{context.session_id}:{context.turn_id}:{context.tool_call_id}"
        originator, cause = _started_by(context)
        registration = ProcessRegistration(
            process_id, work, ProcessProvenance(originator, cause), wake_target="detached"
        )
        identity = identity_of(work)
        grant = ProcessStartGrant(originator.scope, ProcessHandleDescriptor(identity.kind, identity.label))
        try:
            await background.start(registration, grant)
        except RegistrationConflict:
            # Started by an earlier attempt, before the capability was configured otherwise: it runs as it was.
            known = await background.processes.get_process(process_id)
            if known is None or not isinstance(known.input, SessionTurnInput) or not _is_same_task(known.input, work):
                raise
            background.poke()
        try:
            async with waiting_for_others():
                return await background.processes.await_process(process_id)
        except asyncio.CancelledError:
            if context.cancellation.is_requested:
                with contextlib.suppress(ProcessError):
                    await background.processes.append_event(process_id, cancel_requested(process_id, GONE))
                background.poke()
            raise


class SpawnTools(ToolProvider):
    """`spawn_agent`, for sessions whose subagents are alike."""

    def __init__(self, spawner: Spawner, request: SpawnRequest, mode: Mode) -> None:
        self._spawner = spawner
        self._request = request
        self._mode = mode
        kinds = "\n".join(f"- {name}: {kind.description}" for name, kind in spawner.capabilities.items())
        self._manifest = ToolManifest(
            id=f"tool:{SPAWN}",
            name=SPAWN,
            description=(
                "Gives a task to another agent, which works on it in a conversation of its own, and waits for its "
                f"answer. It sees the task and the seed, and nothing of this conversation. Capabilities:\n{kinds}"
            ),
            bindings={"lashlang": {"module": "agents", "operation": "spawn"}},
            repeat="idempotent",
        )
        self._contract = _spawn_contract(list(spawner.capabilities))

    def tool_manifests(self) -> Sequence[ToolManifest]:
        """The one tool."""
        return [self._manifest]

    def resolve_contract(self, name: str) -> ToolContract | None:
        """Its contract."""
        return self._contract if name == SPAWN else None

    async def execute(self, call: ToolExecution) -> object:
        """Spawns, waits, and gives back what the subagent answered."""
        schema = _schema_of(call.args.get("output"))
        try:
            work = self._work(call.args, schema)
            output = await self._spawner.run(call.context, work)
        except InvalidSchema as error:
            return ToolCallOutput.failure("invalid_request", "invalid_output_schema", error.message)
        except InvalidArgument as error:
            return ToolCallOutput.failure("invalid_request", error.code, str(error))
        except ProcessNoLongerRetained as error:
            return ToolCallOutput.failure("unavailable", error.code, str(error))
        except ProcessError as error:
            return ToolCallOutput.failure("unavailable", "subagent_unavailable", str(error))
        match output:
            case FailureOutput():
                return ToolCallOutput.failure("execution", "subagent_failed", output.message, raw=output.raw)
            case CancelledOutput():
                return ToolCallOutput.cancelled(output.message)
            case _:
                return _answer_of(output.value, schema)

    def _work(self, args: JsonObject, schema: JsonObject | None) -> SessionTurnInput:
        if schema is not None:
            compile_schema(schema)
        names = self._spawner.capabilities
        name = str(args.get("capability") or next(iter(names)))
        child = names[name].session(self._request)
        given = args.get("seed")
        seed = given if isinstance(given, dict) else {}
        request = {
            **struct_to_json(self._child_request(child, schema, seed)),
            # What lists show.
            "capability": name,
        }
        queued = QueuedInput([TextItem(self._said(str(args["task"]), seed))], self._options(child, schema))
        return SessionTurnInput(request, struct_to_json(queued), {} if schema is None else {"schema": schema})

    def _child_request(self, child: ChildSession, schema: JsonObject | None, seed: JsonObject) -> ChildRequest:
        facts = ChildFacts(self._request.depth, schema, child.instructions)
        binding = self._mode.binding
        answers = [SUBMIT_ERROR] if schema is None or self._mode.is_rlm else [SUBMIT_ERROR, SUBMIT_OUTPUT]
        records: list[ProtocolEvent] = []
        if seed and binding is not None and binding.seed is not None:
            records = [ProtocolEvent(binding.driver.plugin_id, binding.seed(seed))]
        return ChildRequest(
            plugin_options={**child.plugin_options, PLUGIN_ID: struct_to_json(facts)},
            tool_access=_access(child, answers),
            usage_source=USAGE_SOURCE,
            records=records,
        )

    def _options(self, child: ChildSession, schema: JsonObject | None) -> TurnOptions:
        binding = self._mode.binding
        held: JsonObject = {}
        if schema is not None and binding is not None and binding.answering is not None:
            held = binding.answering(schema)
        model = None
        if child.model is not None and self._spawner.background is not None:
            model = self._spawner.background.know_model(child.model)
        return TurnOptions(model=model, max_turns=child.max_turns, protocol_turn_options=held)

    def _said(self, task: str, seed: JsonObject) -> str:
        """Where there are no variables the seed is told."""
        binding = self._mode.binding
        if not seed or (binding is not None and binding.seed is not None):
            return task
        return f"{task}\n\nGiven:\n{canonical_json(seed)}"


class ChildTools(ToolProvider):
    """How a child ends its turn: with an error, and, where its mode has no other way, with a value of a schema."""

    def __init__(self, schema: JsonObject | None) -> None:
        self._definitions = {SUBMIT_ERROR: (_ERROR_MANIFEST, _ERROR_CONTRACT)}
        if schema is not None:
            properties: JsonObject = {"value": {key: part for key, part in schema.items() if key != "$defs"}}
            contract: JsonObject = {
                "type": "object",
                "properties": properties,
                "required": ["value"],
                "additionalProperties": False,
            }
            if "$defs" in schema:
                contract["$defs"] = schema["$defs"]
            self._definitions[SUBMIT_OUTPUT] = (_OUTPUT_MANIFEST, ToolContract(contract))

    def tool_manifests(self) -> Sequence[ToolManifest]:
        """One or two tools."""
        return [manifest for manifest, _ in self._definitions.values()]

    def resolve_contract(self, name: str) -> ToolContract | None:
        """Their contracts."""
        found = self._definitions.get(name)
        return None if found is None else found[1]

    async def execute(self, call: ToolExecution) -> object:
        """Ends the turn."""
        if call.name == SUBMIT_OUTPUT:
            return ToolCallOutput.ok(None).with_control(FinishTurn(call.args["value"]))
        message = str(call.args["message"])
        failure = ToolFailure("execution", "subagent_gave_up", message, raw=call.args.get("value"))
        refused = ToolCallOutput.failure("execution", failure.code, message, raw=failure.raw)
        return refused.with_control(FailTurn(failure))


_ERROR_MANIFEST: Final = ToolManifest(
    id=f"tool:{SUBMIT_ERROR}",
    name=SUBMIT_ERROR,
    description="Gives the task back: it cannot be done. Ends your work.",
    bindings={"lashlang": {"module": "agents", "operation": SUBMIT_ERROR}},
)
_ERROR_CONTRACT: Final = ToolContract(
    {
        "type": "object",
        "properties": {
            "message": {"type": "string", "minLength": 1, "description": "Why it cannot be done."},
            "value": {"description": "Anything that helps whoever gave you the task."},
        },
        "required": ["message"],
        "additionalProperties": False,
    }
)
_OUTPUT_MANIFEST: Final = ToolManifest(
    id=f"tool:{SUBMIT_OUTPUT}", name=SUBMIT_OUTPUT, description="Your answer. Ends your work."
)


def _spawn_contract(names: list[str]) -> ToolContract:
    which = f"Which kind; {names[0]} unless given."
    return ToolContract(
        input_schema={
            "type": "object",
            "properties": {
                "task": {"type": "string", "minLength": 1, "description": "The whole task, with all it needs."},
                "capability": {
                    "type": "string",
                    "enum": [*names],
                    "description": which,
                },
                "output": {"type": "object", "description": "The JSON Schema of the answer; text unless given."},
                "seed": {"type": "object", "description": "Values that the agent begins with, by name."},
            },
            "required": ["task"],
            "additionalProperties": False,
        },
        output_contract=OutputFromInput("output", {"type": "string"}),
    )


def _schema_of(output: Json) -> JsonObject | None:
    """A JSON Schema, or a type of the language."""
    if not isinstance(output, dict):
        return None
    inner = output.get(_TYPE_KEY)
    return inner if isinstance(inner, dict) else output


def _is_same_task(known: SessionTurnInput, asked: SessionTurnInput) -> bool:
    return (known.turn_input.get("items"), known.output_contract) == (
        asked.turn_input.get("items"),
        asked.output_contract,
    )


def _access(child: ChildSession, wanted: Sequence[str]) -> ToolAccess:
    """The child's authority; whatever that is, it may answer."""
    tools, hidden = child.tool_access.tools, child.tool_access.hidden_tools
    allowed = [*tools, *(name for name in wanted if name not in tools)] if tools else []
    return ToolAccess(allowed, [name for name in hidden if name not in wanted])


def _answer_of(value: Json, schema: JsonObject | None) -> ToolCallOutput:
    """What the child answered: the value it submitted, else its text."""
    turn = value.get("turn") if isinstance(value, dict) else None
    fields = turn if isinstance(turn, dict) else {}
    if schema is None:
        answer = fields.get("value")
        return ToolCallOutput.ok(fields.get("text") if answer is None else answer)
    answer = fields.get("value")
    problems = compile_schema(schema).problems(answer)
    if problems:
        return ToolCallOutput.failure(
            "execution", "subagent_output_invalid", f"the subagent did not answer as asked: {problems[0]}", raw=answer
        )
    return ToolCallOutput.ok(answer)


def _started_by(context: ToolContext) -> tuple[SessionOriginator, CausalRef]:
    """In whose name: the session of the turn, or whoever started the process that the tool runs in."""
    run = CURRENT_RUN.get()
    if run is not None and not context.turn_id:
        originator: ProcessOriginator = run.registration.provenance.originator
        if isinstance(originator, SessionOriginator):
            return originator, ProcessCause(run.process_id)
    scope = SessionScope(context.session_id)
    return SessionOriginator(scope), ToolCallCause(context.session_id, context.tool_call_id)
