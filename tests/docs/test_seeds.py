"""The page of the seeds maps all of their tests, each to tests of ours that exist (docs/seeds.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w./]+\.py::\w+)`", PAGE)))
# Tests and scenarios of each document.
IN_EACH = [18, 67, 5, 6, 2]
# What a later commit shows; a name leaves this list with that commit.
NOT_YET = {
    "reopen_restores_trigger_registry_state",
    "worker_runs_trigger_started_lashlang_process_after_restart",
    "trigger_triggered_process_wake_provenance_survives_restart",
    "worker_recovers_tool_call_process_in_restarted_session",
    "worker_recovers_session_turn_process_in_restarted_session",
}


def test_every_test_of_the_seeds_is_there_once() -> None:
    documents = [re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) for part in PAGE.split("\n## ")[1:]]

    assert [len(document) for document in documents] == IN_EACH
    assert len({name for document in documents for name in document}) == sum(IN_EACH)


def test_every_test_of_the_seeds_is_shown() -> None:
    lines = re.findall(r"^\| `(\w+)` \|(.*)$", PAGE, re.MULTILINE)

    assert {name for name, line in lines if "::" not in line} == NOT_YET


@pytest.mark.parametrize("name", NAMED)
def test_a_named_test_exists(name: str) -> None:
    path, _, test = name.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")

    assert re.search(rf"(def|class) {test}\b", text), f"{path} has no {test}"
