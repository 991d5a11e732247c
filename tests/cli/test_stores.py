"""Commands that look at a store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Cli = Callable[..., Result]


def test_sessions_are_listed(cli: Cli, settled_store: str) -> None:
    result = cli("sessions", "ls", "--store", settled_store, "--json")

    [listed] = json.loads(result.stdout)
    assert (listed["session_id"], listed["turn_index"], listed["open_turn_id"]) == ("chat", 1, None)


def test_the_store_may_come_from_the_environment(cli: Cli, settled_store: str) -> None:
    result = cli("sessions", "ls", LASH_STORE=settled_store)

    assert result.exit_code == 0
    assert "chat" in result.stdout


def test_a_session_is_shown_with_its_turns_and_its_conversation(cli: Cli, settled_store: str) -> None:
    shown = cli("sessions", "show", "chat", "--store", settled_store)
    as_json = json.loads(cli("sessions", "show", "chat", "--store", settled_store, "--json").stdout)

    assert "It is seven." in shown.stdout
    assert [turn["turn_id"] for turn in as_json["turns"]] == ["t1"]
    assert as_json["messages"][0]["parts"][0]["content"] == "What is it?"


def test_a_session_that_is_not_there_is_a_failure(cli: Cli, settled_store: str) -> None:
    result = cli("sessions", "show", "nobody", "--store", settled_store)

    assert result.exit_code == 1
    assert "'nobody'" in result.stderr


def test_a_session_is_exported_to_a_file(cli: Cli, settled_store: str, tmp_path: Path) -> None:
    target = tmp_path / "chat.html"

    cli("sessions", "export", "chat", "--format", "html", "-o", str(target), "--store", settled_store)

    assert "It is seven." in target.read_text()
    assert "## Assistant" in cli("sessions", "export", "chat", "--store", settled_store).stdout


def test_a_session_is_forked_and_deleted(cli: Cli, settled_store: str) -> None:
    forked = cli("sessions", "fork", "chat", "copy", "--store", settled_store)
    shown = cli("sessions", "show", "copy", "--store", settled_store)
    deleted = cli("sessions", "rm", "chat", "--yes", "--store", settled_store)
    left = json.loads(cli("sessions", "ls", "--store", settled_store, "--json").stdout)

    assert "begins where chat stands" in forked.stdout
    assert "It is seven." in shown.stdout
    assert "deleted" in deleted.stdout
    assert [one["session_id"] for one in left] == ["copy"]


def test_changing_a_session_that_is_not_there_is_a_failure(cli: Cli, settled_store: str) -> None:
    for command in (["export", "nobody"], ["fork", "nobody", "copy"], ["rm", "nobody", "--yes"]):
        result = cli("sessions", *command, "--store", settled_store)

        assert result.exit_code == 1
        assert "`nobody`" in result.stderr


def test_a_store_that_is_not_there_is_refused_and_not_made(cli: Cli, tmp_path: Path) -> None:
    where = tmp_path / "typo.db"

    for command in (["sessions", "ls"], ["store", "check"], ["store", "stats"], ["store", "vacuum"]):
        result = cli(*command, "--store", str(where))

        assert result.exit_code == 3
        assert "does not exist" in result.stderr
    assert not where.exists()


def test_a_file_that_is_no_database_is_told_in_one_line(cli: Cli, tmp_path: Path) -> None:
    where = tmp_path / "notes.txt"
    where.write_text("dear diary " * 100)

    result = cli("store", "check", "--store", str(where))

    assert result.exit_code == 3
    assert result.stderr.strip().count("\n") == 0
    assert "not a database" in result.stderr


def test_a_sound_store_checks_out(cli: Cli, settled_store: str) -> None:
    result = cli("store", "check", "--store", settled_store, "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["ok"] is True


def test_a_damaged_row_fails_the_check(cli: Cli, settled_store: str) -> None:
    _damage(settled_store)

    result = cli("store", "check", "--store", settled_store)

    assert result.exit_code == 1
    assert "lash_graph_nodes" in result.stdout


def test_statistics_count_rows(cli: Cli, settled_store: str) -> None:
    found = json.loads(cli("store", "stats", "--store", settled_store, "--json").stdout)

    assert found["rows"]["lash_turn_commits"] == 1
    assert found["tier"] == "durable"


def test_migrate_makes_a_database_and_then_has_nothing_to_do(cli: Cli, tmp_path: Path) -> None:
    where = str(tmp_path / "new.db")

    first = json.loads(cli("store", "migrate", "--store", where, "--json").stdout)
    again = json.loads(cli("store", "migrate", "--store", where, "--json").stdout)

    assert first["before"] == 0
    assert again["before"] == again["after"] == first["after"]


def test_vacuum_leaves_what_is_in_use(cli: Cli, settled_store: str) -> None:
    result = cli("store", "vacuum", "--store", settled_store)

    assert result.exit_code == 0
    assert "It is seven." in cli("sessions", "show", "chat", "--store", settled_store).stdout


def test_the_doctor_finds_a_store_usable(cli: Cli, settled_store: str) -> None:
    found = json.loads(cli("doctor", "--store", settled_store, "--json").stdout)

    assert found["ok"] is True
    assert found["fsync_ms"] > 0
    assert "cli" in [*found["extras"], *found["missing_extras"]]


@pytest.mark.parametrize("where", ["missing/agent.db", "postgresql://nobody@127.0.0.1:1/none"])
def test_the_doctor_fails_on_a_store_that_cannot_be_used(cli: Cli, tmp_path: Path, where: str) -> None:
    store = where if "://" in where else str(tmp_path / where)

    result = cli("doctor", "--store", store)

    assert result.exit_code == 3
    assert "problem: " in result.stdout


def test_a_password_in_a_store_is_never_printed(cli: Cli) -> None:
    result = cli("doctor", "--store", "postgresql://me:hunter2@127.0.0.1:1/none", "--json")

    assert json.loads(result.stdout)["store"] == "postgresql://me:***@127.0.0.1:1/none"
    assert "hunter2" not in result.output


def _damage(where: str) -> None:
    import apsw

    connection = apsw.Connection(where)
    connection.execute("UPDATE lash_graph_nodes SET node_json = '{' WHERE node_id LIKE 't1%'").fetchall()
    connection.close()
