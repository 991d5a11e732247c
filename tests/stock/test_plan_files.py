"""Which files a call would change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lash.stock.plan_files import changes_only, path_argument, paths_of_patch, plan_file

PATCH = """*** Begin Patch
*** Add File: plans/s.md
+*** Update File: not a header, a line that is added
*** Update File: src/a.py
*** Move to: src/b.py
@@
*** Delete File: old.py
*** End Patch"""


def test_a_patch_names_every_file_that_it_touches() -> None:
    assert paths_of_patch({"input": PATCH}) == ["plans/s.md", "src/a.py", "src/b.py", "old.py"]
    assert paths_of_patch({"parts": [{"text": "*** Add File: x"}], "n": 3}) == ["x"]
    assert paths_of_patch({}) == []


def test_only_the_allowed_file_passes_however_it_is_written() -> None:
    assert changes_only(["plans/s.md", "./plans/../plans/s.md"], "plans/s.md")
    assert not changes_only(["plans/s.md", "a.py"], "plans/s.md")
    assert not changes_only(["plans/../s.md"], "plans/s.md")
    assert not changes_only([], "plans/s.md")


def test_a_path_may_be_one_argument() -> None:
    assert path_argument("path")({"path": "a"}) == ["a"]
    assert path_argument("path")({"path": 3}) == []


def test_plain_ids_are_their_own_file_name() -> None:
    assert plan_file("plans", "chat-7") == "plans/chat-7.md"


@given(st.text(min_size=1), st.text(min_size=1))
def test_every_session_has_a_file_of_its_own_in_the_folder(one: str, other: str) -> None:
    path = plan_file("plans", one)

    assert path.startswith("plans/")
    assert "/" not in path.removeprefix("plans/")
    assert path.isascii()
    assert (path == plan_file("plans", other)) == (one == other)
