"""The tool output budget: what a model sees of long tool results (docs/spec/runtime.md §6.8).

The record keeps the full value; only the model's view is cut, on line boundaries where
there are any, never inside a character. The only plugin that every core has; one of the
same id, or any other projector, takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from lash.base.canonical import canonical_json
from lash.base.errors import InvalidArgument
from lash.base.json import Json
from lash.plugins.hooks import AfterToolCall, PluginSessionContext
from lash.plugins.registrar import PluginRegistrar

PLUGIN_ID = "tool_output_budget"
BYTES_PER_TOKEN = 4
# The end of their output says how it went.
SHELL_LIKE = frozenset({"bash", "shell", "exec", "exec_command", "run_command", "start_command", "terminal"})
BATCH = "batch"
MIN_STRING_BYTES = 64
MARKER_BYTES = 128
# Markers and keys take room too: strings get all of the budget, else half of it, else a quarter.
STRUCTURED_SHARES = (1, 2, 4)


class OutputBudget(msgspec.Struct, frozen=True):
    """How much of a result a model sees: `limit` in bytes or in tokens of 4 bytes, and lines."""

    mode: Literal["bytes", "tokens"] = "bytes"
    limit: int = 16_384
    max_lines: int = 400

    def __post_init__(self) -> None:
        if self.limit < 1 or self.max_lines < 1:
            raise InvalidArgument(f"OutputBudget(limit={self.limit}, max_lines={self.max_lines}): both are at least 1")

    @property
    def max_bytes(self) -> int:
        """The limit in bytes of UTF-8."""
        return self.limit * (BYTES_PER_TOKEN if self.mode == "tokens" else 1)


class ToolOutputBudget:
    """The plugin. Options of a session under `tool_output_budget` replace its own. Added in 0.1."""

    id = PLUGIN_ID
    registers_alike = True

    def __init__(self, budget: OutputBudget | None = None, *, tail_tools: Sequence[str] = ()) -> None:
        """`tail_tools` are further tools whose end matters more than their beginning."""
        self._budget = budget or OutputBudget()
        self._is_default = budget is None and not tail_tools
        self._tail_tools = SHELL_LIKE | frozenset(tail_tools)

    def build(self, context: PluginSessionContext) -> ToolOutputBudget:
        """The plugin of one session; raises `PluginRegistrationError` for options that cannot be read."""
        budget = context.options(self.id, OutputBudget)
        if budget is None:
            return self
        made = ToolOutputBudget(budget)
        made._tail_tools, made._is_default = self._tail_tools, self._is_default
        return made

    def register(self, registrar: PluginRegistrar) -> None:
        """As the projector of tool results."""
        register = registrar.tool_results.default_projector if self._is_default else registrar.tool_results.projector
        register(self.project)

    def project(self, call: AfterToolCall, text: str) -> str:
        """What the model sees of one result."""
        budget = self._budget
        if _fits(text, budget):
            return text
        keeps_tail = call.manifest.name in self._tail_tools
        value = call.output.value if call.output.is_success else None
        if isinstance(value, dict | list):
            return self._structured(call.manifest.name, value, keeps_tail=keeps_tail)
        return truncated(text, budget, keeps_tail=keeps_tail)

    def _structured(self, tool: str, value: Json, *, keeps_tail: bool) -> str:
        text = ""
        for part in STRUCTURED_SHARES:
            share = msgspec.structs.replace(self._budget, limit=max(1, self._budget.limit // part))
            text = canonical_json(_entries_shrunk(tool, value, share, keeps_tail=keeps_tail))
            if _fits(text, self._budget):
                return text
        # Many small strings, or many numbers: nothing of them is long, only all together.
        return truncated(text, self._budget, keeps_tail=keeps_tail)


def _entries_shrunk(tool: str, value: Json, budget: OutputBudget, *, keeps_tail: bool) -> Json:
    results = value.get("results") if isinstance(value, dict) and tool == BATCH else None
    if not isinstance(value, dict) or not isinstance(results, list) or not results:
        return _shrunk(value, budget, keeps_tail=keeps_tail)
    share = msgspec.structs.replace(budget, limit=max(1, budget.limit // len(results)))
    entries: list[Json] = [_shrunk(entry, share, keeps_tail=keeps_tail) for entry in results]
    return {**value, "results": entries}


def truncated(text: str, budget: OutputBudget, *, keeps_tail: bool = False) -> str:
    """The head (or the tail) of a text within the budget, and a line that says what is missing."""
    if _fits(text, budget):
        return text
    lines = text.splitlines(keepends=True)
    by_lines = len(lines) > budget.max_lines
    kept = (lines[-budget.max_lines :] if keeps_tail else lines[: budget.max_lines]) if by_lines else lines
    kept = _within(kept, budget.max_bytes, keeps_tail=keeps_tail)
    shown = "".join(kept)
    missing_bytes = len(text.encode()) - len(shown.encode())
    if by_lines and len("".join(lines[: budget.max_lines]).encode()) <= budget.max_bytes:
        missing = f"{len(lines) - len(kept)} lines"
    elif budget.mode == "tokens":
        missing = f"{-(-missing_bytes // BYTES_PER_TOKEN)} tokens"
    else:
        missing = f"{missing_bytes} bytes"
    marker = f"…{missing} truncated…"
    hint = "[Output truncated. Ask for a smaller range, or filter at the source, to see the rest.]"
    if keeps_tail:
        return f"{marker}\n{hint}\n{shown}"
    return f"{shown.removesuffix(chr(10))}\n{marker}\n{hint}"


def _fits(text: str, budget: OutputBudget) -> bool:
    # A character is at least a byte and at most four: most texts need not be encoded.
    if len(text) > budget.max_bytes:
        return False
    if 4 * len(text) > budget.max_bytes and len(text.encode()) > budget.max_bytes:
        return False
    return text.count("\n") < budget.max_lines or len(text.splitlines()) <= budget.max_lines


def _within(lines: Sequence[str], max_bytes: int, *, keeps_tail: bool) -> list[str]:
    kept: list[str] = []
    room = max_bytes
    for line in reversed(lines) if keeps_tail else lines:
        size = len(line.encode())
        if size > room:
            if not kept:  # one line that is too long by itself is cut between characters
                data = line.encode()
                kept = [(data[-room:] if keeps_tail else data[:room]).decode(errors="ignore")]
            break
        kept.append(line)
        room -= size
    return kept[::-1] if keeps_tail else kept


def _shrunk(value: Json, budget: OutputBudget, *, keeps_tail: bool) -> Json:
    """The value with its long strings cut: each gets a share by its size."""
    sizes = _string_sizes(value)
    total = sum(sizes)
    if total == 0:
        return value
    return _cut(value, budget, total, keeps_tail=keeps_tail)


def _cut(value: Json, budget: OutputBudget, total: int, *, keeps_tail: bool) -> Json:
    match value:
        case str():
            share = budget.max_bytes * len(value.encode()) // total - MARKER_BYTES
            share = max(1, min(max(share, MIN_STRING_BYTES), budget.max_bytes))
            own = OutputBudget("bytes", share, budget.max_lines)
            if budget.mode == "tokens":
                own = OutputBudget("tokens", max(1, share // BYTES_PER_TOKEN), budget.max_lines)
            return truncated(value, own, keeps_tail=keeps_tail)
        case list():
            return [_cut(item, budget, total, keeps_tail=keeps_tail) for item in value]
        case dict():
            return {key: _cut(item, budget, total, keeps_tail=keeps_tail) for key, item in value.items()}
        case _:
            return value


def _string_sizes(value: Json) -> list[int]:
    if isinstance(value, str):
        return [len(value.encode())]
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [size for item in items for size in _string_sizes(item)]
