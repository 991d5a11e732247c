"""Reading a folder stays within its bounds, whatever is in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lash.cli.demo import folder


def test_a_survey_is_capped_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MAX_FILES", 5)
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text("x\n")

    found = folder.survey(tmp_path)

    assert len(found.files) == 5
    assert found.is_capped


def test_a_deep_tree_is_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MAX_FOLDERS", 3)
    (tmp_path / "a/b/c/d/e").mkdir(parents=True)

    assert folder.survey(tmp_path).is_capped


def test_what_tools_leave_behind_is_skipped_and_links_are_not_followed(tmp_path: Path) -> None:
    for name in (".git", "node_modules", ".venv", "__pycache__"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inside.py").write_text("x = 1\n")
    (tmp_path / "kept.py").write_text("x = 1\n")
    (tmp_path / "link").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")

    assert [file.shown for file in folder.survey(tmp_path).files] == ["kept.py"]


def test_lines_are_counted_by_language_and_binaries_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one\ntwo")
    (tmp_path / "b.md").write_text("one\n")
    (tmp_path / "c.bin").write_bytes(b"\0\n" * 50)
    (tmp_path / "d.py").write_text("")

    counted = folder.count_lines(folder.survey(tmp_path).files)

    assert counted.by_language == {"Python": 2, "Markdown": 1}


def test_a_file_that_is_gone_is_counted_and_not_raised(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x\n")
    files = folder.survey(tmp_path).files
    (tmp_path / "a.py").unlink()

    assert folder.count_lines(files).unreadable == 1
    assert folder.hash_largest(files, 3)[0].digest is None


def test_markers_are_found_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x\n# TODO one\n# FIXME two, TODO three\n")
    reached: list[bool] = []

    found = folder.find_markers(folder.survey(tmp_path).files, lambda: reached.append(True), places=2)

    assert found.counts == {"TODO": 2, "FIXME": 1}
    assert found.places == ["a.py:2", "a.py:3"]
    assert reached == [True]


def test_the_middle_is_reached_without_any_file() -> None:
    reached: list[bool] = []

    folder.find_markers([], lambda: reached.append(True))

    assert reached == [True]


def test_names_that_are_no_text_are_shown_as_well_as_they_can(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x")

    [file] = folder.survey(tmp_path).files

    assert file.shown.encode("utf-8").startswith(b"caf")
