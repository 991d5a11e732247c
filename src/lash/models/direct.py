"""Direct completions: one question to a model, outside of any conversation (docs/spec/runtime.md §2.7).

A request is a value, an answer is a value. Where the question is asked decides what a crash
does to it: a tool's goes through the effect boundary (`runtime/direct.py`), a plain
`DirectClient`'s is asked and forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lash.base.cancel import CancelToken
from lash.base.canonical import canonical_json, parse_json, tagged_hash_of_canonical
from lash.base.clock import Clock
from lash.base.codec import to_json
from lash.base.errors import InvalidArgument, LashError
from lash.base.json import Json, JsonObject
from lash.base.schema import Schema
from lash.base.usage import TokenUsage
from lash.machine.llm import (
    Generation,
    LlmCallError,
    LlmMessage,
    LlmRequest,
    LoadAttachment,
    OutputSpec,
    RequestPlace,
    TextBlock,
)
from lash.models.call import call_model
from lash.models.resolver import ModelSpec


class DirectCompletionFailed(LashError):
    """A direct completion got no answer, or not of the shape that was asked for. Nothing of it is recorded.

    `code` is the failure's own where it has one, for example `direct_output_invalid`.
    """

    code = "direct_completion_failed"

    def __init__(self, message: str, *, code: str | None = None, error: LlmCallError | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.error = error


@dataclass(frozen=True, slots=True)
class DirectRequest:
    """One question to a model. Make it with `text`, `json` or `json_schema`. Added in 0.1.

    `model` is the asker's own unless given. Inside a tool, equal requests are one question with one
    recorded answer; another `key` asks again. `usage_source` is the line of the session's ledger
    that the tokens are charged to.
    """

    messages: list[LlmMessage]
    model: ModelSpec | None = None
    output: OutputSpec | None = None
    generation: Generation = field(default_factory=Generation)
    usage_source: str = "direct"
    key: str | None = None

    def __post_init__(self) -> None:
        if not self.messages:
            raise InvalidArgument("a direct completion needs a message; use DirectRequest.text('…')")
        if not self.usage_source or ":" in self.usage_source:
            raise InvalidArgument(f"usage_source={self.usage_source!r}: give a name without ':'")
        if self.key is not None and not self.key:
            raise InvalidArgument("key='' is empty; leave it out or give the question a name")

    @staticmethod
    def text(
        prompt: str,
        *,
        system: str = "",
        model: ModelSpec | None = None,
        generation: Generation | None = None,
        usage_source: str = "direct",
        key: str | None = None,
    ) -> DirectRequest:
        """Asks for text."""
        return DirectRequest(_messages(prompt, system), model, None, generation or Generation(), usage_source, key)

    @staticmethod
    def json(
        prompt: str,
        *,
        system: str = "",
        model: ModelSpec | None = None,
        generation: Generation | None = None,
        usage_source: str = "direct",
        key: str | None = None,
    ) -> DirectRequest:
        """Asks for any JSON object: `value` of the answer."""
        output = OutputSpec("json_object")
        return DirectRequest(_messages(prompt, system), model, output, generation or Generation(), usage_source, key)

    @staticmethod
    def json_schema(
        prompt: str,
        schema: JsonObject,
        *,
        name: str = "answer",
        strict: bool = True,
        system: str = "",
        model: ModelSpec | None = None,
        generation: Generation | None = None,
        usage_source: str = "direct",
        key: str | None = None,
    ) -> DirectRequest:
        """Asks for JSON that matches a schema: `value` of the answer. Raises `InvalidSchema`."""
        Schema(schema)
        output = OutputSpec("json_schema", name, schema, strict)
        return DirectRequest(_messages(prompt, system), model, output, generation or Generation(), usage_source, key)

    def to_json(self) -> JsonObject:
        """What is hashed and recorded of it: everything but the live provider and the key."""
        body: JsonObject = {"messages": to_json(self.messages), "generation": to_json(self.generation)}
        if self.model is not None:
            body["model"] = to_json(self.model.facts)
        if self.output is not None:
            body["output"] = to_json(self.output)
        return body

    @property
    def discriminator(self) -> str:
        """What tells this question from others of the same asker."""
        if self.key is not None:
            return f"request:{self.key}"
        return f"sha256:{tagged_hash_of_canonical('lash.direct.request/v1', canonical_json(self.to_json()))}"


@dataclass(frozen=True, slots=True)
class DirectCompletion:
    """The answer. `value` is the parsed JSON where JSON was asked for, else None. Added in 0.1."""

    text: str
    value: Json
    usage: TokenUsage
    model: str


async def complete_once(
    request: DirectRequest,
    spec: ModelSpec,
    *,
    cancel: CancelToken,
    clock: Clock,
    place: RequestPlace | None = None,
    session_id: str | None = None,
    load_attachment: LoadAttachment | None = None,
) -> DirectCompletion:
    """Asks `spec`, with the retries of its provider. Raises `DirectCompletionFailed`."""
    facts = spec.facts
    call = await call_model(
        spec.provider,
        LlmRequest(
            model=facts.id,
            messages=request.messages,
            tool_choice="none",
            model_variant=facts.variant,
            generation=request.generation,
            session_id=session_id,
            output_spec=request.output,
            place=place or RequestPlace(),
            capability=spec.capability,
            output_token_capacity=facts.output_token_capacity,
            load_attachment=load_attachment,
        ),
        cancel=cancel,
        clock=clock,
    )
    if isinstance(call.result, LlmCallError):
        error = call.result
        raise DirectCompletionFailed(f"model {facts.id} did not answer: {error.message}", code=error.code, error=error)
    text = call.result.full_text
    value = None if request.output is None else _checked(text, request.output)
    return DirectCompletion(text, value, call.result.usage, facts.id)


def _messages(prompt: str, system: str) -> list[LlmMessage]:
    said = [LlmMessage("system", [TextBlock(system)])] if system else []
    return [*said, LlmMessage("user", [TextBlock(prompt)])]


def _checked(text: str, output: OutputSpec) -> Json:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise DirectCompletionFailed(f"the answer is no JSON: {error}", code="direct_output_invalid") from error
    problems = [] if output.schema is None else Schema(output.schema).problems(value)
    if output.schema is None and not isinstance(value, dict):
        problems = ["$: it is no object"]
    if problems:
        raise DirectCompletionFailed(
            f"the answer is not of the shape asked for: {'; '.join(problems)}", code="direct_output_invalid"
        )
    return value
