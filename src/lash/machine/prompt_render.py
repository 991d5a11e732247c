"""A resolved prompt as text. Pure, and remembered by what went in.

Sections are joined by blank lines, titled ones under `## Title`, titled contributions
under `### Title`; whatever is empty leaves no trace (docs/spec/runtime.md §2.8).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from typing import assert_never

from lash.base.canonical import tagged_hash
from lash.base.codec import to_json
from lash.machine.prompt import (
    BuiltinEntry,
    PromptBuiltin,
    PromptContribution,
    PromptEntry,
    PromptSection,
    ResolvedPrompt,
    SlotEntry,
    TextEntry,
)

_GUIDANCE = (
    "- Say what you did and what you found, in the reader's words, without preamble.",
    "- Check facts with the tools you have before you state them; say so when you could not.",
    "- Do what was asked and stop there.",
)
_ASK = "- Ask with the `ask` tool only when you are blocked; otherwise choose sensibly and go on."


def core_guidance(tools: Collection[str]) -> str:
    """The builtin of that name: three bullets on style, and one on asking if `ask` can be called."""
    return "\n".join([*_GUIDANCE, *([_ASK] if "ask" in tools else [])])


def render_prompt(prompt: ResolvedPrompt, builtins: Mapping[PromptBuiltin, str], tools: Collection[str]) -> str:
    """The system prompt. `tools` are the names that may be called; they open gates.

    `core_guidance` is supplied here unless `builtins` has its own.
    """
    texts: dict[PromptBuiltin, str] = {"core_guidance": core_guidance(tools), **builtins}
    sections = (_section(section, prompt, texts, tools) for section in prompt.template.sections)
    return "\n\n".join(section for section in sections if section)


def fingerprint(prompt: ResolvedPrompt, builtins: Mapping[PromptBuiltin, str], tools: Collection[str]) -> str:
    """A hash of everything `render_prompt` reads."""
    return tagged_hash("lash-prompt", to_json(prompt), dict(builtins), sorted(tools))  # type: ignore[arg-type]


class PromptMemo:
    """Renders each prompt once. Bounded; counts its hits."""

    # A core renders a handful of prompts: one per session shape, not per turn.
    CAPACITY = 64

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self.hits = 0

    def render(self, prompt: ResolvedPrompt, builtins: Mapping[PromptBuiltin, str], tools: Collection[str]) -> str:
        """The text of `render_prompt`, remembered."""
        key = fingerprint(prompt, builtins, tools)
        found = self._texts.get(key)
        if found is not None:
            self._texts.move_to_end(key)
            self.hits += 1
            return found
        text = render_prompt(prompt, builtins, tools)
        self._texts[key] = text
        if len(self._texts) > self.CAPACITY:
            self._texts.popitem(last=False)
        return text


def _section(
    section: PromptSection, prompt: ResolvedPrompt, builtins: Mapping[PromptBuiltin, str], tools: Collection[str]
) -> str:
    blocks = [block for entry in section.entries for block in _entry(entry, prompt, builtins, tools)]
    if not blocks:
        return ""
    return "\n\n".join([f"## {section.title}", *blocks] if section.title else blocks)


def _entry(
    entry: PromptEntry, prompt: ResolvedPrompt, builtins: Mapping[PromptBuiltin, str], tools: Collection[str]
) -> Iterator[str]:
    match entry:
        case TextEntry(text=text):
            found = text
        case BuiltinEntry(builtin=builtin):
            found = builtins.get(builtin, "")
        case SlotEntry(slot=slot):
            yield from _contributions(prompt.slots.get(slot, []), tools)
            return
        case other:
            assert_never(other)
    if found.strip():
        yield found.strip()


def _contributions(contributions: list[PromptContribution], tools: Collection[str]) -> Iterator[str]:
    seen: set[tuple[str | None, int, str]] = set()
    for contribution in sorted(contributions, key=lambda one: one.priority):
        content = contribution.content.strip()
        identity = (contribution.title, contribution.priority, content)
        if not content or identity in seen or not _is_open(contribution, tools):
            continue
        seen.add(identity)
        yield f"### {contribution.title}\n\n{content}" if contribution.title else content


def _is_open(contribution: PromptContribution, tools: Collection[str]) -> bool:
    gate = contribution.gate
    return gate is None or any(tool in tools for tool in gate.tools)
