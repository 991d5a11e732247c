"""What a system prompt is made of: a template with slots, and layers that fill them.

Pure values. A template is a list of sections; a section holds texts, builtins (what
the mode itself says) and slots (what others contribute). Layers are resolved in one
order, from the mode to the turn: each appends to a slot, or with `reset` empties it
first, and the last template wins (docs/spec/runtime.md §2.8).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

PromptSlot: TypeAlias = Literal[
    "intro", "execution", "guidance", "project_instructions", "runtime_context", "environment"
]
PromptBuiltin: TypeAlias = Literal["main_agent_intro", "execution_instructions", "core_guidance"]


class PromptGate(msgspec.Struct, frozen=True):
    """Opens when at least one of `tools` may be called: availability is callable or off (decisions 21)."""

    tools: list[str]


class PromptContribution(msgspec.Struct, frozen=True):
    """A text for a slot. Lower priorities come first; equal ones keep their order."""

    slot: PromptSlot
    content: str
    title: str | None = None
    priority: int = 0
    gate: PromptGate | None = None


class TextEntry(msgspec.Struct, frozen=True, tag="text", tag_field="kind"):
    """A fixed text."""

    text: str


class BuiltinEntry(msgspec.Struct, frozen=True, tag="builtin", tag_field="kind"):
    """What the mode says."""

    builtin: PromptBuiltin


class SlotEntry(msgspec.Struct, frozen=True, tag="slot", tag_field="kind"):
    """What layers contribute."""

    slot: PromptSlot


PromptEntry: TypeAlias = TextEntry | BuiltinEntry | SlotEntry


class PromptSection(msgspec.Struct, frozen=True):
    """A part of the prompt under one heading, or under none."""

    entries: list[PromptEntry]
    title: str | None = None


class PromptTemplate(msgspec.Struct, frozen=True):
    """The order of everything."""

    sections: list[PromptSection]


DEFAULT_TEMPLATE = PromptTemplate(
    [
        PromptSection([BuiltinEntry("main_agent_intro"), SlotEntry("intro")]),
        PromptSection([BuiltinEntry("execution_instructions"), SlotEntry("execution")], "Execution"),
        PromptSection(
            [BuiltinEntry("core_guidance"), SlotEntry("project_instructions"), SlotEntry("guidance")], "Guidance"
        ),
        PromptSection([SlotEntry("runtime_context"), SlotEntry("environment")], "Environment"),
    ]
)


class SlotLayer(msgspec.Struct, frozen=True):
    """What one layer does to one slot: empty it first or not, then append."""

    contributions: list[PromptContribution] = []
    reset: bool = False


class PromptLayer(msgspec.Struct, frozen=True):
    """What one level (mode, plugins, core, session, turn) says about the prompt."""

    template: PromptTemplate | None = None
    slots: dict[PromptSlot, SlotLayer] = {}

    def adding(self, *contributions: PromptContribution) -> PromptLayer:
        """The layer with more contributions, each in its own slot."""
        slots = dict(self.slots)
        for contribution in contributions:
            slot = slots.get(contribution.slot, SlotLayer())
            slots[contribution.slot] = SlotLayer([*slot.contributions, contribution], slot.reset)
        return PromptLayer(self.template, slots)

    def resetting(self, slot: PromptSlot) -> PromptLayer:
        """The layer that discards what earlier layers put into `slot`."""
        before = self.slots.get(slot, SlotLayer())
        return PromptLayer(self.template, {**self.slots, slot: SlotLayer(before.contributions, reset=True)})


class ResolvedPrompt(msgspec.Struct, frozen=True):
    """All layers as one: the template and the content of each slot."""

    template: PromptTemplate
    slots: dict[PromptSlot, list[PromptContribution]]


def layer_of(contributions: Iterable[PromptContribution]) -> PromptLayer:
    """A layer that only contributes."""
    return PromptLayer().adding(*contributions)


def resolve_layers(layers: Iterable[PromptLayer]) -> ResolvedPrompt:
    """Lays the layers on each other, in the order given: mode, plugins, core, session, turn."""
    template = DEFAULT_TEMPLATE
    slots: dict[PromptSlot, list[PromptContribution]] = {}
    for layer in layers:
        template = layer.template or template
        for slot, change in layer.slots.items():
            kept = [] if change.reset else slots.get(slot, [])
            slots[slot] = [*kept, *change.contributions]
    return ResolvedPrompt(template, slots)
