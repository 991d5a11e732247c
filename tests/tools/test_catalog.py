"""Sources merged, authority applied, state carried over."""

from __future__ import annotations

import pytest

from lash.tools import (
    DuplicateTool,
    ToolCatalog,
    ToolContract,
    ToolDefinition,
    ToolExecution,
    ToolManifest,
    ToolProvider,
    ToolSource,
    ToolStateConflict,
    UnknownTool,
    build_catalog,
)
from lash.tools.state import ToolState, apply_edit, overrides, rebind


class Shelf(ToolProvider):
    """A provider with hand-written definitions."""

    def __init__(self, *definitions: ToolDefinition) -> None:
        self.definitions = {definition.name: definition for definition in definitions}

    def tool_manifests(self) -> list[ToolManifest]:
        return [definition.manifest for definition in self.definitions.values()]

    def resolve_contract(self, name: str) -> ToolContract | None:
        return self.definitions[name].contract

    async def execute(self, call: ToolExecution) -> object:
        return call.name


def catalog(*names: str) -> ToolCatalog:
    return build_catalog([ToolSource("app", Shelf(*(ToolDefinition.raw(name) for name in names)))])


def test_sources_merge_in_order() -> None:
    merged = build_catalog(
        [ToolSource("a", Shelf(ToolDefinition.raw("x"))), ToolSource("b", Shelf(ToolDefinition.raw("w")))]
    )

    assert [spec.name for spec in merged.specs()] == ["x", "w"]
    assert merged.resolve("w") is merged.resolve_id("tool:w")


def test_one_name_from_two_sources_is_refused_naming_both() -> None:
    with pytest.raises(DuplicateTool, match="tool x is offered by app and by plugin 'p'"):
        build_catalog(
            [
                ToolSource("app", Shelf(ToolDefinition.raw("x"))),
                ToolSource("plugin 'p'", Shelf(ToolDefinition.raw("x"))),
            ]
        )


def test_one_id_under_two_names_is_refused_too() -> None:
    with pytest.raises(DuplicateTool, match="tool:x"):
        build_catalog([ToolSource("app", Shelf(ToolDefinition.raw("x"), ToolDefinition.raw("y", tool_id="tool:x")))])


class TestAuthority:
    def test_hidden_tools_are_not_there(self) -> None:
        left = catalog("a", "b", "c").with_access(hidden_tools=["a", "tool:b"])

        assert left.callable_names == {"c"}
        assert left.resolve("a") is None

    def test_a_replacement_set_is_all_there_is_and_hiding_still_counts(self) -> None:
        left = catalog("a", "b", "c").with_access(tools=["a", "tool:b"], hidden_tools=["a"])

        assert left.callable_names == {"b"}

    def test_a_replacement_set_with_unknown_tools_is_refused(self) -> None:
        with pytest.raises(UnknownTool, match="tool access names z; the sources offer a"):
            catalog("a").with_access(tools=["a", "z"])

    def test_hiding_what_is_not_there_changes_nothing(self) -> None:
        assert catalog("a").with_access(hidden_tools=["z"]).callable_names == {"a"}

    def test_availability_is_callable_or_off(self) -> None:
        changed = catalog("a", "b").with_availability({"tool:a": "off", "nobody": "off"})

        assert changed.callable_names == {"b"}
        assert [spec.name for spec in changed.specs()] == ["b"]
        assert changed.with_availability({"a": "callable"}).callable_names == {"a", "b"}

    def test_an_internal_tool_is_callable_but_not_shown(self) -> None:
        inner = ToolDefinition(ToolManifest("tool:i", "i", activation="internal"))
        shelf = build_catalog([ToolSource("app", Shelf(inner))])

        assert shelf.resolve("i") is not None
        assert shelf.specs() == []


class TestState:
    def test_is_bound_again_to_the_same_sources_without_a_new_generation(self) -> None:
        state = rebind(ToolState(), catalog("a"))

        assert state.generation == 1
        assert rebind(state, catalog("a")) is state

    def test_keeps_tools_whose_source_is_gone_as_orphans_that_are_off(self) -> None:
        state = rebind(rebind(ToolState(), catalog("a", "b")), catalog("a"))

        assert state.generation == 2
        assert state.entries["tool:b"].orphaned
        assert overrides(state) == {"tool:b": "off"}

    def test_an_orphan_is_bound_again_when_its_source_returns(self) -> None:
        state = rebind(rebind(rebind(ToolState(), catalog("a", "b")), catalog("a")), catalog("b", "a"))

        assert not state.entries["tool:b"].orphaned
        assert overrides(state) == {}

    def test_an_edit_needs_the_current_generation(self) -> None:
        current = ToolState(5)

        assert apply_edit(current, ToolState(5)).generation == 6
        with pytest.raises(ToolStateConflict, match="generation mismatch: expected 5, actual 4"):
            apply_edit(current, ToolState(4))

    def test_an_override_outlives_a_restore(self) -> None:
        off = catalog("a").with_availability({"a": "off"})
        stored = rebind(ToolState(), off)

        state = rebind(stored, catalog("a"))

        assert overrides(state) == {"tool:a": "off"}
        assert not catalog("a").with_availability(overrides(state)).callable_names
