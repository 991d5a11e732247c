"""Arguments, from the model's text to a checked object. Pure.

Models get arguments wrong every day, so a refusal is written for them: where, what
was given, what is expected. Nothing that passes can trouble the runtime later: it
is canonical JSON of bounded size and depth.
"""

from __future__ import annotations

from typing import Final

from lash.base.canonical import canonical_json_bytes, parse_json
from lash.base.errors import NotCanonical
from lash.base.json import Json, JsonObject
from lash.base.schema import InvalidSchema
from lash.models.text import readable
from lash.tools.compact import signature_text
from lash.tools.definition import ToolContract
from lash.tools.result import ToolCallOutput

# 4 MiB: more than any model can say in one answer, and a sixteenth of what makes
# SQLite and a JSON parser slow. Larger data belongs into attachments.
MAX_ARGUMENT_BYTES = 4 * 1024 * 1024

# Deeper than any honest schema, and far from what any parser's stack can bear.
MAX_DEPTH = 64

_NESTED: Final = frozenset((dict, list))
_SHOWN_PROBLEMS = 8
_SHOWN_CHARS = 300
_SIGNATURE_CHARS = 2_000


def parse_arguments(text: str) -> JsonObject | ToolCallOutput:
    """The argument object of a call, or the failure that the model reads instead.

    Empty text means no arguments: several providers send it for tools without any.
    """
    if not text.strip():
        return {}
    if len(text) > MAX_ARGUMENT_BYTES:
        return _too_large(len(text))
    try:
        args = parse_json(text)
    except (ValueError, RecursionError) as error:
        return invalid_arguments(f"the arguments are not valid JSON: {_cut(str(error))}; given: {_cut(text)}")
    if not isinstance(args, dict):
        return invalid_arguments(f"$: the arguments must be a JSON object, given: {_cut(text)}")
    return args


def check_arguments(name: str, contract: ToolContract, args: JsonObject) -> ToolCallOutput | None:
    """What is wrong with the arguments of a call; None when nothing is."""
    if (problem := _unstorable(args)) is not None:
        return problem
    try:
        problems = contract.checker.problems(args)
    except InvalidSchema as error:
        return ToolCallOutput.failure(
            "internal", "tool_contract_unavailable", f"tool {name}: {error.message}", source="runtime"
        )
    if not problems:
        return None
    return wrong_arguments(name, contract, problems)


def wrong_arguments(name: str, contract: ToolContract, problems: list[str]) -> ToolCallOutput:
    """The failure that lists `path: what was given and why not`, and the signature that is expected."""
    lines = [f"invalid arguments for {name}:"]
    lines += [f"- {_cut(problem)}" for problem in problems[:_SHOWN_PROBLEMS]]
    if len(problems) > _SHOWN_PROBLEMS:
        lines.append(f"- … and {len(problems) - _SHOWN_PROBLEMS} more")
    signature = signature_text(name, contract.input_schema, contract.output_schema)
    lines.append(f"expected: {readable(signature, _SIGNATURE_CHARS)}")
    return invalid_arguments("\n".join(lines))


def invalid_arguments(message: str) -> ToolCallOutput:
    """A failure of class `invalid_request`, code `invalid_tool_args`."""
    return ToolCallOutput.failure("invalid_request", "invalid_tool_args", message, source="runtime")


def _unstorable(args: JsonObject) -> ToolCallOutput | None:
    if _is_deeper_than(args, MAX_DEPTH):
        return invalid_arguments(f"$: the arguments are nested more than {MAX_DEPTH} levels deep; flatten them")
    try:
        size = len(canonical_json_bytes(args))
    except NotCanonical as error:
        return invalid_arguments(f"{error.path}: {error.reason}")
    return _too_large(size) if size > MAX_ARGUMENT_BYTES else None


def _is_deeper_than(value: Json, limit: int) -> bool:
    if limit and type(value) is dict and _NESTED.isdisjoint(map(type, value.values())):
        return False  # most are flat
    level: list[Json] = [value]
    for _ in range(limit + 1):
        level = [
            item
            for parent in level
            if isinstance(parent, dict | list)
            for item in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True


def _too_large(size_bytes: int) -> ToolCallOutput:
    return ToolCallOutput.failure(
        "resource_limit",
        "tool_args_too_large",
        f"$: {size_bytes} bytes of arguments, at most {MAX_ARGUMENT_BYTES} are taken; send less, or in several calls",
        source="runtime",
    )


def _cut(text: str) -> str:
    return readable(text, _SHOWN_CHARS)
