"""What a tool is, before anybody calls it.

A *manifest* says who the tool is and how it may be run; a *contract* says what goes
in and what comes out. A definition is both. All of it is data: it is stored with
the session, recorded with a turn's environment, and shown to the model
(docs/spec/runtime.md §6.1).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from lash.base.errors import InvalidArgument
from lash.base.json import Json, JsonObject
from lash.machine.llm import ToolSpec
from lash.tools.compact import signature_text, type_text

if TYPE_CHECKING:
    from lash.base.schema import Schema

Availability: TypeAlias = Literal["off", "callable"]
Activation: TypeAlias = Literal["always", "internal"]
Scheduling: TypeAlias = Literal["parallel", "serial"]

# What recovery may do when nobody knows whether a call had its effect (decisions 12):
# safe: run it again. idempotent: the same, and also try again after a timeout or a lost
# connection. never: leave it to the host.
Repeat: TypeAlias = Literal["safe", "idempotent", "never"]


# Whether a person is asked before a call runs: never, always, or when the tool's own predicate says so.
ApprovalPolicy: TypeAlias = Literal["never", "always", "predicate"]


class Retry(msgspec.Struct, frozen=True, gc=False):
    """How often a failure that declares itself retryable is tried again. Added in 0.1.

    `attempts` counts the first one. The wait before attempt n+1 is the failure's own
    `after_ms` or `base_ms` times 2 to the n-1, and at most `max_ms`.
    """

    attempts: int = 3
    base_ms: int = 200
    max_ms: int = 2_000

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.base_ms < 0 or self.max_ms < self.base_ms:
            raise InvalidArgument(
                f"Retry(attempts={self.attempts}, base_ms={self.base_ms}, max_ms={self.max_ms}): "
                "attempts is at least 1 and 0 <= base_ms <= max_ms"
            )


ONE_ATTEMPT = Retry(attempts=1)


class AttemptPolicy(msgspec.Struct, frozen=True, gc=False):
    """What the retry rule (tools/retry.py) needs to know of a tool."""

    repeat: Repeat = "safe"
    retry: Retry = ONE_ATTEMPT


class MaterializeArguments(msgspec.Struct, frozen=True, tag="materialize", tag_field="kind"):
    """Arguments reach the tool as plain values."""


class PreserveProjectedRefs(msgspec.Struct, frozen=True, tag="preserve_projected_refs_in_field", tag_field="kind"):
    """References to projected values at the roots of `field` reach the tool unresolved (tools/projected.py)."""

    field: str


ArgumentProjection: TypeAlias = MaterializeArguments | PreserveProjectedRefs


class StaticOutput(msgspec.Struct, frozen=True, tag="static", tag_field="kind"):
    """The output is what `output_schema` says."""


class OutputFromInput(msgspec.Struct, frozen=True, tag="from_input_schema", tag_field="kind"):
    """The caller passes the wanted output type as the argument `input_field`."""

    input_field: str
    default_schema: JsonObject | None = None


OutputContract: TypeAlias = StaticOutput | OutputFromInput

OPEN_OBJECT: JsonObject = {"type": "object", "additionalProperties": True}

# Two worked calls teach a model the format; more only cost context.
SHOWN_EXAMPLES = 2
SHOWN_EXAMPLE_CHARS = 240


class CompactContract(msgspec.Struct, frozen=True):
    """A contract in a few lines, for prompts and tool search."""

    name: str
    signature: str
    returns: str
    parameters: list[str] = []
    return_fields: list[str] = []
    description: str = ""
    examples: list[str] = []


class ToolManifest(msgspec.Struct, frozen=True):
    """Who a tool is and how it may be run. `id` is what authority and restore go by."""

    id: str
    name: str
    description: str = ""
    availability: Availability = "callable"
    availability_override: Availability | None = None
    activation: Activation = "always"
    bindings: dict[str, Json] = {}
    argument_projection: ArgumentProjection = MaterializeArguments()
    scheduling: Scheduling = "parallel"
    repeat: Repeat = "safe"
    retry: Retry = ONE_ATTEMPT
    timeout_ms: int | None = None
    approve: ApprovalPolicy = "never"
    approval_timeout_ms: int | None = None

    def __post_init__(self) -> None:
        if not self.id or not self.name:
            raise InvalidArgument(f"a tool needs an id and a name, got id {self.id!r} and name {self.name!r}")
        if self.timeout_ms is not None and self.timeout_ms <= 0:
            raise InvalidArgument(f"tool {self.name}: a timeout is positive, got {self.timeout_ms} ms")
        if self.approval_timeout_ms is not None and self.approval_timeout_ms <= 0:
            raise InvalidArgument(f"tool {self.name}: an approval timeout is positive, got {self.approval_timeout_ms}")

    @property
    def is_callable(self) -> bool:
        """Whether it may be called: the session's override, else the tool's own word."""
        return (self.availability_override or self.availability) == "callable"

    @property
    def attempt_policy(self) -> AttemptPolicy:
        """The part that the retry rule reads."""
        return AttemptPolicy(self.repeat, self.retry)


class ToolContract(msgspec.Struct, frozen=True, dict=True):
    """What goes in and what comes out, as JSON Schema.

    The projections replace a schema for one provider profile that cannot take it.
    """

    input_schema: JsonObject = msgspec.field(default_factory=lambda: dict(OPEN_OBJECT))
    output_schema: JsonObject | None = None
    input_schema_projections: dict[str, JsonObject] = {}
    output_schema_projections: dict[str, JsonObject] = {}
    output_contract: OutputContract = StaticOutput()
    examples: list[str] = []

    @cached_property
    def checker(self) -> Schema:
        """The input schema, compiled. Raises `InvalidSchema`."""
        from lash.base.schema import compile_schema

        return compile_schema(self.input_schema)

    def output_schema_for(self, args: JsonObject) -> JsonObject | None:
        """The schema that the result of a call with `args` promises to match."""
        match self.output_contract:
            case OutputFromInput(input_field=field, default_schema=default):
                wanted = args.get(field)
                return wanted if isinstance(wanted, dict) else default
            case _:
                return self.output_schema


class ToolDefinition(msgspec.Struct, frozen=True):
    """A manifest and its contract."""

    manifest: ToolManifest
    contract: ToolContract = ToolContract()

    @staticmethod
    def raw(
        name: str,
        description: str = "",
        *,
        tool_id: str = "",
        input_schema: JsonObject = OPEN_OBJECT,
        output_schema: JsonObject | None = None,
    ) -> ToolDefinition:
        """A definition from schemas written by hand."""
        return ToolDefinition(
            ToolManifest(tool_id or f"tool:{name}", name, description), ToolContract(input_schema, output_schema)
        )

    @property
    def id(self) -> str:
        """The stable id."""
        return self.manifest.id

    @property
    def name(self) -> str:
        """The name the model calls it by."""
        return self.manifest.name

    @property
    def signature(self) -> str:
        """`name({ a: str, b?: int = 3 }) -> T`."""
        return signature_text(self.name, self.contract.input_schema, _shown_output(self.contract))

    @property
    def compact(self) -> CompactContract:
        """The contract in a few lines."""
        output = _shown_output(self.contract)
        return CompactContract(
            name=self.name,
            signature=self.signature,
            returns=type_text(output),
            parameters=_described_fields(self.contract.input_schema),
            return_fields=_described_fields(output or {}),
            description=self.manifest.description,
            examples=_shown(self.contract.examples),
        )

    def to_spec(self) -> ToolSpec:
        """The tool as a model request carries it."""
        examples = _shown(self.contract.examples)
        description = self.manifest.description
        if examples:
            description = "\n".join([*([description, ""] if description else []), "Examples:", *examples])
        return ToolSpec(
            name=self.name,
            description=description,
            input_schema=self.contract.input_schema,
            output_schema=_shown_output(self.contract),
            input_schema_projections=self.contract.input_schema_projections,
            output_schema_projections=self.contract.output_schema_projections,
        )


def _shown_output(contract: ToolContract) -> JsonObject | None:
    match contract.output_contract:
        case OutputFromInput(default_schema=default):
            return default
        case _:
            return contract.output_schema


def _shown(examples: list[str]) -> list[str]:
    return [
        text if len(text) <= SHOWN_EXAMPLE_CHARS else text[: SHOWN_EXAMPLE_CHARS - 1] + "…"
        for text in examples[:SHOWN_EXAMPLES]
    ]


def _described_fields(schema: JsonObject) -> list[str]:
    properties = schema.get("properties")
    required = schema.get("required")
    if not isinstance(properties, dict):
        return []
    lines: list[str] = []
    for name, field in properties.items():
        optional = "" if isinstance(required, list) and name in required else "?"
        text = f"{name}{optional}: {type_text(field, root=schema)}"
        if isinstance(field, dict) and isinstance(field.get("description"), str):
            text += f": {field['description']}"
        lines.append(text)
    return lines
