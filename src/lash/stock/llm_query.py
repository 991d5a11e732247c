"""`llm_query`: a question to a model that belongs to no conversation (docs/spec/runtime.md §7.5, R-103).

The operation `llm.query` of programs. With `output` the answer is a value of that shape, checked
before it is returned. Answers are recorded as direct completions: asked once whatever
crashes, and charged to the session under `llm_query`.
"""

from __future__ import annotations

from typing import Final

from lash.base.json import Json, JsonObject
from lash.base.schema import InvalidSchema
from lash.models.direct import DirectCompletionFailed, DirectRequest
from lash.models.resolver import ModelSpec
from lash.plugins.hooks import PluginSessionContext
from lash.plugins.registrar import PluginRegistrar
from lash.tools.calls import ToolExecution
from lash.tools.definition import OutputFromInput, Retry, ToolContract, ToolManifest
from lash.tools.provider import ToolProvider
from lash.tools.result import ToolCallOutput

PLUGIN_ID: Final = "llm_query"
TOOL: Final = "llm_query"
OUTPUT_INVALID: Final = "direct_output_invalid"
# An answer of the wrong shape is asked for once more.
ATTEMPTS: Final = 2

MANIFEST = ToolManifest(
    id=f"tool:{TOOL}",
    name=TOOL,
    description=(
        "Asks a language model one question, outside of this conversation: it sees the prompt and nothing else. "
        "For summaries, classification and extraction. Returns text, or a value of the type `output`."
    ),
    bindings={"lashlang": {"module": "llm", "operation": "query"}},
    retry=Retry(attempts=ATTEMPTS),
)
CONTRACT = ToolContract(
    input_schema={
        "type": "object",
        "properties": {
            "prompt": {"type": "string", "minLength": 1, "description": "The whole question, with all it needs."},
            "system": {"type": "string", "description": "Who answers, and how."},
            "output": {"type": "object", "description": "The JSON Schema of the answer; text unless given."},
        },
        "required": ["prompt"],
        "additionalProperties": False,
    },
    output_contract=OutputFromInput("output", {"type": "string"}),
)


class LlmQuery:
    """The plugin. `model` answers, the model of the turn unless given. Added in 0.1."""

    id = PLUGIN_ID

    def __init__(self, *, model: ModelSpec | None = None) -> None:
        self._provider = _LlmQueryTools(model)

    def build(self, context: PluginSessionContext) -> LlmQuery:
        """Stateless: one object serves every session."""
        del context
        return self

    def register(self, registrar: PluginRegistrar) -> None:
        """The tool."""
        registrar.tools.provider(self._provider)


class _LlmQueryTools(ToolProvider):
    def __init__(self, model: ModelSpec | None) -> None:
        self._model = model

    def tool_manifests(self) -> list[ToolManifest]:
        return [MANIFEST]

    def resolve_contract(self, name: str) -> ToolContract | None:
        return CONTRACT if name == TOOL else None

    async def execute(self, call: ToolExecution) -> object:
        wanted = call.args.get("output")
        try:
            request = _request(call.args, self._model)
        except InvalidSchema as error:
            return ToolCallOutput.failure("invalid_request", "invalid_output_schema", error.message)
        try:
            answer = await call.context.direct_completions.complete(request)
        except DirectCompletionFailed as error:
            if error.code == OUTPUT_INVALID:
                return ToolCallOutput.retryable("external", error.code, error.message)
            return ToolCallOutput.failure("external", error.code, error.message)
        if not isinstance(wanted, dict):
            return answer.text
        return _unwrapped(answer.value) if _needs_wrapping(wanted) else answer.value


def _request(args: JsonObject, model: ModelSpec | None) -> DirectRequest:
    prompt, system, wanted = str(args["prompt"]), str(args.get("system", "")), args.get("output")
    if not isinstance(wanted, dict):
        return DirectRequest.text(prompt, system=system, model=model, usage_source=PLUGIN_ID)
    schema = _wrapped(wanted) if _needs_wrapping(wanted) else wanted
    return DirectRequest.json_schema(prompt, schema, strict=False, system=system, model=model, usage_source=PLUGIN_ID)


def _needs_wrapping(schema: JsonObject) -> bool:
    """Providers answer with objects; anything else goes into one."""
    return schema.get("type") != "object"


def _wrapped(schema: JsonObject) -> JsonObject:
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    wrapped: JsonObject = {
        "type": "object",
        "properties": {"value": inner},
        "required": ["value"],
        "additionalProperties": False,
    }
    # References are looked up from the root.
    return {**wrapped, "$defs": schema["$defs"]} if "$defs" in schema else wrapped


def _unwrapped(value: Json) -> Json:
    assert isinstance(value, dict), "checked against the schema"
    return value["value"]
