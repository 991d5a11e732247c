"""Tools are found by what they do (R-084)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.json import JsonObject
from lash.stock.tool_search import Searchable, search, words_of
from lash.tools.catalog import ToolKeywords
from lash.tools.definition import ToolDefinition


def described(name: str, description: str, *aliases: str, namespace: str = "", field: str = "") -> Searchable:
    schema: JsonObject = {"type": "object"}
    if field:
        schema["properties"] = {field: {"type": "string"}}
    definition = ToolDefinition.raw(name, description, input_schema=schema)
    return Searchable(definition, ToolKeywords(namespace, list(aliases)))


TOOLS = [
    described("send_email", "Sends a message to a person.", field="recipient"),
    described("list_pull_requests", "The open changes of a repository.", "prs", namespace="github"),
    described("delete_branch", "Deletes a branch of a repository.", namespace="github"),
    described("getWeather", "The forecast for a place."),
]


def names(query: str) -> list[str]:
    return [hit.definition.name for hit in search(TOOLS, query)]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("send an email", "send_email"),
        ("mail a person", "send_email"),
        ("PRs", "list_pull_requests"),
        ("deleting branches", "delete_branch"),
        ("weather", "getWeather"),
        ("forecasts", "getWeather"),
        ("recipient", "send_email"),
        ("getweather", "getWeather"),
    ],
)
def test_the_best_comes_first(query: str, first: str) -> None:
    assert names(query)[0] == first


def test_a_namespace_finds_all_of_its_tools_and_nothing_else() -> None:
    assert sorted(names("github")) == ["delete_branch", "list_pull_requests"]


def test_what_has_nothing_to_do_with_it_is_not_found() -> None:
    assert names("quaternion") == []
    assert names("?!") == []
    assert search([], "email") == []


def test_words_are_found_in_identifiers() -> None:
    assert words_of("listOpen_PRs HTTPServer2, queries") == ["list", "open", "pr", "http", "server2", "query"]


@given(st.lists(st.text(min_size=1), max_size=6, unique=True), st.text())
def test_a_search_only_ranks(found_names: list[str], query: str) -> None:
    tools = [described(name, name[::-1]) for name in found_names]
    hits = search(tools, query)

    assert hits == search(tools, query)
    assert len({hit.definition.name for hit in hits}) == len(hits)
    assert all(hit in tools for hit in hits)
