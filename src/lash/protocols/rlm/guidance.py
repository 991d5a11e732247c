"""What the model is told from one iteration to the next. Pure texts."""

from __future__ import annotations

from typing import Final

from lash.base.canonical import canonical_json, parse_json
from lash.base.usage import PromptUsage
from lash.protocols.rlm.options import CustomAnswer, Ending
from lash.tools.compact import type_text

# Shares of the context budget at which advice changes.
_SWITCH_SOON: Final = 60
_SWITCH_AFTER_STEP: Final = 90
_SWITCH_NOW: Final = 100


def status_text(
    ending: Ending,
    *,
    iteration: int,
    max_turns: int | None,
    last_prompt: PromptUsage | None,
    soft_limit_tokens: int | None,
) -> str:
    """Where the turn stands, how it ends, and how full the context is."""
    limit = f" of {max_turns}" if max_turns is not None else ""
    lines = [f"Iteration {iteration + 1}{limit}.", _finalization(ending)]
    if ending.schema is not None:
        # In one order of fields: a turn that goes on after a crash reads its schema from the store, sorted.
        schema = canonical_json(ending.schema)
        lines.append(f"The submitted value must match {type_text(parse_json(schema))}; its JSON Schema is:")
        lines.append(schema)
    elif isinstance(ending.final_answer_format, CustomAnswer):
        lines.append(f"Form of the final answer: {ending.final_answer_format.guidance}")
    elif ending.final_answer_format == "markdown":
        lines.append("A person reads the final answer: give it as Markdown text.")
    budget = budget_line(last_prompt, soft_limit_tokens)
    if budget:
        lines.append(budget)
    return "\n".join(lines)


def budget_line(last_prompt: PromptUsage | None, soft_limit_tokens: int | None) -> str:
    """How full the context is, with advice from 60 % on; empty when nothing is known."""
    if last_prompt is None or not soft_limit_tokens:
        return ""
    used = last_prompt.prompt_context_tokens
    percent = 100 * used // soft_limit_tokens
    line = f"Context: {used} of {soft_limit_tokens} tokens ({percent} %)."
    if percent >= _SWITCH_NOW:
        return f"{line} Switch to a fresh context now, with the task and only what it needs."
    if percent >= _SWITCH_AFTER_STEP:
        return f"{line} Finish this step, then switch to a fresh context."
    if percent >= _SWITCH_SOON:
        return f"{line} Look for a good point to go on in a fresh context."
    return line


def submit_reminder() -> str:
    """After prose where only `submit` ends the turn."""
    return (
        "That was prose, and it does not end the turn. "
        "Write one fenced `lashlang` block; when the work is done it ends with `submit value`."
    )


def schema_reminder() -> str:
    """The same where the value must match a schema."""
    return (
        "That was prose, and it does not end the turn. Write one fenced `lashlang` block that ends with "
        "`submit value`, where the value matches the required schema."
    )


def wrap_up_text() -> str:
    """Before the one iteration that is granted beyond the limit."""
    return (
        "This is the last step of this turn. Answer now in prose, without a fenced block and without `submit`: "
        "what is done, what remains, and what to do next."
    )


def _finalization(ending: Ending) -> str:
    if ending.may_be_prose:
        return "The turn ends with `submit value` in a cell, or with an answer in prose without a cell."
    return "The turn ends only with `submit value` in a cell."
